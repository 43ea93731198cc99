"""Runs a study that was written down: what it names is opened, and goes through the loop."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from time import monotonic

from legenda.atlas.entries import StudyEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import cleared, end_study, put_failure, put_picture, put_study
from legenda.study import Report, made_with, study
from legenda.tasks.run_file import RunFile
from legenda.tasks.run_identity import Identity
from legenda.tasks.run_keeper import Step, failures_of
from legenda.tasks.run_kept import Placed
from legenda.tasks.run_plan import Job, Plan

Told = Callable[[Step], None]


@dataclass
class Outcome:
    """What became of the targets, and what failed now or before."""

    study: int
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def heard(self, step: Step) -> None:
        """Count a target."""
        self.counts[step.state] += 1
        if step.state in ("failed", "left"):
            self.failures.append(f"{step.target}: {step.why}")


def run_study(
    run: RunFile, atlas: Atlas, plan: Plan, command: str = "", report: Report = lambda *_: None,
    told: Told = lambda _: None, retry: bool = False,
) -> Outcome:  # fmt: skip
    """Do all that the atlas does not hold."""
    began, what = monotonic(), run.said.study
    entry = StudyEntry(what.kind, titled(run), run.identity, made_with(), command)
    outcome = Outcome(put_study(atlas, entry))
    done, worked = 0, False

    def hear(step: Step) -> None:
        nonlocal worked
        worked |= step.state in ("done", "failed")
        outcome.heard(step)
        told(step)

    for job in plan.jobs():
        before = done
        if job.why:
            hear(_lost(atlas, outcome.study, job, retry))
        else:
            placed = _placed(atlas, job)
            loop = study(
                plan.units, job.x, job.targets, plan.explain, plan.describe, plan.score, atlas,
                title=entry.title, kind=entry.kind, settings=entry.settings, command=command,
                model=plan.model, placed=placed, told=hear, retry=retry, ends=False,
                report=lambda name, n, _: report(name, before + n, plan.total),  # noqa: B023
            )  # fmt: skip
            with closing(loop):  # whatever ends it, what was done is written
                for _ in loop:
                    pass
            _found(atlas, outcome.study, job)
        done += max(1, len(job.targets))
        report(job.name, done, plan.total)
    if worked or not atlas.value("SELECT ended FROM studies WHERE id = ?", outcome.study):
        end_study(atlas, outcome.study, monotonic() - began)
    return outcome


def waiting(run: RunFile, atlas: Atlas | None, plan: Plan) -> dict[str, int]:
    """What a run would do, and what is held: nothing is done and nothing written."""
    found: Counter[str] = Counter()
    for job in plan.jobs():
        if job.why:
            found["unreadable"] += 1
            continue
        of = Identity.of(plan.units, job.x, plan.explain, plan.describe, plan.score)
        for target in job.targets:
            found["held" if atlas is not None and of.key(target) in atlas else "todo"] += 1
    return dict(found)


def titled(run: RunFile) -> str:
    """The title of a study, or what it says without one."""
    what = run.said.study
    return what.title or f"{what.kind} of {what.model}"


def _placed(atlas: Atlas, job: Job) -> list[Placed]:
    """The pictures of a job, in the atlas."""
    found = []
    for one in job.seen:
        left, top, right, bottom = one.frame
        name = job.name if len(job.seen) == 1 else one.kept.source
        found.append(Placed(put_picture(atlas, one.kept), (left, top, right, bottom), name))
    return found


def _lost(atlas: Atlas, study: int, job: Job, retry: bool) -> Step:
    """A picture that cannot be read, as a failure."""
    before = failures_of(atlas, study)
    step = Step(job.name, "", "failed", job.why)
    if job.name in before and not retry:
        return replace(step, state="left")
    put_failure(atlas, study, job.name, job.why)
    return step


def _found(atlas: Atlas, study: int, job: Job) -> None:
    """A picture that can be read again is no failure."""
    if job.seen and job.name in failures_of(atlas, study):
        cleared(atlas, study, job.name)
