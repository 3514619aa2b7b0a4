"""`make bench`: one table of what Headlight costs beside its peers, measured in one run.

`python -m tests.benchmarks --readme` also writes it into the README; names of themes measure only those.
"""

from __future__ import annotations

import argparse
import logging
from importlib.metadata import version

import torch
import transformers

from app import logs
from app.settings import Settings
from tests.benchmarks import answers, drawing, forward, load, long, memory, peers, readme, steps
from tests.benchmarks.networks import THREADS

THEMES = {
    "memory": memory,
    "forward": forward,
    "peers": peers,
    "answers": answers,
    "long": long,
    "load": load,
    "drawing": drawing,
    "steps": steps,
}


def main() -> None:
    """Measure everything and print it as a Markdown table, which the README quotes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument(
        "themes", nargs="*", metavar="THEME", help=f"some of {', '.join(THEMES)}; all where none is named"
    )
    parser.add_argument("--readme", action="store_true", help="write the table into README.md as well")
    given = parser.parse_args()
    if unknown := set(given.themes) - THEMES.keys():
        parser.error(f"there is no theme {', '.join(sorted(unknown))}: there are {', '.join(THEMES)}")
    if given.readme and given.themes:
        parser.error("the README shows everything: leave out the themes")
    transformers.utils.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    logs.configure(Settings(log_level="warning"))
    torch.set_num_threads(THREADS)
    rows = [row for name in given.themes or THEMES for row in THEMES[name].measure()]
    caption = (
        f"{THREADS} threads, medians; torch {torch.__version__}, transformers {version('transformers')}. "
        "GPT-2 small and BERT base are random weights of that shape. A row in brackets is the peer's own."
    )
    text = f"{readme.table(rows)}\n\n{caption}"
    print(text)
    if given.readme:
        readme.write(text)


if __name__ == "__main__":
    main()
