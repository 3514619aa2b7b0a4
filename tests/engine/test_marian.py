"""Marian's two SentencePiece vocabularies, against the reference's own tokenizer."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from transformers import MarianTokenizer

import engine
from engine.errors import CheckpointError, EmptyText, TooLong
from tests.engine import parity
from tests.zoo import spm

FRENCH = ["un chien court dans la neige", "le chat dort sur la table", "deux hommes marchent dans la rue"]
ENGLISH = ["a dog runs in the snow", "the cat sleeps on the table", "two men walk in the street"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marian")
    pieces = spm(FRENCH, folder / "source.spm") + spm(ENGLISH, folder / "target.spm")
    vocabulary = list(dict.fromkeys(["</s>", "<unk>", ">>eng<<", *pieces]))
    vocabulary += [f"unused{n}" for n in range(parity.VOCABULARY - len(vocabulary) - 1)] + ["<pad>"]
    sizes = {"vocab_size": len(vocabulary), "decoder_start_token_id": len(vocabulary) - 1}
    parity.random_model("Marian", "MarianMTModel", folder, {"encoder_layers": 1, "decoder_layers": 1, **sizes})
    (folder / "vocab.json").write_text(json.dumps({piece: id for id, piece in enumerate(vocabulary)}))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> engine.Model:
    return engine.load(folder)


@pytest.mark.parametrize("text", [*FRENCH, ">>eng<< un chat", "le  chien 😀 élégant", "Deux!", "\u202bעברית"])
def test_ids_are_those_of_the_reference(folder: Path, model: engine.Model, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends another package for punctuation
        theirs = MarianTokenizer.from_pretrained(folder)
        source = theirs(text)["input_ids"]
        target = theirs(text_target=ENGLISH[0])["input_ids"]
    inputs = model.inputs(source=text, target=ENGLISH[0])
    assert [t.id for t in inputs.tokens["encoder"]] == source
    assert [t.id for t in inputs.tokens["decoder"]][1:] == target[:-1]
    for token in inputs.tokens["encoder"]:
        if token.start is not None:
            assert text[token.start : token.end] == token.text or token.piece == "\u2581"


def test_pieces_read_as_they_were_written(model: engine.Model) -> None:
    tokens = model.inputs(source="le chat").tokens["encoder"]
    assert "".join(t.text if t.continues else f" {t.text}" for t in tokens[:-1]).split() == ["le", "chat"]
    assert tokens[-1].special
    said = engine.trace(model, source="le chat").tokens["decoder"]
    assert all("\u2581" not in t.text or t.text == "\u2581" for t in said)


def test_what_can_not_be_read_says_so(model: engine.Model, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EmptyText):
        model.inputs(source="  ")
    with pytest.raises(TooLong):
        model.inputs(source="chat " * 60)
    for name in ("config.json", "model.safetensors", "vocab.json", "target.spm"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "source.spm").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="no SentencePiece tokenizer"):
        engine.load(tmp_path)
    assert torch.is_tensor(engine.trace(model, source="le chat")["decoder.0.cross.pattern"])
