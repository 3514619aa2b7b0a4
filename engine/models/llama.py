"""Llama and its kin (Touvron et al. 2023; Qwen2, SmolLM2): rotary positions, grouped queries, RMSNorm, SwiGLU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from engine.checkpoint import Rule, Rules
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
from engine.nn.cache import Cache, further
from engine.nn.feedforward import ACTIVATIONS, GatedFeedForward
from engine.nn.norms import RMSNorm
from engine.nn.positions import Rope, Rotary
from engine.sites import ATTENTION, MLP, Block, Site, site, sites_of
from engine.tap import SILENT, Tap


@dataclass(frozen=True)
class Config:
    """Sizes of one Llama. `bias` is for q, k and v, `out_bias` for the output projection, `mlp_bias` for the rest."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    positions: int
    rope: Rope
    activation: str = "silu"
    eps: float = 1e-6
    bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    tied: bool = False
    stops: tuple[int, ...] = ()

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> Config:
        """Read a config.json of `transformers` for `llama` or `qwen2`."""
        if config.get("use_sliding_window"):
            raise CheckpointError("use_sliding_window is set, which is not supported: every layer sees the whole text.")
        if config["hidden_act"] not in ACTIVATIONS:
            raise CheckpointError(f"hidden_act {config['hidden_act']!r} is not one of {', '.join(ACTIVATIONS)}.")
        qwen = config["model_type"] == "qwen2"  # its q, k and v have biases that its config.json does not mention
        heads = config["num_attention_heads"]
        return cls(
            vocabulary=config["vocab_size"],
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            hidden=config["intermediate_size"],
            positions=config["max_position_embeddings"],
            rope=Rope.from_hf(config),
            activation=config["hidden_act"],
            eps=float(config["rms_norm_eps"]),
            bias=qwen or config.get("attention_bias", False),
            out_bias=not qwen and config.get("attention_bias", False),
            mlp_bias=config.get("mlp_bias", False),
            tied=config.get("tie_word_embeddings", False),
            stops=stop_tokens(config),
        )


class Layer(nn.Module):
    """Norm, attention, add; norm, gated feed-forward, add."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.eps)
        self.attention = Attention(
            config.width,
            config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            causal=True,
            bias=config.bias,
            out_bias=config.out_bias,
            rotary=Rotary(config.head_dim, config.rope),
        )
        self.mlp_norm = RMSNorm(config.width, config.eps)
        self.mlp = GatedFeedForward(config.width, config.hidden, config.activation, bias=config.mlp_bias)

    def forward(self, x: Tensor, mask: Tensor | None, *, cache: Cache | None, tap: Tap) -> Tensor:
        x = tap("resid.pre", x)  # (batch, position, model)
        at_self, at_mlp = tap.at("self"), tap.at("mlp")
        x = x + self.attention(self.attention_norm(x, tap=at_self), mask=mask, cache=cache, tap=at_self)
        x = tap("resid.mid", x)
        x = x + self.mlp(self.mlp_norm(x, tap=at_mlp), tap=at_mlp)
        return tap("resid.post", x)


class Llama(nn.Module):
    """The decoder: token ids in, hidden states out; `head` makes logits of them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.final_norm = RMSNorm(config.width, config.eps)
        self.untied_head = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)

    def forward(
        self, ids: Tensor, mask: Tensor | None = None, *, cache: Cache | None = None, tap: Tap = SILENT
    ) -> Tensor:
        """Hidden states (batch, position, model) of `ids` (batch, position); `mask` is False for padding."""
        tap = tap.at("decoder")
        x: Tensor = tap("embed.token", self.token(ids))
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
    yield site("embed.token", "decoder")
    for layer in range(config.layers):
        yield site("resid.pre", "decoder", layer)
        yield from sites_of(("norm.scale", "q.raw", "k.raw", *ATTENTION), "decoder", layer, "self")
        yield site("resid.mid", "decoder", layer)
        yield from sites_of(("norm.scale", "gate", *MLP), "decoder", layer, "mlp")
        yield site("resid.post", "decoder", layer)
    yield site("norm.scale", "decoder", None, "final")
    yield from sites_of(("head.input", "logits"), "decoder")


def blocks(config: Config) -> tuple[Block, ...]:
    """Masked self-attention whose query heads share keys and values in groups."""
    return (
        Block(
            "decoder",
            "self",
            layers=config.layers,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            query_stack="decoder",
            key_stack="decoder",
            causal=True,
            scale=config.head_dim**-0.5,
        ),
    )


def rules(config: Config) -> Rules:
    """How the names in a checkpoint map to ours."""
    weights = {"model.embed_tokens": "token", "model.norm": "final_norm"}
    biases: dict[str, str] = {}
    if not config.tied:
        weights["lm_head"] = "untied_head"
    for i in range(config.layers):
        theirs, ours = f"model.layers.{i}", f"layers.{i}"
        qkv = {f"{theirs}.self_attn.{name}_proj": f"{ours}.attention.{name}" for name in "qkv"}
        out = {f"{theirs}.self_attn.o_proj": f"{ours}.attention.out"}
        mlp = {f"{theirs}.mlp.{name}_proj": f"{ours}.mlp.{name}" for name in ("gate", "up", "down")}
        weights |= qkv | out | mlp
        weights |= {
            f"{theirs}.input_layernorm": f"{ours}.attention_norm",
            f"{theirs}.post_attention_layernorm": f"{ours}.mlp_norm",
        }
        for parts, wanted in ((qkv, config.bias), (out, config.out_bias), (mlp, config.mlp_bias)):
            biases |= parts if wanted else {}
    return Rules(
        rules=(
            *(Rule(f"{theirs}.weight", f"{ours}.weight") for theirs, ours in weights.items()),
            *(Rule(f"{theirs}.bias", f"{ours}.bias") for theirs, ours in biases.items()),
        ),
        ignored=("model.layers.*.self_attn.rotary_emb.inv_freq",),  # a buffer that old files carry along
        same={"lm_head.weight": "model.embed_tokens.weight"} if config.tied else {},
    )


FAMILY = Family(
    name="llama",
    title="Llama",
    model_types=("llama", "qwen2"),
    stacks=("decoder",),
    read_config=Config.from_hf,
    build=Llama,
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
