"""What a page or a program asks of a trace: many maps at once, what each head is like, how one weight came about."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from engine import derive
from engine.errors import BadIndex, BadInput
from engine.sites import Block, address
from engine.trace import Trace

Reduce = Literal["mean", "max"]
Over = Literal["heads", "all"]

CHUNK = 1 << 19
"""Most weights that are derived at once, where a row is no longer: 2 MiB of float32 stay in a processor's own cache."""

MASKED = {"pattern": 0.0, "scores": float("-inf")}
"""What stands where a causal mask shuts a pair out; the other stages know no mask."""


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
    step: Callable[[], object] = lambda: None,
) -> Maps:
    """Maps of the chosen layers and heads (all of them unless told otherwise), derived a piece at a time.

    `size` asks for max-pooled overviews of at most size × size. `reduce` takes the mean or the maximum over the chosen
    heads, or over layers and heads, and leaves that axis with length 1. `step` is called before each piece, and may
    raise to end the work. Raises `UnknownSite`, `BadIndex`, `BadInput`.
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
    rows = max(1, CHUNK // lengths["key"])
    many = max(1, CHUNK // (min(rows, len(chosen["query"])) * lengths["key"]))

    def derived(layers: Sequence[int], heads: Sequence[int]) -> Tensor:
        """One map per head, or one of them all, strip by strip: only what is pooled is kept."""
        groups = [(layer, some) for layer in layers for some in batched(heads, many)]
        strips = []
        for query in batched(chosen["query"], rows):
            step()
            seen = bisect_left(chosen["key"], _visible(trace, about, layers, stage, query)) if ascending else None
            where = {"query": query, "key": chosen["key"][: max(1, seen)] if seen is not None else chosen["key"]}
            maps = (
                trace.slice(address(about.stack, layer, about.name, stage), head=some, **where).float()
                for layer, some in groups
            )
            strip = next(maps) if reduce is None else _reduced(maps, reduce, len(layers) * len(heads))
            strips.append(_pooled(strip, key_edges, len(chosen["key"]), MASKED.get(stage, 0.0)))
        values = torch.cat(strips, -2)
        return values if query_edges is None else derive.pool(values, query_edges, -2)

    ascending = all(before < after for before, after in pairwise(chosen["key"]))
    if reduce is None:
        layered = [torch.cat([derived([at], some) for some in batched(chosen["head"], many)]) for at in chosen["layer"]]
    elif over == "heads":
        layered = [derived([at], chosen["head"]) for at in chosen["layer"]]
    else:
        layered = [derived(chosen["layer"], chosen["head"])]
    return Maps(
        block=about,
        stage=stage,
        values=torch.stack(layered),
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


def batched(items: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """The items in runs of at most `most`."""
    return (items[start : start + most] for start in range(0, len(items), most))


def _visible(trace: Trace, block: Block, layers: Sequence[int], stage: str, queries: Sequence[int]) -> int:
    """How many keys, from the first on, one of these queries may look at: what comes after is as `MASKED` says."""
    length = len(trace.tokens[block.key_stack])
    if stage not in MASKED or any(address(block.stack, layer, block.name, stage) in trace.tensors for layer in layers):
        return length  # no mask yet, or kept as it was computed: a patch may have put anything there
    offset = length - len(trace.tokens[block.query_stack])
    return derive.visible(block, torch.tensor(queries) + offset, length)


def _reduced(maps: Iterator[Tensor], reduce: Reduce, count: int) -> Tensor:
    """(1, query, key): the mean or the maximum of `count` maps that come some at a time."""
    if reduce == "mean":
        return sum((some.sum(0, keepdim=True) for some in maps), start=torch.zeros(1)) / count
    return functools.reduce(torch.maximum, (some.amax(0, keepdim=True) for some in maps))


def _pooled(strip: Tensor, edges: list[int] | None, length: int, masked: float) -> Tensor:
    """A strip, of which only the first keys may be here, with all its keys or their bins."""
    here = strip.shape[-1]
    if edges is None:
        return F.pad(strip, (0, length - here), value=masked)
    whole = [*(edge for edge in edges if edge < here), here]
    return F.pad(derive.pool(strip, whole, -1), (0, len(edges) - len(whole)), value=masked)


@dataclass(frozen=True)
class Heads:
    """What each head of a block is like on this input; every tensor is (layer, head), over the chosen `layers`.

    `sharpness` is 1 for a head that looks at one key and 0 for one that looks at all alike; `entropy` is in bits,
    averaged over the queries; `peak` is the largest weight. `previous`, `first` and `own` are the mean weights on the
    token before, on the first token and on the token itself; `previous` and `own` are None where queries and keys are
    different texts.
    """

    block: Block
    layers: tuple[int, ...]
    sharpness: Tensor
    entropy: Tensor
    peak: Tensor
    first: Tensor
    previous: Tensor | None
    own: Tensor | None


def heads(
    trace: Trace,
    *,
    stack: str | None = None,
    block: str | None = None,
    layers: Sequence[int] | None = None,
    step: Callable[[], object] = lambda: None,
) -> Heads:
    """Describe every head of a block, in the chosen layers or in all; patterns are derived some rows at a time.

    `step` is called before each piece, and may raise to end the work. Raises `UnknownSite`, `BadIndex`, `BadInput`.
    """
    about = block_of(trace, stack, block)
    chosen = indices("layer", layers, about.layers)
    described = [_described(trace, about, layer, step) for layer in chosen]
    table = {name: torch.stack([layer[name] for layer in described]) for name in described[0]}
    same = about.query_stack == about.key_stack
    return Heads(
        about,
        chosen,
        table["sharpness"],
        table["entropy"],
        table["peak"],
        table["first"],
        table["previous"] if same else None,
        table["own"] if same else None,
    )


def _described(trace: Trace, block: Block, layer: int, step: Callable[[], object]) -> dict[str, Tensor]:
    """The columns of `Heads` for one layer, each (head)."""
    length, width = (len(trace.tokens[stack]) for stack in (block.query_stack, block.key_stack))
    where = address(block.stack, layer, block.name, "pattern")
    rows = max(1, CHUNK // width)
    many = max(1, CHUNK // (min(rows, length) * width))
    columns: list[dict[str, Tensor]] = []
    for some in batched(range(block.heads), many):
        strips = []
        for queries in batched(range(length), rows):
            step()
            seen = range(_visible(trace, block, [layer], "pattern", queries))
            strips.append(_of_rows(trace.slice(where, head=some, query=queries, key=seen).float(), queries[0]))
        values = {name: torch.cat([strip[name] for strip in strips], -1) for name in strips[0]}
        columns.append(
            {
                "sharpness": derive.mean_sharpness(values["sharpness"], values["telling"]),
                "entropy": values["entropy"].mean(-1),
                "peak": values["peak"].amax(-1),
                "first": values["first"].mean(-1),
                "previous": values["previous"].sum(-1) / max(1, min(length - 1, width)),
                "own": values["own"].sum(-1) / min(length, width),
            }
        )
    return {name: torch.cat([some[name] for some in columns]) for name in columns[0]}


def _of_rows(pattern: Tensor, start: int) -> dict[str, Tensor]:
    """What each row of some heads (head, query, key) says; the first row is query `start`. No view of them is kept."""
    entropy = derive.entropy(pattern)
    sharpness, telling = derive.row_sharpness(entropy, pattern)
    return {
        "entropy": entropy,
        "sharpness": sharpness,
        "telling": telling,
        "peak": pattern.amax(-1),
        "first": pattern[..., 0].clone(),
        "previous": pattern.diagonal(offset=start - 1, dim1=-2, dim2=-1).clone(),
        "own": pattern.diagonal(offset=start, dim1=-2, dim2=-1).clone(),
    }


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
