"""Does what was named move along the row as was said, and little else?

Many answers may agree and be wrong together. Here fresh rows, which no answer has seen, are
measured. With the effects of `movement`, the named attribute a, and what was said of its
direction, d = ±1,

    moved    = mean over rows of d · effect_ra                            (1)
    aside    = mean over rows of Σ_g E_rg / (E_ra + Σ_g E_rg)             (2)
    monotone = share of rows with d · trend_ra ≥ 0.8                      (3)

E_ra is the largest |effect| of a and of what is tied to it, E_rg that of each other thing. Where no
direction was said, d is the sign of the mean. The control shuffles the frames of every row, many
times, and takes (1) and (2) again; its interval is the middle 95 % of the orders. What was named
*holds* where (1) is above 0 and above the control, intervals apart. Intervals of (1) and (2) are
over rows; fewer than two rows in which a is measured settle nothing.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.answer import Answer
from legenda.core.explanation import Score
from legenda.core.interval import bootstrap, wilson
from legenda.errors import BadInput
from legenda.score.movement import (
    NAMES,
    Effects,
    Movement,
    Tied,
    Values,
    beside,
    movement,
    place_of,
    tied,
)

CHUNK = 20
"""So many orders are held at once."""


@dataclass(frozen=True)
class AttributeChecked:
    """Equations (1) to (3) of one answer.

    Parameters
    ----------
    attribute, direction: what was said.
    moved: in spreads of the attribute; higher is better.
    aside: 0 to 1; lower is better.
    monotone: share of rows.
    also: what else moves by a half or more on average, and how far, farthest first; not what is
        tied to the attribute.
    """

    attribute: str
    direction: int
    moved: Score
    aside: Score
    monotone: Score
    also: tuple[tuple[str, float], ...]

    @property
    def holds(self) -> bool:
        """Whether it moves as was said, more than by chance."""
        return self.moved.value > 0 and bool(self.moved.beats_control)


@dataclass(frozen=True)
class AttributeCheck:
    """Equations (1) to (3), `r s a -> 1`.

    Parameters
    ----------
    steady: |trend| from which a row counts as monotone; larger counts fewer.
    orders: shuffles of the control; more make its interval steadier.
    seed: of the shuffles and the intervals.
    """

    steady: float = 0.8
    orders: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.steady <= 1 or self.orders < 2:
            raise BadInput(
                f"AttributeCheck needs a trend above 0 and up to 1, and two orders or more; it got "
                f"steady={self.steady} and orders={self.orders}."
            )

    def __call__(
        self, said: Answer, values: Values, spread: Float[Tensor, " a"], ties: Tied | None = None
    ) -> AttributeChecked:
        """`values` are measurements of fresh rows; `ties` are those of `tied`."""
        if said.none:
            raise BadInput(
                f"AttributeCheck checks what was named; this answer names nothing "
                f"({said.abstained or 'no reason given'}). Leave it out."
            )
        named, ties = place_of(said.attribute), tied() if ties is None else ties
        found = movement(values, spread)
        chance = self.chance(values, spread, named, said.direction, ties)
        return AttributeChecked(
            said.attribute,
            said.direction,
            self.moved(found, named, said.direction, chance[0]),
            self.aside(found, named, ties, chance[1]),
            self.monotone(found, named, said.direction),
            also(found.effect, ties[named]),
        )

    def moved(
        self, found: Movement, named: int, direction: int, chance: Float[Tensor, " o"]
    ) -> Score:
        """Equation (1)."""
        own = found.effect[:, named]
        own = own[~own.isnan()]
        own = own * (direction or float(own.mean().nan_to_num(0).sign()))
        value = float(own.mean()) if len(own) else float("nan")
        return Score("moved", value, bootstrap(own, self.seed), len(own), True, *_middle(chance), "spreads")  # fmt: skip # noqa: E501

    def aside(self, found: Movement, named: int, ties: Tied, chance: Float[Tensor, " o"]) -> Score:
        """Equation (2)."""
        shares = aside(found.effect, named, ties)
        shares = shares[~shares.isnan()]
        value = float(shares.mean()) if len(shares) else float("nan")
        return Score("aside", value, bootstrap(shares, self.seed), len(shares), False, *_middle(chance), "share")  # fmt: skip # noqa: E501

    def monotone(self, found: Movement, named: int, direction: int) -> Score:
        """Equation (3)."""
        own = found.trend[:, named]
        own = own[~own.isnan()]
        sign = direction or float(found.effect[:, named].nanmean().nan_to_num(0).sign())
        many, n = int((own * sign >= self.steady).sum()), len(own)  # (3)
        return Score("monotone", many / n if n else float("nan"), wilson(many, n), n, unit="share")

    def chance(
        self, values: Values, spread: Float[Tensor, " a"], named: int, direction: int, ties: Tied
    ) -> tuple[Float[Tensor, " o"], Float[Tensor, " o"]]:
        """(1) and (2) of every order, each row in an order of its own."""
        lot = torch.Generator().manual_seed(self.seed)
        r, s, _ = values.shape
        moved, away = [], []
        for start in range(0, self.orders, CHUNK):
            count = min(CHUNK, self.orders - start)
            order = torch.rand(count, r, s, generator=lot).argsort(2)[..., None]
            mixed = values.cpu().expand(count, -1, -1, -1).take_along_dim(order, 2)
            effect = movement(mixed.flatten(0, 1), spread).effect
            mean = effect[:, named].view(count, r).nanmean(1)
            moved.append(mean * direction if direction else mean.abs())
            away.append(aside(effect, named, ties).view(count, r).nanmean(1))
        return torch.cat(moved), torch.cat(away)


def aside(effects: Effects, named: int, ties: Tied) -> Float[Tensor, " r"]:
    """Equation (2) of each row; NaN where nothing moves."""
    own, others = beside(effects, named, ties)
    rest = others.sum(1)
    return rest / (own + rest)


def also(effects: Effects, own: Tensor) -> tuple[tuple[str, float], ...]:
    """What else moves, by its mean effect over rows."""
    mean = effects.nanmean(0).nan_to_num(0.0) * ~own
    order = mean.abs().argsort(descending=True, stable=True).tolist()
    return tuple((NAMES[i], float(mean[i])) for i in order if abs(mean[i]) >= 0.5)


def _middle(chance: Float[Tensor, " o"]) -> tuple[float | None, tuple[float, float] | None]:
    """Mean and the middle 95 %; nothing where nothing was measured."""
    known = chance[~chance.isnan()]
    if not len(known):
        return None, None
    low, high = known.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return float(known.mean()), (low, high)
