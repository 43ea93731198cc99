"""What is said of latents in sentences."""

from legenda.core.attribute import ATTRIBUTES
from legenda.tasks.latent_story import ABSTAINED, INACTIVE, NAMED, Study, UnitStory


def lead(study: Study) -> str:
    """The first line of the page."""
    count = {v: sum(u.verdict == v for u in study.units) for v in (NAMED, ABSTAINED, INACTIVE)}
    return (
        f"{study.model} has {len(study.units)} units: {count[NAMED]} have a clear explanation, "
        f"{count[ABSTAINED]} have none, {count[INACTIVE]} are inactive."
    )


def note(study: Study) -> str:
    """How the sentences came about, and how they fared where there was nothing to say."""
    silent, of = study.silent
    how = (
        f"Each unit was moved alone, from {study.anchors}, and {study.describer} said what "
        f"changes. Certainty is how much its answers agree; below {study.threshold:.2f} nothing "
        "is named."
    )
    if not of:
        return how
    return (
        f"{how} On {of} sheets of the same frames without an order (shuffled or still), it named "
        f"nothing on {silent}; {study.nulls} others set the threshold."
    )


def trust(unit: UnitStory, study: Study) -> str:
    """How far to trust an answer."""
    low, high = unit.interval
    said = (
        f"Certainty {unit.certainty:.2f} [{low:.2f}, {high:.2f}], {len(unit.answers)} answers; "
        f"least to be named {study.threshold:.2f}."
    )
    low, high = unit.effect_interval
    said += f" Colours change by {unit.effect:.3f} [{low:.3f}, {high:.3f}] of white"
    return said + ("." if unit.nats is None else f"; it says {unit.nats:.2f} nats of a picture.")


def checked(unit: UnitStory) -> str:
    """What came of the verification, on rows that named nothing."""
    held, answer = unit.checked, unit.answer
    if held is None or answer is None:
        return ""
    known = ATTRIBUTES.get(answer.attribute)
    name = known.label if known else answer.attribute
    low, high = held.interval
    verb = "moves as was said" if held.holds else "does not surely move as was said"
    said = (
        f"On other anchors {name} {verb}: by {held.moved:.2f} [{low:.2f}, {high:.2f}] of its "
        f"spread, shuffled frames by {held.control:.2f}; "
    )
    low, high = held.aside_interval
    said += f"{100 * held.aside:.0f} % [{100 * low:.0f}, {100 * high:.0f}] of all movement is in something else."  # fmt: skip # noqa: E501
    if held.picks:
        said += (
            f" From the sentence alone the right sheet was picked among four in {held.picked} of "
            f"{held.picks} tries (1 in 4 by chance), and the true claim told from its false twin "
            f"in {held.pairs}."
        )
    return said
