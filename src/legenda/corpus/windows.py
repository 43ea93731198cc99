"""Endless rows out of windows: which row comes when is known from numbers alone.

An epoch is cut into windows whose sizes are known before any is loaded. Rows are shuffled inside
their window, windows are filled by lot, and rows `step * size` to `(step + 1) * size` of the
endless sequence of epochs are the batch of a step. Loading takes place in one thread of its own:
the next window is made ready while this one is used, and whoever calls changes no number.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.errors import BadInput

ORDER, ROWS, POSITIONS, AGAIN = range(4)
"""The numbers by which the lots of one seed differ: of what fills windows, of the rows in them, of
positions in a picture, and of what stands in for a picture that cannot be read."""


class Window(NamedTuple):
    """A window by its numbers."""

    seed: int
    epoch: int
    number: int


class Span(NamedTuple):
    """Rows `begin` to `end` of a window."""

    window: Window
    begin: int
    end: int


Sizes = Callable[[int, int], Sequence[int]]
"""From a seed and an epoch to the sizes of its windows."""


class Windows:
    """Batches of rows, of which one window is held, and perhaps the next.

    Parameters
    ----------
    sizes: the sizes of the windows of an epoch; their sum is the same for all epochs.
    load: the rows of a window.
    ahead: load the next window while this one is used; holds twice as many.
    """

    def __init__(self, sizes: Sizes, load: Callable[[Window], Float[Tensor, "r d"]], ahead: bool):
        self.sizes, self.load, self.ahead = sizes, load, ahead
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="rows")
        self._held: dict[Window, Future[tuple[Tensor, Tensor]]] = {}

    def batch(self, step: int, size: int, seed: int) -> Float[Tensor, "r d"]:
        """The rows of a step."""
        parts = []
        for span in spans(self.sizes, step, size, seed):
            rows, order = self._window(span.window)
            parts.append(rows[order[span.begin : span.end]].float())
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def close(self) -> None:
        """Let the thread go, and what it holds."""
        self._hands.shutdown(wait=True, cancel_futures=True)
        self._held.clear()

    def _window(self, window: Window) -> tuple[Tensor, Tensor]:
        wanted = [window, self._after(window)] if self.ahead else [window]
        for other in [w for w in self._held if w not in wanted]:
            self._held.pop(other).cancel()
        if window not in self._held:
            self._held[window] = self._hands.submit(self._ready, window)
        found = self._held[window].result()
        for coming in wanted[1:]:
            if coming not in self._held:
                self._held[coming] = self._hands.submit(self._ready, coming)
        return found

    def _ready(self, window: Window) -> tuple[Tensor, Tensor]:
        rows = self.load(window)
        return rows, torch.randperm(len(rows), generator=lot(ROWS, *window))

    def _after(self, window: Window) -> Window:
        last = len(self.sizes(window.seed, window.epoch)) - 1
        if window.number < last:
            return window._replace(number=window.number + 1)
        return Window(window.seed, window.epoch + 1, 0)


def spans(sizes: Sizes, step: int, size: int, seed: int) -> Iterator[Span]:
    """Where the rows of a step lie."""
    if step < 0 or size < 1:
        raise BadInput(f"a batch needs a step from 0 and a size from 1; it got {step} and {size}.")
    count = sum(sizes(seed, 0))
    at, end = step * size, (step + 1) * size
    while at < end:
        epoch, within = divmod(at, count)
        starts = [0, *accumulate(sizes(seed, epoch))]
        number = bisect_right(starts, within) - 1
        take = min(end - at, starts[number + 1] - within)
        begin = within - starts[number]
        yield Span(Window(seed, epoch, number), begin, begin + take)
        at += take


def lot(*numbers: int) -> torch.Generator:
    """A generator of its own for each list of numbers."""
    drawn = hashlib.sha256(repr(numbers).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(drawn[:7]))
