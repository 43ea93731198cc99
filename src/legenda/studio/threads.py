"""Threads that stay: each keeps its connection to the atlas, and work never waits for reading.

Pages are read by a few threads, since more of them would only take turns; work on models has one of
its own, and what follows a hand, such as a slider, has another, which never waits behind a job.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
READERS = 3


class Threads:
    """Readers, a worker, and a quick hand.

    Parameters
    ----------
    readers: how many read; more serve slow pages side by side, and quick ones not faster.
    """

    def __init__(self, readers: int = READERS):
        self.readers = ThreadPoolExecutor(readers, "studio-reader")
        self.worker = ThreadPoolExecutor(1, "studio-worker")
        self.quick = ThreadPoolExecutor(1, "studio-quick")

    async def read(self, call: Callable[..., T], *args: Any, **more: Any) -> T:
        """Do it on a reader."""
        return await asyncio.wrap_future(self.readers.submit(call, *args, **more))

    async def at_once(self, call: Callable[..., T], *args: Any, **more: Any) -> T:
        """Do it beside whatever work goes on."""
        return await asyncio.wrap_future(self.quick.submit(call, *args, **more))

    def work(self, call: Callable[[], Any]) -> Future[Any]:
        """Do it when what was asked before is done."""
        return self.worker.submit(call)

    def close(self) -> None:
        """Begin nothing more."""
        for pool in (self.readers, self.worker, self.quick):
            pool.shutdown(wait=False, cancel_futures=True)
