"""Every error of every route: one shape, and a sentence that says what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

import engine
from app import problems
from app.problems import Problem
from tests.app.conftest import FLAGSHIP, Serve, problem

JSON = {"content-type": "application/json"}


def kinds() -> list[type[Problem]]:
    found, open_ = [], [Problem]
    while open_:
        kind = open_.pop()
        found.append(kind)
        open_ += kind.__subclasses__()
    return found


def routes(app: FastAPI) -> list[tuple[str, set[str]]]:
    return [(str(route.path), set(route.methods or ())) for route in iter_route_contexts(app.routes)]


def test_every_route_refuses_other_methods(client: TestClient, app: FastAPI, id: str) -> None:
    walked = routes(app)
    assert {"/api/v1/traces", "/api/v1/traces/{id}/attention", "/", "/static/{path:path}", "/metrics"} <= {
        r[0] for r in walked
    }
    for path, methods in walked:
        url = path.replace("{id}", id).replace("{address}", "encoder.0.self.q").replace("{path:path}", "favicon.svg")
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
            response = client.request(method, url)
            assert set(response.headers["allow"].split(", ")) >= methods, (method, url)
            problem(response, 405)


def test_every_api_route_refuses_unknown_parameters(client: TestClient, app: FastAPI, id: str) -> None:
    for path, methods in routes(app):
        if path.startswith("/api/v1/"):
            url = path.replace("{id}", "minilm" if "models" in path else id).replace("{address}", "encoder.0.self.q")
            sent: dict[str, Any] = {"json": {"text": FLAGSHIP}} if "POST" in methods else {}
            method = next(iter(methods - {"HEAD"}))
            given = "&layer=0&head=0&query=0&key=0" if "arithmetic" in path else ""
            body = problem(client.request(method, f"{url}?blck=self{given}", **sent), 422)
            assert "blck" in body["detail"]


def test_every_route_under_an_id_knows_when_there_is_no_such_trace(client: TestClient, app: FastAPI) -> None:
    for path, _ in routes(app):
        if path.startswith("/api/v1/traces/{id}"):
            url = path.replace("{id}", "0" * 32).replace("{address}", "encoder.0.self.q")
            given = "?layer=0&head=0&query=0&key=0" if "arithmetic" in path else ""
            assert problem(client.get(url + given), 404)["type"].endswith("unknown-trace")


def test_every_api_route_refuses_formats_it_has_not(client: TestClient, app: FastAPI, id: str) -> None:
    for path, methods in routes(app):
        if path.startswith("/api/v1/"):
            url = path.replace("{id}", "minilm" if "models" in path else id).replace("{address}", "encoder.0.self.q")
            sent: dict[str, Any] = {"json": {"text": FLAGSHIP}} if "POST" in methods else {}
            given = "?layer=0&head=0&query=0&key=0" if "arithmetic" in path else ""
            method = next(iter(methods - {"HEAD"}))
            assert problem(client.request(method, url + given, headers={"accept": "video/mp4"}, **sent), 406)["offers"]


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"content": b"", "headers": JSON}, "JSON"),
        ({"content": b"{", "headers": JSON}, "not JSON"),
        ({"content": b"\xff\xfe", "headers": JSON}, "not JSON"),
        ({"content": b'{"text": "\xff"}', "headers": JSON}, "UTF-8"),
        ({"content": b"[]", "headers": JSON}, "JSON object"),
        ({"content": b"null", "headers": JSON}, "JSON object"),
        ({"content": b'{"text": "x"}', "headers": {"content-type": "text/plain"}}, "application/json"),
        ({"content": b'{"text": "x"}'}, "application/json"),
        ({"json": {}}, "text"),
        ({"json": {"text": 3}}, "text"),
        ({"json": {"text": "x", "pair": 3}}, "pair"),
        ({"json": {"text": "x", "txt": "y"}}, "Did you mean text?"),
        ({"json": {"text": "x", "generate": {"max_new_tokens": 0}}}, "max_new_tokens"),
        ({"json": {"text": "x", "generate": {"max_tokens": 3}}}, "Did you mean max_new_tokens"),
        ({"content": b'{"text": ' + b"[" * 100_000, "headers": JSON}, "nested too deeply"),
        ({"content": b'{"text": ' + b"1" * 6_000 + b"}", "headers": JSON}, "more digits than are read"),
    ],
)
def test_a_bad_body_is_explained(client: TestClient, sent: dict[str, Any], named: str) -> None:
    body = problem(client.post("/api/v1/traces", **sent), 422)
    assert named in body["detail"]
    assert body["errors"]
    assert all({"where", "what"} == found.keys() for found in body["errors"])


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"text": "x", "y" * 200_000: 1}},
        {"json": {"text": "x", "patches": [{"operation": "zero", "address": "a", "where": {"y" * 200_000: [0]}}]}},
        {"json": {"text": "x", "patches": [{"operation": "zero", "address": "a", "where": {"y" * 200_000: 1}}]}},
        {"json": {"text": "x"}, "params": {"y" * 20_000: "1"}},
    ],
)
def test_a_long_name_does_not_come_back(client: TestClient, sent: dict[str, Any]) -> None:
    response = client.post("/api/v1/traces", **sent)
    assert "y" * 39 + "…" in str(problem(response, 422))
    assert len(response.content) < 1000


@pytest.mark.parametrize(("given", "chosen"), [(5, [5]), ([5, 1], [5, 1]), ("1,5", [1, 5]), (None, list(range(6)))])
def test_json_selects_with_numbers_too(client: TestClient, given: object, chosen: list[int]) -> None:
    body = client.post("/api/v1/attention", json={"text": "a", "layers": given, "heads": 0})
    assert body.status_code == 200, body.text
    assert body.json()["layers"] == chosen


@pytest.mark.parametrize("given", [-1, True, 1.5, [], [1, "2"], [[1]], {"a": 1}, [-1], 10**9, "", [0] * 5000, 10**30])
def test_a_selection_in_json_that_is_none_says_what_is_one(client: TestClient, given: object) -> None:
    body = problem(client.post("/api/v1/attention", json={"text": "a", "layers": given}), 422)
    assert body["errors"][0]["where"] == "body.layers"
    assert "Write 3" in body["detail"]


def test_an_unknown_model_gets_the_nearest_name(client: TestClient) -> None:
    assert "minilm" in problem(client.post("/api/v1/traces", json={"model": "minilim", "text": "x"}), 404)["detail"]
    assert "minilm" in problem(client.get("/api/v1/models/minilim"), 404)["detail"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("layers=6", ("layer", 6, 6)),
        ("layers=0-6", ("layer", 6, 6)),
        ("heads=3,12", ("head", 12, 12)),
        ("queries=15", ("query", 15, 15)),
        ("keys=4,0-999999999", ("key", 999999999, 15)),
    ],
)
def test_an_index_out_of_range_names_the_axis(
    client: TestClient, id: str, query: str, named: tuple[str, int, int]
) -> None:
    body = problem(client.get(f"/api/v1/traces/{id}/attention?{query}"), 422)
    assert (body["axis"], body["index"], body["size"]) == named
    assert f"0 to {named[2] - 1}" in body["detail"]


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1,,2", "1;2", "3-1", "1.5", "²", "1 ", "9" * 5000, "1\n"])
def test_a_bad_selection_names_itself(client: TestClient, id: str, text: str) -> None:
    body = problem(client.get(f"/api/v1/traces/{id}/attention", params={"layers": text}), 422)
    assert body["errors"][0]["where"] == "query.layers"
    assert body["detail"].startswith("layers: ")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("layerz=3", "Did you mean layers?"),
        ("stage=probs", "stage"),
        ("dtype=f64", "dtype"),
        ("layers=0&layers=1", "layers: this is given more than once"),
        ("layers=0&layers=0", "layers=0,1"),
        ("dtype=u8&dtype=f32", "dtype: this is given more than once"),
        ("over=all", "give reduce=mean"),
        ("over=heads", "give reduce=mean"),
        ("size=0", "size"),
        ("size=big", "size"),
        ("reduce=sum", "reduce"),
        ("block=cross", "encoder.self"),
        ("stack=decoder", "encoder.self"),
    ],
)
def test_a_bad_parameter_is_named(client: TestClient, id: str, query: str, named: str) -> None:
    assert named in problem(client.get(f"/api/v1/traces/{id}/attention?{query}"), 422)["detail"]


@pytest.mark.parametrize(
    ("where", "axis"),
    [((6, 0, 0, 0), "layer"), ((0, 12, 0, 0), "head"), ((0, 0, 99, 0), "query"), ((0, 0, 0, 15), "key")],
)
def test_one_weight_out_of_range(client: TestClient, id: str, where: tuple[int, ...], axis: str) -> None:
    params = dict(zip(("layer", "head", "query", "key"), where, strict=True))
    assert problem(client.get(f"/api/v1/traces/{id}/arithmetic", params=params), 422)["axis"] == axis


def test_a_site_that_is_not_there_gets_the_nearest(client: TestClient, id: str) -> None:
    body = problem(client.get(f"/api/v1/traces/{id}/tensors/encoder.9.self.q"), 404)
    assert "Did you mean" in body["detail"]


def test_an_axis_of_another_site_is_refused(client: TestClient, id: str) -> None:
    body = problem(client.get(f"/api/v1/traces/{id}/tensors/encoder.0.resid.pre?head=1"), 422)
    assert "position, model" in body["detail"]


def test_an_answer_that_is_too_large_says_how_to_narrow_it(serve: Serve) -> None:
    with serve(max_values=6 * 12 * 25, max_text_values=100) as client:
        id = client.post("/api/v1/traces", json={"text": "a b c"}).json()["id"]
        maps = f"/api/v1/traces/{id}/attention"
        assert client.get(maps).status_code == 200
        for url in (maps, f"/api/v1/traces/{id}/tensors/encoder.0.self.pattern"):
            body = problem(client.get(url, headers={"accept": "application/json"}), 413)
            assert body["limit"] == 100
            assert "heads=" in body["detail"] or "head=" in body["detail"]
        problem(client.post("/api/v1/attention", json={"text": "a b c"}), 413)
        small = {"text": "a b c", "size": 1}
        assert client.post("/api/v1/attention", json=small).status_code == 200
        long = client.post("/api/v1/traces", json={"text": "a b c d"}).json()["id"]
        problem(client.get(f"/api/v1/traces/{long}/attention"), 413)
        assert client.get(f"/api/v1/traces/{long}/attention?reduce=mean").status_code == 200


def test_a_defect_is_a_problem_without_its_secrets(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the password is swordfish")

    with serve() as client:
        id = client.post("/api/v1/traces", json={"text": "a"}).json()["id"]
        monkeypatch.setattr(engine, "attention", broken)
        response = client.get(f"/api/v1/traces/{id}/attention")
        body = problem(response, 500)
        assert "swordfish" not in response.text
        assert body["request_id"] == response.headers["x-request-id"]
        assert "content-security-policy" in response.headers


def test_every_engine_error_has_a_problem() -> None:
    def below(kind: type[Exception]) -> list[type[Exception]]:
        return [found for child in kind.__subclasses__() for found in (child, *below(child))]

    served = (error for error in below(engine.errors.EngineError) if ".train." not in error.__module__)
    for error in served:  # training is not served: its errors are for the terminal
        assert any(issubclass(error, known) for known, _ in problems.ENGINE), error


def test_a_damaged_checkpoint_is_no_clients_business() -> None:
    found = problems.from_engine(engine.errors.WrongHash("/srv/secret/model.safetensors", "a", "b"))
    assert found.status_code == 500
    assert "/srv/secret" not in str(found.body("/"))


def test_every_problem_has_a_name_of_its_own_and_says_what_to_do() -> None:
    assert len({kind.kind() for kind in kinds()}) == len(kinds())
    for kind in kinds():
        assert kind.example.endswith((".", "?"))
        assert kind.title
        assert 400 <= kind.status < 600


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"operation": "zero", "address": "encoder.0.self.z", "where": {"head": [10**30]}}, 422),
        ({"operation": "zero", "address": "encoder.0.self.z", "where": {"head": [10**8]}}, 422),
        ({"operation": "zero", "address": "\ud800"}, 422),
    ],
)
def test_what_json_can_not_say_is_refused_and_not_a_defect(
    client: TestClient, sent: dict[str, Any], status: int
) -> None:
    body = json.dumps({"text": FLAGSHIP, "patches": [sent]})
    answer = client.post("/api/v1/traces", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_problem_can_always_be_written() -> None:
    told = Problem("no", index=10**30, address="\ud800", axes=["a", 2**64], shares={"x": 0.5, "known": True})
    said = json.loads(bytes(told.response("/here").body))
    assert said["index"] == str(10**30)
    assert said["address"] == "?"
    assert said["axes"] == ["a", str(2**64)]
    assert said["shares"] == {"x": 0.5, "known": True}
