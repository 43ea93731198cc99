"""A sheet: rows of pictures along which one unit moves and nothing else is touched.

Each row starts from another picture (an anchor). What changes from left to right, in every row,
is what the unit does; what differs between rows is the anchors' own.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from legenda.core.evidence import Panel

Order = Int[Tensor, "r s"]


@dataclass(frozen=True)
class Sheet:
    """Frames of one unit, anchors down and steps across: evidence of what it does.

    Parameters
    ----------
    images: colours from 0 to 1.
    values: what the unit was set to at each step, rising.
    unit: its address, for people.
    index: its number.
    kind: "traversal", "invariance", "combination", "conditional", "contrast"; or of a control
        "shuffled", "constant".
    """

    images: Float[Tensor, "r s c h w"] = field(repr=False)
    values: Float[Tensor, " s"] = field(repr=False)
    unit: str = ""
    index: int = 0
    kind: str = "traversal"

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, chosen: list[int]) -> "Sheet":
        """Some of the rows, in the order given; a row may be taken twice."""
        return replace(self, images=self.images[chosen])

    def shuffled(self, seed: int = 0) -> "Sheet":
        """A control: the steps of each row in an order drawn for that row, never its own."""
        return self._in_order(shuffled(self.images, seed), "shuffled")

    def constant(self, seed: int = 0) -> "Sheet":
        """A control: every row shows one of its frames throughout."""
        return self._in_order(constant(self.images, seed), "constant")

    def _in_order(self, order: Order, kind: str) -> "Sheet":
        return replace(self, images=reordered(self.images, order), kind=kind)

    def change(self) -> Float[Tensor, "h w"]:
        """Where pictures change: the spread of colours along a row, mean over rows, 0 to 0.5."""
        return self.images.std(1, correction=0).mean((0, 1))

    def effect(self) -> Float[Tensor, " r"]:
        """How much each row changes: root mean square of that spread."""
        return self.images.var(1, correction=0).mean((1, 2, 3)).sqrt()

    def panels(self) -> list[Panel]:
        return [
            Panel(frame, f"row {r + 1}, {value:+.2f}")
            for r, row in enumerate(self.images)
            for frame, value in zip(row, self.values.tolist(), strict=True)
        ]

    def arrays(self) -> dict[str, Tensor]:
        return {"images": self.images, "values": self.values}


def reordered(frames: Shaped[Tensor, "r s ..."], order: Order) -> Shaped[Tensor, "r s ..."]:
    """Every row in an order of its own."""
    return torch.stack([row[steps] for row, steps in zip(frames, order, strict=True)])


def shuffled(frames: Shaped[Tensor, "r s ..."], seed: int = 0) -> Order:
    """An order by lot for each row, that runs neither forwards nor backwards; of two, backwards."""
    lot = torch.Generator().manual_seed(seed)
    return torch.stack([_another_order(frames.shape[1], lot) for _ in frames])


def constant(frames: Shaped[Tensor, "r s ..."], seed: int = 0) -> Order:
    """One step throughout, by lot for each row."""
    rows, steps = frames.shape[:2]
    lot = torch.Generator().manual_seed(seed)
    return torch.randint(steps, (rows, 1), generator=lot).expand(-1, steps)


def _another_order(count: int, lot: torch.Generator) -> Tensor:
    """A permutation that runs neither forwards nor backwards, where there is another one."""
    forth = torch.arange(count)
    if count < 3:
        return forth.flip(0)  # the only order of two that is not their own
    while True:
        order = torch.randperm(count, generator=lot)
        if not (order.equal(forth) or order.equal(forth.flip(0))):
            return order
