"""Long texts, GPT-2 small's shape: what tracing and deriving 8,192 tokens takes, and overviews."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import engine
from tests.benchmarks import gpt2
from tests.benchmarks.memory import run

EVERYTHING = """
import time, torch
from tests.benchmarks.timing import peak
torch.set_num_threads(2)
import engine
model = engine.load({folder!r})
ids = [3 + (7 * i * i) % 250 for i in range({length})]
started = time.perf_counter()
trace = engine.trace(model, ids={{"decoder": ids}})
traced = time.perf_counter() - started
for layer in range(12):
    trace.slice(f"decoder.{{layer}}.self.pattern", head=[layer], query=[{length} - 1])
    engine.attention(trace, layers=[layer], heads=[layer], queries=range(5000, 5256), keys=range(3000, 3256))
    engine.attention(trace, layers=[layer], heads=[layer], size=256)
engine.attention(trace, layers=[0], size=48)
engine.heads(trace, layers=[0])
print(peak(), trace.nbytes / 2**20, traced)
"""

EAGER = 12 * 12 * gpt2.POSITIONS**2 * 4 / 2**20  # MiB of attention weights alone


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (what, ours, goal, ratio)."""
    with gpt2.folder() as folder:
        peak, kept, seconds = run(EVERYTHING.format(folder=str(folder), length=gpt2.POSITIONS))
        rows = [
            row("peak memory, 8,192 tokens traced and explored, whole process", peak, "MiB", 4096),
            ("… of which kept in the trace", f"{kept:.0f} MiB", f"{EAGER:.0f} MiB eagerly", f"{kept / EAGER:.2f}"),
            ("… seconds of tracing", f"{seconds:.1f} s", "", ""),
        ]
        return rows + overviews(folder)


def overviews(folder: Path) -> list[tuple[str, str, str, str]]:
    """Of one head: what a server's thread takes, on one torch thread and on two."""
    model = engine.load(folder)
    rows = []
    for length, goal in ((2048, 60.0), (gpt2.POSITIONS, None)):
        capture = engine.Capture(sites=("*.q", "*.k"))
        trace = engine.trace(model, ids={"decoder": [3 + (7 * i * i) % 250 for i in range(length)]}, capture=capture)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            took = median(lambda made=trace: engine.attention(made, layers=[5], heads=[3], size=256))
            what = f"256 × 256 overview of one head, {length:,} tokens, {threads} thread{'s' * (threads > 1)}"
            rows.append(row(what, took, "ms", goal))
    return rows


def row(what: str, ours: float, unit: str, goal: float | None) -> tuple[str, str, str, str]:
    """One row, with three significant digits."""
    beside = ("", "") if goal is None else (f"{goal:g} {unit}", f"{ours / goal:.2f}")
    return (what, f"{ours:.4g} {unit}" if ours >= 1000 else f"{ours:.3g} {unit}", *beside)


def median(work: Callable[[], object], rounds: int = 9) -> float:
    """Milliseconds, after a first time that is not counted."""
    work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)
