"""The networks that everybody loads from the same files, and the plain forward pass of `transformers` over them.

Nothing of Headlight is imported here: the peers' environment has `torch` and `transformers` only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers
from torch import Tensor

THREADS = 2
"""Of torch, for everybody."""

LENGTHS = (16, 128, 512)


@dataclass(frozen=True)
class Kind:
    """An architecture in `transformers`: what is saved, and what is run without computing what nobody asked for."""

    config: type[transformers.PreTrainedConfig]
    saved: type[transformers.PreTrainedModel]
    network: type[transformers.PreTrainedModel]
    loading: dict[str, Any] = field(default_factory=dict)
    running: dict[str, Any] = field(default_factory=dict)


KINDS = {
    "gpt2": Kind(
        transformers.GPT2Config,
        transformers.GPT2LMHeadModel,
        transformers.GPT2LMHeadModel,
        running={"use_cache": False, "logits_to_keep": 1},
    ),
    "bert": Kind(
        transformers.BertConfig,
        transformers.BertForMaskedLM,
        transformers.BertModel,
        loading={"add_pooling_layer": False},
    ),
}
"""The sizes that `transformers` takes where none are given are those of GPT-2 small and of BERT base."""

TITLES = {"gpt2": "GPT-2 small", "bert": "BERT base"}


@cache
def folder(kind: str, **sizes: int) -> Path:
    """A checkpoint with random weights, as `save_pretrained` writes it; it goes when the process ends."""
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    about = KINDS[kind]
    place = Path(_root().name) / "-".join(["random", kind, *map(str, sizes.values())])  # no name of a model
    about.saved(about.config(**sizes)).save_pretrained(place)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())  # each byte of a text is a token
    tokenizer = tokenizers.Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(place / "tokenizer.json"))
    return place


@cache
def _root() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


def ids(length: int, vocabulary: int = 30522) -> list[int]:
    """Any tokens; MiniLM's own first and last are as good as others where they stand."""
    return [(2000 + 7 * at) % vocabulary for at in range(length)]


def plain(kind: str, place: Path, attention: str, **options: bool) -> Callable[[Tensor], Any]:
    """A forward pass over ids (1, position); `attention` is how it is computed, `options` what is kept of it."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    about = KINDS[kind]
    network = about.network.from_pretrained(place, attn_implementation=attention, **about.loading).eval()

    def forward(batch: Tensor) -> Any:
        with torch.inference_mode():
            return network(batch, **about.running, **options)

    return forward


def said(output: Any) -> Tensor:
    """What a network says: logits where it has a head, else the last hidden states."""
    value: Tensor = output.logits if "logits" in output else output.last_hidden_state
    return value


def agree(ours: Tensor, theirs: Tensor) -> None:
    """Refuse to measure a network that computes something else."""
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3):
        raise RuntimeError("The networks disagree: what would be measured is not the same computation.")
