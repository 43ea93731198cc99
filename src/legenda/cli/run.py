"""`legenda run STUDY.toml`."""

import shlex
import sys
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.gather import ours
from legenda.cli.output import progress, say, show, stdout, tell
from legenda.errors import BadInput

FEW = 5
"""So many failures are listed; all are in the atlas."""


def run(
    study: Path | None = None,
    /,
    *,
    atlas: Path | None = None,
    retry: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    example: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a study that is written down in a file, into an atlas.

    Run it again after an interruption, even a kill, and it goes on to the same atlas. A target
    that fails is reported and kept with its reason, the others are done, and the exit code is 2.

    Parameters
    ----------
    study
        The file, such as study.toml.
    atlas
        The folder of the atlas, in place of the one that the file names.
    retry
        Do again what failed before.
    dry_run
        Say what is to be done and what is held, and write nothing.
    example
        Print a study to begin with, and do nothing else.
    json
        Events on stdout, one JSON line per target.
    """
    from legenda.tasks.run_file import EXAMPLE, EXPLAIN, UNITS, read_run

    if example:
        with stdout():
            sys.stdout.write(EXAMPLE)
        return 0
    if study is None:
        raise BadInput("run needs a study, such as study.toml. `legenda run --example` prints one.")
    found = read_run(study)
    place = place_of(found, atlas)
    words = ["legenda", "run", study.name, *(["--atlas", str(atlas)] if atlas else [])]
    own = found.said.study.kind in (EXPLAIN, UNITS)
    if dry_run:
        return foretold(found, place, json) if own else outlined(found, place, json)
    ours(place)
    if not own:
        return gather(found, place, json)
    return loop(found, place, shlex.join(words), retry, json)


def place_of(found: Any, atlas: Path | None) -> Path:
    """Where the atlas is: as asked for, else beside the file that names it."""
    if atlas is not None:
        return atlas
    if found.said.atlas is None:
        raise BadInput(
            f"{found.path} names no atlas. Give it an [atlas] with a path, or say --atlas FOLDER."
        )
    return found.path.parent / found.said.atlas.path


def loop(found: Any, place: Path, command: str, retry: bool, json: bool) -> int:
    """Go through the targets, and say what became of them."""
    from legenda.atlas.store import Atlas
    from legenda.tasks.run_plan import checked, planned
    from legenda.tasks.run_study import run_study

    checked(found)
    with Atlas(place, write=True) as atlas, progress("opening") as bar:
        plan = planned(found)
        clock = Clock(plan.total)

        def told(step: Any) -> None:
            clock.heard(step.state)
            if json:
                tell(event(step, clock))
            elif step.state == "failed" and clock.failed <= FEW:
                say(f"legenda: {step.target}: {step.why}")

        outcome = run_study(found, atlas, plan, command, bar, told, retry)
    counts, failures = outcome.counts, outcome.failures
    if json:
        tell({"kind": "study", "study": outcome.study, "atlas": str(place), **dict(sorted(counts.items()))})  # fmt: skip # noqa: E501
    else:
        show(f"{counts['done']} done, {counts['held']} held already, {len(failures)} failed")
    if clock.failed > FEW and not json:
        say(f"and {clock.failed - FEW} more, which the atlas holds with their reasons")
    if counts["left"]:
        say(f"{counts['left']} failed before: see to them, and run again with --retry")
    say(f"{place}")
    return 2 if failures else 0


def gather(found: Any, place: Path, json: bool) -> int:
    """A study of latents, tokens or concepts."""
    from legenda.atlas.store import Atlas
    from legenda.tasks.run_gather import gathered, gathering

    gathering(found)
    with Atlas(place, write=True) as atlas, progress("opening") as bar:
        number = gathered(found, atlas, bar)
    if json:
        tell({"kind": "study", "study": number, "atlas": str(place)})
    say(f"{place}")
    return 0


def foretold(found: Any, place: Path, json: bool) -> int:
    """What a run would do."""
    from legenda.atlas.schema import FILE
    from legenda.atlas.store import Atlas
    from legenda.tasks.run_plan import checked, planned
    from legenda.tasks.run_study import waiting

    checked(found)
    plan = planned(found)
    if (place / FILE).is_file():
        with Atlas(place) as atlas:
            counts = waiting(found, atlas, plan)
    else:
        counts = waiting(found, None, plan)
    if json:
        tell({"kind": "plan", "targets": plan.total, **counts})
    else:
        lost = f", {counts['unreadable']} pictures cannot be read" if "unreadable" in counts else ""
        show(f"{counts.get('todo', 0)} to do, {counts.get('held', 0)} held already{lost}")
    return 0


def outlined(found: Any, place: Path, json: bool) -> int:
    """That a study of another kind could be run."""
    from legenda.tasks.run_gather import gathering

    gathering(found)
    kind, model = found.said.study.kind, found.said.study.model
    if json:
        tell({"kind": "plan", "what": kind, "model": model, "atlas": str(place)})
    else:
        show(f"the {kind} of {model}, into {place}")
    return 0


class Clock:
    """How many targets are done, and how long the others will take."""

    def __init__(self, total: int):
        self.total, self.began = total, monotonic()
        self.seen = self.worked = self.failed = 0

    def heard(self, state: str) -> None:
        """Count a target; what was held took no time."""
        self.seen += 1
        self.worked += state in ("done", "failed")
        self.failed += state == "failed"

    @property
    def left(self) -> float | None:
        """Seconds that are left, as far as the pace so far tells."""
        if not self.worked:
            return None
        return (monotonic() - self.began) / self.worked * max(0, self.total - self.seen)


def event(step: Any, clock: Clock) -> dict[str, Any]:
    """What became of one target, for programs."""
    said = {"target": step.target, "key": step.key, "state": step.state}
    if step.why:
        said["why"] = step.why
    eta = clock.left
    return {**said, "n": clock.seen, "of": clock.total, "eta": None if eta is None else round(eta, 1)}  # fmt: skip # noqa: E501
