"""Answers that never change: everything addressed by a digest has a strong ETag and may be kept for ever."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from app import VERSION

FOREVER = "public, max-age=31536000, immutable"


def etag(request: Request, media: str) -> str:
    """Known before anything is computed: the address holds a digest, and equal requests give equal bytes."""
    content = f"{VERSION}\n{request.url.path}\n{request.url.query}\n{media}"
    return f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'


def has(request: Request, tag: str) -> bool:
    """Whether the client already holds the answer with that tag."""
    held = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    return tag in held


def immutable(request: Request, body: bytes, media: str, tag: str) -> Response:
    """The answer; or 304 where the client holds it, which `If-None-Match: *` says of whatever exists."""
    headers = {"etag": tag, "cache-control": FOREVER, "vary": "Accept"}
    if has(request, tag) or request.headers.get("if-none-match", "").strip() == "*":
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media)
