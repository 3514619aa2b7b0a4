"""The README's Python runs as printed, and gives the numbers that stand beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.registry import Bundled

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_python_example_runs_as_printed() -> None:
    code, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {}
    shown = [line.partition("#")[0].strip() for line in code.splitlines() if "# 0" in line]
    exec(compile(code, "README.md", "exec"), names)
    weights = [round(float(eval(line, names)), 3) for line in shown]
    assert weights == [0.647, 0.0]
    assert names["again"].to_bytes() == names["data"]


def test_the_example_of_generation_runs_as_printed(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {"engine": engine}
    exec(compile(code.replace("path/to/gpt2", str(folders["tiny-gpt2"])), "README.md", "exec"), names)
    assert len(names["trace"].tokens["decoder"]) > len(names["gpt"].inputs("Two dogs").tokens["decoder"])
    assert (
        len(capsys.readouterr().out.splitlines())
        == names["step"].position - len(names["gpt"].inputs("Two dogs").tokens["decoder"]) + 1
    )


def test_the_table_of_models_is_what_their_cards_say() -> None:
    rows = [
        [cell.strip(" `") for cell in row.split("|")[1:-1]]
        for row in re.findall(r"^\| `[\w-]+` \| \w+ \| \d+ × .*", README, re.M)
    ]
    cards = [card for card in engine.cards() if card.hub]
    assert [row[0] for row in rows] == [card.id for card in cards]
    for card, (_, family, shape, parameters, source) in zip(cards, rows, strict=True):
        assert card.hub
        assert card.parameters
        assert (family, shape) == (card.family, f"{card.layers} × {card.heads}")
        assert parameters == f"{card.parameters / 1e6:#.3g} M".replace(". ", " ")
        assert f"`{card.hub.repository}" in f"`{source}"
        if card.size:
            assert source.endswith(f"{card.size / 1e6:.0f} MB")


def test_the_table_of_trained_models_is_what_their_cards_say() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| ([\d.]+)( M)?\b[^|]*\| [^|]+ \| ([^|]+?) ([\d.e-]+)(?: \(goal .+\))? \|$", README, re.M
    )
    cards = {card.id: card for card in engine.cards() if isinstance(card.sources[0], Bundled)}
    assert sorted(row[0] for row in rows) == sorted(cards)
    for id, parameters, millions, metric, value in rows:
        assert float(value) == cards[id].scores[metric]
        assert float(parameters) * (1e6 if millions else 1) == pytest.approx(cards[id].parameters, rel=0.01)


def test_every_file_that_is_named_exists() -> None:
    root = Path(__file__).parent.parent
    named = set(re.findall(r"`((?:engine|app|static|templates|tests)/[\w./-]+\.\w+)`", README))
    named |= set(re.findall(r"\]\(([\w./-]+)\)", README))
    assert len(named) >= 7
    assert not [name for name in named if not (root / name).is_file()]
