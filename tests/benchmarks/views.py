"""What BertViz' pages take: time to make and bytes. Runs among the peers and prints JSON: see peers.py."""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path

import torch
from bertviz import head_view, model_view

from tests.benchmarks.networks import THREADS, ids, plain


def main() -> None:
    """`KIND FOLDER LENGTH`: of attentions that are there already, so the forward pass is not counted."""
    torch.set_num_threads(THREADS)
    kind, place, length = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    attentions = plain(kind, place, "eager", output_attentions=True)(torch.tensor([ids(length)])).attentions
    words = [f"t{at}" for at in range(length)]
    measured = {}
    for name, view in (("head_view", head_view), ("model_view", model_view)):
        start = time.perf_counter()
        page = view(attentions, words, html_action="return").data.encode()
        took = time.perf_counter() - start
        measured[name] = {"ms": 1e3 * took, "bytes": len(page), "packed": len(gzip.compress(page, 5, mtime=0))}
    print(json.dumps(measured))


main()
