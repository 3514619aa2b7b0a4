"""Errors as RFC 9457 problems: one shape for all, and each says what to do.

A `Problem` subclass is raised, becomes the response, and writes its own entry in the OpenAPI document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response

import engine.errors as engine_errors
from app.words import cut

MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger("headlight.problems")


class Problem(HTTPException):
    """Base of every error that a client can see; subclasses set `status`, `title` and an example `detail`."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong on the server"
    example: ClassVar[str] = "This is a defect of the server, not of your request. Its log has the details."

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **extras: Any) -> None:
        super().__init__(self.status, detail or self.example, headers)
        self.extras = extras

    @classmethod
    def slug(cls) -> str:
        """`TooManyValues` is `too-many-values` in a problem's `type`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def kind(cls) -> str:
        """The `type` member: a stable name that programs can compare."""
        return f"urn:headlight:problem:{cls.slug()}"

    def body(self, instance: str) -> dict[str, Any]:
        """The members of RFC 9457, then what this problem has to add."""
        return {
            "type": self.kind(),
            "title": self.title,
            "status": self.status_code,
            "detail": self.detail,
            "instance": instance,
            **self.extras,
        }

    def response(self, instance: str) -> Response:
        """The answer to the request for `instance`, a path."""
        headers = {"cache-control": "no-store", **(self.headers or {})}
        return Response(orjson.dumps(writable(self.body(instance))), self.status_code, headers, MEDIA_TYPE)


def writable(value: Any) -> Any:
    """What a request had in it, as JSON can say it: no integer over 64 bits, and no half of a character."""
    if isinstance(value, Mapping):
        return {writable(key): writable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [writable(one) for one in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


class UnknownModel(Problem):
    """No such model."""

    status, title = 404, "There is no such model"
    example = "There is no model 'minilim'. Did you mean minilm?"


class UnknownTrace(Problem):
    """A digest that nobody asked for here, or so long ago that its request was forgotten."""

    status, title = 404, "There is no such trace here"
    example = "No trace has this id, or it was made too long ago. POST its text to /api/v1/traces again to get it back."


class UnknownLesson(Problem):
    """No file in the folders of lessons has this name."""

    status, title = 404, "There is no such lesson"
    example = "There is no lesson 'whose-it'. Did you mean which-word?"


class LessonBroken(Problem):
    """A lesson's file that cannot be played."""

    status, title = 500, "This lesson's file is broken"
    example = "mine.yaml, line 7: slides.2.show: Say which model it shows."


class UnknownSite(Problem):
    """An address that the trace does not have."""

    status, title = 404, "There is no such site"
    example = "There is no site 'encoder.9.self.q' in this trace. Did you mean encoder.5.self.q?"


class UnknownParameter(Problem):
    """A name that no learned parameter of the model has."""

    status, title = 404, "There is no such parameter"
    example = "minilm has learned no 'layers.9.attention.q.weight'. Did you mean layers.5.attention.q.weight?"


class NotFound(Problem):
    """No route has this path."""

    status, title = 404, "There is nothing at this address"
    example = "Nothing is served at this path. The calls are listed at /api/docs."


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status, title = 405, "This address does not take that method"
    example = "This address takes GET, HEAD."


class NotAcceptable(Problem):
    """None of the formats that `Accept` names is offered."""

    status, title = 406, "None of the formats you accept is offered"
    example = "Send an Accept header with one of application/json, text/csv."


class NotOffered(Problem):
    """A download that this server does not make."""

    status, title = 403, "This model is not offered for download"
    example = "org/name is not among the models that may be downloaded here: HEADLIGHT_DOWNLOADS lists them."


class Elsewhere(Problem):
    """A call that another site's page makes in the name of whoever looks at it."""

    status, title = 403, "A page of another site may not do that"
    example = "Call this from a page of this server, from a program, or from an origin in HEADLIGHT_CORS_ORIGINS."


class BodyTooLarge(Problem):
    """A request body over `HEADLIGHT_MAX_BODY_BYTES`."""

    status, title = 413, "The request is too large"
    example = "The body may have at most 262144 bytes."


class TooManyValues(Problem):
    """An answer with more numbers than the server sends at once."""

    status, title = 413, "The answer would be too large"
    example = "That is 18874368 values and one answer has at most 8000000. Narrow it with layers=, heads= or size=."


class HostNotAllowed(Problem):
    """The Host header names a machine that this server is not."""

    status, title = 421, "This server does not answer for that host"
    example = "Use a host name of this server, or add it to HEADLIGHT_ALLOWED_HOSTS."


class Invalid(Problem):
    """The request is well-formed and makes no sense; `errors` says where."""

    status, title = 422, "The request is not valid"
    example = "layers: there is no layer 7: layers go from 0 to 5."


class MalformedJson(Invalid):
    """A body that is not JSON."""

    title = "The body is not JSON"
    example = "The body is not JSON: expected ',' at character 17."


class EmptyText(Invalid):
    """Nothing to look at."""

    title = "The text is empty"
    example = "There is no text to trace. Send at least one word."


class TooLong(Invalid):
    """More tokens than the model has positions; `tokens` and `limit` are members."""

    title = "The text is too long for the model"
    example = "The text has 600 tokens and this model takes at most 512."


class BadIndex(Invalid):
    """An index outside its axis; `axis`, `index` and `size` are members."""

    title = "An index is out of range"
    example = "There is no layer 7: layer goes from 0 to 5."


class Unexpected(Problem):
    """A defect of the server."""


class CheckpointBroken(Problem):
    """A model's files are damaged: for whoever operates the server."""

    title = "The model can not be loaded"
    example = "The model's files on this server are damaged or do not fit together. Its log says which, and what to do."


class WeightsMissing(Problem):
    """A model's files are not on this machine."""

    status, title = 503, "The model's files are not on this server"
    example = "The weights of this model are neither on this machine nor to be had."


class DownloadsOff(Problem):
    """HF_HUB_OFFLINE is set for the server."""

    status, title = 503, "Downloads are switched off"
    example = "org/name can't be fetched: HF_HUB_OFFLINE is set. Unset it where a download is wanted."


class HubBusy(Problem):
    """The hub asks this server to wait."""

    status, title = 503, "The hub wants a pause"
    example = "The hub has had too many requests from here. Try again in 300 seconds: what came is kept."


class HubUnreachable(Problem):
    """No connection to the hub, or one that broke."""

    status, title = 502, "The connection to the hub failed"
    example = "The hub can't be reached. Check this machine's connection and proxy, or HF_ENDPOINT."


class HubRefused(Problem):
    """The hub answered and gave nothing."""

    status, title = 502, "The hub does not give the files"
    example = "There is no org/name on the hub, or it is private: check the name, and set HF_TOKEN if it is yours."


class UnfitRepository(Problem):
    """The hub has no safetensors there, or no tokenizer, or a network that is not known."""

    status, title = 502, "The repository holds no model that can be read here"
    example = "org/name has no model.safetensors. Choose a revision with safetensors, or convert it."


class DamagedDownload(Problem):
    """The bytes are not those that the hub describes."""

    status, title = 502, "The download was damaged on its way"
    example = "model.safetensors did not arrive as the hub describes it, and was deleted. Try again."


class DiskFull(Problem):
    """No room for the files; `needed` and `free` are members, in bytes."""

    status, title = 507, "There is no room for the download"
    example = "org/name needs 548 MB, and 268 MB should stay free, but the disk has 300 MB. Make room there."


class ClientLeft(Problem):
    """Nobody waits for the answer any more; only the log sees this."""

    status, title = 499, "The client has left"
    example = "The connection was closed before the answer was ready."


class Busy(Problem):
    """The queue is full."""

    status, title = 503, "Too many requests are waiting"
    example = "17 are under way. Try again in 2 seconds."


# Most specific first: the first class that an engine error is an instance of names its problem.
ENGINE: tuple[tuple[type[engine_errors.EngineError], type[Problem]], ...] = (
    (engine_errors.UnknownModel, UnknownModel),
    (engine_errors.UnknownSite, UnknownSite),
    (engine_errors.UnknownParameter, UnknownParameter),
    (engine_errors.EmptyText, EmptyText),
    (engine_errors.TooLong, TooLong),
    (engine_errors.BadIndex, BadIndex),
    (engine_errors.TokenizerMissing, Invalid),
    (engine_errors.HubOffline, DownloadsOff),
    (engine_errors.HubBusy, HubBusy),
    (engine_errors.HubUnreachable, HubUnreachable),
    (engine_errors.HubRefused, HubRefused),
    (engine_errors.UnfitRepository, UnfitRepository),
    (engine_errors.DamagedDownload, DamagedDownload),
    (engine_errors.DiskFull, DiskFull),
    (engine_errors.WeightsMissing, WeightsMissing),
    (engine_errors.CheckpointError, CheckpointBroken),
    (engine_errors.BadInput, Invalid),
    (engine_errors.BadPatch, Invalid),
)
EXTRAS = (
    "tokens",
    "limit",
    "axis",
    "index",
    "size",
    "address",
    "needed",
    "free",
)  # fields of engine errors that programs can use


def from_engine(error: engine_errors.EngineError) -> Problem:
    """The problem that an engine error is to a client."""
    kind = next((problem for known, problem in ENGINE if isinstance(error, known)), Unexpected)
    if kind.status == 500:  # such a detail names files of the server: it is for the log
        log.error("engine.failed", error=type(error).__name__, detail=error.detail)
        return kind()
    wait = getattr(error, "retry_after", None)
    headers = {"retry-after": str(wait)} if wait else None
    return kind(
        error.detail, headers=headers, **{name: getattr(error, name) for name in EXTRAS if hasattr(error, name)}
    )


def from_validation(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """What FastAPI and pydantic found wrong, as one sentence and a list of `{where, what}`."""
    found = []
    for error in errors:
        if error["type"] == "json_invalid":
            what = f"{error['ctx']['error']} at character {error['loc'][-1]}"
            return MalformedJson(f"The body is not JSON: {what}.", errors=[{"where": "body", "what": what}])
        where = ".".join(cut(str(part)) for part in error["loc"])
        found.append({"where": where, "what": sentence(error)})
    first = found[0]
    more = f" ({len(found) - 1} more in errors.)" if len(found) > 1 else ""
    name = first["where"].partition(".")[2]
    return Invalid(f"{name}: {first['what']}{more}" if name else first["what"] + more, errors=found)


def sentence(error: Mapping[str, Any]) -> str:
    """One thing that pydantic found wrong, in words."""
    if error["loc"] == ("body",) and error["type"] in ("missing", "model_attributes_type"):
        return "Send a JSON object as the body, with Content-Type: application/json."
    if error["type"] == "missing":
        return "This is required."
    text = str(error["msg"]).removeprefix("Value error, ")
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."


def openapi(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can raise these, one example for each."""
    entries: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = entries.setdefault(
            kind.status,
            {
                "description": HTTPStatus(kind.status).phrase,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}, "examples": {}}},
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][kind.slug()] = {
            "summary": kind.title,
            "value": kind().body("/api/v1/…"),
        }
    return entries


def instance(request: Request) -> str:
    """What a problem is about: the path, as it was asked for."""
    return request.url.path


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response(instance(request))

    async def on_engine(request: Request, error: Exception) -> Response:
        assert isinstance(error, engine_errors.EngineError)
        return from_engine(error).response(instance(request))

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return from_validation(error.errors()).response(instance(request))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _from_http(error).response(instance(request))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(engine_errors.EngineError, on_engine)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def _unreadable(cause: BaseException | None) -> str:
    """Why Python could not read JSON that breaks no rule of grammar."""
    if isinstance(cause, UnicodeDecodeError):
        return "It is not UTF-8 text."
    if isinstance(cause, RecursionError):
        return "It is nested too deeply."
    if isinstance(cause, ValueError):
        return "It has a number with more digits than are read."
    return "Send a JSON object in UTF-8."


def _from_http(error: HTTPException) -> Problem:
    """What the framework raises by itself: no route, no such method, a body that is not even text."""
    if error.status_code == 404:
        return NotFound()
    if error.status_code == 405:
        methods = set(Headers(error.headers).get("allow", "").split(", "))
        allow = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        return MethodNotAllowed(f"This address takes {allow}.", headers={"allow": allow})
    if error.status_code == 400:
        what = _unreadable(error.__cause__)
        return MalformedJson(f"The body can't be read as JSON. {what}", errors=[{"where": "body", "what": what}])
    problem = Problem(error.detail, headers=error.headers)
    problem.status_code = error.status_code
    return problem
