"""BERT: a bidirectional Transformer encoder (Devlin et al. 2019), post-norm like the original Transformer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.checkpoint import Rule, Rules
from engine.errors import CheckpointError
from engine.models.family import Family, Shape, Tokens
from engine.nn.attention import Attention
from engine.nn.feedforward import ACTIVATIONS, FeedForward
from engine.nn.norms import LayerNorm
from engine.sites import ATTENTION, MLP, NORM, Block, Site, site, sites_of
from engine.tap import SILENT, Tap


@dataclass(frozen=True)
class Config:
    """Sizes of one BERT. `hidden` is the width of the feed-forward layer, `positions` the longest input."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    positions: int = 512
    segments: int = 2
    activation: str = "gelu"
    eps: float = 1e-12

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> Config:
        """Read a config.json as `transformers` writes it; `CheckpointError` where it asks for what is not BERT."""
        positions = config.get("position_embedding_type", "absolute")
        if positions != "absolute":
            raise CheckpointError(f"position_embedding_type {positions!r} is not supported: only 'absolute' is.")
        if config.get("is_decoder"):
            raise CheckpointError("is_decoder is set, but this is an encoder: a causal BERT can not be loaded.")
        if config["hidden_act"] not in ACTIVATIONS:
            raise CheckpointError(f"hidden_act {config['hidden_act']!r} is not one of {', '.join(ACTIVATIONS)}.")
        return cls(
            vocabulary=config["vocab_size"],
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            hidden=config["intermediate_size"],
            positions=config["max_position_embeddings"],
            segments=config["type_vocab_size"],
            activation=config["hidden_act"],
            eps=float(config["layer_norm_eps"]),
        )


class Layer(nn.Module):
    """Attention, add & norm, feed-forward, add & norm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config.width, config.heads)
        self.attention_norm = LayerNorm(config.width, config.eps)
        self.mlp = FeedForward(config.width, config.hidden, config.activation)
        self.mlp_norm = LayerNorm(config.width, config.eps)

    def forward(self, x: Tensor, mask: Tensor | None, *, tap: Tap) -> Tensor:
        x = tap("resid.pre", x)  # (batch, position, model)
        at_self, at_mlp = tap.at("self"), tap.at("mlp")
        x = self.attention_norm(x + self.attention(x, mask=mask, tap=at_self), tap=at_self)
        x = tap("resid.mid", x)
        x = self.mlp_norm(x + self.mlp(x, tap=at_mlp), tap=at_mlp)
        return tap("resid.post", x)


class Bert(nn.Module):
    """The encoder, without a head: token ids in, hidden states out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Embedding(config.positions, config.width)
        self.segment = nn.Embedding(config.segments, config.width)
        self.embed_norm = LayerNorm(config.width, config.eps)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(
        self, ids: Tensor, segments: Tensor | None = None, mask: Tensor | None = None, *, tap: Tap = SILENT
    ) -> Tensor:
        """Hidden states (batch, position, model) of `ids` (batch, position).

        `segments` says for each token which sentence it belongs to (all 0 without it); `mask` is True for real tokens
        and False for padding, which nothing attends to.
        """
        tap = tap.at("encoder")
        segments = torch.zeros_like(ids) if segments is None else segments
        places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        x: Tensor = tap("embed.token", self.token(ids))
        x = x + tap("embed.segment", self.segment(segments))
        x = x + tap("embed.position", self.position(places))
        x = self.embed_norm(x, tap=tap.at("embed"))
        keys = None if mask is None else mask[:, None, None, :]  # (batch, 1, 1, key)
        for index, layer in enumerate(self.layers):
            x = layer(x, keys, tap=tap.at(index))
        return x


def sites(config: Config) -> Iterator[Site]:
    """Every site of this network, recorded and derived."""
    yield from sites_of(("embed.token", "embed.segment", "embed.position"), "encoder")
    yield from sites_of(NORM, "encoder", None, "embed")
    for layer in range(config.layers):
        yield site("resid.pre", "encoder", layer)
        yield from sites_of((*ATTENTION, *NORM), "encoder", layer, "self")
        yield site("resid.mid", "encoder", layer)
        yield from sites_of((*MLP, *NORM), "encoder", layer, "mlp")
        yield site("resid.post", "encoder", layer)


def blocks(config: Config) -> tuple[Block, ...]:
    """BERT has one kind of attention: every token looks at every token."""
    head_dim = config.width // config.heads
    return (
        Block(
            "encoder",
            "self",
            layers=config.layers,
            heads=config.heads,
            kv_heads=config.heads,
            head_dim=head_dim,
            query_stack="encoder",
            key_stack="encoder",
            causal=False,
            scale=head_dim**-0.5,
        ),
    )


def rules(config: Config) -> Rules:
    """How the names in a checkpoint map to ours."""
    names = {
        "embeddings.word_embeddings": "token",
        "embeddings.position_embeddings": "position",
        "embeddings.token_type_embeddings": "segment",
        "embeddings.LayerNorm": "embed_norm",
    }
    for i in range(config.layers):
        theirs, ours = f"encoder.layer.{i}", f"layers.{i}"
        names |= {
            f"{theirs}.attention.self.query": f"{ours}.attention.q",
            f"{theirs}.attention.self.key": f"{ours}.attention.k",
            f"{theirs}.attention.self.value": f"{ours}.attention.v",
            f"{theirs}.attention.output.dense": f"{ours}.attention.out",
            f"{theirs}.attention.output.LayerNorm": f"{ours}.attention_norm",
            f"{theirs}.intermediate.dense": f"{ours}.mlp.up",
            f"{theirs}.output.dense": f"{ours}.mlp.down",
            f"{theirs}.output.LayerNorm": f"{ours}.mlp_norm",
        }
    embeddings = ("token", "position", "segment")
    return Rules(
        rules=tuple(
            Rule(f"{theirs}.{part}", f"{ours}.{part}")
            for theirs, ours in names.items()
            for part in (("weight",) if ours in embeddings else ("weight", "bias"))
        ),
        ignored=("embeddings.position_ids", "pooler.*", "cls.*", "classifier.*"),  # a buffer, and the heads
        prefixes=("bert.",),
        spellings={"gamma": "weight", "beta": "bias"},  # files from the TensorFlow days
    )


def run(network: nn.Module, tokens: Tokens, tap: Tap) -> Tensor:
    """One forward pass over one input."""
    device = next(network.parameters()).device
    ids = torch.tensor([[token.id for token in tokens["encoder"]]], device=device)
    segments = torch.tensor([[token.segment for token in tokens["encoder"]]], device=device)
    hidden: Tensor = network(ids, segments, tap=tap)
    return hidden


def output_weight(network: nn.Module, stack: str, layer: int, block: str) -> Tensor:  # noqa: ARG001
    """W_O by head: (head, head_dim, model)."""
    attention = network.get_submodule(f"layers.{layer}.attention")
    assert isinstance(attention, Attention)
    return attention.output_by_head()


FAMILY = Family(
    name="bert",
    model_types=("bert",),
    stacks=("encoder",),
    read_config=Config.from_hf,
    build=Bert,
    shape=lambda c: Shape(c.layers, c.heads, c.width, c.positions, c.vocabulary),
    sites=sites,
    blocks=blocks,
    rules=rules,
    run=run,
    output_weight=output_weight,
    pairs=True,
)
