"""Answers that never change: everything addressed by a digest has a strong ETag and may be kept for ever.

A digest holds the release that made it, so that the next one may answer otherwise: under other addresses.
"""

from __future__ import annotations

import gzip
import hashlib

from starlette.requests import Request
from starlette.responses import Response

from app import wire

WORTH, LEVEL = 1024, 3  # bytes below which headers cost more than is saved; more effort than this shrinks little
FOREVER = "public, max-age=31536000, immutable"
ASK = "public, no-cache"  # keep it, and ask each time whether it is still the same
VARY = "Accept, Accept-Encoding"


def etag(request: Request, media: str, revision: str = "") -> str:
    """Known before anything is computed: equal requests give equal bytes of what the address holds a digest of.

    Where the address holds none, such as a model's, `revision` is the digest.
    """
    content = f"{request.url.path}\n{request.url.query}\n{media}\n{revision}"
    return f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'


def held(request: Request, tag: str) -> str | None:
    """The tag as the client holds it, weak where it took a compressed answer; None where it holds something else."""
    tags = (part.strip() for part in wire.joined(request.headers, "if-none-match").split(","))
    return next((one for one in tags if one.removeprefix("W/") == tag), None)


def packs(request: Request, media: str, dtype: wire.Dtype) -> bool:
    """Whether compressing pays, and the client takes it: text and bytes shrink to a third, floats hardly at all."""
    offered = wire.qualities(wire.joined(request.headers, "accept-encoding"))
    return offered.get("gzip", 0) > 0 and (media in wire.TEXT or (media == wire.SAFETENSORS and dtype == "u8"))


def packed(body: bytes, wanted: bool) -> tuple[bytes, bool]:
    """The body as it is sent, and whether it was compressed; away from the event loop, since it takes a while."""
    if not wanted or len(body) < WORTH:
        return body, False
    return gzip.compress(body, LEVEL, mtime=0), True


def immutable(
    request: Request, body: bytes, media: str, tag: str, *, packed: bool = False, control: str = FOREVER
) -> Response:
    """The answer; or 304 where the client holds it, which `If-None-Match: *` says of whatever exists.

    `control` is `ASK` where the address may once mean something else, under another tag.
    """
    headers = {"etag": tag, "cache-control": control, "vary": VARY}
    if wire.joined(request.headers, "if-none-match").strip() == "*":
        return Response(status_code=304, headers=headers)
    if one := held(request, tag):
        return Response(status_code=304, headers={**headers, "etag": one})
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type=media)
