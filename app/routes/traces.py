"""From a text to its trace, and from a trace to any part of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from threading import Event
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response

import engine
from app import caching, present, problems, schemas, wire
from app.deps import RunnerDep, SettingsDep, each_once, json_wanted, no_parameters
from app.problems import (
    BadIndex,
    BodyTooLarge,
    Busy,
    ClientLeft,
    EmptyText,
    Invalid,
    MalformedJson,
    NotAcceptable,
    TooLong,
    TooManyValues,
    UnknownModel,
    UnknownTrace,
    WeightsMissing,
    openapi,
)
from app.runner import Recipe, Runner
from app.selection import Selection
from app.settings import Settings
from engine.errors import UnknownSite
from engine.maps import block_of

router = APIRouter(prefix="/api/v1", tags=["traces"], dependencies=[Depends(each_once)])

Id = Annotated[str, Path(max_length=200, description="A trace's id, from POST /traces.")]
Address = Annotated[
    str,
    Path(max_length=200, description="`stack.layer.block.site`: see a model's sites.", examples=["encoder.5.self.q"]),
]
POSTED = (MalformedJson, Invalid, EmptyText, TooLong, UnknownModel, BodyTooLarge, NotAcceptable, Busy, WeightsMissing)
FOUND = (UnknownTrace, NotAcceptable, Invalid, Busy)
TENSOR_BODIES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The tensor, in the format that Accept names; safetensors unless told otherwise.",
        "content": {
            wire.SAFETENSORS: {"schema": {"type": "string", "format": "binary"}},
            wire.CSV: {"schema": {"type": "string"}},
            wire.PNG: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
OBJECT = {"type": "object"}

T = TypeVar("T")
Step = Callable[[], None]
"""Called between two steps of long work; it raises where nobody waits for the answer any more."""


@router.post(
    "/traces",
    status_code=201,
    response_model=schemas.Trace,
    responses=openapi(*POSTED),
    dependencies=[Depends(no_parameters), Depends(json_wanted)],
)
async def make_trace(request: Request, wanted: schemas.TraceRequest, runner: RunnerDep) -> Response:
    """Run a model over a text. The id that comes back is the same for the same text, model and weights."""
    recipe = await recipe_of(request, wanted, runner)
    trace = await runner.trace(recipe)
    body = await runner.describe(lambda: present.dump(present.trace(recipe, trace)))
    location = request.scope.get("root_path", "") + request.app.url_path_for("read_trace", id=trace.digest)
    return Response(body, 201, {"location": location, "cache-control": "no-store"}, wire.JSON)


@router.get(
    "/traces/{id}",
    response_model=schemas.Trace,
    responses={
        200: {"content": {wire.SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}}},
        **openapi(*FOUND),
    },
    dependencies=[Depends(no_parameters)],
)
async def read_trace(request: Request, id: Id, runner: RunnerDep) -> Response:
    """Tokens and structure of a trace; as safetensors, all of it, to be read by `engine.Trace.from_bytes`."""

    def encode(recipe: Recipe, trace: engine.Trace, media: str, _: Step) -> bytes:
        return trace.to_bytes() if media == wire.SAFETENSORS else present.dump(present.trace(recipe, trace))

    return await _lasting(request, runner, id, (wire.JSON, wire.SAFETENSORS), encode)


@router.get(
    "/traces/{id}/attention",
    response_model=schemas.Attention,
    responses={**TENSOR_BODIES, **openapi(*FOUND, BadIndex, TooManyValues)},
)
async def read_attention(
    request: Request,
    id: Id,
    query: Annotated[schemas.AttentionQuery, Query()],
    runner: RunnerDep,
    settings: SettingsDep,
) -> Response:
    """Attention maps (layer, head, query, key): all of them in one call, or one row of one head."""

    def encode(_: Recipe, trace: engine.Trace, media: str, step: Step) -> bytes:
        return _attention(trace, query, media, settings, step).encode(media, query.dtype)

    def cost(trace: engine.Trace) -> int:
        return scores_of(trace, query, query.layers, query.heads, query.queries)

    return await _lasting(request, runner, id, wire.TENSOR, encode, query.dtype, cost)


@router.get(
    "/traces/{id}/heads",
    response_model=schemas.Heads,
    responses=openapi(*FOUND, BadIndex),
)
async def read_heads(
    request: Request, id: Id, query: Annotated[schemas.HeadsQuery, Query()], runner: RunnerDep
) -> Response:
    """What every head of a block is like on this input: how sharp it is, and how much it looks at the token before."""

    def encode(_: Recipe, trace: engine.Trace, __: str, step: Step) -> bytes:
        block = _block(trace, query)
        layers = _indices("layer", query.layers, block.layers)
        found = engine.heads(trace, stack=block.stack, block=block.name, layers=layers, step=step)
        return present.dump(present.heads(found))

    def cost(trace: engine.Trace) -> int:
        return scores_of(trace, query, query.layers)

    return await _lasting(request, runner, id, (wire.JSON,), encode, cost=cost)


@router.get(
    "/traces/{id}/arithmetic",
    response_model=schemas.Arithmetic,
    responses=openapi(*FOUND, BadIndex),
)
async def read_arithmetic(
    request: Request, id: Id, query: Annotated[schemas.WeightQuery, Query()], runner: RunnerDep
) -> Response:
    """How one weight came about: q, k, their products, scale, bias, mask, softmax, and what it took from v."""

    def encode(_: Recipe, trace: engine.Trace, __: str, ___: Step) -> bytes:
        block = _block(trace, query)
        weight = engine.arithmetic(
            trace,
            stack=block.stack,
            block=block.name,
            layer=query.layer,
            head=query.head,
            query=query.query,
            key=query.key,
        )
        return present.dump(present.arithmetic(trace, weight))

    return await _lasting(request, runner, id, (wire.JSON,), encode)


@router.get(
    "/traces/{id}/lens",
    response_model=schemas.Lens,
    responses=openapi(*FOUND, problems.UnknownSite, BadIndex),
)
async def read_lens(
    request: Request, id: Id, query: Annotated[schemas.LensQuery, Query()], runner: RunnerDep
) -> Response:
    """The logit lens: what the network would say at a position if it stopped after any of its layers."""

    def encode(_: Recipe, trace: engine.Trace, __: str, ___: Step) -> bytes:
        position = -1 if query.position is None else query.position
        return present.dump(present.lens(trace, position, engine.guesses(trace, position, top=query.top)))

    return await _lasting(request, runner, id, (wire.JSON,), encode)


@router.get(
    "/traces/{id}/tensors/{address}",
    responses={
        200: TENSOR_BODIES[200] | {"content": TENSOR_BODIES[200]["content"] | {wire.JSON: {"schema": OBJECT}}},
        **openapi(*FOUND, problems.UnknownSite, BadIndex, TooManyValues),
    },
)
async def read_tensor(  # noqa: PLR0917 (FastAPI passes them by name)
    request: Request,
    id: Id,
    address: Address,
    query: Annotated[schemas.TensorQuery, Query()],
    runner: RunnerDep,
    settings: SettingsDep,
) -> Response:
    """Any recorded or derived tensor, sliced by the names of its axes."""

    def encode(_: Recipe, trace: engine.Trace, media: str, __: Step) -> bytes:
        axes = places(trace, address, query)
        within(axes, media, settings)
        values = trace.slice(address, **{axis: axes[axis] for axis in axes if getattr(query, axis) is not None})
        return present.tensor(trace, address, axes, values).encode(media, query.dtype)

    return await _lasting(request, runner, id, wire.TENSOR, encode, query.dtype)


@router.post(
    "/attention",
    response_model=schemas.OneShotAttention,
    responses=openapi(*POSTED, BadIndex, TooManyValues),
    dependencies=[Depends(no_parameters), Depends(json_wanted)],
)
async def attend(
    request: Request, wanted: schemas.AttentionRequest, runner: RunnerDep, settings: SettingsDep
) -> Response:
    """One shot: text in, tokens and maps out."""
    trace = await runner.trace(await recipe_of(request, wanted, runner))

    def encode(step: Step) -> bytes:
        answer = _attention(trace, wanted, wire.JSON, settings, step)
        about = {"id": trace.digest, **answer.about, "all_tokens": present.tokens(trace)}
        return replace(answer, about=about).encode(wire.JSON, "f32")

    body = await while_there(
        request, runner, encode, scores_of(trace, wanted, wanted.layers, wanted.heads, wanted.queries)
    )
    return Response(body, headers={"cache-control": "no-store"}, media_type=wire.JSON)


async def recipe_of(request: Request, wanted: schemas.TraceRequest, runner: Runner) -> Recipe:
    """What to remember of a request; a text that shall be continued first is."""
    said = None if wanted.said is None else tuple(wanted.said)
    recipe = Recipe(wanted.model, wanted.text, wanted.pair, wanted.target, tuple(wanted.patches), said)
    if wanted.generate is None:
        return recipe
    generation = await runner.generate(recipe, wanted.generate.settings())
    while await generation.step():
        if await request.is_disconnected():
            raise ClientLeft
    return generation.recipe


async def _lasting(  # noqa: PLR0917 (one place, six callers)
    request: Request,
    runner: Runner,
    id: str,
    offers: Sequence[str],
    encode: Callable[[Recipe, engine.Trace, str, Step], bytes],
    dtype: wire.Dtype = "f32",
    cost: Callable[[engine.Trace], int] = lambda _: 0,
) -> Response:
    """An answer about a trace: what the client holds already is neither computed nor sent."""
    media = wire.negotiate(wire.joined(request.headers, "accept"), offers)
    tag = caching.etag(request, media)
    if caching.held(request, tag):
        return caching.immutable(request, b"", media, tag)
    recipe, trace = await runner.find(id)
    packs = caching.packs(request, media, dtype)

    def answer(step: Step) -> tuple[bytes, bool]:
        return caching.packed(encode(recipe, trace, media, step), packs)

    body, packed = await while_there(request, runner, answer, cost(trace))
    return caching.immutable(request, body, media, tag, packed=packed)


QUICK = 1 << 27
"""Scores that are derived in less than a second; work with more waits where it delays no other."""

PATIENCE = 0.1
"""Seconds between two looks at whether a client is still there."""


async def while_there(request: Request, runner: Runner, work: Callable[[Step], T], scores: int) -> T:
    """What `work` gives, deriving so many `scores`; if the client leaves, it ends at its next step, or never begins."""
    left = Event()

    def step() -> None:
        if left.is_set():
            raise ClientLeft

    answer = asyncio.ensure_future(runner.derive(partial(work, step), long=scores > QUICK))
    while not answer.done():
        await asyncio.wait({answer}, timeout=PATIENCE)
        if not answer.done() and await request.is_disconnected():
            left.set()
            answer.cancel()
            raise ClientLeft
    return answer.result()


def _attention(trace: engine.Trace, region: schemas.Region, media: str, settings: Settings, step: Step) -> wire.Answer:
    block = _block(trace, region)
    layers = _indices("layer", region.layers, block.layers)
    heads = _indices("head", region.heads, block.heads)
    queries = _indices("query", region.queries, len(trace.tokens[block.query_stack]))
    keys = _indices("key", region.keys, len(trace.tokens[block.key_stack]))
    shape = (
        1 if region.reduce and region.over == "all" else len(layers),
        1 if region.reduce else len(heads),
        min(len(queries), region.size or len(queries)),
        min(len(keys), region.size or len(keys)),
    )
    _within(
        prod(shape),
        media,
        settings,
        "Narrow it with layers=, heads=, queries= or keys=, or ask for an overview with size=.",
    )
    maps = engine.attention(
        trace,
        stack=block.stack,
        block=block.name,
        layers=layers,
        heads=heads,
        queries=queries,
        keys=keys,
        stage=region.stage,
        size=region.size,
        reduce=region.reduce,
        over=region.over,
        step=step,
    )
    return present.attention(trace, maps, reduce=region.reduce)


def scores_of(
    trace: engine.Trace,
    wanted: schemas.BlockQuery,
    layers: Selection | None,
    heads: Selection | None = None,
    queries: Selection | None = None,
) -> int:
    """How many scores there are to derive: whole rows, whatever is made of them."""
    block = _block(trace, wanted)
    rows, keys = (len(trace.tokens[stack]) for stack in (block.query_stack, block.key_stack))
    chosen = (_indices("layer", layers, block.layers), _indices("head", heads, block.heads))
    return prod(map(len, (*chosen, _indices("query", queries, rows)))) * keys


def _block(trace: engine.Trace, wanted: schemas.BlockQuery) -> engine.Block:
    if not trace.blocks:
        raise Invalid(f"There is no attention in {trace.model}: its other tensors are at /traces/{{id}}/tensors.")
    try:
        return block_of(trace, wanted.stack, wanted.block)
    except UnknownSite as error:  # named in the query string and not in the path: a mistake in the question
        raise Invalid(error.detail) from None


def places(trace: engine.Trace, address: str, query: schemas.TensorQuery) -> dict[str, Sequence[int]]:
    """The places along each axis of a tensor that are asked for; `Invalid` for an axis that it does not have."""
    return along(address, trace.sizes(address), query, schemas.AXES)


def along(
    what: str, sizes: Mapping[str, int], query: schemas.TensorQuery | schemas.ParameterQuery, axes: Sequence[str]
) -> dict[str, Sequence[int]]:
    """The places that `query`, which may name any of `axes`, asks for along those that `what` has."""
    given = {axis: getattr(query, axis) for axis in axes if getattr(query, axis) is not None}
    if foreign := [axis for axis in given if axis not in sizes]:
        raise Invalid(f"{what} has no axis {', '.join(foreign)}: its axes are {', '.join(sizes)}.")
    return {axis: _indices(axis, given.get(axis), size) for axis, size in sizes.items()}


def within(axes: Mapping[str, Sequence[int]], media: str, settings: Settings) -> None:
    """Refuse a tensor with too many values for one answer."""
    _within(prod(map(len, axes.values())), media, settings, f"Narrow it with {'=, '.join(axes)}=.")


def _indices(axis: str, selection: Selection | None, size: int) -> Sequence[int]:
    return range(size) if selection is None else selection.indices(axis, size)


def _within(count: int, media: str, settings: Settings, hint: str) -> None:
    """Refuse an answer that is too large before anything of it is derived."""
    limit = min(settings.max_values, settings.max_text_values) if media in wire.TEXT else settings.max_values
    if count > limit:
        raise TooManyValues(
            f"That is {count:,} values and one answer of this kind has at most {limit:,}. {hint}", limit=limit
        )
