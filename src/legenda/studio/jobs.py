"""Long work, one piece after the other: how far it is can be followed, and it can be called off.

A job tells how far it is by a callback, which is also where it hears that it is to stop.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any, Literal

from legenda.errors import LegendaError, Missing, Refused
from legenda.studio.threads import Threads

Report = Callable[[str, int, int], None]
Work = Callable[[Report], dict[str, Any]]
State = Literal["waiting", "running", "done", "failed", "cancelled"]
OVER = ("done", "failed", "cancelled")
WAITING, KEPT = 8, 32
"""Jobs that may wait, and finished ones that are remembered."""
LOOK, BEAT = 0.05, 15.0
"""Seconds between looks at a job that is followed, and between signs of life."""


class Cancelled(Exception):
    """A job was called off."""


@dataclass(eq=False)
class Job:
    """A piece of work; `news` are its number, its state, and the newest that is to be said."""

    kind: str
    number: str = field(default_factory=lambda: secrets.token_hex(8))
    news: tuple[int, State, dict[str, Any]] = (0, "waiting", {"state": "waiting"})
    begun: float = 0.0
    stop: Event = field(default_factory=Event)
    future: Future[Any] | None = None

    def say(self, state: State, **more: Any) -> None:
        """Tell what is new."""
        self.news = self.news[0] + 1, state, {"state": state, **more}  # at once: others look on

    def report(self, what: str, done: int, total: int) -> None:
        """The callback that the work tells its progress by."""
        if self.stop.is_set():
            raise Cancelled
        took = time.monotonic() - self.begun
        left = took / done * (total - done) if 0 < done <= total else None
        self.say("running", what=what, done=done, total=total, seconds=took, left=left)

    @property
    def state(self) -> State:
        """Where it is."""
        return self.news[1]

    @property
    def over(self) -> bool:
        """Whether nothing more will be said."""
        return self.state in OVER


class Jobs:
    """All jobs of a server.

    Parameters
    ----------
    threads: where they are done.
    waiting: how many may wait; more are refused.
    """

    def __init__(self, threads: Threads, waiting: int = WAITING):
        self.threads, self.waiting, self.closing = threads, waiting, False
        self.all: dict[str, Job] = {}
        self.lock = Lock()

    def begin(self, kind: str, work: Work) -> Job:
        """Take work on, to be done when its turn comes."""
        with self.lock:
            left = [job for job in self.all.values() if not job.over]
            if len(left) > self.waiting:
                raise Refused(
                    f"the studio has {len(left)} jobs to do, and takes no more. Wait for them, or "
                    "call some off."
                )
            for job in [j for j in self.all.values() if j.over][:-KEPT]:
                del self.all[job.number]
            made = Job(kind)
            self.all[made.number] = made
            made.future = self.threads.work(lambda: done(made, work))
            return made

    def find(self, number: str) -> Job:
        """A job by its number."""
        if number not in self.all:
            raise Missing(f"there is no job {number[:40]!r}. It may have been long ago.")
        return self.all[number]

    def cancel(self, number: str) -> Job:
        """Call a job off; one that is under way stops at its next sign of progress."""
        job = self.find(number)
        job.stop.set()
        if job.future and job.future.cancel():
            job.say("cancelled")
        return job

    async def follow(self, number: str) -> AsyncIterator[str]:
        """What is new of a job, as server-sent events, until it is over.

        It looks again and again, which a thread that works need not know of.
        """
        job, seen, beat = self.find(number), -1, time.monotonic()
        while not self.closing:
            version, state, event = job.news
            if version != seen:
                seen, beat = version, time.monotonic()
                yield f"id: {seen}\ndata: {json.dumps(event)}\n\n"
            elif state in OVER:
                return
            elif time.monotonic() - beat > BEAT:
                beat = time.monotonic()
                yield ": still at it\n\n"
            await asyncio.sleep(LOOK)

    def close(self) -> None:
        """Call everything off."""
        self.closing = True
        for number in list(self.all):
            self.cancel(number)


def done(job: Job, work: Work) -> None:
    """Do the work of a job, and say how it ended."""
    job.begun = time.monotonic()
    try:
        with suppress(Cancelled):
            job.report("begun", 0, 0)
            result = work(job.report)
            job.say("done", result=result, seconds=time.monotonic() - job.begun)
            return
        job.say("cancelled")
    except LegendaError as problem:
        job.say("failed", error=str(problem))
    except MemoryError:
        job.say("failed", error="there is not enough memory for this. Ask for less.")
    except Exception as problem:  # noqa: BLE001 -- whatever a model raises, the page is told
        job.say("failed", error=f"{type(problem).__name__}: {problem}"[:500])
