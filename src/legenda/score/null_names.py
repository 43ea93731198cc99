"""One rule of silence for every kind of name: a unit is named where nothing is not.

Tokens, concepts and latents are named in different ways, each with a number of how sure the name
is: the score of the nearest word, or how much answers agree. What such a number is worth is known
from names of nothing, made in the same way: of units by lot, of crops dealt to tokens by lot, of
sheets whose frames are shuffled. Of a kind with nulls z,

    unit i is named  ⇔  c_i ≥ t,   t = just above z_(k),  k = ⌈(n+1)(1-α)⌉     (1)

so that nothing of that kind has a name with a chance of at most α (`null_sheets`). The numbers of
two kinds are never compared: each kind has its own t, and all have the same α. Nulls of several
sorts set a threshold each, and the highest holds.

How silent the rule is, is told of nulls that did not set it: nulls are dealt into folds, and each
is judged by the others. How much it says is the share of units with (1). A rule that is silent on
nothing and on everything is worth nothing, so that the two stand side by side.

References
----------
Vovk, Gammerman, Shafer. Algorithmic learning in a random world. Springer 2005. (1).
Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927. Intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.errors import BadInput
from legenda.score.null_sheets import NullSheets, least


@dataclass(frozen=True, eq=False)
class Sureness:
    """How sure names of one kind are, and names of nothing.

    Parameters
    ----------
    units: of each unit that has a best name; NaN where it has none, and is never named.
    nulls: of nothing, by sort, such as "units by lot".
    of: what the number is, in words.
    """

    units: Float[Tensor, " u"] = field(repr=False)
    nulls: Mapping[str, Float[Tensor, " _"]] = field(repr=False)
    of: str


@dataclass(frozen=True, eq=False)
class Ruled:
    """What the rule makes of one kind.

    Parameters
    ----------
    kind, of: of units, and what says how sure their names are.
    threshold: least sureness that is named.
    named: which units are.
    silent: the share of held-out nulls that stay without a name; larger is safer.
    coverage: the share of units that have one; its control is the share of held-out nulls that do.
    """

    kind: str
    of: str
    threshold: float
    named: Bool[Tensor, " u"] = field(repr=False)
    silent: Score
    coverage: Score

    def holds(self, alpha: float) -> bool:
        """Whether the silence that was asked for is within the interval of what was found."""
        return self.silent.interval[1] >= 1 - alpha


@dataclass(frozen=True)
class NullNames:
    """Equation (1) for kinds of names.

    Parameters
    ----------
    alpha: the chance that nothing is named; larger names more, true and false.
    folds: nulls are judged in so many parts.
    seed: of the folds.
    """

    alpha: float = 0.05
    folds: int = 5
    seed: int = 0

    def __call__(self, kinds: Mapping[str, Sureness]) -> dict[str, Ruled]:
        """Every kind by the same rule."""
        if not kinds:
            raise BadInput("NullNames rules over names of one kind or more; it got none.")
        return {kind: self.one(kind, sure) for kind, sure in kinds.items()}

    def one(self, kind: str, sure: Sureness) -> Ruled:
        """One kind."""
        self.enough(kind, sure)
        calibrated = NullSheets(self.alpha, self.folds, self.seed)(sure.nulls)
        limit, silent = calibrated.threshold, calibrated.abstained["all"]
        named = sure.units.double() >= limit  # (1); not a number is never so
        spoken, n = int(named.sum()), len(named)
        coverage = Score(
            f"{kind}s that are named", spoken / n if n else 0.0, wilson(spoken, n), n, True,
            1 - silent.value, (1 - silent.interval[1], 1 - silent.interval[0]), "share",
        )  # fmt: skip
        return Ruled(kind, sure.of, limit, named, silent, coverage)

    def enough(self, kind: str, sure: Sureness) -> None:
        """Refuse too few nulls to judge as well as to set."""
        for sort, nulls in sure.nulls.items():
            need = -(-least(self.alpha) * self.folds // (self.folds - 1)) + 1
            if len(nulls) < need:
                raise BadInput(
                    f"a rule for the names of {kind}s that names at most {self.alpha:g} of nothing "
                    f"needs {need} nulls of each sort, so that others judge them; of {sort} there "
                    f"are {len(nulls)}. Make more, or take a larger alpha."
                )
        if not sure.nulls:
            raise BadInput(f"a rule for the names of {kind}s needs names of nothing; it got none.")
