"""What a request selects from an axis: `3`, `0,2,5`, `4-7` (both ends included) or a mix; in JSON also [5, 7]."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from app.words import cut
from engine.errors import BadIndex

# Nine digits are more than any axis has, and keep int() away from numbers that are megabytes long.
PATTERN = r"^[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*$"
_SHAPE = re.compile(PATTERN)
MOST = 4096  # characters, or numbers in a list
TEXT: dict[str, Any] = {"type": "string", "pattern": PATTERN, "maxLength": MOST}


class Selection:
    """Ranges of indices, parsed once and not yet compared with an axis; a pydantic type."""

    __slots__ = ("ranges",)

    def __init__(self, ranges: tuple[tuple[int, int], ...]) -> None:
        self.ranges = ranges  # (first, last), last included

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError with a sentence that says what would be right."""
        if len(text) > MOST or not _SHAPE.fullmatch(text):
            raise ValueError(f"{cut(text)!r} is no selection. Write 3, or 0,2,5, or 4-7, or a mix of them.")
        ranges = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            if last and int(last) < int(first):
                raise ValueError(f"{part!r} runs backwards. Write {last}-{first}.")
            ranges.append((int(first), int(last or first)))
        return cls(tuple(ranges))

    @classmethod
    def read(cls, given: object) -> Self:
        """From a string, or an integer or a list of integers, as JSON has them; ValueError as for `parse`."""
        if isinstance(given, str):
            return cls.parse(given)
        numbers: list[Any] = given if isinstance(given, list) else [given]
        if not numbers or len(numbers) > MOST or not all(type(at) is int and 0 <= at < 10**9 for at in numbers):
            raise ValueError('This is no selection. Write 3, [0, 2, 5] or "4-7", with numbers from 0.')
        return cls(tuple((at, at) for at in numbers))

    def indices(self, axis: str, size: int) -> tuple[int, ...]:
        """The chosen indices in the order they were written, each once; `BadIndex` where the axis has no such index."""
        for ends in self.ranges:
            if outside := [end for end in ends if end >= size]:  # before a range of a billion is written out
                raise BadIndex(axis, outside[0], size)
        return tuple(dict.fromkeys(i for first, last in self.ranges for i in range(first, last + 1)))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.read)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return TEXT


INDEX = {"type": "integer", "minimum": 0, "maximum": 10**9 - 1}
ANY = {"anyOf": [TEXT, INDEX, {"type": "array", "items": INDEX, "minItems": 1, "maxItems": MOST}]}

AnySelection = Annotated[Selection, WithJsonSchema(ANY)]
"""The same where it stands in JSON, and may be written as numbers."""
