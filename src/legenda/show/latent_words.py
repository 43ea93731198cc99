"""What is said of latents in sentences."""

from math import isfinite

from legenda.core.attribute import ATTRIBUTES
from legenda.core.interval import Interval
from legenda.describe.lmm import NOT_ASKED
from legenda.tasks.latent_settings import CERTAIN, CONFORMAL, GIVEN, QUANTILE
from legenda.tasks.latent_story import ABSTAINED, INACTIVE, NAMED, Study, UnitStory

MEANING = (
    "Certainty: how much the answers about a unit agree, 0 to 1, with its 95 % interval. Nats: how "
    "much of a picture the latent tells, 0 where it is unused. Change: how far colours spread "
    "along a row, from 0 to 0.5 of white."
)


CAME = {
    GIVEN: "The threshold was given.",
    QUANTILE: "{} others set the threshold.",
    CONFORMAL: "{} others gave the p values.",
}
"""Where the threshold came from, by what decided on names."""


def lead(study: Study) -> str:
    """The first line of the page."""
    count = {v: sum(u.verdict == v for u in study.units) for v in (NAMED, ABSTAINED, INACTIVE)}
    named, none, idle = count[NAMED], count[ABSTAINED], count[INACTIVE]
    return (
        f"{study.model}: of {len(study.units)} unit{'s' * (len(study.units) != 1)}, "
        f"{named} {'has' if named == 1 else 'have'} a clear explanation, "
        f"{none} {'has' if none == 1 else 'have'} none, "
        f"and {idle} {'is' if idle == 1 else 'are'} inactive."
    )


def note(study: Study) -> str:
    """How the sentences came about, and how they fared where there was nothing to say."""
    silent, of = study.silent
    how = (
        f"Each unit was moved alone, from {study.anchors}, and {study.describer} said what "
        f"changes. Certainty is how much its answers agree; {rule(study)}"
    )
    if any(unit.most for unit in study.units):
        how += (
            " Asking stopped as soon as one answer spoke for all, so that certainty is coarser, "
            "and larger, than from a fixed number of answers; controls were asked alike."
        )
    if not of:
        return f"{how} Nothing was asked of sheets without a pattern: how often it names one of those is unknown."  # fmt: skip # noqa: E501
    return (
        f"{how} As a control, it was asked about {of} sheets of the same frames without an order "
        f"(shuffled, or one frame throughout): it named nothing on {silent} of them. "
        f"{CAME[study.naming].format(study.nulls)}"
    )


def rule(study: Study) -> str:
    """What certainty is named."""
    if study.naming != CONFORMAL:
        return f"below {study.threshold:.2f} nothing is named."
    return (
        f"from {CERTAIN:.2f} on those are named whose conformal p values, corrected for the number "
        f"of units, are at most {study.alpha:g}: of what is named, on average no more than "
        f"{100 * study.alpha:g} % is like sheets without a pattern."
    )


def missing(study: Study) -> str:
    """How many answers could not be had, and how to have them; nothing where none is missing."""
    answers = [a for unit in study.units for a in unit.answers]
    lost = sum(a.abstained.startswith(NOT_ASKED) for a in answers)
    if not lost:
        return ""
    return (
        f"{lost} of {len(answers)} answers could not be had. They count as answers that say "
        "nothing; the same command asks for them again, and for nothing else."
    )


def sentence(reason: str) -> str:
    """A reason as a sentence of its own."""
    said = reason[:1].upper() + reason[1:]
    return said if said.endswith((".", "!", "?")) or not said else f"{said}."


def between(low: float, high: float) -> str:
    """An interval in words; empty where there is none."""
    return f"{low:.2f} to {high:.2f}" if isfinite(high - low) else ""


def within(interval: Interval, digits: int = 2) -> str:
    """The same in brackets, after a number."""
    low, high = interval
    return f" (95 %: {low:.{digits}f} to {high:.{digits}f})" if isfinite(high - low) else ""


def trust(unit: UnitStory, study: Study) -> str:
    """How far to trust an answer."""
    n = len(unit.answers)
    of = f", of at most {unit.most}" if unit.most else ""
    names = f"named from {study.threshold:.2f}"
    if unit.q is not None:
        names = f"q {unit.q:.3f}, named up to {study.alpha:g}"
    said = (
        f"Certainty {unit.certainty:.2f}{within(unit.interval)} from {n} answer{'s' * (n != 1)}"
        f"{of}; {names}. Along a row, colours change by {unit.effect:.3f}"
        f"{within(unit.effect_interval, 3)} of white"
    )
    return said + ("." if unit.nats is None else f"; the latent tells {unit.nats:.2f} nats of a picture.")  # fmt: skip # noqa: E501


def checked(unit: UnitStory) -> str:
    """What came of the verification, on rows that named nothing."""
    held, answer = unit.checked, unit.answer
    if held is None or answer is None:
        return ""
    known = ATTRIBUTES.get(answer.attribute)
    name = known.label if known else answer.attribute
    verb = "moves as was said" if held.holds else "does not surely move as was said"
    said = (
        f"Checked on other anchors: {name} {verb}, by {held.moved:.2f}{within(held.interval)} of "
        f"its spread among pictures; in shuffled frames by {held.control:.2f}. "
    )
    low, high = held.aside_interval
    apart = f" (95 %: {100 * low:.0f} to {100 * high:.0f})" if isfinite(high - low) else ""
    said += f"{100 * held.aside:.0f} %{apart} of all movement is in something else."
    if held.picks:
        said += (
            f" From the sentence alone the right sheet was picked among four in {held.picked} of "
            f"{held.picks} tries (1 in 4 by chance), and the true claim told from its false twins "
            f"in {held.pairs}."
        )
    return said
