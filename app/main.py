"""Puts the app together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from app import VERSION, files, middleware, problems, schemas
from app.languages import Languages
from app.lessons import Lessons
from app.metrics import Metrics
from app.routes import generate, gradients, health, lessons, models, pages, share, traces, weights
from app.runner import LocalRunner
from app.settings import Settings
from engine.checkpoint import Progress

DESCRIPTION = (
    "From a text to any tensor of any layer and head. Post a text to `/api/v1/traces`, then ask for what you want to "
    "see under its id; or get maps in one call from `/api/v1/attention`. What is under an id never changes."
)


def create_app(settings: Settings | None = None, progress: Progress | None = None) -> FastAPI:
    """The whole application; nothing is loaded before it starts, and `progress` is told how far that is."""
    settings = settings or Settings()
    metrics = Metrics()
    runner = LocalRunner(settings, metrics, progress)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await runner.start()
            _describe(app, runner.opening)
            yield
        finally:
            runner.close()

    app = FastAPI(
        title="Headlight",
        version=VERSION,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=_middleware(settings, metrics),
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.runner = runner
    app.state.assets = files.Assets(files.folder("static"))
    app.state.languages = Languages(files.folder("static") / "lang", settings.language)
    app.state.templates = pages.Templates()
    app.state.lessons = Lessons(files.folder("templates") / "lessons", *map(Path, settings.lessons))
    problems.install(app)
    for router in (
        models.router,
        weights.router,
        traces.router,
        gradients.router,
        generate.router,
        lessons.router,
        lessons.shown,
        health.router,
        share.router,
        pages.router,
    ):
        app.include_router(router)
    return app


BESIDE: tuple[type[BaseModel], ...] = (schemas.ProblemBody, schemas.Step, schemas.Generated, schemas.Progress)
"""Bodies that no route declares: those of problems and of events."""


def _describe(app: FastAPI, opening: str | None) -> None:
    """Complete the OpenAPI document: the shape of problems, and parameters that the API page can try at once."""
    document = app.openapi()
    _, found = models_json_schema(
        [(kind, "serialization") for kind in BESIDE], ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"] |= found["$defs"]
    for path, calls in document["paths"].items():
        for parameter in (parameter for call in calls.values() for parameter in call.get("parameters", ())):
            examples = parameter["schema"].get("examples", ())
            if parameter["name"] == "id" and path.startswith("/api/v1/traces/") and opening:
                examples = (opening,)
            if examples:
                parameter["example"] = examples[0]


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
    """Outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["accept", "content-type", "if-none-match", "x-request-id"],
        expose_headers=["etag", "location", "retry-after", "x-request-id"],
    )
    return [
        Middleware(middleware.Secure, shared=bool(settings.cors_origins)),
        Middleware(middleware.Observe, metrics=metrics),
        Middleware(middleware.AllowedHosts, hosts=settings.allowed_hosts),
        *([cors] if settings.cors_origins else []),
        Middleware(middleware.Head),
        Middleware(middleware.Gzip),
        Middleware(middleware.BodyLimit, limit=settings.max_body_bytes),
    ]
