"""What TransformerLens' `run_with_cache` costs. Runs among the peers and prints JSON: see peers.py."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from tests.benchmarks.networks import KINDS, THREADS, agree, ids
from tests.benchmarks.timing import medians, peak, resident

SAVED = {"gpt2": {"use_cache": False, "logits_to_keep": 1}}
"""How the whole saved network is run, head and all: TransformerLens needs one."""


class Lens:
    """The bridge over a network of `transformers`, with the plain fused network beside it where that is wanted."""

    def __init__(self, kind: str, place: Path, *, plain: bool) -> None:
        about = KINDS[kind]
        load = partial(about.saved.from_pretrained, place)
        self.running: dict[str, Any] = SAVED.get(kind, {})
        self.fused = load(attn_implementation="sdpa").eval() if plain else None
        self.bridge = TransformerBridge.boot_transformers(
            str(place), hf_model=load(attn_implementation="eager").eval(), device="cpu"
        )

    def plain(self, batch: Tensor) -> Tensor:
        assert self.fused is not None
        with torch.inference_mode():
            logits: Tensor = self.fused(batch, **self.running).logits
            return logits

    def cached(self, batch: Tensor) -> tuple[Tensor, Any]:
        with torch.inference_mode():
            logits, cache = self.bridge.run_with_cache(batch, **self.running)
            return logits, cache


def time(kind: str, place: Path, rounds: int, lengths: list[int]) -> dict[str, Any]:
    """Milliseconds of both, for each length."""
    lens = Lens(kind, place, plain=True)
    times = []
    for length in lengths:
        batch = torch.tensor([ids(length)])
        agree(lens.cached(batch)[0], lens.plain(batch))
        works = partial(lens.plain, batch), partial(lens.cached, batch)
        times.append([1e3 * seconds for seconds in medians(*works, rounds=rounds)])
    plain, cached = map(list, zip(*times, strict=True))
    return {"plain": plain, "lens": cached}


def memory(kind: str, place: Path, length: int) -> dict[str, Any]:
    """MiB above the loaded model: at the peak, and kept in the cache, each storage counted once."""
    lens = Lens(kind, place, plain=False)
    lens.cached(torch.tensor([ids(16)]))
    before = resident()
    _, cache = lens.cached(torch.tensor([ids(length)]))
    high = peak()
    own = {weights.untyped_storage().data_ptr() for weights in lens.bridge.parameters()}
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in cache.values()}
    kept = sum(size for at, size in storages.items() if at not in own)
    return {"peak": high - before, "kept": kept / 2**20}


def main() -> None:
    """`time KIND FOLDER ROUNDS LENGTH...` or `memory KIND FOLDER LENGTH`."""
    torch.set_num_threads(THREADS)
    what, kind, place, *numbers = sys.argv[1:]
    first, *others = map(int, numbers)
    measured = time(kind, Path(place), first, others) if what == "time" else memory(kind, Path(place), first)
    print(json.dumps(measured))


main()
