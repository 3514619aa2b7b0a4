"""Reading training text: lines of plain files or of gzip, or one column of a table."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import EngineError


class DataMissing(EngineError):
    """A data file that a recipe names is not there, or does not fit the file beside it."""

    title = "The training data is not to be had"


def lines(folder: Path, name: str) -> list[str]:
    """The lines of `folder/name`, or of `folder/name.gz`; `file.tsv:2` is the second column of a table with tabs."""
    stem, _, column = name.partition(":")
    plain, packed = folder / stem, folder / f"{stem}.gz"
    if packed.is_file():
        text = gzip.decompress(packed.read_bytes()).decode("utf-8")
    elif plain.is_file():
        text = plain.read_text(encoding="utf-8")
    else:
        raise DataMissing(
            f"{plain} is not there, nor {packed.name} beside it. Run `headlight data fetch`, "
            "or say where the data is with --data DIR."
        )
    found = text.removesuffix("\n").split("\n")
    if column:
        found = [line.split("\t")[int(column) - 1] for line in found]
    return [line.strip() for line in found]


def parallel(folder: Path, sources: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[str, ...]]:
    """The lines of several files side by side, for each of `sources` in turn; empty ones are left out.

    `DataMissing` where two files that belong together differ in length.
    """
    rows: list[tuple[str, ...]] = []
    for source in sources:
        sides = [lines(folder, source[name]) for name in names]
        if len({len(side) for side in sides}) > 1:
            counts = ", ".join(f"{source[name]} {len(side)}" for name, side in zip(names, sides, strict=True))
            raise DataMissing(f"These files belong together, but differ in their number of lines: {counts}.")
        rows += [row for row in zip(*sides, strict=True) if all(row)]
    return rows


def labelled(folder: Path, name: str) -> list[tuple[int, str]]:
    """The class, a digit that each line begins with, and the text after it."""
    return [(int(line[0]), line[1:].strip()) for line in lines(folder, name) if line]


def documents(folder: Path, sources: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Texts as lists of sentences, whose order within a text is free.

    A source is a file with a sentence on each `text` line; files whose lines belong `together`, such as the captions of
    one picture; or a `book`, whose paragraphs are texts of one piece.
    """
    found: list[list[str]] = []
    for source in sources:
        if "together" in source:
            rows = zip(*(lines(folder, name) for name in source["together"]), strict=True)
            found += [[line for line in row if line] for row in rows]
        elif "book" in source:
            found += [[paragraph] for paragraph in paragraphs("\n".join(lines(folder, source["book"])))]
        else:
            found += [[line] for line in dict.fromkeys(lines(folder, source["text"])) if line]
    return found


def paragraphs(book: str) -> list[str]:
    """The paragraphs of a book, each on one line, without what Project Gutenberg puts before and after it."""
    _, marked, rest = book.partition("*** START OF")
    text = rest.partition("***")[2].partition("*** END OF")[0] if marked else book
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
