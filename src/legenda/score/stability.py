"""Stability: do dictionaries learned from different seeds hold the same atoms?

Atoms a_i and b_j of two dictionaries, of length 1 and alive, are matched one to one so that the
sum of their cosines is largest; what is left of the larger dictionary stays out:

    s(A, B) = max_π 1/m Σ_i a_i · b_π(i),      m = min(k_A, k_B)          (1)
    stability = the mean of (1) over all pairs of seeds                   (2)

`signed=False` takes |a · b| instead: an atom and its negative are then one feature. The control is
(2) for random directions, as many and as wide: the best of k partners is never at 0, and the more
atoms there are for their width, the higher it lies.

The matching is exact at every size (about 10 s and 1 GB for two dictionaries of 8192 on one core).
Atoms are resampled, within each pair; pairs share seeds, so that the ends of their intervals are
averaged, which is what they would be were all pairs one. This says nothing about other seeds.

References
----------
Kuhn. The Hungarian method for the assignment problem. Naval Research Logistics Quarterly 1955. (1).
Fel, Lubana, Prince, Kowal, Boutin, Papadimitriou, Wang, Wattenberg, Ba, Konkle. Archetypal SAE:
adaptive and stable dictionary learning for concept extraction in large vision models. ICML 2025.
Stability as (1) between two runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.explanation import Score
from legenda.core.interval import Interval, bootstrap
from legenda.errors import BadInput, ShapeError

Several = Float[Tensor, "_ _"]
"""Atoms, `k d`; the axes are not named, because k differs from seed to seed."""
Alive = Bool[Tensor, " _"]


@dataclass(frozen=True, eq=False)
class Match:
    """Two seeds, and which atoms of theirs belong together (m), with their cosines."""

    seeds: tuple[int, int]
    first: Int[Tensor, " m"]
    second: Int[Tensor, " m"]
    cosine: Float[Tensor, " m"]


@dataclass(frozen=True, eq=False)
class StabilityFound:
    """Equation (2), and each pair of seeds; `alive` counts each dictionary's atoms."""

    score: Score
    matches: tuple[Match, ...]
    alive: tuple[int, ...]


@dataclass(frozen=True)
class Stability:
    """Equation (2) of dictionaries that differ by their seed, `k d -> 1`; higher is better.

    Parameters
    ----------
    signed: whether an atom and its negative are two features; False is never lower.
    seed: of the random directions and of the interval.
    """

    signed: bool = True
    seed: int = 0

    def __call__(
        self, atoms: Sequence[Several], alive: Sequence[Alive] | None = None
    ) -> StabilityFound:
        """`alive` says which atoms are ever on; None: all are."""
        held = living(atoms, alive)
        kept = [part.nonzero()[:, 0] for _, part in held]
        rows = [normalize(part[where].double(), dim=1) for part, where in held]
        matches = []
        for a, b in combinations(range(len(rows)), 2):
            i, j, cosine = self.matched(rows[a], rows[b])
            matches.append(Match((a, b), kept[a][i], kept[b][j], cosine))
        control = self.control([len(part) for part in rows], rows[0].shape[1])
        found = [match.cosine for match in matches]
        score = Score(
            "stability", mean(found), self.interval(found), min(map(len, found)), True,
            mean(control), self.interval(control), "cosine",
        )  # fmt: skip
        return StabilityFound(score, tuple(matches), tuple(map(len, rows)))

    def matched(
        self, one: Float[Tensor, "k d"], other: Float[Tensor, "q d"]
    ) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"], Float[Tensor, " m"]]:
        """Equation (1): partners, and their cosines."""
        from scipy.optimize import linear_sum_assignment

        cosine = one @ other.T
        worth = cosine if self.signed else cosine.abs()
        i, j = (torch.from_numpy(side) for side in linear_sum_assignment(worth.numpy(), True))
        return i, j, worth[i, j]

    def control(self, sizes: list[int], width: int) -> list[Tensor]:
        """Random directions, matched once for each pair of sizes."""
        lot = torch.Generator().manual_seed(self.seed)
        pairs = [(min(pair), max(pair)) for pair in combinations(sizes, 2)]
        found: dict[tuple[int, int], Tensor] = {}
        for pair in dict.fromkeys(pairs):
            draws = (torch.randn(k, width, generator=lot, dtype=torch.float64) for k in pair)
            one, other = (normalize(draw, dim=1) for draw in draws)
            found[pair] = self.matched(one, other)[2]
        return [found[pair] for pair in pairs]

    def interval(self, cosines: list[Tensor]) -> Interval:
        """The mean of the pairs' intervals."""
        ends = [bootstrap(part, self.seed) for part in cosines]
        return fmean(low for low, _ in ends), fmean(high for _, high in ends)


def mean(cosines: list[Tensor]) -> float:
    """The mean over pairs of their means."""
    return fmean(float(part.mean()) for part in cosines)


def living(atoms: Sequence[Several], alive: Sequence[Alive] | None) -> list[tuple[Tensor, Tensor]]:
    """Each dictionary with the atoms that count, or the reason why they cannot be compared."""
    if len(atoms) < 2 or len({part.shape[1] for part in atoms}) > 1:
        raise ShapeError(
            f"Stability compares two dictionaries or more of one width; it got "
            f"{[tuple(part.shape) for part in atoms]}. Give one (k d) for each seed."
        )
    parts = [part.detach().cpu() for part in atoms]
    given = [torch.ones(len(part), dtype=torch.bool) for part in parts] if alive is None else alive
    if [len(one) for one in given] != [len(part) for part in parts]:
        raise ShapeError(
            f"Stability needs to know of each atom whether it is alive; the dictionaries hold "
            f"{[len(part) for part in parts]}, it was told of {[len(one) for one in given]}."
        )
    held = [(part, one.cpu() & (part.norm(dim=1) > 0)) for part, one in zip(parts, given, strict=True)]  # fmt: skip # noqa: E501
    if not all(bool(one.any()) for _, one in held):
        raise BadInput(
            f"Stability needs atoms that are alive; the dictionaries have "
            f"{[int(one.sum()) for _, one in held]}. Leave the empty one out."
        )
    if not all(bool(part[one].isfinite().all()) for part, one in held):
        raise BadInput("Stability needs finite atoms; it got NaN or infinity. Leave that seed out.")
    return held
