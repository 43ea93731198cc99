"""A sheet: rows of pictures along which one unit moves and nothing else is touched.

Each row starts from another picture (an anchor). What changes from left to right, in every row,
is what the unit does; what differs between rows is the anchors' own.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Panel


@dataclass(frozen=True)
class Sheet:
    """Frames of one unit, anchors down and steps across: evidence of what it does.

    Parameters
    ----------
    images: colours from 0 to 1.
    values: what the unit was set to at each step, rising.
    unit: its address, for people.
    index: its number.
    kind: "traversal", "invariance", "combination", "conditional"; or of a control "shuffled",
        "constant".
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
        lot = torch.Generator().manual_seed(seed)
        count = self.images.shape[1]
        orders = [_another_order(count, lot) for _ in range(len(self))]
        mixed = torch.stack([row[order] for row, order in zip(self.images, orders, strict=True)])
        return replace(self, images=mixed, kind="shuffled")

    def constant(self, seed: int = 0) -> "Sheet":
        """A control: every row shows one of its frames throughout."""
        lot = torch.Generator().manual_seed(seed)
        pick = torch.randint(self.images.shape[1], (len(self),), generator=lot)
        held = torch.stack([row[i] for row, i in zip(self.images, pick.tolist(), strict=True)])
        still = held[:, None].expand_as(self.images).contiguous()
        return replace(self, images=still, kind="constant")

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


def _another_order(count: int, lot: torch.Generator) -> Tensor:
    """A permutation that runs neither forwards nor backwards, where there is another one."""
    forth = torch.arange(count)
    while True:
        order = torch.randperm(count, generator=lot)
        if count < 3 or not (order.equal(forth) or order.equal(forth.flip(0))):
            return order
