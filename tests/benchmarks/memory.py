"""Peak memory of one forward pass that keeps everything, above the loaded model; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.networks import THREADS, TITLES, folder
from tests.benchmarks.timing import Row, row

LENGTH = 512

PEAK = """
import torch
from pathlib import Path
from tests.benchmarks.networks import ids, plain
from tests.benchmarks.timing import peak, resident
torch.set_num_threads({threads})
place, tokens = Path({place!r}), ids({length})
"""
OURS = """
import engine
model = engine.load(place)
stack = model.family.stacks[0]
engine.trace(model, ids={{stack: tokens[:16]}})
before = resident()
trace = engine.trace(model, ids={{stack: tokens}})
print(peak() - before, trace.nbytes / 2**20)
"""
THEIRS = """
forward = plain({kind!r}, place, "eager", output_attentions=True, output_hidden_states=True)
forward(torch.tensor([tokens[:16]]))
before = resident()
kept = forward(torch.tensor([tokens]))
print(peak() - before, sum(t.nbytes for t in kept.attentions + kept.hidden_states) / 2**20)
"""


def measure() -> list[Row]:
    """Rows of (what, ours, peer, ratio); the peer is the eager pass of `transformers`."""
    return beside("gpt2", f"{TITLES['gpt2']}, {LENGTH} tokens", folder("gpt2"), LENGTH)


def beside(kind: str, title: str, place: Path, length: int) -> list[Row]:
    """What is held at the peak, and what of it is kept."""
    about = {"kind": kind, "place": str(place), "length": length, "threads": THREADS}
    ours, theirs = (run((PEAK + script).format(**about)) for script in (OURS, THEIRS))
    lens = peers.ask("lens", "memory", kind, str(place), str(length))
    rows = []
    for at, what in enumerate(("peak memory with every site recorded", "… of which kept")):
        rows.append(row(f"{title}, {what}", [ours[at]], [theirs[at]], "MiB"))
        about_lens = f"({title}, TransformerLens, {what})"
        held = None if lens is None else ("peak", "kept")[at]
        rows.append(peers.missing(about_lens) if lens is None else row(about_lens, [lens[held]], [theirs[at]], "MiB"))
    return rows


def run(script: str) -> list[float]:
    """What the script printed, as numbers."""
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    return [float(number) for number in ran.stdout.split()]
