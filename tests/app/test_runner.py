"""One forward at a time, a bounded queue, and nothing computed twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

import engine
from app.metrics import Metrics
from app.problems import Busy
from app.runner import LocalRunner, Recipe, load_model, served_folders
from app.settings import BadSetting, Settings
from engine.registry import Bundled
from tests.app.conftest import FLAGSHIP, MAPS, Serve, make, problem


class Gate:
    """Stands in front of one of the engine's functions: real ones, that wait until the test lets them run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str = "trace") -> None:
        self.open = Event()
        self.reached = Event()
        self.calls = 0
        self.threads: set[int] = set()
        real = getattr(engine, name)

        def gated(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            self.threads.add(get_ident())
            self.reached.set()
            assert self.open.wait(5)
            return real(*args, **kwargs)

        monkeypatch.setattr(engine, name, gated)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()


def posted(pool: ThreadPoolExecutor, client: TestClient, text: str) -> Future[Any]:
    return pool.submit(client.post, "/api/v1/traces", json={"text": text})


def until(true: Any) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_queue_is_refused_and_says_when_to_come_back(serve: Serve, gate: Gate) -> None:
    with ThreadPoolExecutor(4) as pool, serve(queue_size=1, preload=False) as client:
        runner = client.app.state.runner  # type: ignore[attr-defined]
        running = posted(pool, client, "runs")
        assert gate.reached.wait(10)
        waiting = posted(pool, client, "waits")
        until(lambda: runner._forward.under_way == 2)
        runner._forward.seconds = 7.0
        refused = client.post("/api/v1/traces", json={"text": "is refused"})
        assert refused.headers["retry-after"] == "14"
        assert "Try again in 14 seconds" in problem(refused, 503)["detail"]
        gate.open.set()
        assert running.result(10).status_code == waiting.result(10).status_code == 201
        assert make(client, "is refused")
        assert len(gate.threads) == 1
        assert runner._forward.seconds < 7, "what passes really take is learnt from them"


def test_a_running_forward_does_not_delay_what_is_known(serve: Serve, gate: Gate) -> None:
    with ThreadPoolExecutor(2) as pool, serve(preload=False) as client:
        gate.open.set()
        known = make(client, FLAGSHIP)["id"]
        gate.open.clear()
        gate.reached.clear()
        running = posted(pool, client, "slow")
        assert gate.reached.wait(10)
        assert client.get(MAPS.format(id=known)).status_code == 200
        assert make(client, FLAGSHIP)["id"] == known
        assert client.get("/").status_code == 200
        assert client.get("/health/live").status_code == 200
        assert not running.done()
        gate.open.set()
        assert running.result(10).status_code == 201


@pytest.fixture
def maps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """The same in front of `engine.attention`."""
    gate = Gate(monkeypatch, "attention")
    yield gate
    gate.open.set()


def test_waiting_answers_are_bounded_and_delay_nothing_quick(serve: Serve, maps: Gate) -> None:
    with ThreadPoolExecutor(4) as pool, serve(derive_threads=1, derive_queue_size=1) as client:
        runner = client.app.state.runner  # type: ignore[attr-defined]
        url = MAPS.format(id=make(client, FLAGSHIP)["id"])
        slow = [pool.submit(client.get, f"{url}?layers={layer}") for layer in range(2)]
        until(lambda: runner._deriving.under_way == 2)
        runner._deriving.seconds = 21.0
        refused = client.get(url)
        assert refused.headers["retry-after"] == "42"
        assert "42 seconds" in problem(refused, 503)["detail"]
        for quick in ("/", "/api/docs", "/api/v1/models", "/api/v1/models/minilm", "/health/live"):
            assert client.get(quick).status_code == 200, quick
        assert make(client, FLAGSHIP)
        assert make(client, "a text that is new")
        assert not any(answer.done() for answer in slow)
        maps.open.set()
        assert {answer.result(10).status_code for answer in slow} == {200}
        assert client.get(url).status_code == 200


@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_answers_are_derived_at_once_as_are_allowed(serve: Serve, maps: Gate, threads: int) -> None:
    with ThreadPoolExecutor(4) as pool, serve(derive_threads=threads) as client:
        url = MAPS.format(id=make(client, FLAGSHIP)["id"])
        answers = [pool.submit(client.get, f"{url}?layers={layer}") for layer in range(4)]
        until(lambda: client.app.state.runner._deriving.under_way == 4)  # type: ignore[attr-defined]
        until(lambda: maps.calls >= threads)
        time.sleep(0.1)
        assert maps.calls == threads
        maps.open.set()
        assert {answer.result(10).status_code for answer in answers} == {200}


def test_who_leaves_frees_no_place(minilm: engine.Model) -> None:
    async def scenario() -> None:
        runner = LocalRunner(Settings(preload=False, derive_threads=1, derive_queue_size=0), Metrics())
        go = Event()
        leaves = asyncio.create_task(runner.derive(lambda: go.wait(5)))
        await asyncio.sleep(0.05)
        leaves.cancel()
        await asyncio.sleep(0.05)
        with pytest.raises(Busy):
            await runner.derive(lambda: None)
        go.set()
        while runner._deriving.under_way:
            await asyncio.sleep(0.01)
        assert await runner.derive(lambda: "free again") == "free again"
        runner.close()

    asyncio.run(scenario())


def test_equal_requests_share_one_forward(serve: Serve, gate: Gate) -> None:
    with ThreadPoolExecutor(8) as pool, serve(preload=False) as client:
        first = [posted(pool, client, "the same sentence") for _ in range(8)]
        assert gate.reached.wait(10)
        metric = client.app.state.metrics.traces.labels("shared")  # type: ignore[attr-defined]
        until(lambda: metric._value.get() == 7)
        gate.open.set()
        assert len({answer.result(10).json()["id"] for answer in first}) == 1
        assert gate.calls == 1


def test_who_leaves_takes_nothing_from_the_others(minilm: engine.Model, gate: Gate) -> None:
    async def scenario() -> None:
        runner = LocalRunner(Settings(preload=False), Metrics())
        runner._loaded["minilm"] = minilm
        recipe = Recipe("minilm", "two visitors, one sentence")
        leaves = asyncio.create_task(runner.trace(recipe))
        stays = asyncio.create_task(runner.trace(recipe))
        while not gate.reached.is_set():
            await asyncio.sleep(0.01)
        leaves.cancel()
        await asyncio.sleep(0.01)
        gate.open.set()
        trace = await stays
        assert leaves.cancelled()
        assert trace.digest in runner._traces
        assert not runner._flights
        assert runner._forward.under_way == 0
        runner.close()

    asyncio.run(scenario())
    assert gate.calls == 1


def test_all_leave_and_the_trace_is_kept(minilm: engine.Model, gate: Gate) -> None:
    async def scenario() -> None:
        runner = LocalRunner(Settings(preload=False), Metrics())
        runner._loaded["minilm"] = minilm
        leaves = asyncio.create_task(runner.trace(Recipe("minilm", "nobody waits")))
        while not gate.reached.is_set():
            await asyncio.sleep(0.01)
        leaves.cancel()
        gate.open.set()
        while runner._flights:
            await asyncio.sleep(0.01)
        assert len(runner._traces) == 1
        runner.close()

    asyncio.run(scenario())


def test_a_forward_that_fails_frees_its_place(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(queue_size=0, preload=False) as client:
        with monkeypatch.context() as broken:
            broken.setattr(engine, "trace", lambda *_: 1 / 0)
            for _ in range(3):
                problem(client.post("/api/v1/traces", json={"text": "fails"}), 500)
        assert make(client, "fails no more")


def test_torch_never_runs_on_the_event_loop(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, set[str]] = {}

    def watch(name: str) -> None:
        real = getattr(engine, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            names.setdefault(name, set()).add(str(torch.get_num_threads()))
            return real(*args, **kwargs)

        monkeypatch.setattr(engine, name, watched)

    watched = ("trace", "digest", "attention", "heads", "arithmetic")
    for name in watched:
        watch(name)
    with serve(torch_threads=1) as client:
        id = make(client, FLAGSHIP)["id"]
        client.post("/api/v1/attention", json={"text": FLAGSHIP})
        client.get(f"/api/v1/traces/{id}/heads")
        client.get(f"/api/v1/traces/{id}/arithmetic?layer=0&head=0&query=0&key=0")
    assert set(names) == set(watched)
    assert set.union(*names.values()) == {"1"}


def test_a_model_is_loaded_once_for_all_who_ask(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls, go = load_model, [], Event()

    def slow(name: str, *, device: str, progress: Any) -> engine.Model:
        calls.append(name)
        assert go.wait(10)
        return real(name, device=device, progress=progress)

    with serve(preload=False) as client, ThreadPoolExecutor(4) as pool:
        monkeypatch.setattr("app.runner.load_model", slow)
        assert client.get("/api/v1/models").json()[0]["status"] == "ready"
        answers = [posted(pool, client, text) for text in ("one", "two", "three")]
        until(lambda: calls)
        assert client.get("/api/v1/models").json()[0]["status"] == "loading"
        go.set()
        assert {answer.result(10).status_code for answer in answers} == {201}
        assert calls == ["minilm"]
        assert client.get("/api/v1/models").json()[0]["status"] == "loaded"


def test_a_folder_is_served_under_its_name(serve: Serve, tiny: Path) -> None:
    with serve(models=str(tiny), default_model=tiny.name) as client:
        here = {model["id"] for model in client.get("/api/v1/models").json() if model["status"] != "absent"}
        assert here == {"minilm", tiny.name} | {
            card.id for card in engine.cards() if isinstance(card.sources[0], Bundled)
        }
        body = make(client, "a cat", model=tiny.name)
        assert body["model"] == tiny.name
        assert body["stacks"][0]["layers"] == 2
        assert make(client, "a cat", model="minilm")["id"] != body["id"]
        assert client.get("/").status_code == 200


def test_a_folder_is_asked_for_by_its_own_name_however_it_is_written(
    serve: Serve, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny)
    with serve(models=f".,{tiny}", default_model=tiny.name) as client:
        assert [model["id"] for model in client.get("/api/v1/models").json()][-1] == tiny.name


@pytest.mark.parametrize(
    ("folders", "says"),
    [(["minilm"], "taken"), (["a/tiny", "b/tiny"], "Two folders"), (["nowhere"], "no folder"), (["/"], "taken")],
)
def test_names_that_would_replace_each_other_are_refused(tmp_path: Path, folders: list[str], says: str) -> None:
    for folder in folders:
        if folder != "nowhere":
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(BadSetting, match=says):
        served_folders([str(tmp_path / folder) for folder in folders], taken={"minilm"})


def test_a_model_is_loaded_on_the_device_that_is_set(
    serve: Serve, minilm: engine.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = []

    def loaded(name: str, *, device: str, progress: Any) -> engine.Model:
        devices.append(device)
        return minilm

    with serve(device="meta", preload=False) as client:
        monkeypatch.setattr("app.runner.load_model", loaded)
        assert make(client, "anything")
    assert devices == ["meta"]


@pytest.mark.parametrize("name", ["../tiny", "/etc", "google/some-model", ".", "minilm/../minilm"])
def test_requests_name_no_folder_and_no_hub(client: TestClient, name: str) -> None:
    problem(client.post("/api/v1/traces", json={"model": name, "text": "hello"}), 404)
