"""From a person's own sentences to a model in the page: headlight train, score and serve."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from app.__main__ import main
from app.main import create_app
from app.settings import Settings
from tests.app.conftest import make

RECIPE = """
objective = "translate"

[model]
model_type = "seq2seq"
vocabulary = "$vocabulary"
target_vocabulary = "$vocabulary"
embedding = 32
hidden = 32
attention_width = 32
start = 2
stop = 3

[tokenizer]
size = 80
template = "stop"

[[train]]
source = "mine.fr"
target = "mine.en"

[[val]]
source = "mine.fr"
target = "mine.en"

[schedule]
steps = 120
warmup = 10
peak = 0.02
tokens = 400
evaluate = 40
average = 0.9
"""
PAIRS = {
    "bonjour le monde": "hello world",
    "le chat dort": "the cat sleeps",
    "le chien dort": "the dog sleeps",
    "le chien court": "the dog runs",
    "bonjour le chat": "hello cat",
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A recipe with its text beside it."""
    (tmp_path / "mine.fr").write_text("".join(f"{text}\n" for text in PAIRS))
    (tmp_path / "mine.en").write_text("".join(f"{text}\n" for text in PAIRS.values()))
    (tmp_path / "mine.toml").write_text(RECIPE)
    return tmp_path / "mine.toml"


def test_a_model_of_ones_own_text_shows_up_in_the_page(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = mine.parent / "runs"
    assert main(["train", str(mine), "--runs", str(runs), "--tensorboard"]) == 0
    told = capsys.readouterr().out
    assert "step 120: train_loss" in told
    assert "120 steps in 0 minutes; best on val" in told
    assert list((runs / "mine" / "events").glob("events.*"))

    with TestClient(create_app(Settings(models=(str(runs / "mine"),))), base_url="http://localhost") as client:
        assert "mine" in {model["id"] for model in client.get("/api/v1/models").json()}
        assert ">mine<" in client.get("/?model=mine").text
        trace = make(client, "le chien dort", model="mine")
        assert "".join(f" {token['text']}" for token in trace["tokens"]["decoder"][1:]).split() == [
            "the",
            "dog",
            "sleeps",
        ]


def test_a_run_is_scored_by_its_recipe(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mine.open("a") as file:
        file.write('\n[[test]]\nsource = "mine.fr"\ntarget = "mine.en"\n')
        file.write('\n[[goals]]\nmetric = "BLEU, test"\nat_least = 100.5\n')
    runs = ["--runs", str(mine.parent / "runs")]
    assert main(["train", str(mine), *runs]) == 0
    capsys.readouterr()
    assert main(["score", str(mine), "--data", str(mine.parent), *runs]) == 1  # a goal is missed
    told = capsys.readouterr().out
    (line,) = [line for line in told.splitlines() if "at least" in line]
    assert line.split()[0] == "mine"
    assert line.endswith("no")
    assert "alignment, words with the right source word" in told


def test_a_finished_training_is_not_done_again(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", str(mine), "--runs", str(mine.parent / "runs")]
    assert main(command) == 0
    first = (mine.parent / "runs" / "mine" / "model.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    assert main(command) == 0
    assert "step 40" not in capsys.readouterr().out
    assert (mine.parent / "runs" / "mine" / "model.safetensors").stat().st_mtime_ns == first


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "transformer-fr-em"], "Did you mean transformer-fr-en"),
        (["train", "transformer-fr-en", "--data", "nowhere", "--runs", "RUNS"], "headlight data fetch"),
        (["score", "--data", "nowhere"], "say which model"),
        (["score", "no-such-model", "--data", "nowhere"], "no-such-model"),
    ],
)
def test_what_can_not_be_done_is_said(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path) if part == "RUNS" else part for part in arguments]) == 2
    assert told in capsys.readouterr().err
