"""Server-sent events: an answer that comes in pieces, each a name and a JSON body."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from typing import Any

import structlog
from fastapi import Request
from fastapi.sse import format_sse_event

from app import present, wire
from app.problems import Problem, Unexpected, from_engine, instance
from engine.errors import EngineError

MEDIA_TYPE = "text/event-stream"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""Events are kept by nobody, and no proxy in between may wait for more of them."""

log = structlog.get_logger("headlight.events")


def wanted(request: Request) -> None:
    """For calls that answer in events only."""
    wire.negotiate(wire.joined(request.headers, "accept"), (MEDIA_TYPE,))


def content(**kinds: str) -> dict[str, Any]:
    """An answer in events, for OpenAPI: each by its name, with the schema that its data, a JSON text, keeps."""
    return {MEDIA_TYPE: {"itemSchema": {"oneOf": [_item(name, schema) for name, schema in kinds.items()]}}}


def _item(name: str, schema: str) -> dict[str, Any]:
    data = {"contentMediaType": "application/json", "contentSchema": {"$ref": f"#/components/schemas/{schema}"}}
    return {
        "type": "object",
        "properties": {"event": {"const": name}, "data": {"type": "string", **data}},
        "required": ["event", "data"],
    }


def event(name: str, data: Any) -> bytes:
    """One event as it goes over the wire."""
    return format_sse_event(event=name, data_str=present.dump(data).decode())


async def guarded(request: Request, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same events; what goes wrong after the answer began becomes a last one, `problem`, with its usual body."""
    try:
        async for part in parts:
            yield part
    except Problem as problem:
        yield event("problem", problem.body(instance(request)))
    except EngineError as error:
        yield event("problem", from_engine(error).body(instance(request)))
    except Exception:
        log.error("events.failed", path=request.url.path, exception=traceback.format_exc())
        yield event("problem", Unexpected().body(instance(request)))
