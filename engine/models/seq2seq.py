"""Recurrent encoder-decoders, with and without attention.

Without (Sutskever et al. 2014), the encoder's last state is all that the decoder gets to know of the source. With
additive (Bahdanau et al. 2015) or multiplicative attention (Luong et al. 2015) it looks back at every step. Its time
step is the query axis, so its alignment is drawn like any other attention map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.checkpoint import Rules, own_names
from engine.errors import CheckpointError
from engine.models.family import Family, Shape, Tokens, Unembedding, head, ids
from engine.nn.additive import KINDS, Alignment
from engine.nn.cache import Cache, further, read_before
from engine.nn.recurrent import GATES, Recurrent, State, recurrent_sites
from engine.sites import Block, Site, site, sites_of
from engine.tap import SILENT, Tap


@dataclass(frozen=True)
class Config:
    """Sizes of one network; `attention` is None, or one of additive, dot, general, concat."""

    vocabulary: int
    target_vocabulary: int
    kind: str = "gru"
    embedding: int = 128
    hidden: int = 256
    layers: int = 1
    bidirectional: bool = True
    attention: str | None = "additive"
    attention_width: int = 256
    positions: int = 256
    start: int = 0
    stop: int = 1

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> Config:
        """Read a config.json with this class's own names."""
        read = cls(**{name: value for name, value in config.items() if name in cls.__dataclass_fields__})
        if read.kind not in GATES:
            raise CheckpointError(f"kind {read.kind!r} is not one of {', '.join(GATES)}.")
        if read.attention not in (None, *KINDS):
            raise CheckpointError(f"attention {read.attention!r} is not null or one of {', '.join(KINDS)}.")
        return read

    @property
    def memory(self) -> int:
        """The width of one encoder state, both directions together."""
        return self.hidden * (1 + self.bidirectional)

    @property
    def looks_first(self) -> bool:
        """Bahdanau's decoder looks back before each step and reads what it saw; Luong's looks after it."""
        return self.attention == "additive"


class Encoder(nn.Module):
    """Layers of recurrent cells over the source, in one direction or both."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.embedding)
        widths = [config.embedding] + [config.memory] * (config.layers - 1)
        self.forwards = nn.ModuleList(Recurrent(config.kind, width, config.hidden) for width in widths)
        both = widths if config.bidirectional else []
        self.backwards = nn.ModuleList(Recurrent(config.kind, width, config.hidden, reverse=True) for width in both)

    def forward(self, ids: Tensor, mask: Tensor | None, *, tap: Tap) -> tuple[Tensor, list[State]]:
        """States of the top layer (batch, key, memory), and each layer's last state, both directions side by side."""
        x = tap("embed.token", self.token(ids))
        finals = []
        for index, cell in enumerate(self.forwards):
            hidden, final = cell(x, None, mask, tap=tap.at(index, "cell"))
            if len(self.backwards):
                other, first = self.backwards[index](x, None, mask, tap=tap.at(index, "reverse"))
                hidden = torch.cat([hidden, other], -1)
                final = tuple(torch.cat(parts, -1) for parts in zip(final, first, strict=True))
            x = hidden
            finals.append(final)
        return x, finals


class Decoder(nn.Module):
    """Layers of recurrent cells over the target, which may look back at the source at every step."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.looks_first = config.looks_first
        self.token = nn.Embedding(config.target_vocabulary, config.embedding)
        states = 2 if config.kind == "lstm" else 1
        self.bridges = nn.ModuleList(nn.Linear(config.memory, config.hidden) for _ in range(states * config.layers))
        first = config.embedding + (config.memory if self.looks_first else 0)
        widths = [first] + [config.hidden] * (config.layers - 1)
        self.cells = nn.ModuleList(Recurrent(config.kind, width, config.hidden) for width in widths)
        self.alignment = (
            Alignment(config.attention, config.hidden, config.memory, config.attention_width)
            if config.attention
            else None
        )
        context = config.memory if config.attention else 0
        word = config.embedding if self.looks_first else 0
        self.readout = nn.Linear(config.hidden + context + word, config.embedding)

    def start(self, finals: list[State]) -> list[State]:
        """Each layer's first state: the encoder's last, through a linear layer and tanh."""
        bridges = iter(self.bridges)
        return [tuple(next(bridges)(part).tanh() for part in final) for final in finals]

    def forward(
        self,
        ids: Tensor,
        memory: Tensor,
        finals: list[State],
        mask: Tensor | None,
        *,
        cache: Cache | None = None,
        tap: Tap,
    ) -> Tensor:
        """What the head reads at each step, (batch, query, embedding)."""
        words = tap("embed.token", self.token(ids))
        cells = [cell for cell in self.cells if isinstance(cell, Recurrent)]
        taps = [tap.at(index, "cell") for index in range(len(cells))]
        caches = [further(cache, index) for index in range(len(cells))]
        before = [None if kept is None else kept.kept("state") for kept in caches]
        begun = zip(cells, before, self.start(finals), taps, strict=True)
        states = [state or cell.begin(start, at) for cell, state, start, at in begun]
        cross = tap.at(0, "cross")
        keys = None if cache is None else cache.kept("source")
        if keys is None and self.alignment is not None:
            keys = self.alignment.keys(memory, tap=cross)

        def look(state: Tensor, step: int) -> list[Tensor]:
            if self.alignment is None or keys is None:
                return []
            return [self.alignment(state, keys[0], keys[1], mask, tap=cross.during(step))]

        first = read_before(cache)
        read = []
        for step, word in enumerate(words.unbind(1), first):
            seen = look(states[-1][0], step) if self.looks_first else []
            x = torch.cat([word, *seen], -1)
            for index, cell in enumerate(cells):
                at = taps[index].during(step)
                states[index] = cell.step(at("input", x), states[index], tap=at)
                x = states[index][0]
            seen = seen if self.looks_first else look(x, step)
            parts = [x, *seen, *([word] if self.looks_first else [])]
            read.append(tap.during(step)("readout", self.readout(torch.cat(parts, -1)).tanh()))
        if cache is not None:
            for kept, state in zip(caches, states, strict=True):
                assert kept is not None
                kept.keep("state", state)
            if keys is not None:
                cache.keep("source", keys)
        return torch.stack(read, 1)


class Seq2Seq(nn.Module):
    """Source in, target out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.output = nn.Linear(config.embedding, config.target_vocabulary)

    def forward(self, source: Tensor, target: Tensor, mask: Tensor | None = None, *, tap: Tap = SILENT) -> Tensor:
        """What the head reads (batch, query, embedding); `mask` is False where the source is padding."""
        return self.decode(target, self.encode(source, mask, tap=tap), mask, tap=tap)

    def encode(self, ids: Tensor, mask: Tensor | None = None, *, tap: Tap = SILENT) -> tuple[Tensor, list[State]]:
        """The encoder's states (batch, key, memory), and the last ones of each layer."""
        memory, finals = self.encoder(ids, mask, tap=tap.at("encoder"))
        return memory, finals

    def decode(
        self, ids: Tensor, memory: tuple[Tensor, list[State]], mask: Tensor | None = None, *, tap: Tap = SILENT
    ) -> Tensor:
        """What the head reads (batch, query, embedding), of what `encode` gave."""
        read: Tensor = self.decoder(ids, *memory, mask, tap=tap.at("decoder"))
        return read

    @property
    def unembedding(self) -> Unembedding:
        """The head, of what is read out at each step."""
        return Unembedding(self.output.weight, self.output.bias)


def sites(config: Config) -> Iterator[Site]:
    """Every site of this network, recorded and derived."""
    cell = recurrent_sites(config.kind)
    yield site("embed.token", "encoder")
    for layer in range(config.layers):
        yield from sites_of(cell, "encoder", layer, "cell")
        if config.bidirectional:
            yield from sites_of(cell, "encoder", layer, "reverse")
    yield site("embed.token", "decoder")
    sums = ("score.weight", "energy") if config.attention in ("additive", "concat") else ()
    names = ("q", "k", "v", *sums, "scores.raw", "scores.scaled", "scores", "pattern", "z")
    cross = tuple(sites_of(names, "decoder", 0, "cross")) if config.attention else ()
    if config.looks_first:
        yield from cross
    for layer in range(config.layers):
        yield from sites_of(cell, "decoder", layer, "cell")
    if not config.looks_first:
        yield from cross
    yield from sites_of(("readout", "head.input", "logits"), "decoder")


def blocks(config: Config) -> tuple[Block, ...]:
    """One alignment, of one head; none where there is no attention."""
    if config.attention is None:
        return ()
    sums = config.attention in ("additive", "concat")
    width = config.attention_width if sums else config.hidden
    return (
        Block(
            "decoder",
            "cross",
            layers=1,
            heads=1,
            kv_heads=1,
            head_dim=width,
            query_stack="decoder",
            key_stack="encoder",
            causal=False,
            scale=1.0,
            kind="additive" if sums else "dot",
        ),
    )


def rules(config: Config) -> Rules:
    """Own checkpoints are written with our own names."""
    return own_names(Seq2Seq, config)


def run(network: nn.Module, tokens: Tokens, tap: Tap) -> Tensor:
    """One forward pass over one source and one target."""
    read: Tensor = network(ids(network, tokens["encoder"]), ids(network, tokens["decoder"]), tap=tap)
    return read


def encode(network: nn.Module, source: Tensor, cache: Cache, tap: Tap) -> None:
    """Read the source: its states are looked back at, and the last of each layer is where the decoder starts."""
    assert isinstance(network, Seq2Seq)
    memory, finals = network.encoder(source, None, tap=tap.at("encoder"))
    cache.keep("memory", (memory,))
    for index, final in enumerate(finals):
        cache.at(index).keep("final", final)


def resume(network: nn.Module, ids: Tensor, cache: Cache, tap: Tap) -> Tensor:
    """What the head reads at each of the next tokens of the target."""
    assert isinstance(network, Seq2Seq)
    finals = [cache.at(index).kept("final") or () for index in range(len(network.decoder.cells))]
    (memory,) = cache.kept("memory") or ()
    read: Tensor = network.decoder(ids, memory, finals, None, cache=cache, tap=tap.at("decoder"))
    return read


def cell(network: nn.Module, stack: str, layer: int, block: str) -> Recurrent:
    """The recurrent cell of one layer."""
    part = "cells" if stack == "decoder" else {"cell": "forwards", "reverse": "backwards"}[block]
    found = network.get_submodule(f"{stack}.{part}.{layer}")
    assert isinstance(found, Recurrent)
    return found


def part(network: nn.Module, stack: str, layer: int | None, block: str) -> nn.Module:
    """The recurrent cell of one layer, or the alignment."""
    return network.get_submodule("decoder.alignment") if block == "cross" else cell(network, stack, layer or 0, block)


FAMILY = Family(
    name="seq2seq",
    title="Recurrent encoder–decoder",
    model_types=("seq2seq",),
    stacks=("encoder", "decoder"),
    read_config=Config.from_json,
    build=Seq2Seq,
    shape=lambda c: Shape(c.layers, 1 if c.attention else 0, c.hidden, c.positions, c.target_vocabulary),
    sites=sites,
    blocks=blocks,
    rules=rules,
    run=run,
    part=part,
    cell=cell,
    head=head,
    encode=encode,
    resume=resume,
    start=lambda c: c.start,
    stops=lambda c: (c.stop,),
)
