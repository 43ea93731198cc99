"""Latents as units of an atlas: what was said of each, how surely, and how silent nothing is."""

from math import isfinite, nan
from typing import Any

from legenda.atlas.entries import EvidenceEntry, ExplanationEntry, Said, StudyEntry, UnitEntry
from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES
from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.tasks.atlas_models import target_key
from legenda.tasks.latent_story import INACTIVE, NAMED, Study, UnitStory
from legenda.tasks.run_kept import finite, in_bytes

OTHERS, COIN = 4, 0.125
"""Answers beside the one that speaks for all; how often coins would judge three claims right."""
RIGHT, PAIRS = "right sheet among four", "claim over its false twins"
MOVES = "named attribute moves"


def unit_of(set_id: int, story: UnitStory) -> UnitEntry:
    """One unit, in one line."""
    facts: dict[str, Any] = {"effect": story.effect, "nats": story.nats, "q": story.q}
    facts = finite({name: value for name, value in facts.items() if value is not None})
    sure = (story.certainty, *story.interval) if story.verdict != INACTIVE else (None, None, None)
    check, score = story.checked, None
    if check is not None and check.picks:
        score, facts["score"] = check.picked / check.picks, RIGHT
    said = name_of(story.answer) if story.verdict == NAMED and story.answer else ""
    return UnitEntry(set_id, story.index, story.label, story.verdict, said, story.reason, *sure, score, facts)  # fmt: skip # noqa: E501


def name_of(answer: Answer) -> str:
    """A few words for a sentence: what changes, and from what to what."""
    label = ATTRIBUTES[answer.attribute].label if answer.attribute in ATTRIBUTES else answer.attribute  # fmt: skip # noqa: E501
    if label and answer.start and answer.end:
        return f"{label}, {answer.start} to {answer.end}"
    return answer.text.rstrip(".")


def explanation_of(
    entry: StudyEntry, story: UnitStory, unit: int, found: Study
) -> ExplanationEntry:
    """A unit's sheet, what was said of it, and the checks of what was named."""
    assert story.sheet is not None and story.answer is not None, "inactive units have neither"
    named = story.verdict == NAMED
    sure = (None, None, None)
    if story.verdict != INACTIVE:
        sure = (story.certainty, *story.interval)
    text = story.answer.text if named else ""
    first = Said(text, found.describer, *sure, abstained=story.reason)
    sheet = story.sheet
    ends = f"{float(sheet.values[0]):+.2f} to {float(sheet.values[-1]):+.2f}"
    arrays = {"images": in_bytes(sheet.images), "values": sheet.values.float()}
    shown = EvidenceEntry("sheet", arrays, {"caption": f"{story.label}, {ends}", "sheet": sheet.kind})  # fmt: skip # noqa: E501
    facts: dict[str, Any] = {"effect": story.effect, "answers": len(story.answers)}
    if story.near:
        facts["near"] = [[word, likeness] for word, likeness in story.near]
    return ExplanationEntry(
        target_key(entry, story.index), story.label, "Traversal", unit, None, shown,
        (first, *others(story, named, found.describer)), scores_of(story, found), facts,
    )  # fmt: skip


def others(story: UnitStory, named: bool, by: str) -> list[Said]:
    """What else was answered, the most frequent first; answers that say the same count once."""
    groups: dict[Any, list[Answer]] = {}
    for answer in story.answers:
        if not answer.none:
            groups.setdefault((answer.attribute, answer.direction) if answer.attribute else answer.text, []).append(answer)  # fmt: skip # noqa: E501
    own = story.answer
    if named and own is not None:
        groups.pop((own.attribute, own.direction) if own.attribute else own.text, None)
    best = sorted(groups.values(), key=len, reverse=True)[:OTHERS]
    return [Said(group[0].text, by) for group in best]


def scores_of(story: UnitStory, found: Study) -> tuple[Score, ...]:
    """What was measured of a unit, beside controls."""
    rows, fresh = int(found.settings.get("rows", 0)), int(found.settings.get("fresh", 0))
    scores = [Score("change along a row", story.effect, ends(story.effect_interval), rows, unit="of white")]  # fmt: skip # noqa: E501
    check = story.checked
    if check is None:
        return tuple(scores)
    moved, aside = ends(check.interval), ends(check.aside_interval)
    chance, pairs = (COIN, COIN), share_within(check.pairs, fresh)
    scores += [
        Score(MOVES, check.moved, moved, fresh, True, check.control, None, "spreads"),
        Score("movement beside it", check.aside, aside, fresh, False, unit="share"),
        Score(PAIRS, check.pairs / fresh, pairs, fresh, True, COIN, chance, "share"),
    ]  # fmt: skip
    if check.picks:
        value, within = check.picked / check.picks, share_within(check.picked, check.picks)
        scores.insert(0, Score(RIGHT, value, within, check.picks, True, 0.25, (0.25, 0.25), "share"))  # fmt: skip # noqa: E501
    return tuple(scores)


def ends(interval: tuple[float, float]) -> tuple[float, float]:
    """An interval; where it has no ends, none is shown."""
    return interval if all(map(isfinite, interval)) else (nan, nan)


def share_within(hits: int, n: int) -> tuple[float, float]:
    """Wilson's interval, which holds its share to the last bit."""
    low, high = wilson(hits, n)
    return (min(low, hits / n), max(high, hits / n)) if n else (low, high)


def nulls_of(found: Study, kind: str) -> dict[str, Any]:
    """How silent the study is where there is nothing to say, and how often it speaks else."""
    silent, n = found.silent
    low, high = share_within(silent, n)
    active = [unit for unit in found.units if unit.verdict != INACTIVE]
    named = sum(unit.verdict == NAMED for unit in active)
    content: dict[str, Any] = {"kind": kind, "threshold": found.threshold, "alpha": found.alpha, "n": n}  # fmt: skip # noqa: E501
    content |= {"silent": silent / n if n else None, "low": low, "high": high}
    if active:
        spoken = share_within(named, len(active))
        content |= {"coverage": named / len(active), "coverage_low": spoken[0], "coverage_high": spoken[1]}  # fmt: skip # noqa: E501
    return content | {"active": len(active)}
