"""What a running studio holds: the atlas, who works, and what it may do."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from legenda.atlas.store import Atlas
from legenda.studio.jobs import Jobs
from legenda.studio.live_models import Bench, Openers
from legenda.studio.live_uploads import Uploads
from legenda.studio.security import MOST, PATIENCE
from legenda.studio.threads import READERS, Threads

Read = Callable[..., Any]


@dataclass(frozen=True)
class Settings:
    """How a studio is run.

    Parameters
    ----------
    edit: whether results and names are written into the atlas; else nothing is.
    models: references that live work may open beside the shipped ones of the atlas.
    device: where models are opened.
    most: bytes that a request may send; more takes larger pictures.
    patience: seconds that a request, and its answer, may take.
    readers: threads that read pages.
    against: an atlas to compare with.
    """

    edit: bool = False
    models: tuple[str, ...] = ()
    device: str = "cpu"
    most: int = MOST
    patience: float = PATIENCE
    readers: int = READERS
    against: Atlas | None = None


@dataclass(frozen=True, eq=False)
class Studio:
    """A running studio; `token` is what only its own pages know."""

    atlas: Atlas
    how: Settings
    threads: Threads
    jobs: Jobs
    bench: Bench
    uploads: Uploads
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @classmethod
    def of(cls, atlas: Atlas, how: Settings, openers: Openers | None = None) -> "Studio":
        """Everything at hand, nothing opened yet."""
        threads = Threads(how.readers)
        bench = Bench(atlas, how.models, how.device, openers or Openers())
        return cls(atlas, how, threads, Jobs(threads), bench, Uploads())

    def close(self) -> None:
        """Call off what goes on, and give the atlas back."""
        self.jobs.close()
        self.threads.close()
        self.atlas.close()
        if self.how.against:
            self.how.against.close()
