"""A model that is heard at every pass, so that long work on it can be called off in the middle.

A method that optimises asks its model again and again, and knows nothing of who waits for it. What
stands for the model here answers just as the model does, and tells beforehand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PASSES = ("run", "prefix", "resume")
"""What makes a model, or its first half, compute."""


@dataclass(frozen=True)
class Heard:
    """A model, or the first half of one, that tells of each pass.

    Parameters
    ----------
    inner: what answers.
    tell: is called before each pass; whatever it raises ends the work.
    """

    inner: Any
    tell: Callable[[], None]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in PASSES:
            return found

        def told(*args: Any, **more: Any) -> Any:
            self.tell()
            made = found(*args, **more)
            return Heard(made, self.tell) if name == "prefix" else made

        return told
