"""How much the loss, or a logit, would change with any tensor on the way to it."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app import caching, present, schemas, wire
from app.deps import RunnerDep, SettingsDep, each_once
from app.problems import BadIndex, Invalid, TooManyValues, UnknownSite, openapi
from app.routes.traces import FOUND, OBJECT, TENSOR_BODIES, Address, Id, places, within

router = APIRouter(prefix="/api/v1", tags=["traces"], dependencies=[Depends(each_once)])


@router.get(
    "/traces/{id}/gradients/{address}",
    responses={
        200: TENSOR_BODIES[200] | {"content": TENSOR_BODIES[200]["content"] | {wire.JSON: {"schema": OBJECT}}},
        **openapi(*FOUND, UnknownSite, BadIndex, TooManyValues),
    },
)
async def read_gradient(  # noqa: PLR0917 (FastAPI passes them by name)
    request: Request,
    id: Id,
    address: Address,
    query: Annotated[schemas.GradientQuery, Query()],
    runner: RunnerDep,
    settings: SettingsDep,
) -> Response:
    """The gradient of the loss, or of one logit, with respect to a tensor: saliency; of `hidden` in recurrent networks,
    how far learning reaches back in time.
    """
    media = wire.negotiate(wire.joined(request.headers, "accept"), wire.TENSOR)
    tag = caching.etag(request, media)
    if caching.held(request, tag):
        return caching.immutable(request, b"", media, tag)
    recipe, trace = await runner.find(id)
    if not trace.site(address).observable:
        raise Invalid(f"{address} is only derived afterwards, so nothing flows back through it.")
    axes = places(trace, address, query)
    within(axes, media, settings)
    gradient = await runner.gradient(recipe, trace, query.asked(), address)

    def encode() -> bytes:
        values = gradient
        for dim, indices in enumerate(axes.values()):
            values = values.index_select(dim, values.new_tensor(list(indices)).long())
        return present.tensor(trace, address, axes, values).encode(media, query.dtype)

    return caching.immutable(request, await runner.derive(partial(encode)), media, tag)
