"""The README's Python runs as printed, and gives the numbers that stand beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import engine
from tests import zoo

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_python_example_runs_as_printed() -> None:
    code, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {}
    shown = [line.partition("#")[0].strip() for line in code.splitlines() if "# 0" in line]
    exec(compile(code, "README.md", "exec"), names)
    weights = [round(float(eval(line, names)), 3) for line in shown]
    assert weights == [0.647, 0.0]
    assert names["again"].to_bytes() == names["data"]


def test_the_example_of_generation_runs_as_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    gpt2 = next(folder for folder in zoo.make(tmp_path) if folder.name == "tiny-gpt2")
    names: dict[str, Any] = {"engine": engine}
    exec(compile(code.replace("path/to/gpt2", str(gpt2)), "README.md", "exec"), names)
    assert len(names["trace"].tokens["decoder"]) > len(names["gpt"].inputs("Two dogs").tokens["decoder"])
    assert (
        len(capsys.readouterr().out.splitlines())
        == names["step"].position - len(names["gpt"].inputs("Two dogs").tokens["decoder"]) + 1
    )


def test_every_file_that_is_named_exists() -> None:
    root = Path(__file__).parent.parent
    named = set(re.findall(r"`((?:engine|app|static|templates|tests)/[\w./-]+\.\w+)`", README))
    named |= set(re.findall(r"\]\(([\w./-]+)\)", README))
    assert len(named) >= 7
    assert not [name for name in named if not (root / name).is_file()]
