"""What a page or a program asks of a trace: many maps at once, what each head is like, how one weight came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from engine import derive
from engine.errors import BadIndex, BadInput
from engine.sites import Block, address
from engine.trace import Trace

Reduce = Literal["mean", "max"]
Over = Literal["heads", "all"]

CHUNK = 1 << 24
"""Most weights that a pooled overview derives at once: 64 MiB of float32."""


@dataclass(frozen=True)
class Maps:
    """Attention maps of one block: `values` is float32, (layer, head, query, key).

    The tuples say which layers, heads, queries and keys the axes run over. Where the maps were pooled or reduced, the
    axis is shorter: `query_edges` and `key_edges` then say where each bin begins, with the end, and None otherwise.
    """

    block: Block
    stage: str
    values: Tensor
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    queries: tuple[int, ...]
    keys: tuple[int, ...]
    query_edges: tuple[int, ...] | None = None
    key_edges: tuple[int, ...] | None = None


def attention(
    trace: Trace,
    *,
    stack: str | None = None,
    block: str | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    queries: Sequence[int] | None = None,
    keys: Sequence[int] | None = None,
    stage: str = "pattern",
    size: int | None = None,
    reduce: Reduce | None = None,
    over: Over = "heads",
) -> Maps:
    """Maps of the chosen layers and heads (all of them unless told otherwise), derived a piece at a time.

    `size` asks for max-pooled overviews of at most size × size. `reduce` takes the mean or the maximum over the chosen
    heads, or over layers and heads, and leaves that axis with length 1. Raises `UnknownSite`, `BadIndex`, `BadInput`.
    """
    about = block_of(trace, stack, block)
    if stage not in derive.STAGES:
        raise BadInput(f"There is no stage {stage!r}: choose one of {', '.join(derive.STAGES)}.")
    if size is not None and size < 1:
        raise BadInput("size is the side of an overview: at least 1.")
    lengths = {
        "layer": about.layers,
        "head": about.heads,
        "query": len(trace.tokens[about.query_stack]),
        "key": len(trace.tokens[about.key_stack]),
    }
    given = {"layer": layers, "head": heads, "query": queries, "key": keys}
    chosen = {axis: indices(axis, given[axis], length) for axis, length in lengths.items()}
    query_edges, key_edges = (_edges(len(chosen[axis]), size) for axis in ("query", "key"))
    row = len(chosen["head"]) * lengths["key"]
    strips = []
    for start, end in _strips(query_edges or [0, len(chosen["query"])], most=max(1, CHUNK // max(1, row))):
        per_layer = []
        for layer in chosen["layer"]:
            where = address(about.stack, layer, about.name, stage)
            strip = trace.slice(where, head=chosen["head"], query=chosen["query"][start:end], key=chosen["key"]).float()
            if reduce is not None:
                strip = _reduced(strip, reduce)
            # A mean over layers must be taken before pooling; anything else is pooled at once, while it is small.
            per_layer.append(strip if over == "all" else _pooled(strip, query_edges, key_edges, start, end))
        values = torch.stack(per_layer)
        if reduce is not None and over == "all":
            values = _pooled(_reduced(values, reduce), query_edges, key_edges, start, end)
        strips.append(values)
    return Maps(
        block=about,
        stage=stage,
        values=torch.cat(strips, dim=-2),
        layers=chosen["layer"],
        heads=chosen["head"],
        queries=chosen["query"],
        keys=chosen["key"],
        query_edges=tuple(query_edges) if query_edges else None,
        key_edges=tuple(key_edges) if key_edges else None,
    )


def indices(axis: str, given: Sequence[int] | None, length: int) -> tuple[int, ...]:
    """The chosen indices, all of them where none are given; `BadIndex` where one is out of range."""
    if given is None:
        return tuple(range(length))
    if not given:
        raise BadInput(f"No {axis} is chosen: name at least one of 0 to {length - 1}.")
    for at in given:
        if not 0 <= at < length:
            raise BadIndex(axis, at, length)
    return tuple(given)


def block_of(trace: Trace, stack: str | None, name: str | None) -> Block:
    """The block asked for; where stack or name are left out, the first that fits."""
    for block in trace.blocks:
        if stack in (None, block.stack) and name in (None, block.name):
            return block
    return trace.block(stack or "any", name or "any")  # which is not there, and says what is


def _edges(length: int, size: int | None) -> list[int] | None:
    return derive.bin_edges(length, size) if size is not None and size < length else None


def _strips(edges: list[int], most: int) -> list[tuple[int, int]]:
    """Runs of whole bins with at most `most` rows each (one bin, where a bin alone has more)."""
    strips: list[tuple[int, int]] = []
    start = edges[0]
    for before, end in pairwise(edges):
        if end - start > most and before > start:
            strips.append((start, before))
            start = before
    return [*strips, (start, edges[-1])]


def _reduced(values: Tensor, reduce: Reduce) -> Tensor:
    return values.mean(0, keepdim=True) if reduce == "mean" else values.amax(0, keepdim=True)


def _pooled(values: Tensor, query_edges: list[int] | None, key_edges: list[int] | None, start: int, end: int) -> Tensor:
    if key_edges is not None:
        values = derive.pool(values, key_edges, -1)
    if query_edges is not None:
        values = derive.pool(values, [edge - start for edge in query_edges if start <= edge <= end], -2)
    return values


@dataclass(frozen=True)
class Heads:
    """What each head of a block is like on this input; every tensor is (layer, head).

    `sharpness` is 1 for a head that looks at one key and 0 for one that looks at all alike; `entropy` is in bits,
    averaged over the queries; `peak` is the largest weight. `previous`, `first` and `own` are the mean weights on the
    token before, on the first token and on the token itself; `previous` and `own` are None where queries and keys are
    different texts.
    """

    block: Block
    sharpness: Tensor
    entropy: Tensor
    peak: Tensor
    first: Tensor
    previous: Tensor | None
    own: Tensor | None


def heads(trace: Trace, *, stack: str | None = None, block: str | None = None) -> Heads:
    """Describe every head of a block; patterns are derived one layer at a time and not kept."""
    about = block_of(trace, stack, block)
    columns: dict[str, list[Tensor]] = {
        name: [] for name in ("sharpness", "entropy", "peak", "first", "previous", "own")
    }
    for layer in range(about.layers):
        pattern = trace[address(about.stack, layer, about.name, "pattern")].float()
        columns["sharpness"].append(derive.sharpness(pattern))
        columns["entropy"].append(derive.entropy(pattern).mean(-1))
        columns["peak"].append(pattern.amax((-2, -1)))
        columns["first"].append(pattern[..., 0].mean(-1))
        before = pattern.diagonal(offset=-1, dim1=-2, dim2=-1)
        columns["previous"].append(before.mean(-1) if before.shape[-1] else torch.zeros(about.heads))
        columns["own"].append(pattern.diagonal(dim1=-2, dim2=-1).mean(-1))
    table = {name: torch.stack(column) for name, column in columns.items()}
    same = about.query_stack == about.key_stack
    return Heads(
        about,
        table["sharpness"],
        table["entropy"],
        table["peak"],
        table["first"],
        table["previous"] if same else None,
        table["own"] if same else None,
    )


@dataclass(frozen=True)
class Arithmetic:
    """How one attention weight came about, in the order in which it is computed.

    `products` are q ∘ k (of additive attention, v ∘ tanh(q + k)) and `raw` is their sum; `scaled` is raw · scale;
    `score` is scaled + bias, or -inf where the mask shuts the pair out; `numerator` is exp(score - row_max),
    `denominator` the sum of these over the row, and `weight` their ratio. `weighted_v` is weight · v, and `z` the sum
    of these over the row. The norms are of `weighted_v` and `z` after W_O: how much of what the head writes into the
    residual stream comes from this key; None where there is no W_O. With `patched`, an intervention at the scores or
    the pattern came in between, and the chain does not lead to the weight.
    """

    block: Block
    layer: int
    head: int
    query: int
    key: int
    q: Tensor
    k: Tensor
    products: Tensor
    raw: float
    scale: float
    scaled: float
    bias: float
    masked: bool
    score: float
    row_max: float
    numerator: float
    denominator: float
    weight: float
    patched: bool
    v: Tensor
    weighted_v: Tensor
    z: Tensor
    written_norm: float | None
    head_written_norm: float | None


def arithmetic(
    trace: Trace, *, layer: int, head: int, query: int, key: int, stack: str | None = None, block: str | None = None
) -> Arithmetic:
    """Follow one weight from q and k to what it takes from v. Raises `UnknownSite` and `BadIndex`."""
    about = block_of(trace, stack, block)
    lengths = (about.layers, about.heads, len(trace.tokens[about.query_stack]), len(trace.tokens[about.key_stack]))
    for axis, at, length in zip(("layer", "head", "query", "key"), (layer, head, query, key), lengths, strict=True):
        indices(axis, [at], length)

    def part(name: str, **where: int) -> Tensor:
        return trace.slice(address(about.stack, layer, about.name, name), **where)

    q = part("q", head=head, query=query).flatten()
    kv_head = head // (about.heads // about.kv_heads)
    k = part("k", kv_head=kv_head, key=key).flatten()
    v = part("v", kv_head=kv_head, key=key).flatten()
    z = part("z", head=head, query=query).flatten()
    energy = trace.tensors.get(address(about.stack, layer, about.name, "score.weight"))
    raw = part("scores.raw", head=head, query=query, key=key).item()
    scaled = part("scores.scaled", head=head, query=query, key=key).item()
    row = part("scores", head=head, query=query).flatten()
    weight = part("pattern", head=head, query=query, key=key).item()
    score, row_max = row[key].item(), row.max().item()
    masked = score == float("-inf")
    table = address(about.stack, None, about.name, "bias")
    bias = trace.slice(table, head=head, query=query, key=key).item() if table in trace.sites else 0.0
    weighted_v = weight * v
    norms: list[float | None] = [None, None]
    if address(about.stack, layer, about.name, "by_head") in trace.sites:
        weights = trace.output_weights(about.stack, layer, about.name)[head]
        norms = list(derive.by_head(torch.stack([weighted_v, z]), weights).norm(dim=-1).tolist())
    edited = {address(about.stack, layer, about.name, name) for name in ("scores", "pattern")}
    return Arithmetic(
        block=about,
        layer=layer,
        head=head,
        query=query,
        key=key,
        q=q,
        k=k,
        products=q * k if energy is None else (q + k).tanh() * energy,
        raw=raw,
        scale=about.scale,
        scaled=scaled,
        bias=bias,
        masked=masked,
        score=score,
        row_max=row_max,
        numerator=(row[key] - row_max).exp().item(),
        denominator=(row - row_max).exp().sum().item(),
        weight=weight,
        patched=any(patch["address"] in edited for patch in trace.patches),
        v=v,
        weighted_v=weighted_v,
        z=z,
        written_norm=norms[0],
        head_written_norm=norms[1],
    )
