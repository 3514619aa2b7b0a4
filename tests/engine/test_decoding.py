"""Encoder-decoders: a target that is given, and one that the network says itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tokenizers
import torch
from tokenizers import models, pre_tokenizers, processors
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

import engine
from engine.errors import BadInput

WORDS = ["<pad>", "</s>", "<unk>", "un", "deux", "trois", "chien", "chat", "court", "dort", "la", "le"]
WORDS += ["one", "two", "three", "dog", "cat", "runs", "sleeps"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, engine.Model]:
    """A tiny T5 and ours, with a tokenizer of whole words."""
    folder = tmp_path_factory.mktemp("t5")
    torch.manual_seed(5)
    sizes = {"d_model": 24, "d_kv": 6, "d_ff": 32, "num_heads": 4, "num_layers": 2}
    theirs = T5ForConditionalGeneration(T5Config(vocab_size=len(WORDS), decoder_start_token_id=0, **sizes)).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    theirs.save_pretrained(folder)
    tokenizer = tokenizers.Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.add_special_tokens(WORDS[:3])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return theirs, engine.load(folder)


def test_without_a_target_the_decoder_says_what_the_reference_says(pair: tuple[nn.Module, engine.Model]) -> None:
    theirs, ours = pair
    for source in ("un chien court", "la chat dort", "deux", "le le le trois"):
        trace = engine.trace(ours, source=source)
        ids = torch.tensor([[t.id for t in trace.tokens["encoder"]]])
        said = theirs.generate(ids, max_new_tokens=20, do_sample=False, num_beams=1)[0].tolist()
        said = said[: said.index(1)] if 1 in said else said
        assert [t.id for t in trace.tokens["decoder"]][: len(said)] == said
    assert trace.site("decoder.0.cross.pattern")
    assert trace["decoder.0.cross.pattern"].shape == (4, len(trace.tokens["decoder"]), len(trace.tokens["encoder"]))


def test_a_given_target_is_shifted_one_step_late(pair: tuple[nn.Module, engine.Model]) -> None:
    _, ours = pair
    trace = engine.trace(ours, source="un chien court", target="one dog runs")
    assert [t.text for t in trace.tokens["encoder"]] == ["un", "chien", "court", "</s>"]
    assert [t.text for t in trace.tokens["decoder"]] == ["<pad>", "one", "dog", "runs"]
    assert trace.prediction is not None
    assert trace.prediction["positions"][0]["position"] == 3


def test_the_digest_tells_a_decoded_target_from_a_given_one(pair: tuple[nn.Module, engine.Model]) -> None:
    _, ours = pair
    decoded, given = ours.inputs(source="un chien"), ours.inputs(source="un chien", target="one dog")
    assert engine.digest(ours, decoded) == engine.trace(ours, decoded).digest
    assert engine.digest(ours, decoded) != engine.digest(ours, given)
    assert engine.digest(ours, decoded) != engine.digest(ours, replace(decoded, decode=False))


def test_decoding_ends_with_the_stop_token(pair: tuple[nn.Module, engine.Model]) -> None:
    _, ours = pair
    said = [t.id for t in engine.trace(ours, source="un chien court").tokens["decoder"]]
    stop = said[1]
    stopped = replace(ours, config=replace(ours.config, stop=stop))
    assert [t.id for t in engine.trace(stopped, source="un chien court").tokens["decoder"]] == said[:1]


def test_patches_are_in_force_while_decoding(pair: tuple[nn.Module, engine.Model]) -> None:
    _, ours = pair
    blind = [engine.Zero(f"decoder.{layer}.cross.z") for layer in range(2)]
    said = {
        tuple(t.id for t in engine.trace(ours, source=s, patches=blind).tokens["decoder"]) for s in ("un", "deux chat")
    }
    assert len(said) == 1  # what it can't see makes no difference


def test_texts_that_the_model_has_no_use_for_say_so(pair: tuple[nn.Module, engine.Model], tiny: engine.Model) -> None:
    _, ours = pair
    with pytest.raises(BadInput, match="leave out the pair"):
        ours.inputs("un", pair="deux")
    with pytest.raises(BadInput, match="leave out the target"):
        tiny.inputs("the cat", target="the dog")
