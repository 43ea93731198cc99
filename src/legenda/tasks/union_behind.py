"""Which concepts lie behind a map: the nats of patches, shared out among the units on there.

A map says how many nats a(i) of a sentence pass at position i, a dictionary which units are on
there. With s(i) the share of a unit in all that is on at position i, of n positions,

    N = Σ a(i) s(i)                                                       (1)
    by chance: mean n ā s̄,  variance Σ (a - ā)² Σ (s - s̄)² / (n - 1)      (2)
    E = Σ a(i) (s(i) - s̄)                                                 (3)

(2) is what (1) would be if the nats lay anywhere: over all orders of the positions, exactly. A
unit that is on everywhere has many nats and says nothing, so that units are ranked by (3), which
is (1) less its chance. Its interval resamples positions, and maps too where there are several,
fitted with other noise.

References
----------
Wang, Rudner, Wilson. Visual explanations of image-text representations via multi-modal
information bottleneck attribution. NeurIPS 2023. The nats.
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. The concepts. What joins them is our own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from legenda.core.codes import Codes
from legenda.core.effect import ends
from legenda.core.interval import Interval
from legenda.errors import BadInput, ShapeError

Nats = Float[Tensor, "s n"]
"""Maps of one picture and sentence, each fitted with other noise."""


@dataclass(frozen=True)
class Behind:
    """A concept, and what of a sentence passes where it is on.

    Parameters
    ----------
    unit, word: its number, and its name; None where it has none.
    nats: equation (1).
    chance, spread: mean and standard deviation of that if the nats lay anywhere, (2).
    excess: equation (3); larger is more of the sentence's own.
    interval: of it.
    """

    unit: int
    word: str | None
    nats: float
    chance: float
    spread: float
    excess: float
    interval: Interval

    @property
    def standing(self) -> float:
        """The excess in standard deviations of chance; 0 for a unit that is on evenly."""
        return self.excess / self.spread if self.spread > 0 else 0.0


def behind(
    nats: Nats,
    codes: Codes,
    words: Mapping[int, str] | None = None,
    *,
    named: bool = True,
    count: int = 12,
    seed: int = 0,
    draws: int = 400,
) -> list[Behind]:
    """The concepts behind the maps of one picture, the first ranked first.

    Parameters
    ----------
    nats: its maps, one for each seed of their noise.
    codes: of the picture, one row.
    words: names of units; `named` leaves the others out.
    count: concepts, at most.
    seed, draws: of the interval.
    """
    words = words or {}
    checked(nats, codes)
    units, share = shares(codes)
    if named:
        known = torch.tensor([int(u) in words for u in units], dtype=torch.bool)
        units, share = units[known], share[:, known]
    a, apart = nats.double().cpu(), share - share.mean(0)
    mean = a.mean(0)
    whole, excess = mean @ share, mean @ apart  # (1), (3)
    uneven = (mean - mean.mean()).square().sum() * apart.square().sum(0)
    spread = (uneven / max(1, len(mean) - 1)).sqrt()  # (2)
    order = excess.argsort(descending=True, stable=True)[:count]
    within = resampled(a, apart[:, order], seed, draws)
    return [
        Behind(
            int(units[u]), words.get(int(units[u])), float(whole[u]), float(whole[u] - excess[u]),
            float(spread[u]), float(excess[u]), ends(within[:, place], 0.95),
        )
        for place, u in enumerate(order.tolist())
    ]  # fmt: skip


def first_by_lot(
    nats: Nats, codes: Codes, words: Mapping[int, str], draws: int, seed: int = 0
) -> list[str]:
    """The control: the name ranked first, where the nats are dealt to positions by lot."""
    units, share = shares(codes)
    known = torch.tensor([int(u) in words for u in units], dtype=torch.bool)
    units, share = units[known], share[:, known]
    if not len(units):
        return [""] * draws
    lot, mean = torch.Generator().manual_seed(seed), nats.double().cpu().mean(0)
    dealt = torch.stack([mean[torch.randperm(len(mean), generator=lot)] for _ in range(draws)])
    best = (dealt @ (share - share.mean(0))).argmax(1)
    return [words[int(units[u])] for u in best]


def shares(codes: Codes) -> tuple[Int[Tensor, " u"], Float[Tensor, "n u"]]:
    """The units that are on somewhere, and the share of each in what is on at every position."""
    index, weight = codes.index[0].cpu(), codes.weight[0].detach().cpu().double().clamp(min=0)
    units = index[weight > 0].unique()
    held = torch.zeros(len(index), len(units), dtype=torch.float64)
    if len(units):
        place = torch.searchsorted(units, index).clamp(max=len(units) - 1)
        held.scatter_add_(1, place, weight)
    total = held.sum(1, keepdim=True)
    return units, held / total.where(total > 0, 1.0)


def resampled(
    nats: Nats, apart: Float[Tensor, "n u"], seed: int, draws: int
) -> Float[Tensor, "q u"]:
    """Equation (3) for positions, and maps, drawn with replacement."""
    lot = torch.Generator().manual_seed(seed)
    maps, n = nats.shape
    of_maps = torch.randint(maps, (draws, maps), generator=lot)
    of_positions = torch.randint(n, (draws, n), generator=lot)
    found = []
    for some, where in zip(of_maps, of_positions, strict=True):
        found.append(nats[some].mean(0)[where] @ apart[where])
    return torch.stack(found)


def fitted(maps: Float[Tensor, "s h w"], grid: tuple[int, int]) -> Nats:
    """Maps laid on the grid of a dictionary; what passes in all stays what it is."""
    if tuple(maps.shape[1:]) == grid:
        return maps.flatten(1)
    area = maps.shape[1] * maps.shape[2] / (grid[0] * grid[1])
    return (interpolate(maps[:, None].double(), grid, mode="area")[:, 0] * area).flatten(1)


def checked(nats: Nats, codes: Codes) -> None:
    """Refuse maps that lie elsewhere, and numbers that are none."""
    if len(codes.index) != 1 or nats.shape[1] != codes.index.shape[1]:
        raise ShapeError(
            f"concepts behind a map need the codes of one picture at the positions of the map; "
            f"they got {len(codes.index)} pictures of {codes.index.shape[1]} positions and a map "
            f"of {nats.shape[1]}. Lay the map on the grid of the dictionary first (`fitted`)."
        )
    if not len(nats) or not nats.isfinite().all():
        raise BadInput(
            f"concepts behind a map need one map or more, of finite nats; they got {len(nats)}, "
            f"{int((~nats.isfinite()).sum())} numbers of which are not finite."
        )
