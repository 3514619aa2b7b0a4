"""The table as Markdown, and where it stands in the README."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.timing import Row

README = Path(__file__).parent.parent.parent / "README.md"
START, END = "<!-- bench -->", "<!-- /bench -->"
HEADINGS: Row = ("what", "measured", "beside", "ratio")


def table(rows: list[Row]) -> str:
    """Rows under their headings."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write(text: str, place: Path = README) -> None:
    """Put the text where the README says that it belongs, instead of what was there."""
    before, start, rest = place.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise RuntimeError(f"{place} has no {START} … {END} to write between.")
    place.write_text(f"{before}{START}\n{text}\n{END}{after}")
