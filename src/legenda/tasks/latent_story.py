"""What is known of every latent of a model, once it has been studied: plain values, in order."""

from dataclasses import dataclass, field

from torch import Tensor

from legenda.core.answer import Answer
from legenda.core.interval import Interval
from legenda.core.sheet import Sheet

NAMED, ABSTAINED, INACTIVE = "named", "abstained", "inactive"


@dataclass(frozen=True)
class Checked:
    """Whether the named attribute moves when the unit does, on anchors that named nothing.

    Parameters
    ----------
    moved: by how much, in spreads of the attribute among pictures of the model.
    interval: of it, over anchors.
    control: the same for the frames in shuffled order.
    aside: share of all movement that is in other attributes; larger is less pure.
    aside_interval: of it.
    picked: how often the right sheet was picked among four from the sentence alone.
    picks: how many times it was tried; the control is 1 in 4.
    pairs: how often the true claim was taken and its minimally false twin turned down.
    holds: whether the attribute moves as was said, the interval apart from the control.
    """

    moved: float
    interval: Interval
    control: float
    aside: float
    aside_interval: Interval
    picked: int
    picks: int
    pairs: int
    holds: bool


@dataclass(frozen=True)
class UnitStory:
    """One latent: what it does, in words, and how far to trust them.

    Parameters
    ----------
    index: its number.
    label: for people, such as latent 3, or the name of a direction.
    nats: what it says of a picture, on average; None where the model gives no variance.
    verdict: named, abstained or inactive.
    reason: why it was not named; empty where it was.
    answer: the medoid of the answers; None for an inactive unit.
    answers: all of them.
    certainty: how much they agree, 0 to 1.
    interval: of it, over answers.
    effect: root mean square change of colours along a row, 0 to 0.5, mean over anchors.
    effect_interval: of it.
    sheet: the rows that are shown.
    change: where pictures change to the eye, h × w, 0 to 0.5, where black to white is 1.
    checked: the verification; None where nothing was named.
    near: words of a dual encoder for the difference of frames, with their likeness.
    most: answers that could have been asked for, where asking stopped once one spoke for all.
    q: conformal p value, corrected for the number of units, where these name; smaller is surer.
    """

    index: int
    label: str
    nats: float | None
    verdict: str
    reason: str
    answer: Answer | None
    answers: tuple[Answer, ...]
    certainty: float
    interval: Interval
    effect: float
    effect_interval: Interval
    sheet: Sheet | None = field(repr=False)
    change: Tensor | None = field(repr=False)
    checked: Checked | None = None
    near: tuple[tuple[str, float], ...] = ()
    most: int = 0
    q: float | None = None


@dataclass(frozen=True)
class Lot:
    """What came of directions by lot, as long as the model's own: their control.

    Parameters
    ----------
    kind: "random", or "smooth", which changes whole regions of x_t alike.
    named: how many were named, as the model's own would be.
    count: how many there were.
    effect: how far colours change along a row, 0 to 0.5, mean over all their rows.
    interval: of it, over directions.
    """

    kind: str
    named: int
    count: int
    effect: float
    interval: Interval


@dataclass(frozen=True)
class Walked:
    """How the directions of a diffusion model were found.

    Parameters
    ----------
    site, time: where and when the model was opened; a lower time leaves more decided.
    seeds: so many noisy pictures, which begin no row, share the directions.
    strengths: how much the acts change per length, strongest first, root mean square over seeds.
    converged: whether they are found to the tolerance.
    lots: what came of others.
    """

    site: str
    time: float
    seeds: int
    strengths: tuple[float, ...]
    converged: bool
    lots: tuple[Lot, ...] = ()


@dataclass(frozen=True)
class Study:
    """The legend of one model's latents.

    Parameters
    ----------
    model, ref: its name, and what opens it again.
    units: every latent, in order.
    describer: what was asked, such as measured.
    anchors: where the rows began: pictures, or draws of the prior.
    threshold: least certainty that is named.
    nulls: how many sheets without a pattern set it.
    silent: on how many others of them nothing was named, of how many.
    settings: everything that makes it again.
    calls: requests to a language model that were sent now, not read from the store.
    seconds: what it took.
    walked: how its units were found, where they are directions of a diffusion model.
    naming: what decided on names: "threshold", where it was given, "quantile" or "conformal".
    alpha: of these; smaller names less.
    """

    model: str
    ref: str
    units: tuple[UnitStory, ...]
    describer: str
    anchors: str
    threshold: float
    nulls: int
    silent: tuple[int, int]
    settings: dict[str, str]
    calls: int = 0
    seconds: float = 0.0
    walked: Walked | None = None
    naming: str = "quantile"
    alpha: float = 0.05
