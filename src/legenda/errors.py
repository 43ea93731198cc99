"""Every error legenda raises on purpose.

LegendaError
├── BadInput      what the user gave cannot be read or makes no sense
│   └── ShapeError    a tensor has the wrong axes
├── Missing       a file, folder, package, device or weight is not there
├── Unsupported   this method cannot be used with this model or target
└── Refused       something is there but legenda will not use it, with the reason

Every message says who needs what, what it got, and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class LegendaError(Exception):
    """Base class, so that one `except` catches everything legenda means to say."""


class BadInput(LegendaError, ValueError):
    """Something the user gave cannot be read, or makes no sense."""


class ShapeError(BadInput):
    """A tensor does not have the axes its name promises."""


class Missing(LegendaError):
    """A file, folder, package, device or weight is not there."""


class Refused(LegendaError):
    """Something is there, but cannot be trusted: a wrong checkpoint, a failed self-check."""


class Unsupported(LegendaError):
    """A method was given a model or target it cannot work with."""

    def __init__(self, who: str, needs: str, got: object, instead: str):
        super().__init__(f"{who} needs {needs}; {got} has none. {instead}")


def near(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x' or 'y'?`, or nothing when no known name is near.

    Examples
    --------
    >>> near("block.9", ["blocks.9", "head"])
    " Did you mean 'blocks.9'?"
    """
    close = get_close_matches(name, list(names), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
