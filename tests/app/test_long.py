"""Long texts over HTTP: what is sent is small, and work for a client that has left ends."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import torch
import transformers

import engine
from app.lanes import Lane
from app.settings import Settings
from tests.app.conftest import FLAGSHIP, Serve, make, problem
from tests.serving import served

U8 = {"accept": "application/vnd.safetensors"}


@pytest.fixture(scope="session")
def tiny_long(folders: dict[str, Path]) -> Path:
    return folders["tiny-long"]


@pytest.fixture(scope="session")
def heads_of_gpt2(tmp_path_factory: pytest.TempPathFactory, tiny_long: Path) -> Path:
    """12 layers of 12 heads, each of them tiny."""
    folder = tmp_path_factory.mktemp("models") / "many-heads"
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=400, n_embd=48, n_layer=12, n_head=12, n_positions=128)
    network = transformers.GPT2LMHeadModel(config)
    for weights in network.parameters():
        weights.data += 0.2 * torch.randn_like(weights)
    network.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((tiny_long / "tokenizer.json").read_bytes())
    return folder


def test_all_maps_of_128_tokens_are_small_and_packed(serve: Serve, heads_of_gpt2: Path) -> None:
    with serve(models=(str(heads_of_gpt2),), preload=False) as client:
        trace = make(client, "x" * 128, model="many-heads")
        assert len(trace["tokens"]["decoder"]) == 128
        url = f"/api/v1/traces/{trace['id']}/attention?dtype=u8"
        plain = client.get(url, headers={**U8, "accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert 144 * 128 * 128 < len(plain.content) <= 2_500_000
        with client.stream("GET", url, headers={**U8, "accept-encoding": "gzip"}) as packed:
            raw = b"".join(packed.iter_raw())
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) == len(raw) < len(plain.content) / 2
        assert gzip.decompress(raw) == plain.content
        assert packed.headers["etag"] == f"W/{plain.headers['etag']}"
        assert packed.headers["vary"] == "Accept, Accept-Encoding"
        again = client.get(url, headers={**U8, "accept-encoding": "gzip", "if-none-match": packed.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "content-encoding" not in again.headers
        floats = client.get(url.replace("u8", "f32"), headers={**U8, "accept-encoding": "gzip"})
        assert "content-encoding" not in floats.headers


def test_a_text_of_8192_tokens_is_explored_in_pieces(serve: Serve, tiny_long: Path) -> None:
    with serve(models=(str(tiny_long),), preload=False) as client:
        trace = make(client, "x" * 8192, model="tiny-long")
        assert len(trace["tokens"]["decoder"]) == 8192
        url = f"/api/v1/traces/{trace['id']}/attention"
        whole = problem(client.get(f"{url}?layers=1&heads=0"), 413)
        assert "size=" in whole["detail"]
        plain = {"accept": "application/json"}
        row = client.get(f"{url}?layers=1&heads=0&queries=8191", headers=plain).json()["values"][0][0][0]
        assert len(row) == 8192
        assert sum(row) == pytest.approx(1, abs=1e-4)
        tile = client.get(f"{url}?layers=1&heads=0&queries=8000-8191&keys=100-199", headers=plain).json()["values"]
        assert tile[0][0][-1] == pytest.approx(row[100:200], rel=1e-4)
        overview = client.get(f"{url}?layers=1&heads=0&size=64", headers=plain).json()
        assert len(overview["values"][0][0]) == 64
        assert overview["values"][0][0][-1][0] >= max(row[:128]) * (1 - 1e-5)
        heads = client.get(f"/api/v1/traces/{trace['id']}/heads?layers=1").json()
        assert heads["layers"] == [1]
        assert len(heads["sharpness"]) == 1
        problem(client.get(f"/api/v1/traces/{trace['id']}/heads?layers=2"), 422)


def test_work_ends_when_its_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(*_: Any, step: Any, **__: Any) -> Any:
        begun.set()
        try:
            while not ended.is_set():
                step()
                time.sleep(0.01)
        finally:
            ended.set()

    with served(Settings(derive_threads=1)) as url:
        monkeypatch.setattr(engine, "attention", endless)
        host, port = urlsplit(url).netloc.split(":")
        with socket.create_connection((host, int(port))) as client:
            body = json.dumps({"text": "a cat"})
            head = f"POST /api/v1/attention HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
            client.sendall(f"{head}content-type: application/json\r\n\r\n{body}".encode())
            assert begun.wait(30)
            time.sleep(0.3)
            assert not ended.is_set()  # whoever waits is not taken for gone
        assert ended.wait(10)


def test_what_has_not_begun_never_begins_for_a_client_that_left() -> None:
    async def scene() -> tuple[list[str], int]:
        lane = Lane("test", 1, torch_threads=1, queue=2)
        go, done = threading.Event(), []
        first = asyncio.ensure_future(lane.run(lambda: (go.wait(10), done.append("first"))))
        second = asyncio.ensure_future(lane.run(lambda: done.append("second")))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await asyncio.sleep(0.05)
        waiting = lane.under_way
        go.set()
        await first
        lane.close()
        return done, waiting

    assert asyncio.run(scene()) == (["first"], 1)


def test_room_is_made_before_a_trace_comes(serve: Serve) -> None:
    with serve(cache_bytes=8_000_000, preload=False) as client:
        traces = client.app.state.runner._traces  # type: ignore[attr-defined]
        most = 0
        make_room = traces.make_room

        def watched(weight: int) -> None:
            nonlocal most
            make_room(weight)
            most = max(most, traces.weight + weight)

        traces.make_room = watched
        for number in range(6):
            make(client, f"sentence number {number} that takes some of the room there is")
        assert 6_000_000 < most <= 8_000_000


def test_a_long_answer_delays_no_quick_one(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.routes.traces.QUICK", 6 * 12 * 15 * 15 - 1)  # all maps of the sentence are one too many
    go, real = threading.Event(), engine.attention

    def slow(*args: Any, **kwargs: Any) -> Any:
        if len(kwargs["layers"]) == 6:
            assert go.wait(10)
        return real(*args, **kwargs)

    monkeypatch.setattr(engine, "attention", slow)
    with ThreadPoolExecutor(4) as pool, serve(derive_threads=1) as client:
        url = f"/api/v1/traces/{make(client, FLAGSHIP)['id']}/attention"
        long = [pool.submit(client.get, f"{url}?size={size}") for size in (3, 4, 5)]
        for layer in range(5):
            assert client.get(f"{url}?layers={layer}").status_code == 200
        assert not any(answer.done() for answer in long)
        go.set()
        assert {answer.result(10).status_code for answer in long} == {200}


def test_thirty_two_explore_at_once_without_an_error(tiny_long: Path) -> None:
    """Maps, tiles, overviews, statistics, arithmetic, and texts that are new: all of them are answered."""
    with (
        served(Settings(models=(str(tiny_long),))) as url,
        httpx.Client(base_url=f"{url}/api/v1", timeout=60, limits=httpx.Limits(max_connections=32)) as client,
        ThreadPoolExecutor(32) as crowd,
    ):
        short = client.post("/traces", json={"text": FLAGSHIP}).json()["id"]
        long = client.post("/traces", json={"model": "tiny-long", "text": "x" * 2000}).json()["id"]

        def explore(who: int) -> list[int]:
            asked = [
                f"/traces/{short}/attention?layers={who % 6}&heads={who % 12}",
                f"/traces/{short}/attention?size=8&dtype=u8",
                f"/traces/{long}/attention?layers=1&heads=0&size=256",
                f"/traces/{long}/attention?layers=1&heads=1&queries={40 * who}-{40 * who + 255}&keys=0-255",
                f"/traces/{long}/heads?layers={who % 2}",
                f"/traces/{short}/arithmetic?layer=5&head=11&query={who % 15}&key=2",
            ]
            answers = [client.get(path).status_code for path in asked]
            answers.append(client.post("/traces", json={"text": f"text number {who % 8}"}).status_code)
            return answers

        assert [set(codes) for codes in crowd.map(explore, range(32))] == [{200, 201}] * 32
