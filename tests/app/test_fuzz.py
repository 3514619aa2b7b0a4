"""Whatever is sent: no 5xx, and only answers that the API's own description knows."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from app import wire
from app.main import create_app
from app.settings import Settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
ACCEPT = st.sampled_from(("*/*", *wire.TENSOR))
CALLS = [
    (method.upper(), path, mode)
    for path, calls in create_app(Settings(preload=False)).openapi()["paths"].items()
    for method, call in calls.items()
    for mode in GenerationMode
    # A call that takes nothing but an id can't be asked wrongly.
    if mode == GenerationMode.POSITIVE
    or "requestBody" in call
    or any(p["in"] == "query" for p in call.get("parameters", ()))
]


@pytest.fixture(scope="module")
def document(app: FastAPI) -> Any:
    return schemathesis.openapi.from_dict(app.openapi())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]} {call[2].name.lower()}")
def test_anything(client: TestClient, document: Any, id: str, call: tuple[str, str, GenerationMode]) -> None:
    method, path, mode = call

    @settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=document[path][method].as_strategy(generation_mode=mode), accept=ACCEPT, exists=st.booleans())
    def check(case: schemathesis.Case[Any], accept: str, exists: bool) -> None:
        if exists and "id" in case.path_parameters:  # what is made up is never the name of something
            case.path_parameters["id"] = id if "traces" in path else "minilm"
            if "address" in case.path_parameters:
                case.path_parameters["address"] = "encoder.5.self.pattern"
        sent = case.as_transport_kwargs(base_url="http://localhost", headers={"accept": accept})
        taken = {name: sent[name] for name in ("params", "json", "headers") if sent.get(name) is not None}
        if sent.get("data") is not None:
            taken["content"] = sent["data"]
        response = client.request(sent["method"], sent["url"], **taken)
        checks = CHECKS if response.status_code != 406 else [not_a_server_error, content_type_conformance]
        case.validate_response(response, checks=checks)

    check()
