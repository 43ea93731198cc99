"""The latents of a model, studied: each is moved, asked about, named or not, and checked.

    pool       pictures of the model say how much every attribute varies, and which units are active
    rows       from several anchors a unit takes its values, all else untouched
    answers    a describer says what changes, n times; that they agree is certainty
    nulls      the same frames without an order set the least certainty that is named, or give
               conformal p values
    fresh      other anchors, which named nothing, check what was named

Everything random comes from one seed. A language model's answers are kept, so that a study that
was stopped goes on without asking again, and one that is repeated asks nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from legenda.core.answer import Answer
from legenda.core.interval import Interval, bootstrap
from legenda.core.sheet import Sheet
from legenda.core.units import Units
from legenda.describe.measured import Measured, Values, frames
from legenda.errors import BadInput
from legenda.explain.traversal_grid import numbered
from legenda.measure.map import perceptual_change
from legenda.score.answer_agreement import AnswerAgreement, AttributeAgreement
from legenda.score.certainty import Certainty, certainty
from legenda.tasks.latent_check import Check
from legenda.tasks.latent_describers import Asks, ByMeasure, answered
from legenda.tasks.latent_frames import Frames, Traversals
from legenda.tasks.latent_ground import Ground, moved_by
from legenda.tasks.latent_nulls import Nulls, affordable, calibrated
from legenda.tasks.latent_settings import CERTAIN, STILL, LatentSettings
from legenda.tasks.latent_story import ABSTAINED, INACTIVE, NAMED, Lot, Study, UnitStory
from legenda.types import Images

Report = Callable[[str, int, int], None]


@dataclass
class Told:
    """What was said of one unit, before it is judged.

    `sheet` is what is shown of what was asked about; `whole` is all of it, for as many units as
    controls are made of where they are not measured.
    """

    sheet: Sheet
    whole: Sheet | None = field(repr=False)
    values: Values
    answers: tuple[Answer, ...]
    most: int
    sure: Certainty
    effect: float
    effect_interval: Interval
    change: Tensor = field(repr=False)


@torch.no_grad()
def study(
    units: Units,
    settings: LatentSettings | None = None,
    *,
    x: Images | None = None,
    ask: Callable[[Measured], Asks] = ByMeasure,
    agreement: AnswerAgreement | None = None,
    near: Callable[[Sheet], tuple[tuple[str, float], ...]] | None = None,
    only: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    report: Report = lambda *_: None,
    source: Frames | None = None,
) -> Study:
    """Study all units of a model that decodes, or `only` some.

    Parameters
    ----------
    units: of a latent model, or of any dictionary on a model that decodes.
    settings: how.
    x: pictures, as the model takes them; None: what its prior gives.
    ask: makes the describer from the measurements; by default they are it.
    agreement: of answers.
    near: words for the change of a sheet, such as those of a dual encoder.
    only: the units to study; None for all.
    names: what units are called, such as those of directions.
    report: progress.
    source: of frames; by default units are moved through codes, and decoded in one pass.
    """
    began, how = perf_counter(), settings or LatentSettings()
    alike = agreement or AttributeAgreement()
    chosen = list(range(len(units))) if only is None else numbered(units, only)
    if names is not None and len(names) != len(units):
        raise BadInput(
            f"names are given to all {len(units)} units of {units.address}; it got {len(names)}. "
            "Give one for each, or none."
        )
    report("looking at pictures of the model", 0, len(chosen))
    made = source or Traversals(units)
    ground = made.ground(how, x)
    active = made.alive(chosen, how, ground)
    asks = ask(ground.measured)
    if not hasattr(asks, "measured"):
        affordable(asks.name, how)
    told: dict[int, Told] = {}
    for done, sheet in enumerate(made.sheets(active, how, ground, x), 1):
        keep = sum(t.whole is not None for t in told.values()) < how.nulls
        told[sheet.index] = asked(sheet, asks, alike, how, keep and not isinstance(asks, ByMeasure))
        report(f"asking about unit {sheet.index}", done, len(active))
    moving = {i: t for i, t in told.items() if t.effect >= STILL}
    nulls = calibrated(moving, asks, alike, how)
    checks = checked(made, moving, nulls, how, ground, x)
    lots = by_lot(made, asks, alike, nulls, how, x, report)
    stories = tuple(
        story(
            units,
            i,
            told.get(i),
            ground,
            nulls,
            checks.get(i),
            how,
            near,
            names,
            isinstance(asks, ByMeasure),
        )
        for i in chosen
    )
    model: Any = units.model
    plain = made.plain(how) | (moved_by(units, how, ground) if source is None else {})
    return Study(
        model.name, model.ref, stories, asks.name, made.began(x), nulls.threshold, nulls.count,
        nulls.silent, plain, getattr(asks, "calls", 0), perf_counter() - began,
        made.walked(lots), how.naming, how.alpha,
    )  # fmt: skip


def asked(
    sheet: Sheet, asks: Asks, alike: AnswerAgreement, how: LatentSettings, keep: bool
) -> Told:
    """What is said of one unit, and how surely."""
    values = frames(sheet)
    answers, most = answered(asks, sheet, values, alike, how)
    effects = sheet.effect().double()
    effect = float(effects.mean())
    return Told(
        replace(sheet, images=sheet.images[: how.shown].clone()),
        sheet if keep and effect >= STILL else None, values, answers, most,
        certainty(alike(answers), how.seed), effect, bootstrap(effects, how.seed),
        perceptual_change(sheet.images),
    )  # fmt: skip


def checked(
    source: Frames, told: dict[int, Told], nulls: Nulls, how: LatentSettings, ground: Ground,
    x: Images | None,
) -> dict[int, Any]:  # fmt: skip
    """The verification of every unit that was named, on fresh rows of all that move."""
    named = [i for i, t in told.items() if nulls.names(t.answers, t.sure)]
    if not named:
        return {}
    fresh = {s.index: frames(s) for s in source.sheets(list(told), how, ground, x, fresh=True)}
    check = Check(ground.measured, ground.values, fresh, how.seed)
    return {i: check(i, told[i].answers[told[i].sure.medoid]) for i in named}


def by_lot(
    source: Frames, asks: Asks, alike: AnswerAgreement, nulls: Nulls, how: LatentSettings,
    x: Images | None, report: Report,
) -> tuple[Lot, ...]:  # fmt: skip
    """What comes of units by lot, asked about and judged as the model's own; none are checked."""
    found: dict[str, list[Told]] = {}
    for done, (kind, sheet) in enumerate(source.by_lot(how, x), 1):
        found.setdefault(kind, []).append(asked(sheet, asks, alike, how, keep=False))
        report(f"asking about {kind} directions", done, source.lots)
    lots = []
    for kind, told in found.items():
        named = sum(t.effect >= STILL and nulls.names(t.answers, t.sure) for t in told)
        effects = torch.tensor([t.effect for t in told], dtype=torch.float64)
        lots.append(
            Lot(kind, named, len(told), float(effects.mean()), bootstrap(effects, how.seed))
        )
    return tuple(lots)


def story(
    units: Units, index: int, told: Told | None, ground: Ground, nulls: Nulls, check: Any,
    how: LatentSettings, near: Any, names: Sequence[str] | None, by_measure: bool,
) -> UnitStory:  # fmt: skip
    """One unit, judged."""
    label = names[index] if names else f"{units.dictionary.name.rstrip('s')} {index}"
    nats = None if ground.nats is None else float(ground.nats[index])
    if told is None:
        why = f"it is on in none of {len(ground.pool)} pictures"
        if nats is not None:
            why = f"it says {nats:.3f} nats of a picture, less than {how.least_nats:g}"
        none = (0.0, 0.0)
        return UnitStory(index, label, nats, INACTIVE, why, None, (), 0.0, none, 0.0, none, None, None)  # fmt: skip # noqa: E501
    answer = told.answers[told.sure.medoid]
    verdict, why = judged(told, answer, nulls, nulls.q.get(index), how)
    if verdict == NAMED and by_measure:
        answer = ground.measured.whole(told.values, answer)
    return UnitStory(
        index, label, nats, verdict, why, answer, told.answers, told.sure.value, told.sure.interval,
        told.effect, told.effect_interval, told.sheet, told.change,
        check if verdict == NAMED else None, near(told.sheet) if near else (),
        told.most if how.adaptive else 0, nulls.q.get(index),
    )  # fmt: skip


def judged(
    told: Told, answer: Answer, nulls: Nulls, q: float | None, how: LatentSettings
) -> tuple[str, str]:
    """The verdict, and the reason where nothing is named."""
    if told.effect < STILL:
        return INACTIVE, f"colours change by {told.effect:.4f} of white along a row"
    if answer.none:
        return ABSTAINED, answer.abstained or "nothing was said"
    if q is not None and told.sure.value >= CERTAIN and not nulls.names(told.answers, told.sure):
        return ABSTAINED, (
            f"its answers are not surer than those about sheets without a pattern: q {q:.3f} is "
            f"above {how.alpha:g}"
        )
    if q is None and told.sure.value < nulls.threshold and nulls.threshold > 1:
        return ABSTAINED, "answers are as sure about sheets without a pattern"
    if not nulls.names(told.answers, told.sure):
        least = nulls.threshold if q is None else CERTAIN
        return ABSTAINED, (
            f"its answers disagree: certainty {told.sure.value:.2f} is below {least:.2f}"
        )
    return NAMED, ""
