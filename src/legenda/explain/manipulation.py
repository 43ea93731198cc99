"""Manipulations: what a generative model promises of its latents, as sheets one can look at.

    invariance    p(z_i | z_j = α) = p(z_i | z_j = β):  z_i moves from the anchor, and from the
                  anchor with z_j = β; what z_i does is what both rows share      (1)
    combination   z_i, i ∈ G, move together: each to its own v_s                  (2)
    conditional   z + α Δ,   Δ = mean(z | y) - mean(z | not y)                    (3)
    contrast      z_i moves in one row, z_j in the other, from the same anchor

Differs from the official code: it takes one draw of the prior, and no control. Ours take several
anchors, whose rows come in pairs where there are two of each; (3) has a control, the difference
between two groups drawn by lot, of the same length.

References
----------
Zhu, Kanjiani, Lu, Choi, Ye, Zhao. LatentExplainer: explaining latent representations in deep
generative models with multimodal large language models. arXiv 2406.14862. The three biases; of
(2) the formula is our reading.
Klys, Snell, Zemel. Learning latent subspaces in variational autoencoders. NeurIPS 2018. What (3)
was used with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.sheet import Sheet
from legenda.core.units import Unit, Units
from legenda.errors import BadInput, ShapeError
from legenda.explain.traversal import Traversal, anchors, rising
from legenda.explain.traversal_grid import (
    Pool,
    Rows,
    begun,
    decoding,
    filmed,
    numbered,
    rewritten,
    strips,
)
from legenda.types import Acts, Images

Direction = Float[Tensor, " d"]
Given = Float[Tensor, " _"]


@dataclass(frozen=True)
class Invariance:
    """Equation (1), `r n d -> r s c h w`: two rows for each anchor, which differ in one other unit.

    Parameters
    ----------
    partner: the other unit.
    value: what it is set to in the second row; farther from its own makes rows differ more.
    instead: the partner of the partner itself; None takes the unit after it.
    traversal: how the unit moves.
    """

    partner: int = 0
    value: float = 0.0
    instead: int | None = None
    traversal: Traversal = Traversal()

    def __call__(self, units: Units, x: Images, target: Unit | int) -> Sheet:
        index, how = target if isinstance(target, int) else target.index, self.traversal
        return self.sheet(units, anchors(units, len(x), how.seed, x, how.real), index)

    def sheet(self, units: Units, anchors: Rows, index: int) -> Sheet:
        """The rows of every anchor, as it is and with its partner set."""
        decoding(units, "Invariance")
        numbered(units, [index])
        other, anchors = self.beside(units, index), begun(anchors, who="Invariance")
        column = torch.full((len(anchors), 1), other)
        held = rewritten(units, anchors, column, torch.full(column.shape, self.value))
        rows = torch.stack([anchors, held], 1).flatten(0, 1)
        found = self.traversal.many(units, rows, [index], pool=anchors)[0]
        said = f"{found.unit}, with {other} as it is and at {self.value:g}"
        return replace(found, unit=said, kind="invariance")

    def beside(self, units: Units, index: int) -> int:
        """The partner of a unit."""
        if index != self.partner:
            return numbered(units, [self.partner])[0]
        other = (index + 1) % len(units) if self.instead is None else self.instead
        if other == index:
            raise BadInput(
                f"Invariance needs another unit beside {index}; {units.address} has "
                f"{len(units)}. Give another one as `instead`."
            )
        return numbered(units, [other])[0]


@dataclass(frozen=True)
class Combination:
    """Equation (2), `r n d -> r s c h w`: a group of units moves along the row of each anchor.

    Parameters
    ----------
    group: the units; the sheet shows the values of the first.
    against: those of them that fall while the others rise.
    traversal: how each moves.
    """

    group: tuple[int, ...]
    against: tuple[int, ...] = ()
    traversal: Traversal = Traversal()

    def __post_init__(self) -> None:
        falls = set(self.against) <= set(self.group[1:])
        if len(self.group) < 2 or len(set(self.group)) < len(self.group) or not falls:
            raise BadInput(
                f"Combination needs 2 different units or more, of which the first rises; it got "
                f"{self.group}, against {self.against}."
            )

    def sheet(self, units: Units, anchors: Rows, pool: Pool | None = None) -> Sheet:
        """`pool` as in `Traversal.each`."""
        decoding(units, "Combination")
        group, anchors = numbered(units, self.group), begun(anchors, who="Combination")
        values = self.traversal.grid(units, group, anchors if pool is None else pool)
        falls = torch.tensor([i in self.against for i in group])[:, None]
        moved = torch.where(falls, values.flip(1), values).T[None]
        (strip,) = strips(
            units, anchors, torch.tensor([group]), moved, add=self.traversal.mode == "add"
        )
        said = "".join(f"{'-' if i in self.against else '+'}{i}" for i in group)[1:]
        return Sheet(strip, values[0], f"{units.address}/{said}", group[0], "combination")


@dataclass(frozen=True)
class Conditional:
    """Equation (3), `r n d -> r s c h w`: each anchor goes towards a property along its row.

    Parameters
    ----------
    strengths: α, rising; 1 goes as far as the classes lie apart, more goes beyond.
    """

    strengths: tuple[float | int, ...] = (0.0, 1.0, 2.0, 3.0, 4.0)

    def __post_init__(self) -> None:
        rising(self.strengths, "Conditional")

    def sheet(self, units: Units, anchors: Rows, direction: Given, name: str) -> Sheet:
        """`direction` is Δ, added at every position; `name` says of what property."""
        decoding(units, "Conditional")
        anchors, alpha = begun(anchors, who="Conditional"), torch.tensor(self.strengths)
        if direction.shape != anchors.shape[2:] or not direction.isfinite().all():
            raise ShapeError(
                f"Conditional needs a finite direction of width {anchors.shape[2]}; it got the "
                f"shape {tuple(direction.shape)}. Take `mean_difference` of acts of this model."
            )
        delta = direction.to(anchors)

        def make(_: Tensor, row: Tensor, step: Tensor) -> Acts:
            by = alpha[step].to(anchors)[:, None, None] * delta
            return anchors[row.to(anchors.device)] + by  # (3)

        (strip,) = filmed(units.model, (1, len(anchors), len(alpha)), make)
        return Sheet(strip, alpha.double(), f"{units.model.name}/{name}", kind="conditional")


def contrast(
    units: Units, first: int, second: int, anchors: Rows, how: Traversal | None = None
) -> Sheet:
    """How one unit differs from another: two rows for each anchor, moved over the same values.

    The values are the mean of those that either would take alone.
    """
    decoding(units, "contrast")
    how, pair, anchors = how or Traversal(), numbered(units, [first, second]), begun(anchors)
    values = how.grid(units, pair, anchors).mean(0)
    both = strips(
        units, anchors, torch.tensor(pair)[:, None], values.expand(2, -1)[..., None],
        add=how.mode == "add",
    )  # fmt: skip
    rows = torch.stack(list(both), 1).flatten(0, 1)
    return Sheet(rows, values, f"{units.address}/{first} beside {second}", first, "contrast")


def mean_difference(acts: Acts, property: Bool[Tensor, " b"] | Sequence[bool]) -> Direction:
    """Δ of (3), over pictures and positions, in float64."""
    has = torch.as_tensor(property, dtype=torch.bool, device=acts.device)
    if len(has) != len(acts) or not has.any() or has.all():
        raise BadInput(
            f"mean_difference needs pictures with the property and without; of {len(acts)} "
            f"pictures {int(has.sum())} of {len(has)} labels say yes. Give one label for each."
        )
    pooled = acts.detach().double().mean(1)
    return pooled[has].mean(0) - pooled[~has].mean(0)


def chance_direction(
    acts: Acts, property: Bool[Tensor, " b"] | Sequence[bool], seed: int = 0
) -> Direction:
    """A control for Δ: the difference between groups as large, drawn by lot, of Δ's length."""
    wanted = mean_difference(acts, property).norm()
    has = torch.as_tensor(property, dtype=torch.bool)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(has)))
    drawn = mean_difference(acts, has.cpu()[order])
    return drawn * (wanted / drawn.norm().clamp(min=torch.finfo(torch.float64).tiny))
