"""One table of faithfulness over all systems, brought into an atlas (`union_faithful`)."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from legenda.atlas.entries import StudyEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_result
from legenda.errors import BadInput
from legenda.tasks.atlas_models import held, kept, provenance
from legenda.tasks.union_faithful import NAME, Trial, row
from legenda.tasks.union_place import Report

TITLE = "What is lost without what matters, all systems"


def gather_faithful(
    atlas: Atlas,
    trials: Mapping[str, Callable[[], Trial]],
    identity: Mapping[str, Any],
    *,
    seed: int = 0,
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Try every system, and put one table into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a study that it holds is not made again.
    trials: makes the trial of each system.
    identity: what all of them depend on, as plain values.
    seed: of the intervals.
    report: progress.
    """
    began = perf_counter()
    if not trials:
        raise BadInput("a table of faithfulness needs one system or more; it got none.")
    settings = {"systems": sorted(trials), "seed": seed, **identity}
    entry = StudyEntry(
        "faithful", f"How faithful {len(trials)} ways to explain are", settings, provenance(device),
        "legenda union ATLAS faithful",
    )  # fmt: skip
    there = held(atlas, entry)
    if there is not None:
        return there
    rows = []
    for done, (name, make) in enumerate(trials.items()):
        report(f"trying {name}", done, len(trials))
        rows.append(row(make(), seed))
    content = {
        "x": "", "y": NAME, "better": "higher", "curves": [], "table": rows,
        "table of": "share of all that there is to lose which goes with what a system puts first",
    }  # fmt: skip
    with kept(atlas, entry, began) as number:
        put_result(atlas, number, "faithfulness", "all systems", TITLE, content)
    return number
