"""A stand-in for the Hugging Face hub on loopback: its HTTP interface as far as downloads use it, and its bad days.

As on the real one, descriptions and small files come from one server, and large files from another, to which the first
redirects; contents have the hub's hashes; ranges are served; an unknown repository is a 401 to a stranger.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 100_000  # bytes: from here on a file is stored with LFS, as every safetensors file is


@dataclass(frozen=True)
class Content:
    """A file of a repository."""

    data: bytes
    large: bool

    @property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.oid

    @property
    def lfs(self) -> dict[str, object] | None:
        about = {"sha256": self.sha256, "oid": self.sha256, "size": len(self.data), "pointerSize": 134}
        return about if self.large else None


@dataclass
class Repository:
    commit: str
    files: dict[str, Content]
    branches: set[str] = field(default_factory=lambda: {"main"})
    gated: bool = False

    def knows(self, revision: str) -> bool:
        return revision == self.commit or revision in self.branches


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    range: str | None
    token: str | None
    large: bool  # asked of the server for large files


@dataclass
class Hub:
    """What is on the hub, what was asked of it, and what goes wrong next."""

    endpoint: str = ""
    storage: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)  # after how many bytes the next large bodies break off
    abrupt: bool = False  # whether they do so with a reset
    damaged: bool = False  # whether the large files arrive changed
    ranges: bool = True  # whether ranges are served, or all of it again
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # answers to the next requests
    half: threading.Event = field(default_factory=threading.Event)  # a large body is half way
    on: threading.Event = field(default_factory=threading.Event)  # and goes on when this is set
    held: bool = False  # whether large bodies stop half way

    def add(self, name: str, folder: Path, commit: str = COMMIT, *, gated: bool = False) -> Repository:
        """Put a folder's files on the hub."""
        files = {}
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            files[path.name] = Content(data, path.suffix == ".safetensors" or len(data) >= LARGE)
        self.repositories[name] = Repository(commit, files, gated=gated)
        return self.repositories[name]

    def hold(self) -> None:
        """From now on large bodies stop half way, until `release`."""
        self.held = True
        self.half.clear()
        self.on.clear()

    def release(self) -> None:
        """Let every body that was held go on."""
        self.held = False
        self.on.set()

    @property
    def bodies(self) -> list[Asked]:
        """The large bodies that were asked for."""
        return [one for one in self.asked if one.large]


class Handler(http.server.BaseHTTPRequestHandler):
    """Both servers' answers; `hub` is set by `serving`."""

    hub: Hub
    large = False

    def do_HEAD(self) -> None:
        self.handle_one(body=False)

    def do_GET(self) -> None:
        self.handle_one(body=True)

    def handle_one(self, *, body: bool) -> None:
        headers = self.headers
        if self.path.startswith("/api/") and not self.path.startswith(("/api/models/", "/api/resolve-cache/")):
            return self.answer(404, b"", {}, body)  # what huggingface_hub asks about itself
        self.hub.asked.append(
            Asked(self.command, self.path, headers.get("range"), headers.get("authorization"), self.large)
        )
        if self.hub.refusals:
            status, more = self.hub.refusals.pop(0)
            return self.answer(status, b"", more, body)
        path = unquote(urlsplit(self.path).path)
        parts = path.strip("/").split("/")
        if self.large:
            return self.give_large(parts[-1], body)
        if parts[:2] == ["api", "models"]:
            return self.describe("/".join(parts[2:4]), parts[4:], body)
        if parts[:3] == ["api", "resolve-cache", "models"]:
            return self.give_small("/".join(parts[3:5]), parts[6], body)
        return self.resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]), body)

    def repository(self, name: str, revision: str, body: bool) -> Repository | None:
        """The repository, or None once the answer has been that there is none."""
        found = self.hub.repositories.get(name)
        if found is None:
            self.answer(401, b"", {"X-Error-Message": "Invalid username or password."}, body)
            return None
        if not found.knows(revision):
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
            return None
        return found

    def describe(self, name: str, rest: list[str], body: bool) -> None:
        revision = rest[1] if len(rest) > 1 else "main"
        found = self.repository(name, revision, body)
        if found is None:
            return
        about: object
        if rest[:1] == ["tree"]:
            about = [
                {"type": "file", "path": path, "size": len(one.data), "oid": one.oid}
                | ({"lfs": one.lfs} if one.large else {})
                for path, one in found.files.items()
            ]
        else:
            about = {
                "id": name,
                "sha": found.commit,
                "private": False,
                "gated": "auto" if found.gated else False,
                "siblings": [
                    {"rfilename": path, "size": len(one.data), "blobId": one.oid}
                    | ({"lfs": one.lfs} if one.large else {})
                    for path, one in found.files.items()
                ],
            }
        self.answer(200, json.dumps(about).encode(), {"Content-Type": "application/json"}, body)

    def resolve(self, name: str, revision: str, path: str, body: bool) -> None:
        found = self.repository(name, revision, body)
        if found is None:
            return None
        if found.gated and self.headers.get("authorization") is None:
            return self.answer(401, b"", {"X-Error-Code": "GatedRepo"}, body)
        if path not in found.files:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": found.commit}, body)
        one = found.files[path]
        more = {
            "X-Repo-Commit": found.commit,
            "X-Linked-Size": str(len(one.data)),
            "X-Linked-Etag": f'"{one.etag}"',
            "ETag": f'"{one.etag}"',
        }
        if one.large:
            location = f"{self.hub.storage}/{one.sha256}?signature=abc"
            return self.answer(302, b"", {**more, "X-Xet-Hash": one.sha256, "Location": location}, body)
        return self.answer(
            307, b"", {**more, "Location": f"/api/resolve-cache/models/{name}/{found.commit}/{path}"}, body
        )

    def give_small(self, name: str, path: str, body: bool) -> None:
        repository = self.hub.repositories[name]
        one = repository.files[path]
        self.answer(200, one.data, {"ETag": f'"{one.oid}"', "X-Repo-Commit": repository.commit}, body)

    def give_large(self, sha256: str, body: bool) -> None:
        everything = (one for repository in self.hub.repositories.values() for one in repository.files.values())
        data = next(one.data for one in everything if one.large and one.sha256 == sha256)
        if self.hub.damaged:
            data = bytes([data[0] ^ 1]) + data[1:]
        start, size = 0, len(data)
        wanted = self.headers.get("range")
        if wanted and self.hub.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= size:
                return self.answer(416, b"", {"Content-Range": f"bytes */{size}"}, body)
        more = {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"}
        status = 206 if start else 200
        if start:
            more["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        return self.answer(status, data[start:], more, body)

    def answer(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if not body:
            return
        if self.large and self.hub.cuts and status in (200, 206):
            self.wfile.write(data[: self.hub.cuts.pop(0)])
            self.wfile.flush()
            if self.hub.abrupt:  # no closing handshake, as when a cable is pulled
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        try:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            if self.large and self.hub.held:
                self.hub.half.set()
                self.hub.on.wait(60)
            self.wfile.write(data[len(data) // 2 :])
        except OSError:  # whoever asked has left
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def serving() -> Iterator[Hub]:
    """An empty hub, served while the context lasts."""
    hub = Hub()
    servers = []
    for large in (False, True):
        handler = type("Bound", (Handler,), {"hub": hub, "large": large})
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
    hub.endpoint, hub.storage = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        hub.release()
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def environment(hub: Hub, cache: Path) -> dict[str, str]:
    """How a new process is told of it."""
    return {"HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0"}


def point_at(patch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """How this process is told of it: what HF_ENDPOINT and HF_HUB_CACHE do when huggingface_hub is imported."""
    patch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
