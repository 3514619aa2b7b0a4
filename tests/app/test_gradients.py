"""Gradients over HTTP: the engine's, sliced and encoded like any other tensor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from fastapi.testclient import TestClient

import engine
from tests.app.conftest import FLAGSHIP, Serve, make, problem

TEXT = "two dogs run in the snow"


@pytest.fixture(scope="module")
def client(serve: Serve, folders: dict[str, Path]) -> Iterator[TestClient]:
    names = ("tiny-gpt2", "tiny-rnn", "tiny-t5", "tiny-sentiment", "tiny-numbers", "tiny-lstm-tagger")
    with serve(models=tuple(str(folders[name]) for name in names)) as client:
        yield client


def gradient(client: TestClient, id: str, address: str, **query: Any) -> torch.Tensor:
    response = client.get(f"/api/v1/traces/{id}/gradients/{address}", params=query)
    assert response.status_code == 200, response.text
    return safetensors.torch.load(response.content)["tensor"]


@pytest.mark.parametrize(
    ("name", "address", "of", "query"),
    [
        ("tiny-rnn", "sequence.0.cell.hidden", engine.Loss(), {}),
        ("tiny-rnn", "sequence.0.cell.hidden", engine.Loss(2), {"of_position": 2}),
        ("tiny-gpt2", "decoder.2.self.pattern", engine.Logit(9, 4), {"of": "logit", "of_token": 9, "of_position": 4}),
        ("tiny-sentiment", "sequence.0.pool.pattern", engine.Logit(1), {"of": "logit", "of_token": 1}),
        ("tiny-numbers", "sequence.0.cell.hidden", engine.Number(), {"of": "number"}),
        (
            "tiny-lstm-tagger",
            "sequence.1.reverse.hidden",
            engine.Logit(2, 1),
            {"of": "logit", "of_token": 2, "of_position": 1},
        ),
    ],
)
def test_it_is_the_engines(  # noqa: PLR0917 (pytest passes them by name)
    client: TestClient, folders: dict[str, Path], name: str, address: str, of: Any, query: dict[str, Any]
) -> None:
    text = "1 1 2 3 5" if name == "tiny-numbers" else TEXT
    id = make(client, text, model=name)["id"]
    expected = engine.gradients(engine.load(folders[name]), text, of=of, sites=[address])[address]
    assert expected.abs().max() > 0
    torch.testing.assert_close(gradient(client, id, address, **query), expected)


def test_a_part_of_it_is_the_part_of_the_whole(client: TestClient) -> None:
    id = make(client, TEXT, model="tiny-gpt2")["id"]
    whole = gradient(client, id, "decoder.1.self.q")
    part = gradient(client, id, "decoder.1.self.q", head="1,3", query="2-4")
    assert torch.equal(part, whole[[1, 3]][:, 2:5])


def test_what_a_decoder_said_by_itself_is_what_it_is_held_to(client: TestClient) -> None:
    id = make(client, TEXT, model="tiny-t5")["id"]
    found = gradient(client, id, "encoder.0.resid.pre")
    assert found.abs().max() > 0


def test_a_patched_trace_has_gradients_of_its_own(client: TestClient) -> None:
    cut = [{"operation": "zero", "address": "decoder.3.self.z"}]
    id = make(client, TEXT, model="tiny-gpt2", patches=cut)["id"]
    assert gradient(client, id, "decoder.3.self.q").abs().max() == 0


@pytest.mark.parametrize(
    ("address", "query", "status", "says"),
    [
        ("decoder.0.self.q", {"of": "logit"}, 422, "of_token"),
        ("decoder.0.self.q", {"of_token": 3}, 422, "with of=logit"),
        ("decoder.0.self.q", {"of": "logit", "of_token": 99999, "of_position": 0}, 422, "token"),
        ("decoder.0.self.q", {"of": "number"}, 422, "says no number"),
        ("decoder.0.self.q", {"of": "number", "of_position": 1}, 422, "with of=logit"),
        ("decoder.0.self.q", {"position": 1}, 422, "has no axis position"),
        ("decoder.0.self.by_head", {}, 422, "only derived"),
        ("decoder.9.self.q", {}, 404, "no site"),
    ],
)
def test_what_makes_no_sense_is_a_problem(
    client: TestClient, address: str, query: dict[str, Any], status: int, says: str
) -> None:
    id = make(client, TEXT, model="tiny-gpt2")["id"]
    answer = client.get(f"/api/v1/traces/{id}/gradients/{address}", params=query)
    assert says in problem(answer, status)["detail"]


def test_an_encoder_without_a_head_has_no_loss(client: TestClient) -> None:
    id = make(client, FLAGSHIP)["id"]
    answer = client.get(f"/api/v1/traces/{id}/gradients/encoder.5.self.q")
    assert "no head" in problem(answer, 422)["detail"]
