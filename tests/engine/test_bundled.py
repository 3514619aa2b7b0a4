"""The models that come along: each loads, traces its first example, and is what its card says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import engine
from engine.registry import Bundled
from engine.train import recipe

BUNDLED = [card for card in engine.cards() if any(isinstance(source, Bundled) for source in card.sources)]
WEIGHTS = Path(engine.__file__).parent / "weights"


@pytest.mark.parametrize("card", BUNDLED, ids=lambda card: card.id)
def test_each_loads_and_traces_its_examples(card: engine.ModelCard) -> None:
    model = engine.load(card.id)  # which holds the file against the card's sha256
    for example in card.examples:
        trace = engine.trace(model, example.text, pair=example.pair)
        assert trace.prediction is not None
        if example.look is not None:
            layer, head, query, key = example.look
            (block,) = [block for block in model.blocks if block.query_stack == model.family.stacks[-1]][-1:]
            pattern = trace[engine.sites.address(block.query_stack, layer, block.name, "pattern")]
            assert float(pattern[head, query, key]) > 0.25, example
        if example.state is not None:
            site, time, unit = example.state
            assert float(trace[site][time - 1, unit] - trace[site][time, unit]) > 0.9, example  # the gate shuts


@pytest.mark.parametrize("card", BUNDLED, ids=lambda card: card.id)
def test_its_card_tells_the_truth(card: engine.ModelCard) -> None:
    model = engine.load(card.id)
    shape = model.family.shape(model.config)
    assert (card.layers, card.heads, card.width, card.limit) == (shape.layers, shape.heads, shape.width, shape.limit)
    assert card.parameters == sum(parameter.numel() for parameter in model.network.parameters())
    assert card.family == model.family.name
    assert card.status() == "ready"
    assert card.examples
    folder = card.folder()
    assert card.size == (folder / "model.safetensors").stat().st_size
    text = (folder / "CARD.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {card.id}\n")
    assert f"{card.parameters:,}" in text
    told = dict(re.findall(r"^\| ([^|]+?) \| ([\d.e+-]+) \|", text, re.MULTILINE))
    assert card.scores
    for metric, value in card.scores.items():
        assert float(told[metric]) == pytest.approx(value), metric
    assert card.id in recipe.bundled()


def test_the_weights_are_small_enough_to_come_along() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == {card.id for card in BUNDLED}
    assert max(path.stat().st_size for path in files) < 15_000_000
    total = sum(path.stat().st_size for path in files)
    print(f"{len(BUNDLED)} bundled models, {total / 1e6:.1f} MB")
    assert total <= 80_000_000
