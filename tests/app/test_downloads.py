"""Downloads over HTTP and from the command line: allowed, told about, shared, stopped, refused."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import engine
from app.__main__ import downloading, main
from app.downloads import Abandoned, Downloads, choose, offered
from app.lanes import Lane
from app.metrics import Metrics
from app.problems import NotOffered, UnknownModel
from app.settings import BadSetting, Settings
from engine.errors import HubUnreachable
from tests.app.conftest import Serve, make, problem
from tests.app.test_cli import headlight, refused, serving
from tests.app.test_runner import until
from tests.hub import COMMIT, Hub, environment
from tests.serving import served

NAME, ID = "someone/tiny", "tiny"
CALL = f"/api/v1/models/{ID}/download"


@pytest.fixture
def cache(hub: Hub, published: Path, tmp_path: Path) -> Path:
    """The empty cache, with a model on the hub."""
    hub.add(NAME, published)
    return tmp_path / "cache"


@pytest.fixture
def server(cache: Path, serve: Serve) -> Iterator[httpx.Client]:
    """A real server that may download it: a test client would only hand out answers that are complete."""
    with served(Settings(downloads=(NAME,))) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Server-sent events as they come: their name and their data."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def watchers(client: httpx.Client) -> int:
    """How many follow a download now, as the metrics say it."""
    (line,) = re.findall(r"^headlight_download_watchers (\d+)", client.get("/metrics").text, re.MULTILINE)
    return int(line)


def download(client: httpx.Client) -> list[tuple[str, Any]]:
    """All events of a download, once it is over."""
    with client.stream("POST", CALL) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        return list(events(answer.iter_lines()))


def status(client: httpx.Client) -> str:
    return next(str(model["status"]) for model in client.get("/api/v1/models").json() if model["id"] == ID)


@contextmanager
def half_way(client: httpx.Client, hub: Hub) -> Iterator[Iterator[tuple[str, Any]]]:
    """A download that has begun and is held, and its events."""
    hub.hold()
    with client.stream("POST", CALL) as answer:
        told = events(answer.iter_lines())
        assert next(told)[0] == "progress"
        assert hub.half.wait(20)
        yield told


def test_a_model_is_downloaded_and_then_looked_into(server: httpx.Client, hub: Hub, published: Path) -> None:
    before = next(model for model in server.get("/api/v1/models").json() if model["id"] == ID)
    assert (before["status"], before["downloadable"], before["layers"]) == ("absent", True, None)
    told = download(server)
    assert [name for name, _ in told[:-1]] == ["progress"] * (len(told) - 1)
    sizes = {path.name: path.stat().st_size for path in published.iterdir()}
    for _, step in told[:-1]:
        assert {one["name"]: one["total"] for one in step["files"]}.items() <= sizes.items()
        assert step["done"] == sum(one["done"] for one in step["files"])
    done = [step["done"] for _, step in told[:-1]]
    assert done == sorted(done)
    wanted = sizes["config.json"] + sizes["tokenizer.json"] + sizes["model.safetensors"]
    assert done[-1] == told[-2][1]["total"] == wanted
    name, card = told[-1]
    assert (name, card["id"], card["status"]) == ("ready", ID, "ready")
    trace = server.post("/api/v1/traces", json={"model": ID, "text": "two dogs run"})
    assert trace.status_code == 201
    after = server.get(f"/api/v1/models/{ID}").json()
    assert (after["status"], after["layers"], after["heads"], after["family"]) == ("loaded", 4, 6, "gpt2")
    asked = len(hub.asked)
    assert [name for name, _ in download(server)] == ["ready"]  # it is here
    assert len(hub.asked) == asked


def test_what_is_under_way_delays_nobody_and_says_so(server: httpx.Client, hub: Hub) -> None:
    with half_way(server, hub) as told:
        assert status(server) == "downloading"
        assert server.get("/health/ready").status_code == 200
        make_trace = server.post("/api/v1/traces", json={"text": "While it loads, others look."})
        assert make_trace.status_code == 201
        assert server.get(f"/api/v1/models/{ID}").json()["stacks"] is None
        hub.release()
        assert list(told)[-1][0] == "ready"
    assert status(server) == "ready"


def test_all_who_ask_follow_one_download(server: httpx.Client, hub: Hub) -> None:
    ends: list[str] = []
    with half_way(server, hub) as told:
        threads = [threading.Thread(target=lambda: ends.append(download(server)[-1][0])) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: watchers(server) == 4)
        hub.release()
        ends.append(list(told)[-1][0])
        for thread in threads:
            thread.join(20)
    assert ends == ["ready"] * 4
    assert len(hub.bodies) == 1
    assert len([one for one in hub.asked if one.path.startswith("/api/models/")]) == 1
    figures = server.get("/metrics").text
    assert 'headlight_downloads_total{result="ready"} 1.0' in figures


def test_the_last_to_leave_stops_it_and_the_next_goes_on(server: httpx.Client, hub: Hub, cache: Path) -> None:
    with half_way(server, hub):
        pass
    until(lambda: watchers(server) == 0)  # or what is held goes on to its end before anybody is missed
    hub.release()
    until(lambda: status(server) == "absent")
    (partial,) = cache.rglob("*.incomplete")
    kept = partial.stat().st_size
    assert kept > 0
    assert not list(cache.rglob("snapshots"))
    assert 'result="abandoned"} 1.0' in server.get("/metrics").text
    assert download(server)[-1][0] == "ready"
    assert hub.bodies[-1].range == f"bytes={kept}-"


def test_one_who_leaves_takes_it_from_nobody(server: httpx.Client, hub: Hub) -> None:
    ends: list[str] = []
    with half_way(server, hub):
        other = threading.Thread(target=lambda: ends.append(download(server)[-1][0]))
        other.start()
        until(lambda: watchers(server) == 2)
    until(lambda: watchers(server) == 1)
    hub.release()
    other.join(20)
    assert ends == ["ready"]
    assert len(hub.bodies) == len({one.path for one in hub.bodies})


def test_a_connection_that_stays_broken_ends_the_events_with_a_problem(
    server: httpx.Client, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.hub.TRIES", 2)
    hub.cuts = [200_000, 0, 0]
    name, body = download(server)[-1]
    assert name == "problem"
    assert body["type"] == "urn:headlight:problem:hub-unreachable"
    assert (body["status"], body["instance"]) == (502, CALL)
    assert "200,000 of 548,064 bytes" in body["detail"]
    assert status(server) == "absent"
    assert 'headlight_downloads_total{result="failed"} 1.0' in server.get("/metrics").text
    assert download(server)[-1][0] == "ready"


def test_what_goes_wrong_at_once_is_a_problem(
    serve: Serve, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(downloads=(NAME,)) as client:

        def told(status: int, kind: str) -> Any:
            body = problem(client.post(CALL), status)
            assert body["type"] == f"urn:headlight:problem:{kind}"
            return body

        repository = hub.repositories[NAME]
        hub.refusals = [(429, {"Retry-After": "300"})]
        assert client.post(CALL).headers["retry-after"] == "300"
        hub.refusals = [(500, {})]
        told(502, "hub-unreachable")
        repository.gated = True
        assert "HF_TOKEN" in told(502, "hub-refused")["detail"]
        repository.gated = False
        weights = repository.files.pop("model.safetensors")
        repository.files["pytorch_model.bin"] = weights
        assert "safetensors" in told(502, "unfit-repository")["detail"]
        repository.files["model.safetensors"] = weights
        usage = shutil.disk_usage(cache.parent)
        with monkeypatch.context() as patch:
            patch.setattr("engine.hub.shutil.disk_usage", lambda _: usage._replace(free=1000))
            assert told(507, "disk-full")["free"] == 1000
        with monkeypatch.context() as patch:
            patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
            assert "HF_HUB_OFFLINE" in told(503, "downloads-off")["detail"]
        assert download_all(client) == "ready"


def download_all(client: Any) -> str:
    """How a download that nobody interrupts ends."""
    return list(events(iter(client.post(CALL).text.splitlines())))[-1][0]


def test_only_what_is_offered_is_downloaded(serve: Serve, hub: Hub, cache: Path) -> None:
    with serve(downloads=()) as client:
        body = problem(client.post("/api/v1/models/gpt2/download"), 403)
        assert "HEADLIGHT_DOWNLOADS" in body["detail"]
        problem(client.post(CALL), 404)
        problem(client.post("/api/v1/models/someone%2Ftiny/download"), 404)
        gpt2 = next(model for model in client.get("/api/v1/models").json() if model["id"] == "gpt2")
        assert (gpt2["status"], gpt2["downloadable"]) == ("absent", False)
    assert hub.asked == []


def test_a_page_of_another_site_starts_no_download(serve: Serve, hub: Hub, cache: Path) -> None:
    sent = {"sec-fetch-site": "cross-site", "origin": "https://evil.example.org"}
    with serve(downloads=(NAME,)) as client:
        assert "HEADLIGHT_CORS_ORIGINS" in problem(client.post(CALL, headers=sent), 403)["detail"]
    assert hub.asked == []
    with serve(downloads=(NAME,), cors_origins=("https://evil.example.org",)) as client:
        assert client.post(CALL, headers=sent).status_code == 200


def test_asking_for_a_picture_downloads_nothing(serve: Serve, hub: Hub, cache: Path) -> None:
    with serve(downloads=(NAME,)) as client:
        for model, how in ((ID, f"POST {CALL}"), ("gpt2", "HEADLIGHT_DOWNLOADS")):
            body = problem(client.post("/api/v1/traces", json={"model": model, "text": "hello"}), 503)
            assert how in body["detail"]
    assert hub.asked == []


def test_over_http_only_folders_that_the_operator_listed(serve: Serve, published: Path) -> None:
    with serve(models=(str(published),)) as client:
        assert make(client, "two dogs", model=published.name)["model"] == published.name
        for path in (str(published), f"{published.parent}/tiny-llama", "../tiny-llama", NAME):
            problem(client.post("/api/v1/traces", json={"model": path, "text": "hello"}), 404)


# What the setting may say ---------------------------------------------------------------------------------------------


def test_every_known_model_that_is_on_the_hub() -> None:
    assert offered(["*"]) == {card.id: card for card in engine.cards() if card.hub}
    assert offered([]) == {}


def test_models_by_name_and_revision() -> None:
    found = offered(["gpt2", "someone/tiny@v1", "distilbert/distilgpt2"])
    assert list(found) == ["gpt2", "tiny", "distilgpt2"]
    assert str(found["tiny"].hub) == "someone/tiny at v1 (Hugging Face hub)"
    assert found["distilgpt2"] is engine.card("distilgpt2")
    assert choose("someone/tiny", found) is choose("someone/tiny@v1", found) is choose("tiny", found)
    for name in ("minilm", "someone/tiny@v2", "other/tiny"):
        with pytest.raises(NotOffered):
            choose(name, found)
    with pytest.raises(UnknownModel, match="Did you mean gpt2"):
        choose("gtp2", found)


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        (["gtp2"], "Did you mean gpt2"),
        (["../secrets"], "org/name"),
        (["someone/gpt2"], "'gpt2'"),
        (["one/tiny", "two/tiny"], "'tiny'"),
    ],
)
def test_a_setting_that_names_nothing_or_two_things_is_refused(entries: list[str], named: str) -> None:
    with pytest.raises(BadSetting, match=named):
        offered(entries)


# At the terminal ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(hub: Hub, cache: Path) -> dict[str, str]:
    return {**environment(hub, cache), "HEADLIGHT_DOWNLOADS": NAME}


def test_pull_fetches_a_model_that_then_works_without_the_network(
    shell: dict[str, str], hub: Hub, cache: Path, tmp_path: Path
) -> None:
    answer = headlight("models", "pull", NAME, **shell)
    assert answer.returncode == 0, answer.stderr
    assert f"{ID} is here: {cache}" in answer.stdout
    assert COMMIT in answer.stdout
    offline = {**shell, "HF_HUB_OFFLINE": "1"}
    out = tmp_path / "x.safetensors"
    traced = headlight("trace", "two dogs", "--model", NAME, "--out", str(out), **offline)
    assert traced.returncode == 0, traced.stderr
    assert engine.Trace.from_bytes(out.read_bytes()).model == ID
    asked = len(hub.asked)
    assert headlight("models", "pull", ID, **shell).returncode == 0
    assert len(hub.asked) == asked


@pytest.fixture
def heard() -> Iterator[None]:
    """What is started now hears Ctrl+C, also where these tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_pull_goes_on_where_it_was_interrupted(shell: dict[str, str], hub: Hub, cache: Path) -> None:
    hub.hold()
    command = [sys.executable, "-m", "app", "models", "pull", NAME]
    with subprocess.Popen(command, env={**os.environ, **shell}, stderr=subprocess.PIPE, text=True) as pulling:
        assert hub.half.wait(60)
        until(lambda: any(partial.stat().st_size for partial in cache.rglob("*.incomplete")))
        pulling.send_signal(signal.SIGINT)
        said = pulling.communicate(timeout=60)[1]
    assert pulling.returncode == 130
    assert "Traceback" not in said
    hub.release()
    (partial,) = cache.rglob("*.incomplete")
    kept = partial.stat().st_size
    assert headlight("models", "pull", NAME, **shell).returncode == 0
    assert hub.bodies[-1].range == f"bytes={kept}-"


@pytest.fixture
def told(cache: Path, capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """What is printed, by a command that finds a model on the hub."""
    return capsys


@pytest.mark.parametrize(
    ("arguments", "changes", "named"),
    [
        (["models", "pull", "gpt2"], {}, "HEADLIGHT_DOWNLOADS"),
        (["models", "pull", "other/tiny"], {}, "HEADLIGHT_DOWNLOADS"),
        (["models", "pull", "gtp2"], {}, "Did you mean gpt2"),
        (["models", "pull", "someone/tiny@v8"], {"HEADLIGHT_DOWNLOADS": "someone/tiny@v9"}, "HEADLIGHT_DOWNLOADS"),
        (["models", "pull", "someone/tiny@v9"], {"HEADLIGHT_DOWNLOADS": "someone/tiny@v9"}, "no such revision"),
        (["models", "pull", "missing/one"], {"HEADLIGHT_DOWNLOADS": "missing/one"}, "There is no missing/one"),
        (["trace", "hello", "--model", "gpt2", "--out", "x"], {}, "HEADLIGHT_DOWNLOADS"),
        (["models", "pull", "x"], {"HEADLIGHT_DOWNLOADS": "a/x,b/x"}, "would both be called 'x'"),
    ],
)
def test_a_download_that_can_not_be_is_one_line(
    told: pytest.CaptureFixture[str], arguments: list[str], changes: dict[str, str], named: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HEADLIGHT_DOWNLOADS": NAME, **changes}.items():
            patch.setenv(name, value)
        assert main(arguments) == 2
    (line,) = told.readouterr().err.strip().splitlines()
    assert line.startswith("headlight: ")
    assert named in line


PULL = ["models", "pull", NAME]


@pytest.mark.parametrize(
    ("arguments", "changes", "named"),
    [
        (PULL, {"HF_ENDPOINT": "http://127.0.0.1:1"}, "can't be reached"),
        (PULL, {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
        (["serve", "--port", "0", "--model", "gpt2"], {}, "HEADLIGHT_DOWNLOADS"),
    ],
)
def test_so_it_is_where_the_environment_says_no(
    shell: dict[str, str], arguments: list[str], changes: dict[str, str], named: str
) -> None:
    assert named in refused(headlight(*arguments, **{**shell, **changes}))


def test_a_folder_is_traced(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_DOWNLOADS", "")
    out = tmp_path / "x.safetensors"
    assert main(["trace", "two dogs", "--model", str(published), "--out", str(out)]) == 0
    assert engine.Trace.from_bytes(out.read_bytes()).model == published.name


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_counts_the_bytes_of_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with downloading("gpt2") as watch:
        watch("config.json", 0, 10**6)
        watch("model.safetensors", 0, 99 * 10**6)
        watch("config.json", 10**6, 10**6)
        watch("model.safetensors", 99 * 10**6, 99 * 10**6)
    assert "downloading gpt2: 100%" in terminal.getvalue()
    assert "100M/100M" in terminal.getvalue()


def test_serve_fetches_the_model_that_it_is_told_to_open_with(
    shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    with serving("--model", NAME) as (_, address):
        page = httpx.get(address, timeout=20).text
    assert f'"model":"{ID}"' in page


def test_a_server_that_stops_ends_its_downloads(hub: Hub, cache: Path) -> None:
    card = offered([NAME])[ID]

    async def stopped() -> None:
        lane = Lane("download", 1, torch_threads=1)
        downloads = Downloads(lane, Metrics())
        steps = downloads.follow(card)
        await anext(steps)
        assert await asyncio.to_thread(hub.half.wait, 20)
        downloads.stop()
        hub.release()
        with pytest.raises(Abandoned):
            async for _ in steps:
                pass
        lane.close()

    hub.hold()
    asyncio.run(stopped())
    assert card.status() == "absent"
    assert len(list(cache.rglob("*.incomplete"))) == 1


def test_a_download_that_fails_is_one_error_of_the_engine(hub: Hub, cache: Path) -> None:
    """What the command line and the server say, Python says too."""
    hub.refusals = [(502, {})]
    with pytest.raises(HubUnreachable):
        engine.load(NAME)
