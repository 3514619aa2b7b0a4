"""A tiny random model of every family that the bundled one is not, as folders that the app can serve."""

from __future__ import annotations

import json
from pathlib import Path

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from engine import checkpoint
from engine.models import recurrent as one_sequence
from engine.models import seq2seq

SENTENCES = [
    "the animal did not cross the street because it was too tired",
    "two dogs run in the snow",
    "un chien court dans la neige",
    "deux chiens dorment sur la table",
]
SPECIAL = ["<pad>", "</s>"]


def make(root: Path) -> tuple[Path, ...]:
    """Writes the folders and says which.

    tiny-gpt2, tiny-llama, tiny-t5; tiny-gru (with attention) and tiny-lstm (without any); and two networks over one
    sequence that pool it by attention: tiny-sentiment gives it a class, tiny-numbers reads numbers and says one.
    """
    torch.manual_seed(0)
    words, marked = _tokenizer(), _tokenizer(ends=True)
    size = words.get_vocab_size()
    transformer = {
        "tiny-gpt2": transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=size, n_embd=48, n_layer=4, n_head=6, n_positions=128)
        ),
        "tiny-llama": transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=size,
                hidden_size=48,
                num_hidden_layers=3,
                num_attention_heads=6,
                num_key_value_heads=2,
                intermediate_size=80,
                max_position_embeddings=128,
            )
        ),
        "tiny-t5": transformers.T5ForConditionalGeneration(
            transformers.T5Config(
                vocab_size=size, d_model=48, d_kv=8, d_ff=80, num_heads=6, num_layers=3, decoder_start_token_id=0
            )
        ),
    }
    for name, network in transformer.items():
        with torch.no_grad():
            for weights in network.parameters():
                weights.add_(torch.randn_like(weights), alpha=0.2)
        network.save_pretrained(root / name)
        (marked if name == "tiny-t5" else words).save(str(root / name / "tokenizer.json"))
    sizes = {"vocabulary": size, "target_vocabulary": size, "embedding": 24, "hidden": 32, "attention_width": 16}
    recurrent = {
        "tiny-gru": seq2seq.Config(**sizes, kind="gru"),
        "tiny-lstm": seq2seq.Config(**sizes, kind="lstm", attention=None),
    }
    for name, config in recurrent.items():
        folder = root / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": "seq2seq", **vars(config)}))
        checkpoint.save(seq2seq.Seq2Seq(config), seq2seq.rules(config), folder / "model.safetensors")
        marked.save(str(folder / "tokenizer.json"))
    pool = {"hidden": 24, "pool": 1}
    one = {
        "tiny-sentiment": one_sequence.Config(
            kind="lstm", task="class", vocabulary=size, embedding=16, labels=("negative", "positive"), **pool
        ),
        "tiny-numbers": one_sequence.Config(kind="rnn", task="number", steps=20, **pool),
    }
    for name, config in one.items():
        folder = root / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": "recurrent", **vars(config)}))
        checkpoint.save(one_sequence.Network(config), one_sequence.rules(config), folder / "model.safetensors")
    words.save(str(root / "tiny-sentiment" / "tokenizer.json"))
    return tuple(root / name for name in (*transformer, *recurrent, *one))


def _tokenizer(*, ends: bool = False) -> tokenizers.Tokenizer:
    """Bytes and a few words; with `ends`, every text closes with </s>."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(SENTENCES * 5, trainer)
    if ends:
        made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return made
