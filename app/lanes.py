"""Threads for one kind of work, off the event loop, and how much of it may wait for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch
from prometheus_client import Gauge, Histogram

from app.problems import Busy

T = TypeVar("T")


class Lane:
    """`threads` threads, and at most `queue` pieces of work that wait for one (any number where it is None).

    Belongs to one event loop. torch counts its threads per calling thread, so that each of ours has to say it.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        *,
        torch_threads: int,
        queue: int | None = None,
        gauge: Gauge | None = None,
        histogram: Histogram | None = None,
    ) -> None:
        self.name = name
        self.threads = threads
        self.queue = queue
        self.under_way = 0  # running or waiting
        self.seconds = 1.0  # a running mean of one piece of work: what Retry-After is made of
        self._gauge = gauge
        self._histogram = histogram
        self._executor = ThreadPoolExecutor(threads, name, initializer=partial(torch.set_num_threads, torch_threads))

    async def run(self, work: Callable[[], T], *, admitted: bool = False) -> T:
        """What `work` gives, from another thread; `Busy` where too much is waiting already.

        What goes on with something that was let in before is `admitted`, and waits however much does.
        """
        if not admitted and self.queue is not None and self.under_way >= self.threads + self.queue:
            wait = self.patience()
            raise Busy(
                f"{self.under_way} are under way. Try again in {wait} seconds.", headers={"retry-after": str(wait)}
            )
        self._count(+1)
        placed = self._executor.submit(_timed, work)
        running = asyncio.wrap_future(placed)
        running.add_done_callback(self._land)
        try:
            return (await asyncio.shield(running))[0]
        except asyncio.CancelledError:
            placed.cancel()  # what has begun keeps its place until it is done: nobody can stop a thread
            raise

    def patience(self) -> int:
        """In how many seconds all that is under way should be done: at least 1."""
        return max(1, round(self.under_way * self.seconds / self.threads))

    def close(self) -> None:
        """Stop the threads, letting what runs finish."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _land(self, done: asyncio.Future[tuple[T, float]]) -> None:
        self._count(-1)
        if done.cancelled() or done.exception():
            return
        seconds = done.result()[1]
        self.seconds += (seconds - self.seconds) / 8
        if self._histogram:
            self._histogram.observe(seconds)

    def _count(self, change: int) -> None:
        self.under_way += change
        if self._gauge:
            self._gauge.set(self.under_way)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started
