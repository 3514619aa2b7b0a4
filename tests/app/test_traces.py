"""From a text to its trace, and to what is under its id."""

from __future__ import annotations

import pytest
import torch
from fastapi.testclient import TestClient

import engine
from app import schemas
from tests.app.conftest import FLAGSHIP, make, problem


def test_a_trace_has_tokens_and_structure(client: TestClient, flagship: engine.Trace) -> None:
    response = client.post("/api/v1/traces", json={"model": "minilm", "text": FLAGSHIP})
    body = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/v1/traces/{flagship.digest}"
    assert body["id"] == flagship.digest
    assert [token["text"] for token in body["tokens"]["encoder"]] == [t.text for t in flagship.tokens["encoder"]]
    assert [token["index"] for token in body["tokens"]["encoder"]] == list(range(15))
    assert body["stacks"][0]["layers"] == 6
    assert body["stacks"][0]["blocks"][0]["name"] == "self"
    assert body["prediction"] is None
    assert client.get(response.headers["location"]).json() == body


def test_the_flagship_number(client: TestClient, id: str) -> None:
    tokens = [token["text"] for token in client.get(f"/api/v1/traces/{id}").json()["tokens"]["encoder"]]
    answer = client.get(f"/api/v1/traces/{id}/attention?layers=5&heads=11", headers={"accept": "application/json"})
    row = answer.json()["values"][0][0][tokens.index("it")]
    assert row[tokens.index("animal")] == pytest.approx(0.647, abs=0.002)
    assert sum(row) == pytest.approx(1, abs=1e-5)


def test_one_call_gives_maps(client: TestClient) -> None:
    body = client.post("/api/v1/attention", json={"text": FLAGSHIP, "layers": "5", "heads": "11"}).json()
    words = [token["text"] for token in body["all_tokens"]["encoder"]]
    assert body["tokens"]["query"] == words
    assert body["values"][0][0][words.index("it")][words.index("animal")] == pytest.approx(0.647, abs=0.002)
    assert client.get(f"/api/v1/traces/{body['id']}").status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "été naïve",
        "日本語の文",
        "مرحبا بالعالم",
        "👩‍👩‍👧‍👦 family",
        "e\u0301 combining",
        "zero\u200dwidth",
        "\u202eright to left",
        "a\x00b",
    ],
)
def test_any_text_is_traced(client: TestClient, text: str) -> None:
    for token in make(client, text)["tokens"]["encoder"]:
        if not token["special"]:
            assert token["text"] == text[token["start"] : token["end"]]


def test_two_texts_have_two_segments(client: TestClient) -> None:
    body = make(client, "The cat sat.", pair="It slept.")
    assert body["pair"] == "It slept."
    assert {token["segment"] for token in body["tokens"]["encoder"]} == {0, 1}


def test_tokens_over_the_limit_are_counted(client: TestClient) -> None:
    body = problem(client.post("/api/v1/traces", json={"text": "word " * 600}), 422)
    assert body["tokens"] == 602
    assert body["limit"] == 512
    assert "602" in body["detail"]


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_text_is_refused(client: TestClient, text: str) -> None:
    assert problem(client.post("/api/v1/traces", json={"text": text}), 422)["title"] == "The text is empty"


def test_half_a_surrogate_is_refused(client: TestClient) -> None:
    raw = b'{"text": "half \\ud83d of a pair"}'
    problem(client.post("/api/v1/traces", content=raw, headers={"content-type": "application/json"}), 422)


def test_heads_are_the_engines(client: TestClient, id: str, flagship: engine.Trace) -> None:
    body = client.get(f"/api/v1/traces/{id}/heads").json()
    found = engine.heads(flagship)
    for name in ("sharpness", "entropy", "peak", "first", "previous", "own"):
        torch.testing.assert_close(torch.tensor(body[name]), getattr(found, name))


def test_the_lens_ends_with_what_is_said(client: TestClient, id: str) -> None:
    made = client.post(
        "/api/v1/traces", json={"model": "gpt-captions", "text": "Two dogs are running through the"}
    ).json()
    url = f"/api/v1/traces/{made['id']}/lens"
    body = client.get(url).json()
    assert schemas.Lens.model_validate(body, strict=True).model_dump(mode="json") == body
    (asked,) = made["prediction"]["positions"]
    assert (body["stack"], body["position"]) == ("decoder", asked["position"])
    assert [guess["layers"] for guess in body["guesses"]] == [0, 1, 2, 3, 4]
    last = body["guesses"][-1]
    told = [(one["token"]["id"], pytest.approx(one["probability"])) for one in last["top"]]
    assert told == [(one["id"], one["probability"]) for one in asked["top"][:5]]
    assert last["of_said"] == last["top"][0]["probability"]
    assert body["said"] == last["top"][0]["token"]
    earlier = client.get(url, params={"position": 2, "top": 2}).json()
    assert earlier["position"] == 2
    assert {len(guess["top"]) for guess in earlier["guesses"]} == {2}
    assert problem(client.get(url, params={"position": 99}), 422)["axis"] == "position"
    assert "no head" in problem(client.get(f"/api/v1/traces/{id}/lens"), 404)["detail"]


def test_arithmetic_adds_up(client: TestClient, id: str) -> None:
    body = client.get(f"/api/v1/traces/{id}/arithmetic?layer=5&head=11&query=10&key=2").json()
    assert (body["query_token"], body["key_token"]) == ("it", "animal")
    assert sum(body["products"]) == pytest.approx(body["raw"], rel=1e-5)
    assert body["raw"] * body["scale"] == pytest.approx(body["scaled"], rel=1e-5)
    assert body["numerator"] / body["denominator"] == pytest.approx(body["weight"], rel=1e-5)
    assert body["weight"] == pytest.approx(0.647, abs=0.002)
    assert body["weighted_v"] == pytest.approx([body["weight"] * v for v in body["v"]], rel=1e-4, abs=1e-7)


def test_a_tensor_is_cut_by_its_axes(client: TestClient, id: str, flagship: engine.Trace) -> None:
    address = "encoder.5.self.q"
    url = f"/api/v1/traces/{id}/tensors/{address}?head=11&query=10,2&head_dim=0-3"
    body = client.get(url, headers={"accept": "application/json"}).json()
    assert body["axes"] == ["head", "query", "head_dim"]
    assert body["indices"] == {"head": [11], "query": [10, 2], "head_dim": [0, 1, 2, 3]}
    assert body["tokens"] == {"query": ["it", "animal"]}
    expected = flagship.slice(address, head=[11], query=[10, 2], head_dim=range(4))
    torch.testing.assert_close(torch.tensor(body["values"]), expected)


def test_every_site_of_the_model_can_be_read(client: TestClient, id: str, flagship: engine.Trace) -> None:
    for address, axes in flagship.axes.items():
        first = "&".join(f"{axis}=0" for axis in axes)
        answer = client.get(f"/api/v1/traces/{id}/tensors/{address}?{first}", headers={"accept": "application/json"})
        assert answer.status_code == 200, answer.text
        values = torch.tensor(answer.json()["values"])
        torch.testing.assert_close(values, flagship.slice(address, **dict.fromkeys(axes, 0)).float())


def test_models_say_what_can_be_seen(client: TestClient, minilm: engine.Model) -> None:
    listed = client.get("/api/v1/models").json()
    detail = client.get("/api/v1/models/minilm").json()
    assert [model["id"] for model in listed] == [card.id for card in engine.cards()]
    assert listed[0]["status"] == "loaded"
    assert (listed[0]["pairs"], listed[0]["targets"]) == (True, False)
    others = {model["id"]: model for model in listed}
    assert (others["lstm-sentiment"]["pairs"], others["lstm-sentiment"]["targets"]) == (False, False)
    assert listed[0].items() <= detail.items()
    assert detail["revision"] == minilm.sha256
    written = [
        site["address"].replace("{layer}", str(layer))
        for site in detail["sites"]
        for layer in range(site["layers"] or 1)
    ]
    assert sorted(written) == sorted(minilm.sites)


def test_a_whole_trace_travels_as_safetensors(client: TestClient, id: str, flagship: engine.Trace) -> None:
    answer = client.get(f"/api/v1/traces/{id}", headers={"accept": "application/vnd.safetensors"})
    back = engine.Trace.from_bytes(answer.content)
    assert back.digest == flagship.digest
    assert answer.content == flagship.to_bytes()
