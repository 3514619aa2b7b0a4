"""Texts of strangers inside our own sentences and tables."""

from __future__ import annotations

NAME = 40
"""The most characters of a name that we repeat: enough to recognize it."""


def cut(text: str, most: int = NAME) -> str:
    """The text itself, or its beginning with an ellipsis where it has more than `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
