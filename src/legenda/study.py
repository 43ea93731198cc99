"""A study: explain, describe and score many targets, and keep the results.

It is a loop over any units and methods, which come as arguments; it imports none. With an atlas,

    key = digest of (methods' settings, model and its weights, dictionary, inputs, target)     (1)

is what an explanation is kept under: a target whose key is held is not done again. What is done is
written at most a second later, rows of units, explanations and failures together or not at all.
So a study may be killed at any time and run again: it ends with what it would have ended with.

A target that fails is kept as a failure, with the reason, and the loop goes on; it is left alone
from then on, until it is asked for with `retry`.
"""

import errno
import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from legenda.atlas.entries import ModelEntry, StudyEntry
from legenda.atlas.schema import KINDS
from legenda.atlas.store import Atlas
from legenda.core.evidence import Evidence
from legenda.core.explanation import Describer, Explainer, Explanation, Scorer
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput, LegendaError, near
from legenda.tasks.run_identity import Identity
from legenda.tasks.run_keeper import Keeper, Step
from legenda.tasks.run_kept import Placed

X = TypeVar("X")
T = TypeVar("T", bound=Target)
Report = Callable[[str, int, int], None]
CHUNK = 8
"""Targets that are explained at once, where a method can: always the same ones together, so that
a study that was stopped goes on to the same bits."""
FAILURES = (LegendaError, OSError, RuntimeError)
"""What is the failure of one target; anything else is a fault of the code, and ends the study."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def study(
    units: Units,
    x: X,
    targets: Iterable[T],
    explain: Explainer[X, T],
    describe: Sequence[Describer] = (),
    score: Sequence[Scorer[X]] = (),
    atlas: Atlas | None = None,
    *,
    title: str = "",
    kind: str = "explain",
    settings: Mapping[str, Any] | None = None,
    command: str = "",
    model: ModelEntry | None = None,
    unit_kind: str = "",
    placed: Sequence[Placed] = (),
    report: Report = lambda *_: None,
    told: Callable[[Step], None] | None = None,
    retry: bool = False,
    ends: bool = True,
) -> Generator[Explanation, None, None]:
    """Yield one explanation per target that is done now; with an atlas, keep it, and skip the rest.

    Without an atlas, and with nobody to be `told`, a failure is raised: nobody else would know.

    Parameters
    ----------
    title, kind, settings, command: what the study is called and known by; `settings` are its
        identity, and those of the methods unless given.
    model: what is kept of the model; what it says of itself unless given.
    unit_kind: one of `schema.KINDS`; found from the dictionary unless given.
    placed: for each input of `x`, the picture of the atlas that it is.
    report: progress, (what, done, total).
    told: hears what became of each target.
    retry: do again what failed before.
    ends: whether the study is over with these targets; else others will follow.
    """
    sensible(targets, describe, score, atlas, unit_kind)
    of, wanted = Identity.of(units, x, explain, describe, score), list(targets)
    steps = [Step(named(one, placed), of.key(one)) for one in wanted]
    keeper, todo = None, list(range(len(wanted)))
    if atlas is not None:
        entry = StudyEntry(kind, title or f"{kind} of {units.address}", settings or of.plain(), made_with(), command)  # fmt: skip # noqa: E501
        keeper = Keeper.begun(atlas, units, of, entry, wanted, unit_kind, placed, model)
        todo = keeper.waiting(steps, told or ignored, retry)
    done = len(wanted) - len(todo)
    try:
        for i, found in explained(units, x, wanted, todo, explain):
            report(steps[i].target, done, len(wanted))
            made = settled(units, x, wanted[i], explain, found, describe, score)
            step = steps[i].done() if isinstance(made, Explanation) else steps[i].failed(made)
            if keeper is not None:
                keeper.take(step, wanted[i], made)
            elif told is None and isinstance(made, BaseException):
                raise made
            (told or ignored)(step)
            done += 1
            if isinstance(made, Explanation):
                yield made
            report(step.target, done, len(wanted))
    finally:
        if keeper is not None:
            keeper.close(bool(todo), ends and done == len(wanted))


def sensible(targets: Any, describe: Any, score: Any, atlas: Any, unit_kind: str) -> None:
    """Refuse what is easily mistaken, before anything is done."""
    if atlas is not None and not isinstance(atlas, Atlas):
        raise BadInput(f"a study is kept in an open atlas; it got {atlas!r}. Open it: Atlas({str(atlas)!r}, write=True).")  # fmt: skip # noqa: E501
    for name, given in (("targets", targets), ("describe", describe), ("score", score)):
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise BadInput(f"{name} of a study is a list; it got {given!r}. Put it in brackets.")
    if unit_kind and unit_kind not in KINDS:
        raise BadInput(f"there is no kind of units {unit_kind!r}.{near(unit_kind, KINDS)} Known: {', '.join(KINDS)}.")  # fmt: skip # noqa: E501


def explained(
    units: Units, x: Any, targets: Sequence[Any], todo: Sequence[int], explain: Any
) -> Iterator[tuple[int, Evidence | BaseException]]:
    """Evidence of the targets that are to be done, or what went wrong, in order.

    Where a method takes several targets, a chunk is done whole even if some of it is held. One
    that fails in a chunk must not take the others with it: they are done one by one.
    """
    together, wanted = batching(explain), set(todo)
    size = CHUNK if together else 1
    for start in range(0, len(targets), size):
        chunk = range(start, min(start + size, len(targets)))
        left = [i for i in chunk if i in wanted]
        if together and left and len(chunk) > 1:
            try:
                for i, found in zip(chunk, together(units, x, targets[start : start + size]), strict=True):  # fmt: skip # noqa: E501
                    if i in wanted:
                        yield i, found
                        left.remove(i)
            except FAILURES as problem:
                if full(problem):
                    raise
        for i in left:
            try:
                found = explain(units, x, targets[i])
            except FAILURES as problem:
                found = problem
            yield i, found


def batching(explain: Any) -> Callable[..., Any] | None:
    """The way of a method to explain several targets on the same inputs, where it has one."""
    for name in ("each", "many"):
        found = getattr(explain, name, None)
        if callable(found) and list(inspect.signature(found).parameters) == ["units", "x", "targets"]:  # fmt: skip # noqa: E501
            return found
    return None


def settled(
    units: Units, x: Any, target: Target, explain: Any, found: Evidence | BaseException,
    describe: Sequence[Describer], score: Sequence[Scorer[Any]],
) -> Explanation | BaseException:  # fmt: skip
    """The whole explanation of one target, or what went wrong with it alone."""
    try:
        if isinstance(found, BaseException):
            raise found
        made = Explanation(target.label, repr(explain), found)
        made = made.but(descriptions=tuple(d for say in describe for d in say(found)))
        return made.but(scores=tuple(judge(units, x, target, made) for judge in score))
    except FAILURES as problem:
        if full(problem):
            raise
        return problem


def full(problem: BaseException) -> bool:
    """Whether a disk is full: then no other target would fare better."""
    return isinstance(problem, OSError) and problem.errno in FULL


def named(target: Target, placed: Sequence[Placed]) -> str:
    """What a target is called: where the input is one picture, with it."""
    alone = placed[0].caption if len(placed) == 1 else ""
    return f"{target.label} in {alone}" if alone else target.label


def made_with() -> dict[str, str]:
    """What is of interest of a study, and no part of its identity."""
    import torch

    from legenda import __version__

    return {"legenda": __version__, "torch": torch.__version__.split("+")[0]}


def ignored(_: Step) -> None:
    """What hears nothing."""
