"""T5: every task as text to text (Raffel et al. 2020), pre-norm RMSNorm, relative positions, and no 1/√d_k."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from engine.checkpoint import Rule, Rules
from engine.errors import CheckpointError
from engine.models.family import (
    Family,
    Shape,
    Unembedding,
    encode_source,
    finish,
    head,
    norm,
    part,
    resume_decoder,
    run_two_stacks,
)
from engine.nn.attention import Attention
from engine.nn.cache import Cache, further, read_before
from engine.nn.feedforward import ACTIVATIONS, FeedForward, GatedFeedForward
from engine.nn.norms import RMSNorm
from engine.nn.positions import RelativeBias
from engine.sites import ATTENTION, MLP, Block, Site, site, sites_of
from engine.tap import SILENT, Tap


@dataclass(frozen=True)
class Config:
    """Sizes of one T5. Where the head is tied to the embedding, logits are scaled by 1/√width."""

    vocabulary: int
    width: int
    layers: int
    decoder_layers: int
    heads: int
    head_dim: int
    hidden: int
    buckets: int
    furthest: int
    activation: str
    gated: bool
    tied: bool
    scaled_logits: bool
    start: int
    stop: int
    eps: float = 1e-6
    positions: int = 512  # the text length that it was trained on; nothing in the network forbids more

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> Config:
        """Read a config.json of `transformers` for `t5`."""
        kind = config.get("feed_forward_proj", "relu")
        gated = kind.startswith("gated-")
        activation = {"gated-gelu": "gelu_new"}.get(kind, kind.removeprefix("gated-"))
        if activation not in ACTIVATIONS:
            raise CheckpointError(
                f"feed_forward_proj {kind!r} is not known: one of relu, gelu, gated-gelu, gated-silu."
            )
        tied = config.get("tie_word_embeddings", True)
        return cls(
            vocabulary=config["vocab_size"],
            width=config["d_model"],
            layers=config["num_layers"],
            decoder_layers=config.get("num_decoder_layers") or config["num_layers"],
            heads=config["num_heads"],
            head_dim=config["d_kv"],
            hidden=config["d_ff"],
            buckets=config["relative_attention_num_buckets"],
            furthest=config.get("relative_attention_max_distance", 128),
            activation=activation,
            gated=gated,
            tied=tied,
            scaled_logits=config.get("scale_decoder_outputs", tied),
            start=config["decoder_start_token_id"],
            stop=config["eos_token_id"],
            eps=float(config["layer_norm_epsilon"]),
            positions=config.get("n_positions", 512),
        )

    def attention(self, *, causal: bool = False) -> Attention:
        """Attention as T5 has it: scores are not scaled, and nothing has a bias."""
        return Attention(self.width, self.heads, head_dim=self.head_dim, scale=1.0, causal=causal, bias=False)

    def feedforward(self) -> FeedForward | GatedFeedForward:
        """Plain in T5, gated in T5 1.1 and Flan-T5."""
        kind = GatedFeedForward if self.gated else FeedForward
        return kind(self.width, self.hidden, self.activation, bias=False)


class Layer(nn.Module):
    """Self-attention, then in a decoder attention to the encoder, then feed-forward; each after a norm and added."""

    def __init__(self, config: Config, *, decoder: bool) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.eps)
        self.attention = config.attention(causal=decoder)
        self.cross_norm = RMSNorm(config.width, config.eps) if decoder else None
        self.cross = config.attention() if decoder else None
        self.mlp_norm = RMSNorm(config.width, config.eps)
        self.mlp = config.feedforward()

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        mask: Tensor | None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        *,
        cache: Cache | None = None,
        tap: Tap,
    ) -> Tensor:
        x = tap("resid.pre", x)  # (batch, position, model)
        at_self, at_cross, at_mlp = tap.at("self"), tap.at("cross"), tap.at("mlp")
        normed = self.attention_norm(x, tap=at_self)
        x = x + self.attention(normed, mask=mask, bias=bias, cache=further(cache, "self"), tap=at_self)
        x = tap("resid.mid", x)
        if self.cross is not None and self.cross_norm is not None:
            normed = self.cross_norm(x, tap=at_cross)
            x = x + self.cross(normed, memory, memory_mask, cache=further(cache, "cross"), tap=at_cross)
            x = tap("resid.cross", x)
        x = x + self.mlp(self.mlp_norm(x, tap=at_mlp), tap=at_mlp)
        return tap("resid.post", x)


class Stack(nn.Module):
    """An encoder or a decoder; all of its layers share one table of biases by distance."""

    def __init__(self, config: Config, layers: int, *, decoder: bool) -> None:
        super().__init__()
        self.bias = RelativeBias(config.heads, config.buckets, config.furthest, both_ways=not decoder)
        self.layers = nn.ModuleList(Layer(config, decoder=decoder) for _ in range(layers))
        self.final_norm = RMSNorm(config.width, config.eps)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        *,
        cache: Cache | None = None,
        tap: Tap,
    ) -> Tensor:
        x = tap("embed.token", x)
        bias = self.bias(read_before(cache) + x.shape[1], x.shape[1], tap=tap.at("self"))
        for index, layer in enumerate(self.layers):
            x = layer(x, bias, mask, memory, memory_mask, cache=further(cache, index), tap=tap.at(index))
        hidden: Tensor = self.final_norm(x, tap=tap.at("final"))
        return hidden


class T5(nn.Module):
    """Encoder and decoder on one token embedding."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.encoder = Stack(config, config.layers, decoder=False)
        self.decoder = Stack(config, config.decoder_layers, decoder=True)
        self.untied_head = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)
        self.logit_scale = config.width**-0.5 if config.scaled_logits else 1.0

    def encode(self, ids: Tensor, mask: Tensor | None = None, *, tap: Tap = SILENT) -> Tensor:
        """The encoder's hidden states (batch, key, model)."""
        keys = None if mask is None else mask[:, None, None, :]
        hidden: Tensor = self.encoder(self.token(ids), keys, tap=tap.at("encoder"))
        return hidden

    def decode(
        self,
        ids: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        cache: Cache | None = None,
        tap: Tap = SILENT,
    ) -> Tensor:
        """The decoder's hidden states (batch, query, model); `mask` is False where the source is padding."""
        keys = None if mask is None else mask[:, None, None, :]
        hidden: Tensor = self.decoder(self.token(ids), None, memory, keys, cache=cache, tap=tap.at("decoder"))
        return hidden

    @property
    def unembedding(self) -> Unembedding:
        """The head: the token embedding once more, of scaled states, where it is tied to it."""
        weight = self.token.weight if self.untied_head is None else self.untied_head.weight
        return Unembedding(weight, read=lambda hidden: hidden * self.logit_scale)


def sites(config: Config) -> Iterator[Site]:
    """Every site of this network, recorded and derived."""
    for stack, layers in (("encoder", config.layers), ("decoder", config.decoder_layers)):
        yield site("embed.token", stack)
        yield from sites_of(("bias.by_distance", "bias"), stack, None, "self")
        for layer in range(layers):
            yield site("resid.pre", stack, layer)
            yield from sites_of(("norm.scale", *ATTENTION), stack, layer, "self")
            yield site("resid.mid", stack, layer)
            if stack == "decoder":
                yield from sites_of(("norm.scale", *ATTENTION), stack, layer, "cross")
                yield site("resid.cross", stack, layer)
            yield from sites_of(("norm.scale", *(["gate"] if config.gated else []), *MLP), stack, layer, "mlp")
            yield site("resid.post", stack, layer)
        yield site("norm.scale", stack, None, "final")
    yield from sites_of(("head.input", "logits"), "decoder")


def blocks(config: Config) -> tuple[Block, ...]:
    """Three uses of attention: within the source, within the target up to here, and from target to source."""
    block = partial(Block, heads=config.heads, kv_heads=config.heads, head_dim=config.head_dim, scale=1.0)
    encoder, decoder = config.layers, config.decoder_layers
    return (
        block("encoder", "self", encoder, query_stack="encoder", key_stack="encoder", causal=False),
        block("decoder", "self", decoder, query_stack="decoder", key_stack="decoder", causal=True),
        block("decoder", "cross", decoder, query_stack="decoder", key_stack="encoder", causal=False),
    )


def rules(config: Config) -> Rules:
    """How the names in a checkpoint map to ours."""
    names = {"shared": "token"}
    if not config.tied:
        names["lm_head"] = "untied_head"
    for stack, layers in (("encoder", config.layers), ("decoder", config.decoder_layers)):
        names |= {
            f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias": f"{stack}.bias.bias",
            f"{stack}.final_layer_norm": f"{stack}.final_norm",
        }
        for i in range(layers):
            ours, parts = f"{stack}.layers.{i}", [("SelfAttention", "attention")]
            if stack == "decoder":
                parts.append(("EncDecAttention", "cross"))
            for at, (theirs_name, ours_name) in enumerate(parts):
                theirs = f"{stack}.block.{i}.layer.{at}"
                names |= {f"{theirs}.{theirs_name}.{x}": f"{ours}.{ours_name}.{x}" for x in "qkv"}
                names |= {
                    f"{theirs}.{theirs_name}.o": f"{ours}.{ours_name}.out",
                    f"{theirs}.layer_norm": f"{ours}.{ours_name}_norm",
                }
            theirs = f"{stack}.block.{i}.layer.{len(parts)}"
            mlp = {"wi_0": "gate", "wi_1": "up", "wo": "down"} if config.gated else {"wi": "up", "wo": "down"}
            names |= {f"{theirs}.DenseReluDense.{x}": f"{ours}.mlp.{y}" for x, y in mlp.items()}
            names[f"{theirs}.layer_norm"] = f"{ours}.mlp_norm"
    copies = [
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        *(["lm_head.weight"] if config.tied else []),
    ]
    return Rules(
        rules=tuple(Rule(f"{theirs}.weight", f"{ours}.weight") for theirs, ours in names.items()),
        # Old files carry a table for cross-attention that the network never used.
        ignored=("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",),
        same=dict.fromkeys(copies, "shared.weight"),
    )


FAMILY = Family(
    name="t5",
    title="T5",
    model_types=("t5",),
    stacks=("encoder", "decoder"),
    read_config=Config.from_hf,
    build=T5,
    shape=lambda c: Shape(c.layers, c.heads, c.width, c.positions, c.vocabulary),
    sites=sites,
    blocks=blocks,
    rules=rules,
    run=run_two_stacks,
    part=part,
    norm=norm,
    head=head,
    finish=finish,
    encode=encode_source,
    resume=resume_decoder,
    start=lambda c: c.start,
    stops=lambda c: (c.stop,),
)
