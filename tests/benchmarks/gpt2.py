"""A model of GPT-2 small's shape with 8,192 positions and random weights, for what needs its size and not its words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers

from engine import checkpoint
from engine.models import gpt2

POSITIONS = 8192


@contextmanager
def folder() -> Iterator[Path]:
    """The checkpoint, on disk as long as the context lasts; each byte of a text is a token."""
    shape = {"vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": POSITIONS}
    raw = {"model_type": "gpt2", **shape}
    config = gpt2.Config.from_hf(raw)
    torch.manual_seed(0)
    network = gpt2.Gpt2(config)
    with torch.no_grad():
        for name, weights in network.named_parameters():
            if weights.dim() > 1:  # wider queries and keys, so that heads look at something
                weights.normal_(0, 0.12 if ".q." in name or ".k." in name else 0.02)
    with TemporaryDirectory() as root:
        place = Path(root) / "gpt2-long"
        place.mkdir()
        (place / "config.json").write_text(json.dumps(raw))
        checkpoint.save(network, gpt2.rules(config), place / checkpoint.WEIGHTS)
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        bytes_only = tokenizers.Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
        bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bytes_only.decoder = decoders.ByteLevel()
        bytes_only.save(str(place / checkpoint.TOKENIZER))
        yield place
