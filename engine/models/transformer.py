"""The original Transformer (Vaswani et al. 2017): encoder and decoder, sinusoids, post-norm; and Marian's variant.

`Config.pre_norm` puts each norm before its block instead of after the addition, as most networks since 2019 do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
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
from engine.nn.feedforward import ACTIVATIONS, FeedForward
from engine.nn.norms import LayerNorm
from engine.nn.positions import sinusoids
from engine.sites import ATTENTION, MLP, NORM, Block, Site, site, sites_of
from engine.tap import SILENT, Tap


@dataclass(frozen=True)
class Config:
    """Sizes of one Transformer; what is not given is the base model of the paper (table 3).

    `interleaved` is the paper's order of sines and cosines; Marian puts all sines first. `head_bias` is Marian's too.
    """

    vocabulary: int
    width: int = 512
    layers: int = 6
    decoder_layers: int = 6
    heads: int = 8
    hidden: int = 2048
    positions: int = 512
    activation: str = "relu"
    eps: float = 1e-5
    pre_norm: bool = False
    interleaved: bool = True
    scaled_embedding: bool = True
    head_bias: bool = False
    target_vocabulary: int | None = None  # where source and target do not share their tokens
    start: int = 0
    stop: int = 0
    never: tuple[int, ...] = ()  # tokens that it must not say, such as Marian's padding

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> Config:
        """Read a config.json: `marian` as `transformers` writes it, `transformer` with this class's own names."""
        if config["model_type"] == "transformer":
            return cls(**{name: value for name, value in config.items() if name in cls.__dataclass_fields__})
        if config["encoder_attention_heads"] != config["decoder_attention_heads"]:
            raise CheckpointError("Encoder and decoder differ in their number of heads, which is not supported.")
        if config["encoder_ffn_dim"] != config["decoder_ffn_dim"]:
            raise CheckpointError("Encoder and decoder differ in the width of their feed-forward layers.")
        if config["activation_function"] not in ACTIVATIONS:
            raise CheckpointError(f"activation_function {config['activation_function']!r} is not known.")
        separate = not config.get("share_encoder_decoder_embeddings", True)
        return cls(
            vocabulary=config["vocab_size"],
            width=config["d_model"],
            layers=config["encoder_layers"],
            decoder_layers=config["decoder_layers"],
            heads=config["encoder_attention_heads"],
            hidden=config["encoder_ffn_dim"],
            positions=config["max_position_embeddings"],
            activation=config["activation_function"],
            interleaved=False,
            scaled_embedding=config.get("scale_embedding", False),
            head_bias=True,
            target_vocabulary=(config.get("decoder_vocab_size") or config["vocab_size"]) if separate else None,
            start=config["decoder_start_token_id"],
            stop=config["eos_token_id"],
            never=tuple(words[0] for words in config.get("bad_words_ids") or () if len(words) == 1),
        )


class Layer(nn.Module):
    """Self-attention, then in a decoder attention to the encoder, then feed-forward; each added and normalised."""

    def __init__(self, config: Config, *, decoder: bool) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        norm = partial(LayerNorm, config.width, config.eps)
        self.attention, self.attention_norm = Attention(config.width, config.heads, causal=decoder), norm()
        self.cross = Attention(config.width, config.heads) if decoder else None
        self.cross_norm = norm() if decoder else None
        self.mlp, self.mlp_norm = FeedForward(config.width, config.hidden, config.activation), norm()

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        memory: Tensor | None,
        memory_mask: Tensor | None,
        *,
        cache: Cache | None,
        tap: Tap,
    ) -> Tensor:
        at_self, at_cross, at_mlp = tap.at("self"), tap.at("cross"), tap.at("mlp")
        attention = partial(self.attention, mask=mask, cache=further(cache, "self"), tap=at_self)
        mlp = partial(self.mlp, tap=at_mlp)
        x = tap("resid.pre", x)  # (batch, position, model)
        x = tap("resid.mid", self.add(x, attention, self.attention_norm, at_self))
        if self.cross is not None and self.cross_norm is not None:
            cross = partial(self.cross, memory=memory, mask=memory_mask, cache=further(cache, "cross"), tap=at_cross)
            x = tap("resid.cross", self.add(x, cross, self.cross_norm, at_cross))
        return tap("resid.post", self.add(x, mlp, self.mlp_norm, at_mlp))

    def add(self, x: Tensor, block: partial[Any], norm: LayerNorm, tap: Tap) -> Tensor:
        """Give x + block(norm(x)), or norm(x + block(x)) as in the paper."""
        added: Tensor = x + block(norm(x, tap=tap)) if self.pre_norm else norm(x + block(x), tap=tap)
        return added


class Stack(nn.Module):
    """An encoder or a decoder, from embedded tokens on."""

    def __init__(self, config: Config, layers: int, *, decoder: bool) -> None:
        super().__init__()
        self.interleaved = config.interleaved
        self.layers = nn.ModuleList(Layer(config, decoder=decoder) for _ in range(layers))
        self.final_norm = LayerNorm(config.width, config.eps) if config.pre_norm else None

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
        first, last = read_before(cache), read_before(cache) + x.shape[1]
        places = waves(1 << (last - 1).bit_length(), x.shape[2], self.interleaved, x.dtype, x.device)[first:last]
        x = tap("embed.token", x) + tap("embed.position", places.expand_as(x))
        for index, layer in enumerate(self.layers):
            x = layer(x, mask, memory, memory_mask, cache=further(cache, index), tap=tap.at(index))
        return x if self.final_norm is None else self.final_norm(x, tap=tap.at("final"))


@lru_cache(maxsize=8)
def waves(length: int, width: int, interleaved: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The sinusoids of a text of that length, (position, model), at the precision that checkpoints keep them in."""
    with torch.inference_mode(mode=False):
        return sinusoids(length, width, interleaved=interleaved).float().to(device, dtype)


class Transformer(nn.Module):
    """Encoder and decoder; they share one token embedding, which is the head as well (section 3.4)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.width)
        separate = config.target_vocabulary
        self.target_token = None if separate is None else nn.Embedding(separate, config.width)
        self.encoder = Stack(config, config.layers, decoder=False)
        self.decoder = Stack(config, config.decoder_layers, decoder=True)
        self.head_bias = nn.Parameter(torch.zeros(1, separate or config.vocabulary)) if config.head_bias else None
        self.scale = embedding_scale(config)

    @property
    def target(self) -> nn.Embedding:
        """The decoder's embedding, and the head."""
        return self.token if self.target_token is None else self.target_token

    def encode(self, ids: Tensor, mask: Tensor | None = None, *, tap: Tap = SILENT) -> Tensor:
        """The encoder's hidden states (batch, key, model); `mask` is False for padding."""
        keys = None if mask is None else mask[:, None, None, :]
        hidden: Tensor = self.encoder(self.token(ids) * self.scale, keys, tap=tap.at("encoder"))
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
        hidden: Tensor = self.decoder(
            self.target(ids) * self.scale, None, memory, keys, cache=cache, tap=tap.at("decoder")
        )
        return hidden

    @property
    def unembedding(self) -> Unembedding:
        """The head: the decoder's embedding once more."""
        return Unembedding(self.target.weight, None if self.head_bias is None else self.head_bias[0])


def embedding_scale(config: Config) -> float:
    """√d_model, by which section 3.4 multiplies embeddings; 1 where a checkpoint does without."""
    return float(config.width**0.5) if config.scaled_embedding else 1.0


def sites(config: Config) -> Iterator[Site]:
    """Every site of this network, recorded and derived, in the order of computation."""
    attention, mlp = [(*NORM, *names) if config.pre_norm else (*names, *NORM) for names in (ATTENTION, MLP)]
    for stack, layers in (("encoder", config.layers), ("decoder", config.decoder_layers)):
        yield from sites_of(("embed.token", "embed.position"), stack)
        for layer in range(layers):
            yield site("resid.pre", stack, layer)
            yield from sites_of(attention, stack, layer, "self")
            yield site("resid.mid", stack, layer)
            if stack == "decoder":
                yield from sites_of(attention, stack, layer, "cross")
                yield site("resid.cross", stack, layer)
            yield from sites_of(mlp, stack, layer, "mlp")
            yield site("resid.post", stack, layer)
        if config.pre_norm:
            yield from sites_of(NORM, stack, None, "final")
    yield from sites_of(("head.input", "logits"), "decoder")


def blocks(config: Config) -> tuple[Block, ...]:
    """Three uses of attention (section 3.2.3): in the source, in the target up to here, from target to source."""
    dim = config.width // config.heads
    block = partial(Block, heads=config.heads, kv_heads=config.heads, head_dim=dim, scale=dim**-0.5)
    encoder, decoder = config.layers, config.decoder_layers
    return (
        block("encoder", "self", encoder, query_stack="encoder", key_stack="encoder", causal=False),
        block("decoder", "self", decoder, query_stack="decoder", key_stack="decoder", causal=True),
        block("decoder", "cross", decoder, query_stack="decoder", key_stack="encoder", causal=False),
    )


def rules(config: Config) -> Rules:
    """How the names in a Marian checkpoint map to ours; own checkpoints use the same names."""
    separate = config.target_vocabulary is not None
    found = [Rule("model.encoder.embed_tokens.weight" if separate else "model.shared.weight", "token.weight")]
    if separate:
        found.append(Rule("model.decoder.embed_tokens.weight", "target_token.weight"))
    if config.head_bias:
        found.append(Rule("final_logits_bias", "head_bias"))
    names: dict[str, str] = {}
    for stack, layers in (("encoder", config.layers), ("decoder", config.decoder_layers)):
        if config.pre_norm:
            names[f"model.{stack}.layer_norm"] = f"{stack}.final_norm"
        for i in range(layers):
            theirs, ours = f"model.{stack}.layers.{i}", f"{stack}.layers.{i}"
            attentions = {"self_attn": "attention"} | ({"encoder_attn": "cross"} if stack == "decoder" else {})
            for a, b in attentions.items():
                names |= {f"{theirs}.{a}.{x}_proj": f"{ours}.{b}.{x}" for x in ("q", "k", "v", "out")}
                names[f"{theirs}.{a}_layer_norm"] = f"{ours}.{b}_norm"
            names |= {
                f"{theirs}.fc1": f"{ours}.mlp.up",
                f"{theirs}.fc2": f"{ours}.mlp.down",
                f"{theirs}.final_layer_norm": f"{ours}.mlp_norm",
            }
    embedding = "model.decoder.embed_tokens.weight" if separate else "model.shared.weight"
    copies = ["lm_head.weight"]
    if not separate:
        copies += ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"]
    return Rules(
        rules=(
            *found,
            *(Rule(f"{theirs}.{x}", f"{ours}.{x}") for theirs, ours in names.items() for x in ("weight", "bias")),
        ),
        ignored=("model.*coder.embed_positions.weight",),  # the sinusoids, which are computed
        same=dict.fromkeys(copies, embedding),
    )


FAMILY = Family(
    name="transformer",
    title="Transformer",
    model_types=("transformer", "marian"),
    stacks=("encoder", "decoder"),
    read_config=Config.from_json,
    build=Transformer,
    shape=lambda c: Shape(c.layers, c.heads, c.width, c.positions, c.target_vocabulary or c.vocabulary),
    sites=sites,
    blocks=blocks,
    rules=rules,
    run=run_two_stacks,
    part=part,
    norm=norm,
    head=head,
    finish=finish,
    embedding_scale=embedding_scale,
    encode=encode_source,
    resume=resume_decoder,
    start=lambda c: c.start,
    stops=lambda c: (c.stop,),
    never=lambda c: tuple(c.never),
)
