"""Continue a text, token by token, as server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

import engine
from app import events, present, schemas
from app.deps import RunnerDep, each_once, no_parameters
from app.problems import (
    BodyTooLarge,
    Busy,
    EmptyText,
    Invalid,
    MalformedJson,
    NotAcceptable,
    TooLong,
    UnknownModel,
    WeightsMissing,
    openapi,
)
from app.runner import Generation, Recipe, Runner

router = APIRouter(prefix="/api/v1", tags=["generation"], dependencies=[Depends(each_once)])

FAILURES = (MalformedJson, Invalid, EmptyText, TooLong, UnknownModel, BodyTooLarge, NotAcceptable, Busy, WeightsMissing)


@router.post(
    "/generate",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`token` events, each a Step; then one `done` event, a Generated; or a `problem` event.",
            "content": events.content(token="Step", done="Generated", problem="ProblemBody"),
        },
        **openapi(*FAILURES),
    },
    dependencies=[Depends(no_parameters), Depends(events.wanted)],
)
async def generate(request: Request, wanted: schemas.GenerateRequest, runner: RunnerDep) -> StreamingResponse:
    """Continue a text. Each token comes as soon as it is chosen, with what else was likely; the last event names the
    trace of the whole text. Closing the connection stops the work.
    """
    recipe = Recipe(wanted.model, wanted.text, None, wanted.target, tuple(wanted.patches), tuple(wanted.said))
    started = time.perf_counter()
    generation = await runner.generate(recipe, wanted.settings())
    first = await generation.step()  # what is wrong shows now, while the answer can still be a problem
    assert first is not None

    def location(id: str) -> str:
        return str(request.scope.get("root_path", "") + request.app.url_path_for("read_trace", id=id))

    async def said() -> AsyncIterator[bytes]:
        step: engine.Step | None = first
        last = first
        while step is not None:
            yield events.event("token", present.step(step))
            last, step = step, await generation.step()
        yield events.event("done", await ended(runner, generation, last) | {"seconds": time.perf_counter() - started})

    async def ended(runner: Runner, generation: Generation, last: engine.Step) -> dict[str, object]:
        trace = await runner.trace(generation.recipe)
        model = await runner.model(generation.recipe.model)
        ids = generation.recipe.said or ()
        text = await runner.describe(lambda: model.text_of(ids))
        return {"id": trace.digest, "location": location(trace.digest), "text": text, "said": ids, "ended": last.ended}

    return StreamingResponse(events.guarded(request, said()), media_type=events.MEDIA_TYPE, headers=events.HEADERS)
