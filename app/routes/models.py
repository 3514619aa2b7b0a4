"""Which models there are, and what can be looked at in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from app import present, schemas, wire
from app.deps import RunnerDep, json_wanted, no_parameters
from app.problems import CheckpointBroken, Invalid, NotAcceptable, UnknownModel, WeightsMissing, openapi
from app.runner import Known

router = APIRouter(
    prefix="/api/v1/models", tags=["models"], dependencies=[Depends(no_parameters), Depends(json_wanted)]
)

# A model's status changes while the server runs.
HEADERS = {"cache-control": "no-cache"}


@router.get("", response_model=list[schemas.Model], responses=openapi(NotAcceptable, Invalid))
async def list_models(runner: RunnerDep) -> Response:
    """Every model that may be asked for: family, size, limits, licence, examples."""
    body = await runner.describe(lambda: present.dump([present.model(one) for one in runner.models()]))
    return Response(body, headers=HEADERS, media_type=wire.JSON)


@router.get(
    "/{id}",
    response_model=schemas.ModelDetail,
    responses=openapi(UnknownModel, NotAcceptable, Invalid, WeightsMissing, CheckpointBroken),
)
async def read_model(id: Annotated[str, Path(max_length=200, examples=["minilm"])], runner: RunnerDep) -> Response:
    """One model with its stacks, its attention blocks and every site of it; loads it where its files are here."""
    known = await runner.describe(lambda: runner.known(id))
    if known.status != "absent" and known.model is None:
        known = Known(known.card, "loaded", await runner.model(id))
    return Response(
        await runner.describe(lambda: present.dump(present.detail(known))), headers=HEADERS, media_type=wire.JSON
    )
