"""What only several systems together can say, where the truth is known: the shipped models.

Behind the map of a sentence should lie concepts that it names, not those of other things in the
picture; nats and slopes should agree beyond maps by lot; a rule of silence should be as silent on
nothing as was asked for; what moves should be told on fresh pictures; and without what a system
puts first more should be lost than by lot.
"""

import tempfile
from typing import Any

from benchmarks.table import Measurement, Row, quick
from legenda.atlas.store import Atlas, loaded
from legenda.core.interval import wilson
from legenda.tasks.atlas_latent_units import RIGHT
from legenda.tasks.union_behind_atlas import named_by
from legenda.tasks.union_zoo import LITTLE, WHOLE, union_zoo
from legenda.zoo.scenes.words import family
from legenda.zoo.scenes.world import draw

MIDDLE = WHOLE._replace(close_ups=480, draws=8, moved=(48, 32), fitted=400, named=192, words=2000, trials=(96, 24))  # fmt: skip # noqa: E501
"""All scenes and seeds, and of the rest what two cores do in minutes."""


def measure() -> Measurement:
    """Every part once, in an atlas that is thrown away."""
    with tempfile.TemporaryDirectory() as folder, Atlas(folder, write=True) as atlas:
        studies = union_zoo(atlas, amount=LITTLE if quick() else MIDDLE)
        rows = [*behind_rows(atlas, studies["behind"][0]), *nats_rows(atlas, studies["nats"][0])]
        rows += [
            *together_rows(atlas, studies["together"][0]),
            *moved_rows(atlas, studies["moved"]),
        ]
        rows += [*name_rows(atlas, studies["names"][0]), *faithful_rows(atlas, studies["faithful"][0])]  # fmt: skip # noqa: E501
    return Measurement("union", rows, [0, 1, 2])


def content(atlas: Atlas, study: int, key: str | None = None) -> dict[str, Any]:
    """A result of a study."""
    row = atlas.one(
        "SELECT content FROM results WHERE study = ? AND (? IS NULL OR key = ?)", study, key, key
    )
    assert row is not None, "every study has a result"
    return loaded(row["content"])


def scored(name: str, one: dict[str, Any], unit: str, ok: bool | None, goal: str = "") -> Row:
    """A line of an atlas as a row."""
    within = None if one.get("low") is None else (one["low"], one["high"])
    return Row(name, one["value"], unit, goal, ok, one["n"], within, one.get("control"))


def above(one: dict[str, Any]) -> bool:
    """Whether an interval lies above that of its control."""
    return one["low"] > (one.get("control_high") or one["control"])


def behind_rows(atlas: Atlas, study: int) -> list[Row]:
    """How often the first concept is of what the sentence names, and of another thing."""
    found = content(atlas, study)
    n = found["n"]
    rows = atlas.all(
        "SELECT x.facts, p.source FROM explanations x JOIN pictures p ON p.id = x.picture "
        "WHERE x.study = ?", study)  # fmt: skip
    other = sum(of_another(loaded(r["facts"]), int(r["source"].split()[1])) for r in rows)
    goal = "above maps by lot"
    return [
        scored("behind a map: the first concept is named by the sentence", found, "share of scenes", above(found), goal),
        Row("behind a map: the first concept is of another thing only", other / n, "share of scenes", "", None, n, wilson(other, n)),
    ]  # fmt: skip # noqa: E501


def of_another(facts: dict[str, Any], seed: int) -> bool:
    """Whether the first concept is true of other things of the scene, and not of that named."""
    said = set(facts["sentence"].split())
    things = [{t.colour, t.kind, *family(t.kind).split()} for t in draw(seed, 3, 3).things]
    mine = [words for words in things if len(words & said) > 1]
    others = [words for words in things if words not in mine]
    name = facts["behind"][0]["name"] if facts["behind"] else ""
    return any(named_by(name, w) for w in others) and not any(named_by(name, w) for w in mine)


def nats_rows(atlas: Atlas, study: int) -> list[Row]:
    """How far nats and slopes agree."""
    lines = content(atlas, study)["agreement"]
    return [scored(f"nats and slopes: {one['measure']}", one, "ρ", above(one), "above maps by lot") for one in lines]  # fmt: skip # noqa: E501


def together_rows(atlas: Atlas, study: int) -> list[Row]:
    """How many pairs stand above all shuffles."""
    found = content(atlas, study)
    return [Row("together: pairs above all shuffles", found["pairs above chance"], "pairs", "", None, found["pairs asked"])]  # fmt: skip # noqa: E501


def moved_rows(atlas: Atlas, studies: list[int]) -> list[Row]:
    """How silent sheets without a pattern are, how much is named, and how it holds when fresh."""
    rows = []
    for study in studies:
        found = content(atlas, study)
        kind, active = found["kind"], found["active"]
        within = (found["low"], found["high"])
        rows += [
            Row(f"{kind}s: silent on sheets without a pattern", found["silent"], "share", ".95", within[1] >= 0.95, found["n"], within),
            Row(f"{kind}s: named of those that change pictures", found["coverage"], "share", "", None, active, (found["coverage_low"], found["coverage_high"])),
        ]  # fmt: skip # noqa: E501
        right = atlas.all(
            "SELECT s.value, s.n FROM scores s JOIN explanations x ON x.id = s.explanation "
            "WHERE x.study = ? AND s.name = ?", study, RIGHT)  # fmt: skip
        picks, hits = sum(r["n"] for r in right), round(sum(r["value"] * r["n"] for r in right))
        if picks:
            ends = wilson(hits, picks)
            rows.append(Row(f"{kind}s: {RIGHT}, on fresh pictures", hits / picks, "share", "above .25", ends[0] > 0.25, picks, ends, 0.25))  # fmt: skip # noqa: E501
    return rows


def name_rows(atlas: Atlas, study: int) -> list[Row]:
    """One rule over three kinds."""
    rows = []
    for kind in ("token", "concept", "latent"):
        found = content(atlas, study, kind)
        within, covered = (found["low"], found["high"]), (found["coverage_low"], found["coverage_high"])  # fmt: skip # noqa: E501
        rows += [
            Row(f"one rule: silent on nothing, {kind}s", found["silent"], "share", ".95", bool(found["holds"]), found["n"], within),
            Row(f"one rule: {kind}s that are named", found["coverage"], "share", "", None, found["units"], covered, 1 - found["silent"]),
        ]  # fmt: skip # noqa: E501
    return rows


def faithful_rows(atlas: Atlas, study: int) -> list[Row]:
    """Four systems, one measure."""
    return [
        scored(f"faithful: {one['system']}, {one['name']}, {one['taken']}", one, "share lost", above(one), "above lots")
        for one in content(atlas, study)["table"]
    ]  # fmt: skip
