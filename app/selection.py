"""What a query string selects from an axis: `3`, `0,2,5`, `4-7` (both ends included) or a mix of them."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from app.problems import BadIndex

# Nine digits are more than any axis has, and keep int() away from numbers that are megabytes long.
PATTERN = r"^[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*$"
_SHAPE = re.compile(PATTERN)


class Selection:
    """Ranges of indices, parsed once and not yet compared with an axis; a pydantic type that reads a string."""

    __slots__ = ("ranges",)

    def __init__(self, ranges: tuple[tuple[int, int], ...]) -> None:
        self.ranges = ranges  # (first, last), last included

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError with a sentence that says what would be right."""
        if not _SHAPE.fullmatch(text):
            raise ValueError(f"{text[:40]!r} is no selection. Write 3, or 0,2,5, or 4-7, or a mix of them.")
        ranges = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            if last and int(last) < int(first):
                raise ValueError(f"{part!r} runs backwards. Write {last}-{first}.")
            ranges.append((int(first), int(last or first)))
        return cls(tuple(ranges))

    def indices(self, axis: str, size: int) -> tuple[int, ...]:
        """The chosen indices in the order they were written, each once; `BadIndex` where the axis has no such index."""
        for ends in self.ranges:
            if outside := [end for end in ends if end >= size]:
                valid = f"{axis} goes from 0 to {size - 1}" if size else f"the {axis} axis is empty"
                raise BadIndex(f"There is no {axis} {outside[0]}: {valid}.", axis=axis, index=outside[0], size=size)
        return tuple(dict.fromkeys(i for first, last in self.ranges for i in range(first, last + 1)))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema(max_length=4096))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": PATTERN, "maxLength": 4096}
