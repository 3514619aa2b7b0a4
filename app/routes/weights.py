"""What a network has learned: its parameters, and any part of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app import caching, present, schemas, wire
from app.deps import RunnerDep, SettingsDep, each_once, no_parameters
from app.problems import (
    BadIndex,
    Busy,
    CheckpointBroken,
    Invalid,
    NotAcceptable,
    TooManyValues,
    UnknownModel,
    UnknownParameter,
    WeightsMissing,
    openapi,
)
from app.routes.models import Id
from app.routes.traces import OBJECT, TENSOR_BODIES, along, within
from engine.learned import AXES

router = APIRouter(prefix="/api/v1/models", tags=["models"], dependencies=[Depends(each_once)])

Name = Annotated[
    str,
    Path(
        max_length=200,
        description="A parameter's name, from GET /models/{id}/weights.",
        examples=["layers.5.attention.q.weight"],
    ),
]
FOUND = (UnknownModel, NotAcceptable, Invalid, WeightsMissing, CheckpointBroken)


@router.get(
    "/{id}/weights",
    response_model=list[schemas.Parameter],
    responses=openapi(*FOUND),
    dependencies=[Depends(no_parameters)],
)
async def list_weights(request: Request, id: Id, runner: RunnerDep) -> Response:
    """Every parameter of a model with its named axes, and which block's W_Q, W_O or gate it is; loads the model."""
    media = wire.negotiate(wire.joined(request.headers, "accept"), (wire.JSON,))
    model = await runner.model(id)
    tag = caching.etag(request, media, model.revision)
    body = await runner.describe(lambda: present.dump(present.parameters(model)))
    return caching.immutable(request, body, media, tag, control=caching.ASK)


@router.get(
    "/{id}/weights/{name}",
    responses={
        200: TENSOR_BODIES[200] | {"content": TENSOR_BODIES[200]["content"] | {wire.JSON: {"schema": OBJECT}}},
        **openapi(*FOUND, UnknownParameter, BadIndex, TooManyValues, Busy),
    },
)
async def read_weights(  # noqa: PLR0917 (FastAPI passes them by name)
    request: Request,
    id: Id,
    name: Name,
    query: Annotated[schemas.ParameterQuery, Query()],
    runner: RunnerDep,
    settings: SettingsDep,
) -> Response:
    """A learned matrix, sliced by the names of its axes: W_Q of one head with `head=11`."""
    media = wire.negotiate(wire.joined(request.headers, "accept"), wire.TENSOR)
    model = await runner.model(id)
    tag = caching.etag(request, media, model.revision)
    if caching.held(request, tag):
        return caching.immutable(request, b"", media, tag, control=caching.ASK)
    packs = caching.packs(request, media, query.dtype)

    def encode() -> tuple[bytes, bool]:
        axes = along(name, model.parameter(name).sizes, query, AXES)
        within(axes, media, settings)
        values = model.weight(name, **{axis: axes[axis] for axis in axes if getattr(query, axis) is not None})
        return caching.packed(present.parameter(model, name, axes, values).encode(media, query.dtype), packs)

    body, packed = await runner.derive(encode)
    return caching.immutable(request, body, media, tag, packed=packed, control=caching.ASK)
