"""What a server answers, over loopback: the first picture of a sentence, and all maps at once beside BertViz' pages."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import httpx
import safetensors.torch
import torch

import engine
from app.settings import Settings
from tests.benchmarks import peers
from tests.benchmarks.forward import silent
from tests.benchmarks.networks import THREADS, TITLES, folder, plain
from tests.benchmarks.timing import ROUNDS, Row, medians, row
from tests.serving import served

LENGTH = 128
WORDS = "the cat dog cow hen pig fox bat owl ant bee deer and rat".split()  # 16 tokens with [CLS] and [SEP]


def measure() -> list[Row]:
    """Rows of (what, ours, peer or goal, ratio)."""
    return [first_picture(), *maps("gpt2", TITLES["gpt2"], folder("gpt2"))]


def first_picture(rounds: int = ROUNDS) -> Row:
    """From a sentence of 16 tokens that nobody has traced to its first map, beside the forward pass alone."""
    model = engine.load("minilm")
    sentences = (" ".join(words) for words in itertools.permutations(WORDS))
    inputs = model.inputs(next(sentences))
    assert len(inputs.tokens["encoder"]) == 16
    settings = Settings(torch_threads=THREADS, log_level="warning")
    with served(settings) as url, httpx.Client(base_url=f"{url}/api/v1") as client:

        def picture() -> None:
            trace = client.post("/traces", json={"text": next(sentences)}).raise_for_status().json()
            client.get(f"/traces/{trace['id']}/heads").raise_for_status()
            asked = {"layers": 5, "heads": 11}
            client.get(
                f"/traces/{trace['id']}/attention", params=asked, headers={"accept": "application/vnd.safetensors"}
            ).raise_for_status()

        ours, forward = medians(picture, partial(silent, model, inputs), rounds=rounds)
    return row("MiniLM, 16 tokens, from sentence to first map (goal: ≤ 3)", [1e3 * ours], [1e3 * forward], "ms")


def maps(kind: str, title: str, place: Path, length: int = LENGTH, rounds: int = 9) -> list[Row]:
    """Every map of a text as bytes, of a trace that is there already."""
    text = ("the cat that chased the mouse which ate the cheese " * length)[:length]  # a token each byte
    settings = Settings(models=(str(place),), torch_threads=THREADS, log_level="warning")
    headers = {"accept": "application/vnd.safetensors", "accept-encoding": "gzip"}
    with served(settings) as url, httpx.Client(base_url=f"{url}/api/v1", timeout=60) as client:
        made = client.post("/traces", json={"model": place.name, "text": text}).raise_for_status().json()

        def all_maps() -> httpx.Response:
            address = f"/traces/{made['id']}/attention"
            return client.get(address, params={"dtype": "u8"}, headers=headers).raise_for_status()

        answer = all_maps()
        (took,) = medians(all_maps, rounds=rounds)
    batch = torch.tensor([[token.id for token in engine.load(place).inputs(text).tokens["decoder"]]])
    expected = torch.stack(plain(kind, place, "eager", output_attentions=True)(batch).attentions)[:, 0]
    (ours,) = safetensors.torch.load(answer.content).values()
    if (ours / 255 - expected).abs().max() > 0.5 / 255 + 1e-3:
        raise RuntimeError("The maps are not those that `transformers` computes.")
    count = ours.shape[0] * ours.shape[1]
    title = f"{title}, all {count} maps of {length} tokens"
    sizes = len(answer.content) / 1e6, answer.num_bytes_downloaded / 1e6
    rows = [
        row(f"{title}, u8, derived and sent", [1e3 * took], [150], "ms"),
        row("… MB before content-encoding", [sizes[0]], [2.5], "MB"),
        row("… MB as sent to who takes gzip", [sizes[1]], [2.5], "MB"),
    ]
    pages = peers.ask("views", kind, str(place), str(length))
    for view in ("head_view", "model_view"):
        what = f"the same beside BertViz' `{view}`: ms / MB / MB in gzip"
        if pages is None:
            rows.append(peers.missing(what))
            continue
        page = pages[view]
        theirs = [page["ms"], page["bytes"] / 1e6, page["packed"] / 1e6]
        rows.append(row(what, [1e3 * took, *sizes], theirs))
    return rows
