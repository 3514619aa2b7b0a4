"""The logit lens: every guess is the head's, of the stream as it is there, and the last is what the network says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import engine
from engine.errors import BadIndex, UnknownSite

TEXT = "two dogs run in the snow"

Load = Callable[[str], engine.Model]


@pytest.fixture(scope="module")
def load(folders: dict[str, Path]) -> Load:
    return lambda name: engine.load(folders.get(name, name))


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-llama", "tiny-bert-mlm", "tiny-t5", "tiny-marian"])
def test_every_guess_is_the_heads_and_the_last_is_what_is_said(load: Load, name: str) -> None:
    model = load(name)
    trace = engine.trace(model, TEXT)
    stack = model.family.stacks[-1]
    position = len(trace.tokens[stack]) - 1
    found = engine.guesses(trace, top=3)
    layers = len([site for site in model.sites.values() if site.stack == stack and site.name == "resid.pre"])
    assert [guess.site.name for guess in found] == ["resid.pre"] * layers + ["resid.post"]
    said = int(trace[f"{stack}.logits"][position].argmax())
    for guess in found:
        assert model.family.finish is not None
        with torch.inference_mode():
            hidden = model.family.finish(model.network, trace[guess.site.address][position])
        shares = model.head(hidden).softmax(-1, dtype=torch.float32)
        best = shares.topk(3)
        assert [token.id for token, _ in guess.top] == best.indices.tolist()
        assert [share for _, share in guess.top] == pytest.approx(best.values.tolist(), rel=1e-4)
        assert guess.of_said == pytest.approx(float(shares[said]), rel=1e-4)
    assert found[-1].top[0][0].id == said
    if trace.prediction and trace.prediction.get("positions"):
        (asked,) = trace.prediction["positions"]
        assert found[-1].top[0][1] == pytest.approx(asked["top"][0]["probability"], rel=1e-4)


def test_where_there_is_nothing_to_guess_from(load: Load) -> None:
    with pytest.raises(UnknownSite, match="nothing to guess from"):
        engine.guesses(engine.trace(load("tiny-rnn"), TEXT))
    with pytest.raises(UnknownSite, match="nothing to guess from"):
        engine.guesses(engine.trace(load("minilm"), TEXT))
    with pytest.raises(BadIndex, match="position"):
        engine.guesses(engine.trace(load("tiny-gpt2"), TEXT), 99)
