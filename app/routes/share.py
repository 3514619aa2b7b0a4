"""A link as a picture that a phone can read."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Query, Request, Response

from app import VERSION, caching
from app.deps import each_once
from app.problems import Invalid

router = APIRouter(include_in_schema=False)

SVG = "image/svg+xml"
MOST = 1732  # bytes of a code of version 30: with more modules a phone does not read it from a screen
QUIET = 4  # modules of white around it, as the standard wants


@router.get("/qr.svg", dependencies=[Depends(each_once)])
def qr(request: Request, text: Annotated[str, Query(min_length=1)]) -> Response:
    """A QR code of a text, usually a link: dark on white in every theme, since few readers take it the other way."""
    if (size := len(text.encode())) > MOST:
        raise Invalid(
            f"A QR code that can be read holds {MOST:,} bytes, and this link has {size:,}. Shorten the text that it "
            "shows, or send the link itself."
        )
    tag = caching.etag(request, SVG, VERSION)
    return caching.immutable(request, b"" if caching.held(request, tag) else drawn(text), SVG, tag, control=caching.ASK)


@lru_cache(maxsize=64)
def drawn(text: str) -> bytes:
    """The code as SVG, as tolerant of dirt as fits into the same number of modules."""
    svg = BytesIO()
    code = segno.make(text, error="l", micro=False, boost_error=True)
    code.save(svg, kind="svg", border=QUIET, dark="#000", light="#fff", xmldecl=False, omitsize=True)
    return svg.getvalue()
