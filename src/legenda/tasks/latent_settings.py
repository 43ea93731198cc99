"""How latents are studied: every number that a study depends on."""

from dataclasses import asdict, dataclass
from typing import Literal

from legenda.errors import BadInput

GIVEN, QUANTILE, CONFORMAL = "threshold", "quantile", "conformal"
CERTAIN = 0.3
"""Least certainty that is named, however silent the controls are; chosen on other models."""

FEWEST = 16
"""Pictures of a model that say how its attributes vary, at least."""

STILL = 0.002
"""Where colours change by less than this share of white along a row, a unit is inactive."""


@dataclass(frozen=True)
class LatentSettings:
    """How each unit is moved, asked about, and judged.

    Parameters
    ----------
    frames: steps of a row; more show a movement more finely.
    rows: anchors that are asked about; more make certainty surer.
    per_look: of these, how many an answer is about; more make answers steadier, and fewer.
    fresh: other anchors, on which what was named is checked.
    shown: rows that are shown.
    pool: pictures of the model that say how much each attribute varies.
    span: share of the prior between the first and the last step; larger moves further.
    values: the steps themselves, instead of `span`; the published ones are -3, -1.5, 0, 1.5, 3.
    least_nats: what a unit must say of a picture to be moved; larger takes more for inactive.
    alpha: share of sheets without a pattern that may be named; smaller names less.
    threshold: least certainty that is named; None: set by such sheets, and never below `CERTAIN`.
    nulls: how many such sheets a language model is asked about; of measured answers, many.
    seed: of anchors, looks and controls.
    conformal: whether p values against such sheets name, corrected for the number of units, so
        that `alpha` is the share of false names among the named; names less where few are clear.
    adaptive: whether asking about a sheet stops as soon as one answer speaks for all.
    move: whether values are "set", or, in spreads of a unit's codes, "add" to what each anchor
        has; None: set, but add on a grid, whose pattern would else be wiped out.
    """

    frames: int = 8
    rows: int = 24
    per_look: int = 1
    fresh: int = 8
    shown: int = 4
    pool: int = 256
    span: float = 0.95
    values: tuple[float, ...] | None = None
    least_nats: float = 0.1
    alpha: float = 0.05
    threshold: float | None = None
    nulls: int = 12
    seed: int = 0
    conformal: bool = False
    adaptive: bool = False
    move: Literal["set", "add"] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be moved or judged."""
        counts = {"frames": (self.frames, 4), "per_look": (self.per_look, 1), "rows": (self.rows, 2 * self.per_look), "fresh": (self.fresh, 2), "pool": (self.pool, FEWEST), "shown": (self.shown, 1), "nulls": (self.nulls, 0)}  # fmt: skip # noqa: E501
        for name, (value, least) in counts.items():
            if value < least:
                raise BadInput(f"{name} of a study of latents must be {least} or more; got {value}.")  # fmt: skip # noqa: E501
        if not 0 < self.span < 1 or not 0 < self.alpha < 1:
            raise BadInput(
                f"span and alpha of a study lie between 0 and 1; got {self.span} and {self.alpha}."
            )
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise BadInput(f"a threshold of certainty lies from 0 to 1; got {self.threshold}.")
        if self.threshold is not None and self.conformal:
            raise BadInput(
                f"a study names by a threshold or by conformal p values, not by both; got "
                f"threshold={self.threshold} and conformal. Leave one of them out."
            )
        if self.move not in (None, "set", "add"):
            raise BadInput(f"units are moved by 'set' or 'add'; got {self.move!r}. Choose one.")

    @property
    def naming(self) -> str:
        """What decides on names: a "threshold" that is given, a "quantile" of controls, "conformal"."""  # fmt: skip # noqa: E501
        if self.conformal:
            return CONFORMAL
        return QUANTILE if self.threshold is None else GIVEN

    def plain(self) -> dict[str, str]:
        """As words, for whoever repeats it."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}
