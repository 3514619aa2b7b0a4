"""Peers that are installed for the benchmark only, in an environment of their own, and run in processes of it.

`make bench` makes that environment; `PEERS` names another. Each script of it loads the same files, measures its own
plain forward pass in turn with what the peer does, and prints JSON. Where a peer is absent, the table says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.networks import LENGTHS, TITLES, folder
from tests.benchmarks.timing import ROUNDS, Row, at_lengths, row

ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"lens": "transformer_lens", "views": "bertviz"}


def python() -> Path:
    """The interpreter that has the peers."""
    return Path(os.environ.get("PEERS", Path(sys.prefix) / "bench")).absolute() / "bin" / "python"


def ask(script: str, *arguments: str) -> dict[str, Any] | None:
    """What a peer's script measured; None where the peer is not installed."""
    if not python().exists():
        return None
    known = f"import importlib.util as u, sys; sys.exit(u.find_spec({PACKAGES[script]!r}) is None)"
    if subprocess.run([python(), "-c", known], check=False).returncode:
        return None
    command = [python(), "-W", "ignore", "-m", f"tests.benchmarks.{script}", *arguments]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    ran = subprocess.run(command, cwd=ROOT, env=offline, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{script}.py failed among the peers:\n{ran.stderr}")
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def missing(what: str) -> Row:
    """The row of a peer that could not be measured."""
    return what, "not installed", "", ""


def measure() -> list[Row]:
    """What TransformerLens' cache costs beside the plain forward pass in its own process."""
    return [lens(kind, title, folder(kind)) for kind, title in TITLES.items()]


def lens(kind: str, title: str, place: Path, lengths: tuple[int, ...] = LENGTHS, rounds: int = ROUNDS // 2) -> Row:
    """One row of one network."""
    what = f"({title}, TransformerLens' `run_with_cache`, {at_lengths(lengths)})"
    times = ask("lens", "time", kind, str(place), str(rounds), *map(str, lengths))
    return missing(what) if times is None else row(what, times["lens"], times["plain"], "ms")
