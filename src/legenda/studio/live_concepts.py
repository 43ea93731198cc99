"""Live: the named concepts of a picture, and what it would mean to the model without some."""

import time
from typing import Any

from legenda.describe.naming import PERSON
from legenda.show.site import environment
from legenda.studio.jobs import Report
from legenda.studio.live_asked import Steer
from legenda.studio.live_kept import live_study
from legenda.studio.live_pictures import chosen
from legenda.studio.state import Studio
from legenda.tasks.reading import Reader
from legenda.tasks.steer import told

COUNT = 12
"""Concepts of a picture that are shown."""


def about_concepts(studio: Studio, ref: str) -> dict[str, Any]:
    """How many units have a name, and whether sentences can be compared with."""
    reader: Reader = studio.bench.model("concepts", ref)
    words = sorted(set(reader.words.values()))
    return {"words": words[:500], "sentences": hasattr(reader.model, "embed_text")}


def steered(studio: Studio, asked: Steer, report: Report) -> dict[str, Any]:
    """The concepts of a picture; and with changes, its likeness to sentences before and after."""
    began = time.monotonic()
    reader: Reader = studio.bench.model("concepts", asked.model)
    picture, source, number = chosen(studio, asked.picture)
    report("reading", 0, 1)
    edits = [told(one, words_of(reader), len(reader.dictionary.atoms)) for one in asked.changes]
    found = reader.seen(picture, source, COUNT, classes=asked.sentences, edits=edits)
    report("reading", 1, 1)
    most = max((c.strongest for c in found.concepts), default=1.0) or 1.0
    concepts = [
        {"word": c.word or f"unit {c.unit}", "named": bool(c.word), "place": c.place,
         "share": c.strongest / most, "strongest": c.strongest}
        for c in found.concepts
    ]  # fmt: skip
    rows = found.more.get("steered", [])
    html = environment().get_template("studio/steered.html").render(
        concepts=concepts, rows=[row(one) for one in rows], changes=asked.changes, source=source
    )  # fmt: skip
    kept = None
    if studio.how.edit and rows:
        kept_steering(studio, asked, rows, number, time.monotonic() - began)
        kept = "/findings"
    return {"html": html, "steered": rows, "kept": kept}


def words_of(reader: Reader) -> dict[str, int]:
    """Names of units; of several with one name, the one that it fits best."""
    ranked = sorted((n for n in reader.names if n.word), key=lambda n: (n.by == PERSON, n.score))
    return {name.word: name.unit for name in ranked if name.word}


def row(one: dict[str, Any]) -> dict[str, Any]:
    """A line of the table: whether a change goes beyond those by lot."""
    low, high = one["random"]
    beyond = not low <= one["after"] <= high
    return {**one, "low": low, "high": high, "change": one["after"] - one["before"], "beyond": beyond}  # fmt: skip # noqa: E501


def kept_steering(
    studio: Studio, asked: Steer, rows: list[dict[str, Any]], number: int | None, seconds: float
) -> None:
    """A steering in the atlas, with its control."""
    from legenda.atlas.keys import key_of
    from legenda.atlas.write import end_study, put_result

    title = ", ".join(asked.changes)
    study = live_study(studio.atlas, "Live: steering of concepts", {"model": asked.model})
    content: dict[str, Any] = {
        "edit": title, "of": "concepts", "n": 1, "steered": rows,
        "control": {"n": 8, "by": "changes of the same length by lot"},
        "settings": {"model": asked.model},
    }  # fmt: skip
    content |= {} if number is None else {"before": {"picture": number}}
    put_result(studio.atlas, study, "edit", key_of(content), title[:120], content)
    end_study(studio.atlas, study, seconds)
