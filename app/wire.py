"""Tensors as bytes: safetensors, JSON, CSV and PNG, and which of them a client wants.

Equal requests give equal bytes, in every process: that is what the strong ETags promise.
"""

from __future__ import annotations

import io
import json as json_module
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
from PIL import Image
from starlette.datastructures import Headers
from torch import Tensor

from app.problems import Invalid, NotAcceptable
from app.words import cut

SAFETENSORS = "application/vnd.safetensors"
JSON = "application/json"
CSV = "text/csv"
PNG = "image/png"
TENSOR = (SAFETENSORS, JSON, CSV, PNG)  # the first is what a client gets that does not mind
TEXT = (JSON, CSV)

Dtype = Literal["u8", "f16", "f32"]
Array = npt.NDArray[Any]
Axes = Mapping[str, Sequence[int | str]]


@dataclass(frozen=True)
class Answer:
    """A tensor on its way out.

    `axes` gives, for each axis in order, the index of every place along it; `tokens` gives the text of those places for
    the axes that run over tokens. `about` is what else there is to say, in the order it is said. `low` and `high` are
    the values that 0 and 255 stand for where a value has to fit a byte; None takes them from the values.
    """

    name: str
    values: Tensor
    axes: Axes
    tokens: Mapping[str, Sequence[str]]
    about: Mapping[str, Any]
    low: float | None = None
    high: float | None = None

    def encode(self, media: str, dtype: Dtype) -> bytes:
        """The body in one of the formats of `TENSOR`; `dtype` concerns safetensors only."""
        values = np.ascontiguousarray(self.values.detach().cpu().float().numpy())
        if media == JSON:
            return orjson.dumps(
                {**self.about, "tokens": self.tokens, "values": values}, option=orjson.OPT_SERIALIZE_NUMPY
            )
        if media == CSV:
            return csv(values, self.axes, self.tokens)
        if media == PNG:
            return png(values, *self.bounds(values))
        return self._safetensors(values, dtype)

    def bounds(self, values: Array) -> tuple[float, float]:
        """`low` and `high`; masked scores (-inf) set neither."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)

    def _safetensors(self, values: Array, dtype: Dtype) -> bytes:
        low, high = self.bounds(values)
        if dtype == "u8":
            values = bytes_of(values, low, high)
        elif dtype == "f16":
            values = halves(values)
        about = {**self.about, "low": low, "high": high}
        return safetensors(self.name, values, {key: text(value) for key, value in about.items()})


def text(value: Any) -> str:
    """A metadata value, which safetensors wants as a string: strings as they are, all else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


_DTYPES = {"uint8": "U8", "float16": "F16", "float32": "F32"}


def safetensors(name: str, values: Array, about: Mapping[str, str]) -> bytes:
    """One tensor as a safetensors file; the library's own writer shuffles its metadata, and then equal is not equal."""
    tensor = {"dtype": _DTYPES[values.dtype.name], "shape": values.shape, "data_offsets": (0, values.nbytes)}
    header = json_module.dumps({"__metadata__": dict(about), name: tensor}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # so that a browser can lay a typed array over the data
    return len(header).to_bytes(8, "little") + header + values.astype(values.dtype.newbyteorder("<")).tobytes()


def bytes_of(values: Array, low: float, high: float) -> Array:
    """`low` to `high` as 0 to 255; what was masked is 0, and so is what is no number."""
    span = high - low or 1.0
    scaled = np.clip((values - low) * (255.0 / span), 0.0, 255.0)  # clip takes -inf to 0
    return np.rint(np.nan_to_num(scaled, nan=0.0)).astype(np.uint8)


def halves(values: Array) -> Array:
    """As float16; `Invalid` where a number is too large for it, rather than an infinity that nobody computed."""
    with np.errstate(over="ignore"):
        short = values.astype(np.float16)
    if (np.isinf(short) & np.isfinite(values)).any():
        raise Invalid("Some of these numbers are over 65504, the largest that f16 holds: ask for f32 with dtype=f32.")
    return short


LONGEST = 64
"""The most characters of a token in a table, which repeats it in every row; any long word is one token to WordPiece."""


def csv(values: Array, axes: Axes, tokens: Mapping[str, Sequence[str]]) -> bytes:
    """One row per value: an index for every axis, the tokens of those that have them, the value; masked is empty.

    Every text is quoted once and every line of the last axis is put together from pieces: a row costs a fraction of
    what a csv.writer takes for it, and holds the interpreter that much shorter.
    """
    *outer, last = axes
    words = {axis: [_cell(word) for word in tokens[axis]] for axis in axes if axis in tokens}
    numbers = [str(index) for index in axes[last]]
    tails = [f",{word}," for word in words[last]] if last in words else [","] * len(numbers)
    written = iter(_shortest(values))
    lines = [",".join([*axes, *(f"{axis}_token" for axis in words), "value"])]
    for place in product(*(range(len(axes[axis])) for axis in outer)):
        at = dict(zip(outer, place, strict=True))
        before = "".join(f"{axes[axis][index]}," for axis, index in at.items())
        between = "".join(f",{words[axis][index]}" for axis, index in at.items() if axis in words)
        lines += [
            f"{before}{number}{between}{tail}{value}"
            for number, tail, value in zip(numbers, tails, islice(written, len(numbers)), strict=True)
        ]
    return ("\r\n".join(lines) + "\r\n").encode()


_SPECIAL = re.compile('[,"\r\n]')


def _cell(text: str) -> str:
    """A text as it stands in a table."""
    short = cut(text, LONGEST)
    return '"' + short.replace('"', '""') + '"' if _SPECIAL.search(short) else short


def _shortest(values: Array) -> Iterable[str]:
    """The shortest decimal that reads back as the same float32, for each value; orjson writes just that."""
    if not values.size:
        return ()
    written = orjson.dumps(values.reshape(-1), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode()
    return ("" if value == "null" else value for value in written.split(","))


def png(values: Array, low: float, high: float) -> bytes:
    """A grey picture of up to four axes: maps of the last two, the first running down and the second across."""
    down, across, rows, columns = (1,) * (4 - values.ndim) + values.shape
    tiles = bytes_of(values, low, high).reshape(down, across, rows, columns)
    picture = tiles.transpose(0, 2, 1, 3).reshape(down * rows, across * columns)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def joined(headers: Headers, name: str) -> str:
    """A header that is a list, which may come in several lines."""
    return ", ".join(headers.getlist(name))


def negotiate(accept: str, offers: Sequence[str]) -> str:
    """The offer that the Accept header likes best, the earlier one on a tie; `NotAcceptable` where it likes none."""
    if not accept.strip():
        return offers[0]
    liked = qualities(accept)
    best = max(offers, key=lambda offer: _quality(offer, liked))  # max keeps the first of equals
    if _quality(best, liked) <= 0:
        raise NotAcceptable(f"Send an Accept header with one of {', '.join(offers)}.", offers=list(offers))
    return best


def qualities(header: str) -> dict[str, float]:
    """What an Accept or Accept-Encoding header names, with how much it is liked; what can't be read is not liked."""
    found = {}
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        found[name] = float(quality) if _QUALITY.fullmatch(quality) else 0.0
    return found


def _quality(offer: str, liked: Mapping[str, float]) -> float:
    """What the most specific range that covers `offer` says of it."""
    covering = (offer, offer.partition("/")[0] + "/*", "*/*")
    return next((liked[name] for name in covering if name in liked), 0.0)
