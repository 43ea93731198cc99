"""Factor recovery: of what was planted in the images, how much does some unit mark?

A factor f is true or false at each position; a unit is on where its weight is above a cut, 0 or a
share of its own largest weight. Over all positions of some images, with A_u, F_f and I_uf counting
where the unit is on, where the factor is true, and both,

    IoU = I / (A + F - I),     F1 = 2 I / (A + F)                         (1)
    AUROC = (R - F (F + 1) / 2) / (F (N - F))                             (2)

R sums the ranks of the weights where f is true, ties sharing their mean rank. For each factor the
best unit (and cut) is chosen on one half of the images and measured on the other:

    recovered = share of factors whose chosen unit reaches `enough` there (3)

Among thousands of units some fit by luck. The control chooses in the same way among as many units
that know nothing: each with its images exchanged, every map whole, within either half.

Counting is in `factor_counts.py`.

References
----------
Bau, Zhou, Khosla, Oliva, Torralba. Network dissection: quantifying interpretability of deep visual
representations. CVPR 2017. (1) over all positions of all images, the best unit for each concept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.codes import Codes
from legenda.core.explanation import Score
from legenda.errors import BadInput, ShapeError
from legenda.score.by_image import ratio, scored, share_of
from legenda.score.factor_counts import (
    Choice,
    Factors,
    Slots,
    aurocs,
    counts,
    exchanged,
    only,
    per_image,
    slots_of,
    taken,
)


@dataclass(frozen=True, eq=False)
class FactorsFound:
    """Equation (3), and what it rests on: each factor's unit, and how well that does elsewhere.

    `overlap` is the mean of (1) over factors, `auroc` of (2), whose interval is over factors;
    `each` and `each_auroc` are NaN for factors that one half lacks.
    """

    recovered: Score
    overlap: Score
    auroc: Score
    units: Int[Tensor, " f"]
    each: Float[Tensor, " f"]
    each_auroc: Float[Tensor, " f"]


@dataclass(frozen=True)
class FactorRecovery:
    """Equation (3), `b n j, b n f -> 1`; higher is better.

    Parameters
    ----------
    by: what the best unit is best in.
    of: what must be reached on the other half.
    enough: how much of it; larger asks more.
    cuts: shares of a unit's largest weight, the best of which becomes its cut; 0: above 0.
    seed: of the halves, the control and the intervals.
    """

    by: Literal["overlap", "auroc"] = "overlap"
    of: Literal["iou", "f1"] = "iou"
    enough: float = 0.5
    cuts: tuple[float, ...] = (0.0,)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.cuts or min(self.cuts) < 0 or max(self.cuts) >= 1:
            raise BadInput(
                f"FactorRecovery cuts at shares of a unit's largest weight from 0 to below 1; it "
                f"got {self.cuts}. (0.0,) cuts nothing."
            )

    def __call__(self, codes: Codes, factors: Factors) -> FactorsFound:
        checked(codes, factors)
        slots, halves = slots_of(codes), self.halves(len(factors))
        sides = [(taken(slots, rows), factors.cpu()[rows]) for rows in halves]
        control = [(exchanged(one, len(f), self.seed + 1), f) for one, f in sides]
        choice, values, per_image, areas = self.elsewhere(sides)
        _, null, null_image, null_areas = self.elsewhere(control)
        held = ~values.isnan()
        reached = [int((one[held] >= self.enough).sum()) for one in (values, null)]
        many = int(held.sum())
        return FactorsFound(
            share_of("recovered", reached[0], many, reached[1], many),
            scored(f"held-out-{self.of}", per_image, null_image, self.seed, unit="share"),
            over_factors("held-out-auroc", areas, null_areas, self.seed),
            choice.unit.where(held, -1), values, areas,
        )  # fmt: skip

    def matches(
        self, codes: Codes, factors: Factors, names: Sequence[str]
    ) -> dict[int, frozenset[str]]:
        """The factors that each unit marks: those for which (1) is enough on either half."""
        checked(codes, factors)
        if len(names) != factors.shape[2]:
            raise BadInput(f"FactorRecovery needs a name for each of {factors.shape[2]} factors; it got {len(names)}.")  # fmt: skip # noqa: E501
        slots, tables = slots_of(codes), []
        for rows in self.halves(len(factors)):
            part = taken(slots, rows)
            tables.append(self.overlap(counts(part, factors.cpu()[rows])))
        pairs = (torch.stack(tables).amin(0) >= self.enough).nonzero().tolist()
        found: dict[int, set[str]] = {}
        for u, f in pairs:
            found.setdefault(u, set()).add(str(names[f]))
        return {u: frozenset(its) for u, its in found.items()}

    def halves(self, images: int) -> tuple[Int[Tensor, " r"], Int[Tensor, " q"]]:
        """Where to choose, and where to measure."""
        order = torch.randperm(images, generator=torch.Generator().manual_seed(self.seed))
        return order[: images // 2].sort().values, order[images // 2 :].sort().values

    def elsewhere(
        self, sides: Sequence[tuple[Slots, Factors]]
    ) -> tuple[Choice, Float[Tensor, " f"], Float[Tensor, " b"], Float[Tensor, " f"]]:
        """Chosen on the first side; (1) on the second, also as numbers per image, and (2) there."""
        (here, known), (there, asked) = sides
        choice = self.choose(here, known)
        above, below = self.parts(per_image(there, asked, choice))
        seen = known.any(1).any(0) & asked.any(1).any(0)
        values = (above.sum(0) / below.sum(0)).where(seen, torch.nan)
        each = [ratio(above[:, f], below[:, f]) for f in seen.nonzero()[:, 0].tolist()]
        means = torch.stack(each).mean(0) if each else torch.full((len(asked),), torch.nan)
        columns = torch.arange(len(values))
        areas = aurocs(there, asked)[choice.unit, columns].where(seen, torch.nan)
        return choice, values, means.double(), areas

    def choose(self, slots: Slots, factors: Factors) -> Choice:
        """The best unit for each factor, and its best cut."""
        top = torch.zeros(slots.size, dtype=slots.weight.dtype)
        top.scatter_reduce_(0, slots.unit, slots.weight, "amax")
        tables = []
        for cut in self.cuts:
            on = slots.weight > cut * top[slots.unit]
            tables.append(self.overlap(counts(only(slots, on), factors)))
        overlap, columns = torch.stack(tables), torch.arange(factors.shape[2])
        worth = aurocs(slots, factors) if self.by == "auroc" else overlap.amax(0)
        unit = worth.argmax(0)
        cut = torch.tensor(self.cuts).to(top)[overlap[:, unit, columns].argmax(0)]
        return Choice(unit, cut * top[unit])

    def overlap(self, found: tuple[Tensor, Tensor, Tensor]) -> Float[Tensor, "k f"]:
        """Equation (1); 0 where there is nothing at all."""
        above, below = self.parts(found)
        return above / below.clamp(min=1)

    def parts(self, found: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """What stands above and below the bar of equation (1)."""
        both, on, true = (part.double() for part in found)
        return (both, on + true - both) if self.of == "iou" else (2 * both, on + true)


def over_factors(
    name: str, values: Float[Tensor, " f"], control: Float[Tensor, " f"], seed: int
) -> Score:
    """The mean over factors, which are resampled; those without a value are left out."""
    held = ~values.isnan()
    return scored(name, values[held], control[held], seed, unit="area")


def checked(codes: Codes, factors: Factors) -> None:
    """Refuse factors that are not of the codes' positions, and too few images."""
    if factors.shape[:2] != codes.index.shape[:2] or not factors.shape[2]:
        raise ShapeError(
            f"FactorRecovery needs to know of each position of the codes whether each factor is "
            f"true there (b n f); it got {tuple(factors.shape)} for codes of "
            f"{tuple(codes.index.shape)}."
        )
    if len(factors) < 4:
        raise BadInput(f"FactorRecovery needs 4 images or more, to choose on one half and measure on the other; it got {len(factors)}.")  # fmt: skip # noqa: E501
