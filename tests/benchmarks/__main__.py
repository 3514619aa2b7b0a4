"""`make bench`: one table of what Headlight costs beside its peers, measured in one run."""

from __future__ import annotations

import logging
import os

import torch
import transformers

from app import logs
from app.settings import Settings
from tests.benchmarks import drawing, forward, load, long, memory

HEADINGS = ("what", "Headlight", "peer or goal", "ratio")


def main() -> None:
    """Measure everything and print it as a Markdown table, which the README quotes."""
    transformers.utils.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    logs.configure(Settings(log_level="warning"))
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    rows = [HEADINGS, *memory.measure(), *forward.measure(), *long.measure(), *load.measure(), *drawing.measure()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print("\n".join(lines))


main()
