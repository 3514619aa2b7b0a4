"""Published sizes: what a configuration by the book counts up to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from engine.models import bert, gpt2, transformer


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(autouse=True)
def nothing_here_needs_memory() -> Iterator[None]:
    with torch.device("meta"):
        yield


def test_the_original_transformer_has_about_65_million_parameters() -> None:
    base = transformer.Config(vocabulary=37_000)
    assert (base.layers, base.decoder_layers, base.width, base.heads, base.hidden) == (6, 6, 512, 8, 2048)
    assert parameters(transformer.Transformer(base)) == pytest.approx(65e6, rel=0.05)
    assert {block.head_dim for block in transformer.blocks(base)} == {64}
    assert {block.scale for block in transformer.blocks(base)} == {1 / 8}


def test_gpt2_small_has_124_million_parameters() -> None:
    small = gpt2.Config(vocabulary=50_257, width=768, layers=12, heads=12)
    assert parameters(gpt2.Gpt2(small)) == 124_439_808


def test_bert_base_has_109_million_parameters() -> None:
    base = bert.Config(vocabulary=30_522, width=768, layers=12, heads=12, hidden=3072)
    assert parameters(bert.Bert(base)) == 109_482_240 - (768 * 768 + 768)  # without the pooler


def test_the_dense_layers_of_the_textbook() -> None:
    assert parameters(nn.Sequential(nn.Linear(28 * 28, 128), nn.Dropout(0.2), nn.Linear(128, 10))) == 101_770
    assert parameters(nn.Linear(256, 78)) == 20_046
