"""What whoever operates it sees: ids, logs, figures, readiness."""

from __future__ import annotations

import json
import logging

import pytest
import structlog
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app import logs
from app.settings import Settings
from tests.app.conftest import FLAGSHIP, Serve, make


def figures(client: TestClient) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics").text
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_request_keeps_the_id_that_it_came_with(client: TestClient) -> None:
    assert client.get("/health/live", headers={"x-request-id": "proxy-1.2_3"}).headers["x-request-id"] == "proxy-1.2_3"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "new\tline", '{"a":1}'])
def test_an_id_that_would_spoil_the_log_is_replaced(client: TestClient, sent: str) -> None:
    given = client.get("/health/live", headers={"x-request-id": sent}).headers["x-request-id"]
    assert len(given) == 32
    assert int(given, 16)


def test_ids_differ(client: TestClient) -> None:
    assert len({client.get("/nope").headers["x-request-id"] for _ in range(5)}) == 5


def test_every_request_is_logged_with_its_id(client: TestClient) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        client.get("/api/v1/models", headers={"x-request-id": "abc"})
    (line,) = (line for line in lines if line["event"] == "request")
    assert (line["method"], line["path"], line["status"], line["request_id"]) == ("GET", "/api/v1/models", 200, "abc")


def test_texts_are_not_logged(client: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        make(client, "a secret sentence")
    assert "secret" not in str(lines)


def test_logs_are_json_lines_for_machines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = logging.getLogger().handlers, logging.getLogger().level, structlog.get_config()
    try:
        logs.configure(Settings(log_format="json"))
        structlog.get_logger("headlight.test").info("hello", answer=42)
        logging.getLogger("uvicorn.error").warning("plain %s", "words")
        ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
        assert (ours["event"], ours["answer"], ours["level"]) == ("hello", 42, "info")
        assert (theirs["event"], theirs["logger"]) == ("plain words", "uvicorn.error")
        logs.configure(Settings(log_format="console"))
        structlog.get_logger("headlight.test").info("hello", answer=42)
        with pytest.raises(json.JSONDecodeError):
            json.loads(capsys.readouterr().err)
    finally:
        logging.getLogger().handlers, level, config = before
        logging.getLogger().setLevel(level)
        structlog.configure(**config)


def test_requests_are_counted_by_route_and_not_by_path(serve: Serve) -> None:
    with serve() as client:
        id = make(client, FLAGSHIP)["id"]
        for number in range(3):
            client.get(f"/api/v1/traces/{id}/attention?layers={number}")
            client.get(f"/made/up/{number}")
            client.request(f"MADEUP{number}", "/")
        client.head(f"/api/v1/traces/{id}")
        seen = figures(client)
        assert seen["headlight_requests_total", *sorted(("/api/v1/traces/{id}/attention", "200", "GET"))] == 3
        assert seen["headlight_requests_total", *sorted(("/api/v1/traces/{id}", "200", "HEAD"))] == 1
        routes = {key for key in seen if key[0] == "headlight_requests_total"}
        assert not any("made" in part for key in routes for part in key)
        assert sum(value for key, value in seen.items() if key in routes and "unmatched" in key) == 3


def test_what_is_refused_before_it_is_routed_counts_for_its_route(serve: Serve) -> None:
    with serve(preload=False) as client:
        client.get("/api/openapi.json")
        client.post("/api/v1/traces", content=b"x" * 300_000)
        client.get("/api/v1/traces/abc/heads", headers={"host": "elsewhere"})
        seen = figures(client)
        for figure in (
            ("/api/openapi.json", "200", "GET"),
            ("/api/v1/traces", "413", "POST"),
            ("/api/v1/traces/{id}/heads", "421", "GET"),
        ):
            assert seen["headlight_requests_total", *sorted(figure)] == 1
        assert not any("unmatched" in key for key in seen)


def test_figures_say_what_the_cache_saved(serve: Serve) -> None:
    with serve(preload=False) as client:
        for _ in range(3):
            make(client, "counted")
        seen = figures(client)
        assert seen["headlight_traces_total", "computed"] == 1
        assert seen["headlight_traces_total", "cached"] == 2
        assert seen["headlight_forward_seconds_count",] == 1
        assert seen["headlight_cached_bytes",] > 10_000
        assert seen["headlight_forward_waiting",] == 0


def test_two_apps_do_not_add_up(serve: Serve) -> None:
    with serve() as one, serve() as other:
        make(one, "only here")
        assert figures(one)["headlight_traces_total", "computed"] == 2
        assert figures(other)["headlight_traces_total", "computed"] == 1


def test_ready_means_that_the_model_is_there(client: TestClient) -> None:
    assert client.get("/health/live").json()["status"] == "ok"
    assert client.get("/health/ready").json()["status"] == "ok"
    runner = client.app.state.runner  # type: ignore[attr-defined]
    runner._started = False
    try:
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
    finally:
        runner._started = True
