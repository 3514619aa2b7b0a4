"""What strangers can't do: address another host, send too much, run a script, read from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.routes.pages import data_block
from tests.app.conftest import Serve, problem

EVERYWHERE = (
    "/",
    "/api/docs",
    "/api/openapi.json",
    "/api/v1/models",
    "/health/live",
    "/metrics",
    "/nope",
    "/static/nope",
)


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_answer_has_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]", "[::1]:80", "LOCALHOST", "localhost."]
)
def test_this_machines_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/health/live", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:8000", "", "127.0.0.1.evil.example", "xlocalhost"]
)
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    body = problem(client.get("/health/live", headers={"host": host}), 421)
    assert "HEADLIGHT_ALLOWED_HOSTS" in body["detail"]


def test_hosts_can_be_allowed(serve: Serve) -> None:
    with serve(allowed_hosts="demo.example.org,*.labs.example.org", preload=False) as client:
        for host, status in [
            ("demo.example.org", 200),
            ("a.labs.example.org", 200),
            ("labs.example.org", 421),
            ("localhost", 421),
        ]:
            assert client.get("/health/live", headers={"host": host}).status_code == status
    with serve(allowed_hosts="*", preload=False) as client:
        assert client.get("/health/live", headers={"host": "anything.example"}).status_code == 200


def test_no_other_origin_may_read_unless_it_is_set(client: TestClient, serve: Serve) -> None:
    origin = "https://notebook.example.org"
    assert "access-control-allow-origin" not in client.get("/api/v1/models", headers={"origin": origin}).headers
    with serve(cors_origins=origin, preload=False) as shared:
        answer = shared.get("/api/v1/models", headers={"origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        other = shared.get("/api/v1/models", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        asked = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        assert shared.options("/api/v1/traces", headers=asked).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/traces", "/api/v1/attention"])
def test_a_body_over_the_limit_is_refused(client: TestClient, path: str) -> None:
    body = problem(client.post(path, json={"text": "x" * 300_000}), 413)
    assert body["limit"] == 262_144


def test_a_body_that_keeps_coming_is_cut_off(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'{"text": "'
        while sent < 50_000_000:
            sent += 65_536
            yield b"x" * 65_536

    response = client.post("/api/v1/traces", content=endless(), headers={"content-type": "application/json"})
    assert problem(response, 413)["limit"] == 262_144


@pytest.mark.parametrize("length", ["9" * 30, "262145"])
def test_an_announced_length_is_believed(client: TestClient, length: str) -> None:
    headers = {"content-type": "application/json", "content-length": length}
    problem(client.post("/api/v1/traces", content=b"{}", headers=headers), 413)


def test_a_body_just_under_the_limit_is_read(client: TestClient) -> None:
    raw = b'{"text": "hello"}'
    padded = raw + b" " * (262_144 - len(raw))
    headers = {"content-type": "application/json"}
    assert client.post("/api/v1/traces", content=padded, headers=headers).status_code == 201
    problem(client.post("/api/v1/traces", content=padded + b" ", headers=headers), 413)


def test_a_page_elsewhere_cannot_post_a_form(client: TestClient) -> None:
    problem(client.post("/api/v1/traces", content=b'{"text":"x"}', headers={"content-type": "text/plain"}), 422)
    problem(client.post("/api/v1/traces", data={"text": "x"}), 422)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app/main.py",
        "/static/%2e%2e/pyproject.toml",
        "/static/js/..%2f..%2f../README.md",
        "/static//etc/passwd",
        "/static/v-000000000000/../../README.md",
        "/static/%00",
        "/static/" + "a" * 5000,
    ],
)
def test_nothing_outside_static_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_text_in_the_page_cannot_become_a_script() -> None:
    block = str(data_block(b'{"text": "</script><script>alert(1)</script><!--"}'))
    assert "<" not in block
    assert json.loads(block)["text"] == "</script><script>alert(1)</script><!--"


@pytest.mark.parametrize("encoding", ["gzip", "gzip;q=0", "identity", "br", "*", ""])
def test_only_who_takes_gzip_gets_gzip(client: TestClient, encoding: str) -> None:
    answer = client.get("/api/v1/models/minilm", headers={"accept-encoding": encoding})
    assert ("content-encoding" in answer.headers) == (encoding == "gzip")
    assert answer.json()["id"] == "minilm"
