"""Interventions over HTTP: the same numbers as from Python, an id of their own, and sentences where they do not fit."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

import engine
from tests.app.conftest import FLAGSHIP, MAPS, make

KNOCKOUT = {
    "operation": "knockout",
    "address": "encoder.5.self.scores",
    "where": {"head": [11], "query": [10], "key": [2]},
}
OTHER = "The animal didn't cross the street because it was too wide"


def row(client: TestClient, id: str) -> list[float]:
    """What "it" attends to in the flagship head."""
    where = {"layers": "5", "heads": "11", "queries": "10"}
    answer = client.get(MAPS.format(id=id), params=where, headers={"accept": "application/json"})
    values: list[float] = answer.json()["values"][0][0][0]
    return values


def test_a_patched_trace_has_an_id_of_its_own_and_remembers_its_parent(client: TestClient, id: str) -> None:
    patched = make(client, FLAGSHIP, patches=[KNOCKOUT])
    assert patched["id"] != id
    assert patched["parent"] == id
    assert patched["patches"] == [KNOCKOUT]
    assert make(client, FLAGSHIP)["parent"] is None


@pytest.mark.parametrize(
    ("patch", "same"),
    [
        (KNOCKOUT, engine.Knockout("encoder.5.self.scores", head=11, query=10, key=2)),
        (
            {"operation": "zero", "address": "encoder.3.self.z", "where": {"head": [1]}},
            engine.Zero("encoder.3.self.z", head=1),
        ),
        (
            {"operation": "scale", "address": "encoder.3.resid.mid", "factor": 0.5, "where": {}},
            engine.Scale("encoder.3.resid.mid", 0.5),
        ),
        ({"operation": "mean", "address": "encoder.3.self.z", "where": {}}, engine.Mean("encoder.3.self.z")),
    ],
)
def test_a_patch_does_what_it_does_from_python(
    client: TestClient, minilm: engine.Model, patch: dict[str, Any], same: engine.Patch
) -> None:
    id = make(client, FLAGSHIP, patches=[patch])["id"]
    trace = engine.trace(minilm, FLAGSHIP, patches=[same])
    assert id == trace.digest
    expected = trace.slice("encoder.5.self.pattern", head=[11], query=[10]).flatten().tolist()
    assert row(client, id) == pytest.approx(expected, rel=1e-5)


def test_a_copy_brings_in_another_trace(client: TestClient, minilm: engine.Model) -> None:
    source = make(client, OTHER)["id"]
    patch = {"operation": "copy", "address": "encoder.2.resid.post", "source": source, "positions": [[13, 13]]}
    id = make(client, FLAGSHIP, patches=[patch])["id"]
    other = engine.trace(minilm, OTHER)
    assert id == engine.trace(minilm, FLAGSHIP, patches=[engine.Copy("encoder.2.resid.post", other, {13: 13})]).digest


def test_arithmetic_says_where_a_patch_cut_its_chain(client: TestClient, id: str) -> None:
    patched = make(client, FLAGSHIP, patches=[KNOCKOUT])["id"]
    for trace, layer, cut in ((patched, 5, True), (id, 5, False)):
        url = f"/api/v1/traces/{trace}/arithmetic?layer={layer}&head=11&query=10&key=3"
        assert client.get(url).json()["patched"] is cut


@pytest.mark.parametrize(
    ("patch", "status", "says"),
    [
        ({"operation": "zero", "address": "encoder.9.self.z"}, 422, "encoder.9.self.z"),
        ({"operation": "zero", "address": "encoder.1.self.z", "where": {"hed": [1]}}, 422, "There is no axis 'hed'"),
        ({"operation": "zero", "address": "encoder.1.self.z", "where": {"address": [1]}}, 422, "There is no axis"),
        ({"operation": "zero", "address": "encoder.1.self.z", "where": {"head": [12]}}, 422, "head goes from 0 to 11"),
        ({"operation": "scale", "address": "encoder.1.self.z"}, 422, "scale needs factor"),
        ({"operation": "zero", "address": "encoder.1.self.z", "factor": 2}, 422, "zero has no factor"),
        ({"operation": "knockout", "address": "encoder.1.self.pattern"}, 422, "Zero on the pattern"),
        ({"operation": "copy", "address": "encoder.1.self.z", "source": "nothing"}, 404, "POST"),
    ],
)
def test_a_patch_that_does_not_fit_says_so(client: TestClient, patch: dict[str, Any], status: int, says: str) -> None:
    answer = client.post("/api/v1/traces", json={"text": FLAGSHIP, "patches": [patch]})
    assert answer.status_code == status
    assert says.lower() in answer.text.lower()


def test_a_patched_trace_is_made_again_after_it_was_let_go(serve: Any) -> None:
    with serve(cache_bytes=1) as client:
        id = make(client, FLAGSHIP, patches=[KNOCKOUT])["id"]
        assert row(client, id)[2] == 0
