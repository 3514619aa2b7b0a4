"""A forward pass with every site recorded, beside the plain forward pass of `transformers` on the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from transformers import BertModel

import engine
from engine.tap import SILENT

ROUNDS = 60


def medians(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each, run in turn, so that a machine that slows down slows all of them."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 5):
        for work, spent in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            if turn >= 5:
                spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in times]


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (what, ours, peer, ratio)."""
    model = engine.load("minilm")
    folder = model.card.folder()
    plain, eager = (
        BertModel.from_pretrained(folder, attn_implementation=how, add_pooling_layer=False).eval()
        for how in ("sdpa", "eager")
    )
    rows = []
    for length in (16, 128, 512):
        ids = [101] + [2000 + 7 * i for i in range(length - 2)] + [102]
        batch = torch.tensor([ids])
        inputs = model.inputs(ids={"encoder": ids})

        def forward(network: BertModel, batch: torch.Tensor = batch, **options: bool) -> None:
            with torch.inference_mode():
                network(batch, **options)

        def silent(batch: torch.Tensor = batch) -> None:
            with torch.inference_mode():
                model.network(batch, tap=SILENT)

        peer, everything, ours, traced = medians(
            lambda: forward(plain),
            lambda: forward(eager, output_attentions=True, output_hidden_states=True),
            silent,
            partial(engine.trace, model, inputs),
        )
        peer_text = f"{peer * 1e3:.2f} ms"
        rows.append(
            (f"forward, nobody watching, {length} tokens", f"{ours * 1e3:.2f} ms", peer_text, f"{ours / peer:.2f}")
        )
        rows.append(
            (
                f"trace, every site recorded, {length} tokens",
                f"{traced * 1e3:.2f} ms",
                peer_text,
                f"{traced / peer:.2f}",
            )
        )
        rows.append(
            (
                f"(transformers with output_attentions, {length} tokens)",
                f"{everything * 1e3:.2f} ms",
                peer_text,
                f"{everything / peer:.2f}",
            )
        )
    return rows
