"""Recurrent networks over one sequence: next token, a class or a number of the whole, or a class of every token.

Many-to-one is a class or a number of the whole, many-to-many a class of every token, and one-to-many a single token
whose successors are each read back in: `engine.generate` with a network for the next token (Karpathy 2015).

A network that reads the whole sequence may pool its states by attention: one learned query, and the states as keys and
values (Raffel & Ellis 2016; with one number per state and a bias per position, the attention layer of Keras tutorials).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.checkpoint import Rules, own_names
from engine.errors import CheckpointError
from engine.learned import Letters
from engine.models.family import Family, Shape, Tokens, Unembedding, head, ids, resume_one_stack
from engine.nn.attention import mask_scores, softmax
from engine.nn.cache import Cache, further
from engine.nn.recurrent import GATES, Recurrent, recurrent_sites
from engine.sites import Block, Site, site, sites_of
from engine.tap import SILENT, Tap

TASKS = ("next-token", "class", "number", "token-class")


@dataclass(frozen=True)
class Config:
    """Sizes of one network. Without a `vocabulary` it reads numbers, one per step.

    `task` is what it says: the `next-token`, a `class` or a `number` of the whole (many-to-one), or a `token-class` of
    every token (many-to-many). `pool` is the width of its attention, or None to take the last state; `steps` gives each
    position a bias there, and fixes the length of the sequence.
    """

    kind: str = "lstm"
    task: str = "next-token"
    vocabulary: int | None = None
    embedding: int = 128
    hidden: int = 256
    layers: int = 1
    bidirectional: bool = False
    pool: int | None = None
    steps: int | None = None
    labels: tuple[str, ...] = ()
    positions: int = 512
    stop: int | None = None

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> Config:
        """Read a config.json with this class's own names."""
        read = cls(**{name: value for name, value in config.items() if name in cls.__dataclass_fields__})
        if read.kind not in GATES:
            raise CheckpointError(f"kind {read.kind!r} is not one of {', '.join(GATES)}.")
        if read.task not in TASKS:
            raise CheckpointError(f"task {read.task!r} is not one of {', '.join(TASKS)}.")
        if read.task == "next-token" and (read.bidirectional or read.vocabulary is None):
            raise CheckpointError("A network that predicts the next token has a vocabulary and reads in one direction.")
        return cls(**{**vars(read), "labels": tuple(read.labels)})

    @property
    def whole(self) -> bool:
        """Whether it says one thing of the whole sequence."""
        return self.task in ("class", "number")

    @property
    def width(self) -> int:
        """Of one state, both directions together."""
        return self.hidden * (1 + self.bidirectional)


class Pool(nn.Module):
    """Attention with one learned query: score = v · tanh(U h + b)."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.k = nn.Linear(config.width, width, bias=config.steps is None)
        self.by_step = None if config.steps is None else nn.Parameter(torch.zeros(config.steps, width))
        self.weight = nn.Parameter(torch.ones(width)) if width > 1 else None

    def letters(self) -> Letters:
        """U, b and v of the additive score; b may be one vector for each position."""
        width = {"attn_dim": self.k.out_features}
        bias = {} if self.by_step is None else {"position": len(self.by_step)}
        return {
            "k.weight": ("U", {**width, "memory": self.k.in_features}),
            **dict.fromkeys(("k.bias", "by_step"), ("b", {**bias, **width})),
            "weight": ("v", width),
        }

    def forward(self, h: Tensor, mask: Tensor | None = None, *, tap: Tap) -> Tensor:
        """States (batch, key, width) to what they say together, (batch, width); `mask` is False for padding."""
        k = self.k(h) if self.by_step is None else self.k(h) + self.by_step[: h.shape[1]]
        weight = k.new_ones(1) if self.weight is None else self.weight
        tap("score.weight", weight.expand(len(h), -1))
        q = tap("q", k.new_zeros(len(h), 1, 1, k.shape[-1]))  # the learned query lies in the weight and the bias
        k, v = tap("k", k[:, None]), tap("v", h[:, None])
        scores = (q[..., :, None, :] + k[..., None, :, :]).tanh() @ weight  # (batch, 1, 1, key)
        scores = tap("scores", mask_scores(scores, None if mask is None else mask[:, None, None]))
        pattern = tap("pattern", softmax(scores))
        z: Tensor = tap("z", pattern @ v)
        return z[:, 0, 0]


class Network(nn.Module):
    """Embedding or number, recurrent layers, perhaps a pool, and one linear layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.whole = config.whole
        self.token = None if config.vocabulary is None else nn.Embedding(config.vocabulary, config.embedding)
        first = 1 if config.vocabulary is None else config.embedding
        widths = [first] + [config.width] * (config.layers - 1)
        self.forwards = nn.ModuleList(Recurrent(config.kind, width, config.hidden) for width in widths)
        both = widths if config.bidirectional else []
        self.backwards = nn.ModuleList(Recurrent(config.kind, width, config.hidden, reverse=True) for width in both)
        self.pool = None if config.pool is None else Pool(config, config.pool)
        outputs = {"next-token": config.vocabulary or 0, "number": 1}.get(config.task, len(config.labels))
        self.output = nn.Linear(config.width, outputs)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, *, cache: Cache | None = None, tap: Tap = SILENT
    ) -> Tensor:
        """What the output layer reads: of ids (batch, position) or numbers (batch, position, 1).

        (batch, position, width), or (batch, 1, width) of the whole. `mask` is False for padding at the end of a text.
        """
        tap = tap.at("sequence")
        if self.token is not None:
            x = tap("embed.token", self.token(x))
        ends: list[Tensor] = []
        for index, cell in enumerate(self.forwards):
            hidden, (last, *_) = cell(x, None, mask, cache=further(cache, index), tap=tap.at(index, "cell"))
            ends = [last]
            if len(self.backwards):
                other, (first, *_) = self.backwards[index](x, None, mask, tap=tap.at(index, "reverse"))
                hidden, ends = torch.cat([hidden, other], -1), [last, first]
            x = hidden
        if self.pool is not None:
            return self.pool(x, mask, tap=tap.at(0, "pool"))[:, None]  # type: ignore[no-any-return]
        return torch.cat(ends, -1)[:, None] if self.whole else x

    @property
    def unembedding(self) -> Unembedding:
        """The linear layer, whatever the task is."""
        return Unembedding(self.output.weight, self.output.bias)


def sites(config: Config) -> Iterator[Site]:
    """Every site of this network, recorded and derived."""
    if config.vocabulary is not None:
        yield site("embed.token", "sequence")
    for layer in range(config.layers):
        yield from sites_of(recurrent_sites(config.kind), "sequence", layer, "cell")
        if config.bidirectional:
            yield from sites_of(recurrent_sites(config.kind), "sequence", layer, "reverse")
    if config.task == "next-token":
        yield from sites_of(("head.input", "logits"), "sequence")
    if config.pool is not None:
        names = ("q", "k", "v", "score.weight", "energy", "scores.raw", "scores.scaled", "scores", "pattern", "z")
        yield from sites_of(names, "sequence", 0, "pool")


def blocks(config: Config) -> tuple[Block, ...]:
    """The pool, if there is one: a single query that belongs to no token."""
    if config.pool is None:
        return ()
    return (
        Block(
            "sequence",
            "pool",
            layers=1,
            heads=1,
            kv_heads=1,
            head_dim=config.pool,
            query_stack="whole",
            key_stack="sequence",
            causal=False,
            scale=1.0,
            kind="additive",
        ),
    )


def rules(config: Config) -> Rules:
    """Own checkpoints are written with our own names."""
    return own_names(Network, config)


def run(network: nn.Module, tokens: Tokens, tap: Tap) -> Tensor:
    """One forward pass over one sequence."""
    assert isinstance(network, Network)
    parameter = network.output.weight
    if network.token is None:
        values = [[[token.value] for token in tokens["sequence"]]]
        x = torch.tensor(values, device=parameter.device, dtype=parameter.dtype)
    else:
        x = ids(network, tokens["sequence"])
    read: Tensor = network(x, tap=tap)
    return read


def cell(network: nn.Module, stack: str, layer: int, block: str) -> Recurrent:  # noqa: ARG001
    """The recurrent cell of one layer."""
    found = network.get_submodule(f"{'forwards' if block == 'cell' else 'backwards'}.{layer}")
    assert isinstance(found, Recurrent)
    return found


def part(network: nn.Module, stack: str, layer: int | None, block: str) -> nn.Module:
    """The recurrent cell of one layer, or the pool."""
    return network.get_submodule("pool") if block == "pool" else cell(network, stack, layer or 0, block)


def classify(network: nn.Module, config: Config, hidden: Tensor) -> tuple[tuple[str, ...], Tensor] | None:
    """Labels and their logits, of the whole or of each token; None where the network says something else."""
    if config.task not in ("class", "token-class"):
        return None
    logits = head(network, hidden)
    return config.labels, logits[..., 0, :] if config.whole else logits


FAMILY = Family(
    name="recurrent",
    title="Recurrent",
    model_types=("recurrent",),
    stacks=("sequence",),
    read_config=Config.from_json,
    build=Network,
    shape=lambda c: Shape(c.layers, 1 if c.pool else 0, c.hidden, c.steps or c.positions, c.vocabulary or 0),
    sites=sites,
    blocks=blocks,
    rules=rules,
    run=run,
    resume=resume_one_stack,
    stops=lambda c: () if c.stop is None else (c.stop,),
    part=part,
    cell=cell,
    head=head,
    predicts=lambda c: c.task == "next-token",
    classify=classify,
    number=lambda network, config, hidden: head(network, hidden)[..., 0, 0] if config.task == "number" else None,
    reads_numbers=lambda c: c.vocabulary is None,
)
