"""Pillow's warnings, kept from one thread while it reads an image.

`warnings.catch_warnings` swaps the filters of the whole process: two threads that leave it in
another order than they entered leave the filters of one of them behind. Here one filter stays in
place for good and asks which thread it is in, so nothing is swapped; whoever did not ask for
silence, be it the caller's own use of Pillow, hears every warning as before.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast


class _Thread(threading.local):
    silent = False


class _Pillow:
    """Stands where a filter has the pattern of the modules that it is for."""

    def match(self, module: str) -> bool:
        """Whether a warning comes from Pillow, in a thread that asked for silence."""
        return _HERE.silent and module.startswith("PIL.")


_HERE = _Thread()
_FILTER = ("ignore", None, Warning, _Pillow(), 0)


@contextmanager
def pillow_silenced() -> Iterator[None]:
    """Let Pillow say nothing in this thread."""
    filters = cast(list[Any], warnings.filters)
    if filters[:1] != [_FILTER]:  # others may have put theirs in front, or reset them all
        filters.insert(0, _FILTER)
    before, _HERE.silent = _HERE.silent, True
    try:
        yield
    finally:
        _HERE.silent = before
