"""What every request passes through, as plain ASGI: no request is copied and no body is collected here."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Collection
from functools import cache
from uuid import uuid4

import structlog
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipResponder, IdentityResponder
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import wire
from app.metrics import Metrics
from app.problems import BodyTooLarge, HostNotAllowed, Unexpected

log = structlog.get_logger("headlight.request")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def policy(ancestors: Collection[str] = ()) -> str:
    """The content security policy of a page that only pages of these origins may show in a frame."""
    framed_by = " ".join(ancestors) or "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        f"font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {framed_by}"
    )


SECURITY = {
    "content-security-policy": policy(),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Observe:
    """Gives the request an id, counts and logs it, and answers what nobody caught with a problem."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else uuid4().hex  # what a client sends ends up in the log
        method, started, status = scope["method"], time.perf_counter(), 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, observed)
            except Exception:
                # As text: a renderer that shows local variables would print tensors, and what people typed.
                log.error("request.failed", method=method, path=scope["path"], exception=traceback.format_exc())
                if status:
                    raise  # half an answer is out: only closing the connection tells the client
                await Unexpected(request_id=request_id).response(scope["path"])(scope, receive, observed)
            finally:
                seconds = time.perf_counter() - started
                # The template, such as /api/v1/traces/{id}: paths are as many as visitors care to make up.
                route = template(scope)
                self.metrics.requests.labels(_known(method), route, str(status)).inc()
                self.metrics.seconds.labels(route).observe(seconds)
                log.info("request", method=method, path=scope["path"], status=status, ms=round(1000 * seconds, 1))


def template(scope: Scope) -> str:
    """The route's path as it is declared; `unmatched` where no route has the path."""
    if path := getattr(scope.get("route"), "path", None):
        return str(path)
    # Refused before it was routed, or by a route that the framework adds by itself and that leaves no word of it.
    known = (str(route.path) for route in iter_route_contexts(scope["app"].routes))
    return next((path for path in known if _pattern(path).match(scope["path"])), "unmatched")


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


def _known(method: str) -> str:
    return method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "other"


class Secure:
    """Security headers on every answer: nothing from another host, no inline script, no frames.

    An answer that brings one of them keeps its own: `/embed` says who may frame it.
    """

    def __init__(self, app: ASGIApp, *, shared: bool = False) -> None:
        self.app = app
        self.headers = {**SECURITY, "cross-origin-resource-policy": "cross-origin"} if shared else SECURITY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, secured if scope["type"] == "http" else send)


class Head:
    """Answers HEAD as GET without the body, for every route alike."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        try:
            await self.app(as_get, receive, bodiless)
        finally:
            scope["route"] = as_get.get("route")  # for Observe


class AllowedHosts:
    """Refuses requests that are addressed to another name: a page elsewhere can point its own name at this machine."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._allowed(Headers(scope=scope).get("host", "")):
            await self.app(scope, receive, send)
            return
        await HostNotAllowed().response(scope["path"])(scope, receive, send)

    def _allowed(self, header: str) -> bool:
        host = re.sub(r":[0-9]*$", "", header.lower()).removesuffix(".")
        return (
            "*" in self.hosts
            or host in self.hosts
            or any(host.endswith(pattern[1:]) for pattern in self.hosts if pattern.startswith("*."))
        )


class BodyLimit:
    """Refuses bodies over the limit, whether they announce their length or just keep coming."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        problem = BodyTooLarge(f"The body may have at most {self.limit} bytes.", limit=self.limit)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > self.limit):
            await problem.response(scope["path"])(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise problem
            return message

        await self.app(scope, counted, send)


DENSE = (*DEFAULT_EXCLUDED_CONTENT_TYPES, wire.SAFETENSORS)
WORTH, LEVEL = 1024, 5  # bytes below which headers cost more than is saved; more effort than this shrinks little


class Gzip:
    """Compresses text for clients that take gzip.

    Tensors and pictures go as they are: dense numbers shrink little and cost more time than the network does. A
    compressed answer has other bytes, so its ETag becomes a weak one, which If-None-Match compares just as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def weakened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if vary := headers.get("vary"):  # to which starlette adds what may be there already
                    headers["vary"] = ", ".join(dict.fromkeys(vary.split(", ")))
                if headers.get("content-encoding") == "gzip" and headers.get("etag", "").startswith('"'):
                    headers["etag"] = f"W/{headers['etag']}"
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        offered = wire.qualities(wire.joined(Headers(scope=scope), "accept-encoding"))
        wanted = offered.get("gzip", 0) > 0
        responder = (
            GZipResponder(self.app, WORTH, LEVEL, exclude_content_types=DENSE)
            if wanted
            else IdentityResponder(self.app, WORTH, exclude_content_types=DENSE)
        )
        await responder(scope, receive, weakened)
