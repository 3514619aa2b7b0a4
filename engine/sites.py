"""The vocabulary: every observable site once, with its named axes and its meaning.

An address is `stack.layer.block.name`, for example `encoder.5.self.pattern` or `encoder.0.resid.pre`; parts that a site
does not have are left out. Addresses are never taken apart again: a `Site` carries its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """What a name stands for, in every family that has it."""

    name: str
    axes: tuple[str, ...]
    meaning: str
    derived: bool = False  # recomputed from recorded tensors when somebody looks; never kept unless asked for
    explicit: bool = False  # derived, but a forward pass off the fused kernel shows it, so it can be patched


_STREAM = ("batch", "position", "model")
_SCALAR = ("batch", "position")
_HIDDEN = ("batch", "position", "hidden")
_QUERY = ("batch", "head", "query", "head_dim")
_KEY = ("batch", "kv_head", "key", "head_dim")
_MAP = ("batch", "head", "query", "key")

_GATES = {
    "input": "how much of the candidate an LSTM lets in",
    "forget": "how much of its cell an LSTM keeps",
    "output": "how much of its cell an LSTM shows",
    "reset": "how much of the state before a GRU looks at for its candidate",
    "update": "how much of the state before a GRU keeps",
    "candidate": "what could be written at this step",
}

VOCABULARY: dict[str, Definition] = {
    d.name: d
    for d in (
        Definition("embed.token", _STREAM, "the embedding of the token itself"),
        Definition("embed.position", _STREAM, "what is added for the token's position"),
        Definition("embed.segment", _STREAM, "what is added for the sentence the token belongs to"),
        Definition("resid.pre", _STREAM, "the residual stream as it enters the layer"),
        Definition("resid.mid", _STREAM, "the residual stream after self-attention"),
        Definition("resid.cross", _STREAM, "the residual stream after attention to the encoder"),
        Definition("resid.post", _STREAM, "the residual stream as it leaves the layer"),
        Definition("q.raw", _QUERY, "queries before they are turned by their position"),
        Definition("k.raw", _KEY, "keys before they are turned by their position"),
        Definition("q", _QUERY, "queries: what each position looks for"),
        Definition("k", _KEY, "keys: what each position offers to be found by"),
        Definition("v", _KEY, "values: what each position hands over when it is attended to"),
        Definition("scores.raw", _MAP, "q·k, before anything else", derived=True),
        Definition("scores.scaled", _MAP, "q·k times the scale, 1/√d_k where the family has one", derived=True),
        Definition("scores", _MAP, "the scaled scores with bias and mask: what the softmax sees", True, True),
        Definition("pattern", _MAP, "attention weights: softmax over the keys, each row sums to 1", True, True),
        Definition(
            "bias.by_distance",
            ("batch", "head", "distance"),
            "what is added to the score for each distance key - query, from the most negative on",
        ),
        Definition("bias", _MAP, "what is added to the scaled score for the distance", True),
        Definition("z", _QUERY, "the weighted sum of values, per head"),
        Definition(
            "by_head",
            ("batch", "head", "query", "model"),
            "what each head writes into the residual stream; all heads and the output bias add up to `out`",
            derived=True,
        ),
        Definition("score.weight", ("batch", "attn_dim"), "the vector that turns an energy into a score"),
        Definition("energy", ("batch", "query", "key", "attn_dim"), "tanh(W s + U h), of additive attention", True),
        Definition("input", ("batch", "position", "input"), "what a recurrent cell reads at each step"),
        Definition("start.hidden", ("batch", "hidden"), "the hidden state before the first step"),
        Definition("start.cell", ("batch", "hidden"), "the cell state before the first step"),
        *(Definition(f"gate.{name}", _HIDDEN, meaning, True, True) for name, meaning in _GATES.items()),
        Definition("cell", _HIDDEN, "the cell state of an LSTM after each step", True, True),
        Definition("hidden", _HIDDEN, "the hidden state after each step"),
        Definition("readout", _STREAM, "what the head reads: state, context and word taken together"),
        Definition("out", _STREAM, "what the block adds to the residual stream", True, True),
        Definition("gate", _HIDDEN, "what the hidden units are multiplied by, before the activation"),
        Definition("pre", _HIDDEN, "hidden units before the activation"),
        Definition("post", _HIDDEN, "hidden units after the activation", True, True),
        Definition("head.input", _STREAM, "what the head multiplies with each row of W_U", True),
        Definition(
            "logits",
            ("batch", "position", "vocab"),
            "the score of every token of the vocabulary at each position",
            True,
        ),
        Definition("norm.mean", _SCALAR, "the mean that layer normalisation subtracts"),
        Definition("norm.scale", _SCALAR, "what layer normalisation multiplies by: 1/√(variance + ε)"),
    )
}


@dataclass(frozen=True)
class Site:
    """One place in one network where a tensor can be looked at."""

    address: str
    stack: str
    layer: int | None
    block: str | None
    definition: Definition

    @property
    def name(self) -> str:
        """The site's name in the vocabulary, such as `pattern`."""
        return self.definition.name

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes in a batched forward pass; a trace drops the first, `batch`."""
        return self.definition.axes

    @property
    def meaning(self) -> str:
        """One line for people."""
        return self.definition.meaning

    @property
    def derived(self) -> bool:
        """Whether the site is computed from recorded ones when asked for."""
        return self.definition.derived

    @property
    def observable(self) -> bool:
        """Whether a forward pass can show the site, and so keep or patch it."""
        return not self.definition.derived or self.definition.explicit

    def sibling(self, name: str) -> str:
        """The address of another site of the same block."""
        return address(self.stack, self.layer, self.block, name)


def address(stack: str, layer: int | None, block: str | None, name: str) -> str:
    """`stack.layer.block.name`, without the parts that are None."""
    return ".".join(str(part) for part in (stack, layer, block, name) if part is not None)


def site(name: str, stack: str, layer: int | None = None, block: str | None = None) -> Site:
    """The site called `name` at that place."""
    return Site(address(stack, layer, block, name), stack, layer, block, VOCABULARY[name])


ATTENTION = ("q", "k", "v", "scores.raw", "scores.scaled", "scores", "pattern", "z", "by_head", "out")
MLP = ("pre", "post", "out")
NORM = ("norm.mean", "norm.scale")


def sites_of(names: Iterable[str], stack: str, layer: int | None = None, block: str | None = None) -> Iterator[Site]:
    """One site per name, all at the same place."""
    return (site(name, stack, layer, block) for name in names)


@dataclass(frozen=True)
class Block:
    """One kind of attention in one stack, the same in each of its layers.

    With `query_stack` and `key_stack` a page can draw any family: self-attention has the same stack on both axes,
    encoder-decoder attention has the decoder's tokens as queries and the encoder's as keys.
    """

    stack: str
    name: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    query_stack: str
    key_stack: str
    causal: bool
    scale: float
    kind: str = "dot"
