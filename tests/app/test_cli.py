"""`headlight` at the terminal: what it prints, and how it fails."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import engine
from app import VERSION
from app.__main__ import main, reading
from tests.app.conftest import FLAGSHIP


def headlight(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}, check=False
    )


def refused(answer: subprocess.CompletedProcess[str]) -> str:
    """One line that says what is wrong, and no traceback."""
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr
    last = answer.stderr.strip().splitlines()[-1]
    assert "headlight" in last
    return last


def test_help_shows_examples() -> None:
    text = headlight("--help").stdout
    assert all(command in text for command in ("serve", "trace", "models", "examples:"))
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("command", ["serve", "trace", "models", "train", "score", "data"])
def test_every_command_has_help(command: str) -> None:
    answer = headlight(command, "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"usage: headlight {command}")


def test_version() -> None:
    assert headlight("--version").stdout.strip() == f"headlight {VERSION}"


def test_a_question_about_the_command_line_waits_for_no_library() -> None:
    code = "import sys; from app.__main__ import parser; parser(); print(sorted({'torch', 'fastapi'} & {*sys.modules}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "[]"


def test_models_is_a_table() -> None:
    head, *rows = headlight("models").stdout.splitlines()
    assert head.split()[:3] == ["id", "name", "family"]
    assert [row.split()[0] for row in rows] == [card.id for card in engine.cards()]


def test_a_trace_is_written(tmp_path: Path, flagship: engine.Trace) -> None:
    out = tmp_path / "flagship.safetensors"
    answer = headlight("trace", FLAGSHIP, "--out", str(out))
    assert answer.returncode == 0, answer.stderr
    assert "15 tokens" in answer.stdout
    assert out.read_bytes() == flagship.to_bytes()


def test_a_pair_is_traced(tmp_path: Path) -> None:
    out = tmp_path / "pair.safetensors"
    assert headlight("trace", "The cat sat.", "--pair", "It slept.", "--out", str(out)).returncode == 0
    assert {token.segment for token in engine.Trace.from_bytes(out.read_bytes()).tokens["encoder"]} == {0, 1}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["trace", "", "--out", "x.safetensors"], "empty"),
        (["trace", "hello", "--model", "nope", "--out", "x.safetensors"], "nope"),
        (["trace", "hello", "--out", "no/such/folder/x.safetensors"], "no/such/folder"),
        (["trace", "hello", "--out", "."], "can't write"),
        (["trace", "hello"], "--out"),
        (["serve", "--port", "eighty"], "eighty"),
        (["serve", "--port", "0", "--model", "nope"], "nope"),
        (["serve", "--host", "203.0.113.1"], "203.0.113.1"),
        (["fly"], "fly"),
        ([], "COMMAND"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], named: str) -> None:
    assert named in refused(headlight(*arguments))


def test_a_bad_setting_is_named() -> None:
    assert "HEADLIGHT_QUEUE_SIZE" in refused(headlight("serve", "--port", "0", HEADLIGHT_QUEUE_SIZE="many"))


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["trace", "hello", "--out", "x.safetensors"]])
def test_a_device_that_is_not_there_is_one_line(command: list[str]) -> None:
    assert "'foo'" in refused(headlight(*command, HEADLIGHT_DEVICE="foo"))


def test_a_device_that_is_not_there_is_noticed_before_a_model_is_asked_for() -> None:
    assert "'foo'" in refused(headlight("serve", "--port", "0", HEADLIGHT_DEVICE="foo", HEADLIGHT_PRELOAD="false"))


def test_a_folder_with_a_name_that_is_taken_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "minilm").mkdir()
    assert "taken" in refused(headlight("serve", "--port", "0", "--model", str(tmp_path / "minilm")))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("delay", "shown"), [(0, True), (60, False)])
def test_reading_the_weights_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch, delay: float, shown: bool) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with reading(delay) as progress:
        for done in range(0, 101, 20):
            progress(done * 2**20, 100 * 2**20)
            time.sleep(0.11)
    progress(1, 2)  # a model that is loaded later draws nothing
    assert ("/100M" in terminal.getvalue()) == shown
    assert ("reading the weights:  80%" in terminal.getvalue()) == shown


def test_no_bar_is_drawn_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with reading(0) as progress:
        progress(1, 2)
    assert file.getvalue() == ""


@pytest.mark.parametrize("command", ["trace", "serve"])
def test_loading_tells_how_far_it_is(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    @contextmanager
    def watched(delay: float = 1.0) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, size: told.append((done, size))

    async def served(_: object, sockets: list[socket.socket]) -> None:
        sockets[0].close()

    monkeypatch.setattr("app.runner.load_model", engine.load)
    monkeypatch.setattr("app.__main__.reading", watched)
    monkeypatch.setattr("uvicorn.Server.serve", served)
    monkeypatch.setattr("app.logs.configure", lambda _: None)
    rest = ["--port", "0"] if command == "serve" else ["hello", "--out", str(tmp_path / "x.safetensors")]
    assert main([command, *rest]) == 0
    assert told
    assert told[-1][0] == told[-1][1] > 80_000_000


def test_a_target_is_for_models_that_have_a_decoder(tmp_path: Path) -> None:
    line = refused(headlight("trace", "hello", "--target", "hallo", "--out", str(tmp_path / "x.safetensors")))
    assert "target" in line


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(headlight("serve", "--port", str(port)))
    assert str(port) in line
    assert "--port" in line


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "app", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = next(found[1] for line in server.stderr if (found := re.search(r"is on (http://\S+)", line)))
            yield server, address
        finally:
            server.kill()


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_it_is_and_leaves_quietly(way: signal.Signals) -> None:
    with serving() as (server, address):
        with urllib.request.urlopen(f"{address}/api/v1/models", timeout=10) as answer:
            assert answer.status == 200
            assert "server" not in answer.headers
        server.send_signal(way)
        _, said = server.communicate(timeout=20)
    assert "Traceback" not in said
    assert server.returncode in (0, 130, -way)


@pytest.mark.parametrize("written", ["{}", "."])
def test_serve_takes_a_folder(tiny: Path, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tiny)
    with (
        serving("--model", written.format(tiny)) as (_, address),
        urllib.request.urlopen(f"{address}/", timeout=10) as page,
    ):
        assert f'"model":"{tiny.name}"' in page.read().decode()
