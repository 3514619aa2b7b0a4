"""What a network has learned over HTTP: the engine's own parameters, sliced and encoded like any other tensor."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from fastapi.testclient import TestClient

import engine
from tests.app.conftest import Serve, problem

WEIGHTS = "/api/v1/models/minilm/weights"
Q = "layers.5.attention.q.weight"


def test_every_parameter_is_listed_with_its_block_and_letter(client: TestClient, minilm: engine.Model) -> None:
    answer = client.get(WEIGHTS)
    listed = {one["name"]: one for one in answer.json()}
    assert list(listed) == list(minilm.network.state_dict())
    assert listed[Q] == {
        "name": Q,
        "axes": ["head", "head_dim", "model"],
        "shape": [12, 32, 384],
        "dtype": "float32",
        "stack": "encoder",
        "layer": 5,
        "block": "self",
        "letter": "W_Q",
        "gates": [],
    }
    assert listed["token.weight"]["letter"] is None
    again = client.get(WEIGHTS, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_heads_part_is_that_of_the_projection(client: TestClient, minilm: engine.Model) -> None:
    body = client.get(f"{WEIGHTS}/{Q}", params={"head": 11}).content
    weight, bias = minilm.projection("encoder", 5, "self", "q", 11)
    assert torch.equal(safetensors.torch.load(body)["tensor"][0].T, weight)
    assert bias is not None
    told = client.get(f"{WEIGHTS}/layers.5.attention.q.bias", params={"head": 11}, headers={"accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(told.text)))
    assert torch.equal(torch.tensor([float(row["value"]) for row in rows]), bias)
    exact = client.get(f"{WEIGHTS}/{Q}", params={"head": "3,5", "model": "0-7"}, headers={"accept": "application/json"})
    assert exact.json()["indices"]["head"] == [3, 5]
    values = torch.tensor(exact.json()["values"])
    assert torch.equal(values, minilm.weight(Q, head=[3, 5], model=range(8)))


@pytest.mark.parametrize(("dtype", "kind"), [("f16", torch.float16), ("u8", torch.uint8)])
def test_fewer_bytes_on_request(client: TestClient, dtype: str, kind: torch.dtype) -> None:
    body = client.get(f"{WEIGHTS}/{Q}", params={"head": 0, "dtype": dtype}).content
    assert safetensors.torch.load(body)["tensor"].dtype == kind


def test_it_is_sent_once_for_one_revision(client: TestClient, serve: Serve, tiny: Path, tmp_path: Path) -> None:
    first = client.get(f"{WEIGHTS}/{Q}", params={"head": 11})
    assert "no-cache" in first.headers["cache-control"]
    again = client.get(f"{WEIGHTS}/{Q}", params={"head": 11}, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    changed = tmp_path / tiny.name
    shutil.copytree(tiny, changed)
    config = changed / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"layer_norm_eps": 1e-3}))
    tags = []
    for folder in (tiny, changed, tiny):
        with serve(models=(str(folder),)) as other:
            tags.append(other.get(f"/api/v1/models/{tiny.name}/weights/layers.0.attention.q.weight").headers["etag"])
    assert tags[0] == tags[2] != tags[1]


@pytest.mark.parametrize(
    ("name", "query", "status", "says"),
    [
        ("layers.5.attention.p.weight", {}, 404, "layers.5.attention.q.weight or"),
        (Q, {"head": 12}, 422, "There is no head 12"),
        (Q, {"row": 1}, 422, "its axes are head, head_dim, model"),
        (Q, {"layer": 1}, 422, "layer"),
        ("token.weight", {}, 413, "Narrow it with row=, column="),
    ],
)
def test_what_can_not_be_sent_is_a_problem(
    client: TestClient, name: str, query: dict[str, int], status: int, says: str
) -> None:
    assert says in problem(client.get(f"{WEIGHTS}/{name}", params=query), status)["detail"]


def test_models_that_are_not_there_have_no_weights(client: TestClient) -> None:
    problem(client.get("/api/v1/models/nobody/weights"), 404)
    problem(client.get(f"/api/v1/models/nobody/weights/{Q}"), 404)
