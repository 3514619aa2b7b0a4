"""Peak memory of tracing 512 tokens with every site recorded, above the loaded model; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

PEAK = """
import resource, torch
torch.set_num_threads(2)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
ids = [101] + [2000 + 7 * i for i in range(510)] + [102]
"""
OURS = """
import engine
model = engine.load("minilm")
engine.trace(model, ids={"encoder": ids[:16]})
before = peak()
trace = engine.trace(model, ids={"encoder": ids})
print(peak() - before, trace.nbytes / 2**20)
"""
THEIRS = """
import engine
from transformers import BertModel
model = BertModel.from_pretrained(
    engine.card("minilm").folder(), attn_implementation="eager", add_pooling_layer=False).eval()
with torch.inference_mode():
    model(torch.tensor([ids[:16]]))
    before = peak()
    kept = model(torch.tensor([ids]), output_attentions=True, output_hidden_states=True)
    print(peak() - before, sum(t.nbytes for t in kept.attentions + kept.hidden_states) / 2**20)
"""


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (what, ours, peer, ratio)."""
    (ours, kept), (theirs, their_kept) = (run(PEAK + script) for script in (OURS, THEIRS))
    return [
        (
            "peak memory at 512 tokens, everything recorded",
            f"{ours:.0f} MiB",
            f"{theirs:.0f} MiB",
            f"{ours / theirs:.2f}",
        ),
        ("… of which kept in the trace", f"{kept:.0f} MiB", f"{their_kept:.0f} MiB", f"{kept / their_kept:.2f}"),
    ]


def run(script: str) -> list[float]:
    """What the script printed, as numbers."""
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    return [float(number) for number in ran.stdout.split()]
