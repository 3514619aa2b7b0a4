"""What is under an id never changes: browsers may keep it, and the server may let go of it."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from app.cache import Lru
from app.runner import LocalRunner
from tests.app.conftest import FLAGSHIP, MAPS, Serve, make, problem

UNDER_AN_ID = (
    "/api/v1/traces/{id}",
    "/api/v1/traces/{id}/attention?layers=5&heads=11",
    "/api/v1/traces/{id}/heads",
    "/api/v1/traces/{id}/arithmetic?layer=5&head=11&query=10&key=2",
    "/api/v1/traces/{id}/tensors/encoder.5.self.q?head=1",
)
FOREVER = "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", UNDER_AN_ID)
def test_an_answer_lasts_for_ever(client: TestClient, id: str, path: str) -> None:
    url = path.format(id=id)
    plain = {"accept-encoding": "identity"}
    first = client.get(url, headers=plain)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == FOREVER
    assert first.headers["vary"] == "Accept, Accept-Encoding"
    weak = f"W/{tag}"
    for held, echoed in {tag: tag, weak: weak, f'"other", {tag}': tag, f'"a",{weak},"b"': weak, "*": tag}.items():
        again = client.get(url, headers={"if-none-match": held})
        assert again.status_code == 304, held
        assert again.content == b""
        assert again.headers["etag"] == echoed, "a cache finds its answer by the tag it keeps it under"
        assert again.headers["cache-control"] == FOREVER
        assert again.headers["vary"] == first.headers["vary"]
    lines = [("if-none-match", '"other"'), ("if-none-match", tag)]
    assert client.get(url, headers=lines).status_code == 304
    for other in ('"other"', tag.strip('"'), f'"{tag}"'):
        assert client.get(url, headers={"if-none-match": other, **plain}).content == first.content


@pytest.mark.parametrize("path", UNDER_AN_ID)
def test_head_is_get_without_the_body(client: TestClient, id: str, path: str) -> None:
    url = path.format(id=id)
    plain = {"accept-encoding": "identity"}
    whole, head = client.get(url, headers=plain), client.head(url, headers=plain)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("etag", "content-length", "content-type"):
        assert head.headers[name] == whole.headers[name]


def test_each_format_and_each_question_has_a_tag_of_its_own(client: TestClient, id: str) -> None:
    tags = {
        client.get(MAPS.format(id=id) + query, headers={"accept": accept}).headers["etag"].removeprefix("W/")
        for query in ("?layers=1", "?layers=2", "?layers=1&dtype=u8")
        for accept in ("application/vnd.safetensors", "application/json", "text/csv", "image/png")
    }
    assert len(tags) == 12


def test_a_compressed_answer_has_a_weak_tag_that_still_matches(client: TestClient, id: str) -> None:
    url = MAPS.format(id=id)
    headers = {"accept": "application/json", "accept-encoding": "gzip"}
    packed = client.get(url, headers=headers)
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"].startswith('W/"')
    again = client.get(url, headers={**headers, "if-none-match": packed.headers["etag"]})
    assert again.status_code == 304
    for name in ("etag", "vary", "cache-control"):
        assert again.headers[name] == packed.headers[name]
    assert packed.headers["vary"] == "Accept, Accept-Encoding"


def test_a_static_file_says_the_same_with_304(client: TestClient) -> None:
    for encoding in ("gzip", "identity"):
        headers = {"accept-encoding": encoding}
        first = client.get("/static/js/docs.js", headers=headers)
        again = client.get("/static/js/docs.js", headers={**headers, "if-none-match": first.headers["etag"]})
        assert (first.status_code, again.status_code) == (200, 304)
        for name in ("etag", "vary", "cache-control"):
            assert again.headers[name] == first.headers[name]
        assert first.headers["vary"] == "Accept-Encoding"


def test_the_next_release_answers_under_other_addresses(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(preload=False) as client:
        before = make(client, FLAGSHIP)["id"]
    monkeypatch.setattr("engine.model.VERSION", "99.0.0")
    with serve(preload=False) as client:
        assert make(client, FLAGSHIP)["id"] != before


def test_nothing_else_lasts_for_ever(client: TestClient, app: FastAPI) -> None:
    """Under a trace's id, or a hash of the static files, or plotly's own version: nothing that a release changes."""
    walked = 0
    for route in iter_route_contexts(app.routes):
        path = str(route.path)
        if not path.startswith("/api/v1/traces/") and "GET" in (route.methods or ()):
            name = "embed_norm.bias" if "/weights/" in path else "which-word"
            path = path.replace("{id}", "minilm").replace("{name}", name).replace("{path:path}", "js/docs.js")
            answer = client.get(path, params={"text": "a link"} if path == "/qr.svg" else {})
            assert answer.status_code == 200, path
            assert "immutable" not in answer.headers.get("cache-control", ""), path
            walked += 1
    assert walked >= 9


def test_dense_numbers_are_not_compressed(client: TestClient, id: str) -> None:
    answer = client.get(MAPS.format(id=id), headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_a_question_that_makes_no_sense_is_not_answered_with_304(client: TestClient, id: str) -> None:
    problem(client.get(f"/api/v1/traces/{id}/heads?block=nope", headers={"if-none-match": "*"}), 422)
    problem(client.get("/api/v1/traces/0123/heads", headers={"if-none-match": "*"}), 404)


def test_an_evicted_trace_is_computed_again(serve: Serve) -> None:
    with serve(cache_bytes=2_500_000, preload=False) as client:  # room for one trace of fifteen tokens
        assert isinstance(client.app, FastAPI)
        runner = client.app.state.runner
        assert isinstance(runner, LocalRunner)
        first = make(client, FLAGSHIP)["id"]
        url = MAPS.format(id=first)
        before = client.get(url).content
        for text in ("one sentence that is not the first at all", "another sentence that is not the first at all"):
            make(client, text)
        assert first not in runner._traces
        assert client.get(url).content == before
        assert first in runner._traces


def test_a_trace_whose_request_was_forgotten_says_to_send_it_again(serve: Serve) -> None:
    with serve(recipe_bytes=1500) as client:
        first = make(client, "the first")["id"]
        for number in range(5):
            make(client, f"sentence number {number}")
        body = problem(client.get(f"/api/v1/traces/{first}"), 404)
        assert "POST" in body["detail"]
        assert make(client, "the first")["id"] == first
        assert client.get(f"/api/v1/traces/{first}").status_code == 200


def test_what_is_asked_for_again_is_remembered_longest(serve: Serve) -> None:
    with serve(recipe_bytes=1500) as client:  # room for three
        posted, forgotten = (make(client, text)["id"] for text in ("posted", "neither"))
        for text in ("a third", "posted", "a fourth"):
            make(client, text)
        assert client.get(f"/api/v1/traces/{posted}").status_code == 200
        assert client.get(f"/api/v1/traces/{forgotten}").status_code == 404
        read = make(client, "read")["id"]
        for number in range(4):
            make(client, f"another sentence {number}")
            assert client.get(f"/api/v1/traces/{read}").status_code == 200


def test_what_the_page_opens_with_is_never_forgotten(serve: Serve) -> None:
    with serve(recipe_bytes=1500) as client:
        runner = client.app.state.runner  # type: ignore[attr-defined]
        for number in range(6):
            make(client, f"sentence number {number}")
        assert runner.opening not in runner._recipes
        assert client.get(f"/api/v1/traces/{runner.opening}").status_code == 200


def test_the_cache_weighs_what_it_keeps() -> None:
    kept: Lru[bytes] = Lru(10, len)
    kept.put("a", b"1234")
    kept.put("b", b"1234")
    assert kept.get("a") == b"1234"
    kept.put("c", b"1234")
    assert ("a" in kept, "b" in kept, "c" in kept) == (True, False, True)
    kept.put("a", b"12")
    assert kept.weight == 6
    kept.put("d", b"12345678901")
    assert "d" not in kept
    assert kept.weight == 6


def test_what_changes_is_not_kept(client: TestClient) -> None:
    assert client.post("/api/v1/traces", json={"text": "hello"}).headers["cache-control"] == "no-store"
    assert client.get("/api/v1/models").headers["cache-control"] == "no-cache"
    assert client.get("/health/live").headers["cache-control"] == "no-store"
