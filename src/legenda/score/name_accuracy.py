"""Name accuracy: is what a unit is called what it marks?

Of each unit it is known which factors it marks, if any (`factor_recovery.py`), and which words may
be said for each factor. A name is right if it may be said for one of its unit's factors. With U all
units, N those that have a name, and N* those of N that mark some factor,

    accuracy = share of N* whose name is right                            (1)
    false    = share of N whose name is wrong, or that mark no factor     (2)
    coverage = |N| / |U|                                                  (3)

Whoever abstains more can be right more often: (1) and (2) mean little without (3). Intervals are
Wilson's, over units. The control deals the same names anew among the units of N: frequent names of
frequent factors are right by luck; its interval is the middle 95 % of the deals.

References
----------
Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927. The
interval of a share.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import Interval, wilson
from legenda.errors import BadInput

Near = Callable[[str, str], bool]
"""Whether a name is near enough to a word, such as one step apart in WordNet."""


@dataclass(frozen=True)
class NamesJudged:
    """Equations (1) to (3); `wrong` are the units that are counted in (2), with their names."""

    accuracy: Score
    false: Score
    coverage: Score
    wrong: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class NameAccuracy:
    """Equations (1) to (3) of a dictionary's names.

    Parameters
    ----------
    near: accepts names beside the words that are given; None accepts those words alone.
    draws: deals of the control; more make its interval steadier.
    seed: of the deals.
    """

    near: Near | None = None
    draws: int = 1000
    seed: int = 0

    def __call__(
        self,
        names: Mapping[int, str | None],
        truth: Mapping[int, Collection[str]],
        accepted: Mapping[str, Collection[str]] | None = None,
    ) -> NamesJudged:
        """Judge the name of each unit, or None where it has none.

        `truth` gives the factors that units mark; a unit without any may be missing. `accepted`
        gives the words that may be said for a factor, beside its own.
        """
        if not names:
            raise BadInput("NameAccuracy needs units, named or not; it got none. Name some first.")
        named = {unit: said for unit, name in names.items() if (said := plain(name or ""))}
        words = {f: {plain(w) for w in (f, *(accepted or {}).get(f, ()))} for f in factors(truth)}
        ways, which = distinct(list(named.values()))
        marked = torch.tensor([bool(truth.get(unit)) for unit in named], dtype=torch.bool)
        table = self.table([truth.get(unit, ()) for unit in named], ways, words)
        right = table[torch.arange(len(named)), which]
        deals = self.deals(table, which)
        wrong = tuple(one for one, good in zip(named.items(), right.tolist(), strict=True) if not good)  # fmt: skip # noqa: E501
        return NamesJudged(
            judged("accuracy", right[marked], deals[:, marked]),
            judged("false-name", ~right, ~deals, higher=False),
            Score("coverage", len(named) / len(names), wilson(len(named), len(names)), len(names), unit="share"),  # noqa: E501
            wrong,
        )  # fmt: skip

    def table(
        self, marks: list[Collection[str]], ways: list[str], words: Mapping[str, set[str]]
    ) -> Bool[Tensor, "r t"]:
        """Whether each way to say it (t) would be right for each unit that is named (r)."""
        fits = {factor: torch.tensor([self.fits(way, said) for way in ways], dtype=torch.bool) for factor, said in words.items()}  # fmt: skip # noqa: E501
        found = torch.zeros(len(marks), len(ways), dtype=torch.bool)
        for row, its in enumerate(marks):
            for factor in its:
                found[row] |= fits[factor]
        return found

    def fits(self, name: str, words: set[str]) -> bool:
        """Whether a name may be said for a factor."""
        near = self.near
        return name in words or (near is not None and any(near(name, word) for word in words))

    def deals(self, table: Bool[Tensor, "r t"], which: Int[Tensor, " r"]) -> Bool[Tensor, "s r"]:
        """Whether each unit's name is right when all names are dealt anew, many times."""
        lot = torch.Generator().manual_seed(self.seed)
        rows = torch.arange(len(table))
        found = [table[rows, which[torch.randperm(len(rows), generator=lot)]] for _ in range(self.draws)]  # fmt: skip # noqa: E501
        return torch.stack(found)


def plain(word: str) -> str:
    """A word without what only its spelling adds: capitals, underscores, spaces around it."""
    return " ".join(word.replace("_", " ").casefold().split())


def factors(truth: Mapping[int, Collection[str]]) -> set[str]:
    """All factors that some unit marks."""
    return {factor for its in truth.values() for factor in its}


def distinct(names: list[str]) -> tuple[list[str], Int[Tensor, " r"]]:
    """Each name once, and which of them each unit has."""
    ways = sorted(set(names))
    place = {way: number for number, way in enumerate(ways)}
    return ways, torch.tensor([place[name] for name in names], dtype=torch.int64)


def judged(
    name: str, found: Bool[Tensor, " r"], deals: Bool[Tensor, "s r"], *, higher: bool = True
) -> Score:
    """A share of units beside the same share over the deals; NaN where there is no unit."""
    n, many = len(found), int(found.sum())
    shares = deals.double().mean(1)
    value, control, ends = many / n if n else float("nan"), float(shares.mean()), middle(shares)
    return Score(name, value, wilson(many, n), n, higher, control, ends, "share")


def middle(shares: Tensor) -> Interval:
    """The middle 95 %."""
    low, high = shares.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
