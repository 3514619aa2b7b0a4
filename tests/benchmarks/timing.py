"""Works measured in turn, in one process: a machine that slows down slows all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

Row = tuple[str, str, str, str]
"""What was measured, ours, a peer or a goal, and ours divided by it."""

ROUNDS = 40
WARM = 3
"""Rounds that are not counted."""


def medians(*works: Callable[[], object], rounds: int = ROUNDS, warm: int = WARM) -> list[float]:
    """Median seconds of each. What a work returns is let go of before the next begins."""
    times: list[list[float]] = [[] for _ in works]
    gc.collect()
    for turn in range(rounds + warm):
        for work, spent in zip(works, times, strict=True):
            start = time.perf_counter()
            made = work()
            took = time.perf_counter() - start
            del made
            if turn >= warm:
                spent.append(took)
    return [statistics.median(spent) for spent in times]


def row(what: str, ours: list[float], beside: list[float], unit: str = "") -> Row:
    """One row of several measurements, in the order in which `what` names them."""
    ratios = [mine / other for mine, other in zip(ours, beside, strict=True)]
    return (
        what,
        f"{several(ours)} {unit}".rstrip(),
        f"{several(beside)} {unit}".rstrip(),
        " / ".join(f"{ratio:.2f}" for ratio in ratios),
    )


def several(numbers: list[float]) -> str:
    """Numbers with three significant digits, whole ones from 100 on."""
    return " / ".join(f"{number:,.0f}" if number >= 100 else f"{number:.3g}" for number in numbers)


def at_lengths(lengths: tuple[int, ...]) -> str:
    """`16 / 128 / 512 tokens`."""
    return f"{' / '.join(map(str, lengths))} tokens"


def resident() -> float:
    """MiB that this process holds; the peak is counted from here on (Linux; elsewhere from its start)."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak()
    return _status("VmRSS")


def peak() -> float:
    """MiB that this process held at most. Unlike ru_maxrss, this knows nothing of the process that started it."""
    return _status("VmHWM")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))
