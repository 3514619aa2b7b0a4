"""Training on tiny recipes: it learns, goes on exactly after a kill, and writes a model like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.train.loop import Run, train
from engine.train.recipe import Recipe, Schedule
from engine.train.start import start

WORDS = {"un": "a", "chien": "dog", "chat": "cat", "homme": "man", "court": "runs", "dort": "sleeps", "noir": "black"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A language whose words are translated one by one."""
    folder = tmp_path / "data"
    folder.mkdir()
    pairs = [
        (f"un {noun} {verb} {last}", " ".join(WORDS[word] for word in ("un", noun, verb, last)))
        for noun in ("chien", "chat", "homme")
        for verb in ("court", "dort")
        for last in ("noir", "court", "dort", "chat")
    ]
    (folder / "fr").write_text("".join(f"{source}\n" for source, _ in pairs))
    (folder / "en").write_text("".join(f"{target}\n" for _, target in pairs))
    return folder


def tiny(**schedule: object) -> Recipe:
    files = ({"source": "fr", "target": "en"},)
    return Recipe(
        name="tiny",
        objective="translate",
        model={
            "model_type": "transformer",
            "vocabulary": "$vocabulary",
            "width": 32,
            "layers": 1,
            "decoder_layers": 1,
            "heads": 2,
            "hidden": 64,
            "pre_norm": True,
            "start": 2,
            "stop": 3,
        },
        tokenizer={"size": 60, "template": "stop", "dropout": 0.1},
        train=files,
        val=files,
        schedule=Schedule(
            **{"steps": 12, "warmup": 2, "peak": 0.01, "tokens": 64, "evaluate": 4, "embedding": 0.2} | schedule
        ),
        dropout={"*.out": 0.1, "*.pattern": 0.1},
    )


def weights(run: Run) -> dict[str, torch.Tensor]:
    average = {f"average.{name}": value for name, value in run.average.network.named_parameters()}
    return {**dict(run.model.network.named_parameters()), **average}


def test_a_run_that_was_killed_goes_on_as_if_nothing_had_been(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu")
    whole = start(tiny(), data, tmp_path / "whole")
    train(whole, progress=False)

    first = start(tiny(), data, tmp_path / "parts")
    steps = first.batches()
    for _ in range(7):
        step, examples = next(steps)
        first.take_step(step, examples)
        first.progress.step = step + 1
        if first.progress.step == 4:
            first.look()
    first.save()
    next_step, examples = next(steps)
    first.take_step(next_step, examples)  # lost in the kill
    second = start(tiny(), data, tmp_path / "parts")
    assert second.progress.step == 7
    train(second, progress=False)

    assert second.progress.history == whole.progress.history
    for name, value in weights(whole).items():
        assert torch.equal(weights(second)[name], value), name
