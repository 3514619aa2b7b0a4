"""Thirty-two people explore at once, on loopback: how long a map of a cached trace takes, alone and among them.

Each looks at another head every `PAUSE` seconds, as a quick hand does, over a connection of its own; once in quiet, and
once while long texts are being traced. Requests are counted, and one that fails ends the benchmark.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.benchmarks.long import row

CLIENTS = 32
LOOKS = 30  # by each client
PAUSE = 0.5
TEXT = "The animal didn't cross the street because it was too tired. " * 8
LONGEST = "the cat that chased the mouse which ate the cheese " * 50  # as many tokens as the model takes

SERVER = """
import logging, sys
logging.disable(logging.WARNING)
from app import logs
from app.settings import Settings
from tests.serving import served
logs.configure(Settings(log_level="warning"))
with served(Settings(log_level="warning")) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@dataclass
class Looks:
    """Milliseconds of every answer."""

    maps: list[float]
    forwards: int = 0

    @property
    def p50(self) -> float:
        return statistics.median(self.maps)

    @property
    def p95(self) -> float:
        return sorted(self.maps)[int(0.95 * len(self.maps))]


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (what, ours, goal, ratio)."""
    with apart() as url:
        alone = asyncio.run(explored(url, 1))
        crowd = asyncio.run(explored(url, CLIENTS))
        busy = asyncio.run(explored(url, CLIENTS, tracing=True))
    goal = 5 * alone.p50
    return [
        row("a cached map over HTTP, one client, median", alone.p50, "ms", None),
        row(f"… {CLIENTS} clients at once, 95th percentile of {len(crowd.maps)}", crowd.p95, "ms", goal),
        row(f"… and {busy.forwards} forward passes meanwhile, 95th percentile", busy.p95, "ms", goal),
    ]


@contextmanager
def apart() -> Iterator[str]:
    """The address of a server in a process of its own, which shares no interpreter with its clients."""
    command = [sys.executable, "-W", "ignore", "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


async def explored(url: str, clients: int, *, tracing: bool = False) -> Looks:
    """What `clients` see who explore one text, each over a connection of its own."""
    looks = Looks([])
    limits = httpx.Limits(max_connections=clients + 1, max_keepalive_connections=clients + 1)
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=60, limits=limits) as client:
        made = (await client.post("/traces", json={"text": TEXT})).raise_for_status().json()
        stop = asyncio.Event()
        others = asyncio.create_task(trace_on(client, stop, looks)) if tracing else None
        await asyncio.gather(*(explore(client, made["id"], seed, looks) for seed in range(clients)))
        stop.set()
        if others:
            await others
    return looks


async def explore(client: httpx.AsyncClient, id: str, seed: int, looks: Looks) -> None:
    """One client: another head every now and then, no two of them in step."""
    rng = random.Random(seed)
    await asyncio.sleep(PAUSE * rng.random())
    for _ in range(LOOKS):
        where = {"layers": rng.randrange(6), "heads": rng.randrange(12)}
        started = time.perf_counter()
        (await client.get(f"/traces/{id}/attention", params=where)).raise_for_status()
        looks.maps.append(1e3 * (time.perf_counter() - started))
        await asyncio.sleep(PAUSE * (0.5 + rng.random()))


async def trace_on(client: httpx.AsyncClient, stop: asyncio.Event, looks: Looks) -> None:
    """Texts that nobody has traced before, one after the other."""
    while not stop.is_set():
        text = " ".join(LONGEST.split()[:480]) + f" number {looks.forwards}"
        (await client.post("/traces", json={"text": text})).raise_for_status()
        looks.forwards += 1
