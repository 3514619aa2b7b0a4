"""POST /generate: tokens as events, the replay's trace at the end, and work that stops when nobody listens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import engine
from app.settings import Settings
from tests.app.conftest import Serve, problem
from tests.serving import served

GENERATE = "/api/v1/generate"


@pytest.fixture(scope="module")
def client(serve: Serve, folders: dict[str, Path]) -> Iterator[TestClient]:
    with serve(models=tuple(str(folders[name]) for name in ("tiny-gpt2", "tiny-t5", "tiny-gru"))) as client:
        yield client


def events(text: str) -> list[tuple[str, Any]]:
    """Names and bodies of a whole stream."""
    parts = [dict(line.split(": ", 1) for line in part.splitlines()) for part in text.strip().split("\n\n")]
    return [(part["event"], json.loads(part["data"])) for part in parts]


def generated(client: TestClient, **body: Any) -> tuple[list[Any], Any]:
    response = client.post(GENERATE, json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    *steps, (name, done) = events(response.text)
    assert {name for name, _ in steps} == {"token"}
    assert name == "done"
    return [body for _, body in steps], done


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-t5", "tiny-gru"])
def test_events_say_what_the_engine_says(client: TestClient, folders: dict[str, Path], name: str) -> None:
    settings: dict[str, Any] = {"max_new_tokens": 6, "temperature": 0.9, "top_k": 12, "seed": 5}
    steps, done = generated(client, model=name, text="two dogs run", **settings)
    model = engine.load(folders[name])
    trace = engine.generate(model, "two dogs run", **settings)
    last = model.family.stacks[-1]
    assert done["said"] == [token.id for token in trace.tokens[last]][-len(done["said"]) :]
    assert [step["token"]["id"] for step in steps][: len(done["said"])] == done["said"]
    assert done["text"] == model.text_of(done["said"])
    assert [step["ended"] for step in steps[:-1]] == [None] * (len(steps) - 1)
    assert done["ended"] == steps[-1]["ended"]
    for step in steps:
        assert step["seconds"] > 0
        assert len(step["top"]) in (10, 11)
        assert step["token"] in [other["token"] for other in step["top"]]
        assert sum(other["chance"] for other in step["top"]) <= 1 + 1e-9


def test_the_last_event_names_the_replay(client: TestClient) -> None:
    steps, done = generated(client, model="tiny-gpt2", text="two dogs run", max_new_tokens=5)
    body = client.get(done["location"]).json()
    assert body["id"] == done["id"]
    assert body["said"] == done["said"]
    assert [token["id"] for token in body["tokens"]["decoder"]][-5:] == done["said"]
    logits = client.get(
        f"/api/v1/traces/{done['id']}/tensors/decoder.logits",
        params={"position": str(steps[2]["position"] - 1)},
        headers={"accept": "application/json"},
    ).json()["values"][0]
    assert max(range(len(logits)), key=logits.__getitem__) == steps[2]["token"]["id"]


def test_a_trace_that_went_is_made_again_without_generating(serve: Serve, folders: dict[str, Path]) -> None:
    with serve(models=(str(folders["tiny-gpt2"]),), cache_bytes=0) as client:
        _, done = generated(client, model="tiny-gpt2", text="two dogs run", max_new_tokens=5, temperature=2)
        before = client.get("/metrics").text
        assert client.get(done["location"]).json()["said"] == done["said"]
        after = client.get("/metrics").text
    count = [line for line in before.splitlines() if line.startswith("headlight_generated_tokens_total")]
    assert count == ["headlight_generated_tokens_total 5.0"]
    assert count[0] in after


def test_going_on_from_another_token(client: TestClient) -> None:
    steps, done = generated(client, model="tiny-gpt2", text="two dogs run", max_new_tokens=6)
    other = next(c["token"]["id"] for c in steps[2]["top"] if c["token"]["id"] != done["said"][2])
    forced = [*done["said"][:2], other]
    _, again = generated(client, model="tiny-gpt2", text="two dogs run", said=forced, max_new_tokens=3)
    assert again["said"][:3] == forced
    assert len(again["said"]) == 6
    posted = client.post("/api/v1/traces", json={"model": "tiny-gpt2", "text": "two dogs run", "said": again["said"]})
    assert posted.json()["id"] == again["id"]


def test_a_trace_may_be_asked_to_continue_its_text_first(client: TestClient) -> None:
    how = {"max_new_tokens": 4, "temperature": 1.0, "seed": 3}
    _, done = generated(client, model="tiny-t5", text="two dogs run", **how)
    answer = client.post("/api/v1/traces", json={"model": "tiny-t5", "text": "two dogs run", "generate": how})
    assert answer.status_code == 201
    assert answer.json()["id"] == done["id"]
    maps = client.post(
        "/api/v1/attention",
        json={"model": "tiny-t5", "text": "two dogs run", "generate": how, "layers": "0", "heads": "0"},
    ).json()
    assert maps["id"] == done["id"]


def test_beams_send_their_tree(client: TestClient) -> None:
    steps, done = generated(client, model="tiny-gpt2", text="two dogs run", max_new_tokens=4, beams=3)
    nodes = [beam for step in steps for beam in step["beams"]]
    assert [len(step["beams"]) for step in steps] == [6] * 4
    best = max((beam for beam in steps[-1]["beams"] if beam["kept"]), key=lambda beam: beam["log_probability"])
    path = [best]
    while path[0]["parent"] is not None:
        path.insert(0, nodes[path[0]["parent"]])
    assert [beam["token"]["id"] for beam in path] == done["said"]


def test_patches_are_in_force(client: TestClient) -> None:
    patches = [{"operation": "zero", "address": f"decoder.{layer}.self.z"} for layer in range(4)]
    plain = generated(client, model="tiny-gpt2", text="two dogs run", max_new_tokens=4)[1]
    patched = generated(client, model="tiny-gpt2", text="two dogs run", max_new_tokens=4, patches=patches)[1]
    assert patched["id"] != plain["id"]
    assert client.get(patched["location"]).json()["parent"] is not None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"model": "minilm", "text": "a"}, "predicts no next token"),
        ({"model": "tiny-gpt2", "text": "two dogs", "temperature": -1}, "temperature"),
        ({"model": "tiny-gpt2", "text": "two dogs", "beams": 2, "temperature": 1}, "Beam search draws nothing"),
        ({"model": "tiny-gpt2", "text": "two dogs", "said": [99999]}, "no token 99999"),
        ({"model": "tiny-gpt2", "text": "two dogs", "target": "a"}, "leave out the target"),
        ({"model": "tiny-gpt2", "text": "two dogs", "topk": 5}, "Did you mean top_k"),
        (
            {
                "model": "tiny-gpt2",
                "text": "two dogs",
                "patches": [{"operation": "mean", "address": "decoder.0.mlp.out"}],
            },
            "step by step",
        ),
    ],
)
def test_what_makes_no_sense_is_a_problem_and_no_stream(client: TestClient, body: Any, says: str) -> None:
    assert says in problem(client.post(GENERATE, json=body), 422)["detail"]


def test_a_full_text_has_no_room_to_go_on(client: TestClient) -> None:
    short = client.post("/api/v1/traces", json={"model": "tiny-gpt2", "text": "two dogs"}).json()["tokens"]["decoder"]
    filler = [5] * (128 - len(short))
    full = {"model": "tiny-gpt2", "text": "two dogs", "said": filler}
    assert problem(client.post(GENERATE, json=full), 422)["limit"] == 128
    steps, done = generated(client, model="tiny-gpt2", text="two dogs", said=filler[4:], max_new_tokens=50)
    assert len(steps) == 4
    assert done["ended"] == "length"


def test_only_events_are_offered(client: TestClient) -> None:
    problem(client.post(GENERATE, json={"model": "tiny-gpt2", "text": "a"}, headers={"accept": "text/csv"}), 406)


def test_what_fails_in_the_middle_is_an_event(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise engine.errors.TooLong(9, 8)

    monkeypatch.setattr(type(client.app.state.runner), "trace", broken)  # type: ignore[attr-defined]
    response = client.post(GENERATE, json={"model": "tiny-gpt2", "text": "two dogs", "max_new_tokens": 2})
    *_, (name, body) = events(response.text)
    assert name == "problem"
    assert (body["status"], body["limit"], body["instance"]) == (422, 8, GENERATE)


def test_who_goes_away_stops_the_work_within_a_token(folders: dict[str, Path]) -> None:
    def said(url: str) -> float:
        lines = httpx.get(f"{url}/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith("headlight_generated_tokens_total")).split()[1])

    settings = Settings(models=(str(folders["tiny-gpt2"]),), preload=False, torch_threads=1)
    with served(settings) as url:
        body = {"model": "tiny-gpt2", "text": "two dogs run", "max_new_tokens": 120}
        seen = 0
        with httpx.stream("POST", f"{url}{GENERATE}", json=body, timeout=30) as response:
            for line in response.iter_lines():
                seen += line.startswith("event: token")
                if seen == 3:
                    break
        time.sleep(0.5)  # far more than a token takes
        stopped = said(url)
        time.sleep(1)
        assert said(url) == stopped
        assert stopped < 120
