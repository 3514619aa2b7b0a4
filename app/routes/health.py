"""For whoever operates the server."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app import VERSION, present, schemas, wire
from app.deps import RunnerDep
from app.metrics import Metrics

router = APIRouter(tags=["health"])

HEADERS = {"cache-control": "no-store"}


@router.get("/health/live", response_model=schemas.Health)
async def live() -> Response:
    """The process answers."""
    return Response(present.dump({"status": "ok", "version": VERSION}), headers=HEADERS, media_type=wire.JSON)


@router.get("/health/ready", response_model=schemas.Health, responses={503: {"model": schemas.Health}})
async def ready(runner: RunnerDep) -> Response:
    """The default model is loaded: send visitors here."""
    ready = runner.ready()
    body = present.dump({"status": "ok" if ready else "starting", "version": VERSION})
    return Response(body, 200 if ready else 503, HEADERS, wire.JSON)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    figures = cast(Metrics, request.app.state.metrics)
    return Response(generate_latest(figures.registry), headers=HEADERS, media_type=CONTENT_TYPE_LATEST)
