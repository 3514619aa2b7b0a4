"""GPT-2: a Transformer decoder (Radford et al. 2019): left to right, pre-norm, with learned positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.checkpoint import Rule, Rules, Step
from engine.errors import CheckpointError
from engine.models.family import (
    Family,
    Shape,
    Unembedding,
    finish,
    head,
    norm,
    part,
    resume_one_stack,
    run_one_stack,
    stop_tokens,
)
from engine.nn.attention import Attention
from engine.nn.cache import Cache, further, read_before
from engine.nn.feedforward import ACTIVATIONS, FeedForward
from engine.nn.norms import LayerNorm
from engine.sites import ATTENTION, MLP, NORM, Block, Site, site, sites_of
from engine.tap import SILENT, Tap


@dataclass(frozen=True)
class Config:
    """Sizes of one GPT-2.

    `linear` is True where files hold nn.Linear weights (minGPT, nanoGPT) instead of GPT-2's Conv1D, which is the same
    matrix lying on its side.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    positions: int = 1024
    hidden: int | None = None  # 4 · width unless told otherwise
    activation: str = "gelu_new"
    eps: float = 1e-5
    bias: bool = True
    tied: bool = True
    linear: bool = False
    stops: tuple[int, ...] = ()

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> Config:
        """Read a config.json of `transformers` (`gpt2`), or one with nanoGPT's or minGPT's own names for its sizes."""
        for name in ("scale_attn_by_inverse_layer_idx", "add_cross_attention"):
            if config.get(name):
                raise CheckpointError(f"{name} is set, which is not GPT-2 as published: it can not be loaded.")
        if not config.get("scale_attn_weights", True):
            raise CheckpointError("scale_attn_weights is off, which is not GPT-2 as published: it can not be loaded.")
        activation = config.get("activation_function", "gelu" if config["model_type"] == "nanogpt" else "gelu_new")
        if activation not in ACTIVATIONS:
            raise CheckpointError(f"activation_function {activation!r} is not one of {', '.join(ACTIVATIONS)}.")
        return cls(
            vocabulary=config["vocab_size"],
            width=config["n_embd"],
            layers=config["n_layer"],
            heads=config["n_head"],
            positions=config.get("n_positions") or config["block_size"],
            hidden=config.get("n_inner"),
            activation=activation,
            eps=config.get("layer_norm_epsilon", 1e-5),
            bias=config.get("bias", True),
            tied=config.get("tie_word_embeddings", config["model_type"] != "mingpt"),
            linear=config["model_type"] != "gpt2",
            stops=stop_tokens(config),
        )


class Layer(nn.Module):
    """Norm, attention, add; norm, feed-forward, add."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(config.width, config.eps, bias=config.bias)
        self.attention = Attention(config.width, config.heads, causal=True, bias=config.bias)
        self.mlp_norm = LayerNorm(config.width, config.eps, bias=config.bias)
        hidden = config.hidden or 4 * config.width
        self.mlp = FeedForward(config.width, hidden, config.activation, bias=config.bias)

    def forward(self, x: Tensor, mask: Tensor | None, *, cache: Cache | None, tap: Tap) -> Tensor:
        x = tap("resid.pre", x)  # (batch, position, model)
        at_self, at_mlp = tap.at("self"), tap.at("mlp")
        x = x + self.attention(self.attention_norm(x, tap=at_self), mask=mask, cache=cache, tap=at_self)
        x = tap("resid.mid", x)
        x = x + self.mlp(self.mlp_norm(x, tap=at_mlp), tap=at_mlp)
        return tap("resid.post", x)


class Gpt2(nn.Module):
    """The decoder: token ids in, hidden states out; `head` makes logits of them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Embedding(config.positions, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.final_norm = LayerNorm(config.width, config.eps, bias=config.bias)
        self.untied_head = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)

    def forward(
        self, ids: Tensor, mask: Tensor | None = None, *, cache: Cache | None = None, tap: Tap = SILENT
    ) -> Tensor:
        """Hidden states (batch, position, model) of `ids` (batch, position); `mask` is False for padding."""
        tap = tap.at("decoder")
        first = read_before(cache)
        places = torch.arange(first, first + ids.shape[1], device=ids.device).expand_as(ids)
        x: Tensor = tap("embed.token", self.token(ids))
        x = x + tap("embed.position", self.position(places))
        keys = None if mask is None else mask[:, None, None, :]  # (batch, 1, 1, key)
        for index, layer in enumerate(self.layers):
            x = layer(x, keys, cache=further(cache, index), tap=tap.at(index))
        hidden: Tensor = self.final_norm(x, tap=tap.at("final"))
        return hidden

    @property
    def unembedding(self) -> Unembedding:
        """The head: the token embedding once more, where it is tied to it."""
        return Unembedding(self.token.weight if self.untied_head is None else self.untied_head.weight)


def sites(config: Config) -> Iterator[Site]:
    """Every site of this network, recorded and derived."""
    yield from sites_of(("embed.token", "embed.position"), "decoder")
    for layer in range(config.layers):
        yield site("resid.pre", "decoder", layer)
        yield from sites_of((*NORM, *ATTENTION), "decoder", layer, "self")
        yield site("resid.mid", "decoder", layer)
        yield from sites_of((*NORM, *MLP), "decoder", layer, "mlp")
        yield site("resid.post", "decoder", layer)
    yield from sites_of(NORM, "decoder", None, "final")
    yield from sites_of(("head.input", "logits"), "decoder")


def blocks(config: Config) -> tuple[Block, ...]:
    """Masked self-attention: every token looks at itself and at those before it."""
    head_dim = config.width // config.heads
    return (
        Block(
            "decoder",
            "self",
            layers=config.layers,
            heads=config.heads,
            kv_heads=config.heads,
            head_dim=head_dim,
            query_stack="decoder",
            key_stack="decoder",
            causal=True,
            scale=head_dim**-0.5,
        ),
    )


def rules(config: Config) -> Rules:
    """How the names in a checkpoint map to ours; q, k and v lie in one matrix there."""
    across = Step(transposed=not config.linear)
    parts = ("weight", "bias") if config.bias else ("weight",)
    found = [Rule("wte.weight", "token.weight"), Rule("wpe.weight", "position.weight")]
    if not config.tied:
        found.append(Rule("lm_head.weight", "untied_head.weight"))
    found += [Rule(f"ln_f.{part}", f"final_norm.{part}") for part in parts]
    for i in range(config.layers):
        theirs, ours = f"h.{i}", f"layers.{i}"
        for kind in parts:
            turned = across if kind == "weight" else Step()
            thirds = Step(transposed=turned.transposed, parts=3)
            found += [
                Rule(f"{theirs}.ln_1.{kind}", f"{ours}.attention_norm.{kind}"),
                Rule(
                    f"{theirs}.attn.c_attn.{kind}", tuple(f"{ours}.attention.{name}.{kind}" for name in "qkv"), thirds
                ),
                Rule(f"{theirs}.attn.c_proj.{kind}", f"{ours}.attention.out.{kind}", turned),
                Rule(f"{theirs}.ln_2.{kind}", f"{ours}.mlp_norm.{kind}"),
                Rule(f"{theirs}.mlp.c_fc.{kind}", f"{ours}.mlp.up.{kind}", turned),
                Rule(f"{theirs}.mlp.c_proj.{kind}", f"{ours}.mlp.down.{kind}", turned),
            ]
    return Rules(
        rules=tuple(found),
        ignored=("h.*.attn.bias", "h.*.attn.masked_bias"),  # the causal mask, which old files carry along
        same={"lm_head.weight": "wte.weight"} if config.tied else {},
        prefixes=("transformer.",),
    )


FAMILY = Family(
    name="gpt2",
    title="GPT-2",
    model_types=("gpt2", "nanogpt", "mingpt"),
    stacks=("decoder",),
    read_config=Config.from_hf,
    build=Gpt2,
    shape=lambda c: Shape(c.layers, c.heads, c.width, c.positions, c.vocabulary),
    sites=sites,
    blocks=blocks,
    rules=rules,
    run=run_one_stack,
    resume=resume_one_stack,
    stops=lambda c: c.stops,
    part=part,
    norm=norm,
    head=head,
    finish=finish,
)
