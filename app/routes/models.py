"""Which models there are, what can be looked at in them, and how their files come here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.responses import StreamingResponse

from app import events, present, schemas, wire
from app.deps import RunnerDep, json_wanted, no_parameters, own_page
from app.problems import (
    CheckpointBroken,
    DamagedDownload,
    DiskFull,
    DownloadsOff,
    Elsewhere,
    HubBusy,
    HubRefused,
    HubUnreachable,
    Invalid,
    NotAcceptable,
    NotOffered,
    UnfitRepository,
    UnknownModel,
    WeightsMissing,
    openapi,
)

router = APIRouter(prefix="/api/v1/models", tags=["models"], dependencies=[Depends(no_parameters)])

# A model's status changes while the server runs.
HEADERS = {"cache-control": "no-cache"}

Id = Annotated[str, Path(max_length=200, examples=["minilm"])]


@router.get(
    "",
    response_model=list[schemas.Model],
    responses=openapi(NotAcceptable, Invalid),
    dependencies=[Depends(json_wanted)],
)
async def list_models(runner: RunnerDep) -> Response:
    """Every model that may be asked for: family, size, limits, licence, examples."""
    body = await runner.describe(lambda: present.dump([present.model(one) for one in runner.models()]))
    return Response(body, headers=HEADERS, media_type=wire.JSON)


@router.get(
    "/{id}",
    response_model=schemas.ModelDetail,
    responses=openapi(UnknownModel, NotAcceptable, Invalid, WeightsMissing, CheckpointBroken),
    dependencies=[Depends(json_wanted)],
)
async def read_model(id: Id, runner: RunnerDep) -> Response:
    """One model with its stacks, its attention blocks and every site of it; loads it where its files are here."""
    known = await runner.describe(lambda: runner.known(id))
    if known.status in ("ready", "loading"):
        model = await runner.model(id)
        known = replace(known, card=model.card, status="loaded", model=model)
    return Response(
        await runner.describe(lambda: present.dump(present.detail(known))), headers=HEADERS, media_type=wire.JSON
    )


EVENTS = {
    "description": "`progress` events, each a Progress; then one `ready`, the model's card; or a `problem`.",
    "content": events.content(progress="Progress", ready="Model", problem="ProblemBody"),
}


@router.post(
    "/{id}/download",
    response_class=StreamingResponse,
    responses={
        200: EVENTS,
        **openapi(
            UnknownModel,
            NotOffered,
            Elsewhere,
            NotAcceptable,
            Invalid,
            WeightsMissing,
            DownloadsOff,
            HubBusy,
            HubUnreachable,
            HubRefused,
            UnfitRepository,
            DamagedDownload,
            DiskFull,
        ),
    },
    dependencies=[Depends(own_page), Depends(events.wanted)],
)
async def download_model(id: Id, request: Request, runner: RunnerDep) -> Response:
    """Bring a model's files here from the Hugging Face hub, if this server may, and tell how far that is.

    All who ask at once follow one download. It stops when the last of them leaves; what has come by then is kept, and
    the next call goes on from there. What goes wrong before the first byte is answered like any other problem.
    """
    steps = runner.download(id)
    first = await anext(steps, None)

    async def told() -> AsyncIterator[bytes]:
        async with aclosing(steps):
            if first is not None:
                yield events.event("progress", present.progress(first))
            async for files in steps:
                yield events.event("progress", present.progress(files))
            known = await runner.describe(lambda: runner.known(id))
            yield events.event("ready", await runner.describe(lambda: present.model(known)))

    return StreamingResponse(events.guarded(request, told()), media_type=events.MEDIA_TYPE, headers=events.HEADERS)
