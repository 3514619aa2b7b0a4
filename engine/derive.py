"""Pure functions from recorded tensors to what is shown: the same arithmetic as the forward pass, a slice at a time.

Shapes here have no batch axis, since a trace is of one input. A `Pick` chooses along one axis and keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.nn.additive import energies
from engine.nn.attention import causal_mask, mask_scores, raw_scores, softmax
from engine.sites import Block

Pick = slice | list[int]

ALL = slice(None)
STAGES = ("scores.raw", "scores.scaled", "scores", "pattern")


def attention(
    stage: str,
    q: Tensor,
    k: Tensor,
    block: Block,
    *,
    head: Pick = ALL,
    query: Pick = ALL,
    key: Pick = ALL,
    bias: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """One stage of dot-product attention, (head, query, key), for the chosen heads, queries and keys only.

    `q` is (head, query, head_dim) and `k` is (kv_head, key, head_dim), both whole; `bias` is what the score gains by
    distance, (head, distance), where the family has that. With a `weight` (attn_dim), the attention is additive.
    """
    heads = range(q.shape[0])[head] if isinstance(head, slice) else head
    group = q.shape[0] // k.shape[0]
    keys = torch.arange(k.shape[1], device=q.device)
    queries = keys[k.shape[1] - q.shape[1] :][query] if block.causal or bias is not None else keys
    # The softmax needs every key of a row that is not masked, so a pattern picks its keys last; other stages first.
    early, late = (slice(visible(block, queries, k.shape[1])), key) if stage == "pattern" else (key, ALL)
    chosen_q = q[head][:, query]
    chosen_k = (k[head] if group == 1 else k[[h // group for h in heads]])[:, early]
    scores = raw_scores(chosen_q, chosen_k) if weight is None else energies(chosen_q, chosen_k) @ weight
    if stage == "scores.raw":
        return scores
    scores = scores * block.scale
    if stage == "scores.scaled":
        return scores
    mask = causal_mask(queries, keys[early]) if block.causal else None
    added = None if bias is None else bias[head][:, keys[early] - queries[:, None] + k.shape[1] - 1]
    scores = mask_scores(scores, mask, added)
    if stage == "scores":
        return scores
    weights = softmax(scores)
    masked = k.shape[1] - weights.shape[-1]
    last = keys[key].max().item() if masked and len(keys[key]) else -1
    return (F.pad(weights, (0, masked)) if last >= weights.shape[-1] else weights)[:, :, late]


def visible(block: Block, queries: Tensor, length: int) -> int:
    """How many of `length` keys, from the first on, one of these queries (positions) may look at."""
    return int(queries.max()) + 1 if block.causal and len(queries) else length


def by_head(z: Tensor, weight: Tensor) -> Tensor:
    """What each head writes: z (head, query, head_dim) through its part of W_O (head, head_dim, model)."""
    return z @ weight


def entropy(pattern: Tensor) -> Tensor:
    """Shannon entropy in bits of each row: (..., query, key) to (..., query)."""
    bits: Tensor = torch.linalg.vecdot(pattern, pattern.clamp(min=torch.finfo(pattern.dtype).tiny).log())
    return bits / -math.log(2)


def sharpness(pattern: Tensor) -> Tensor:
    """How far a head is from looking everywhere alike: 1 - entropy / log2(visible keys), averaged over the queries.

    (..., query, key) to (...). 0 is an even spread, 1 is a single key. A row that sees one key only says nothing about
    the head and is left out; where no row says anything, the answer is 1.
    """
    return mean_sharpness(*row_sharpness(entropy(pattern), pattern))


def row_sharpness(entropy: Tensor, pattern: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row whose entropy is given: its sharpness, 0 where it says nothing, and whether it says something."""
    seen = pattern.sign().sum(-1)
    telling = seen > 1
    return torch.where(telling, 1 - entropy / seen.clamp(min=2).log2(), 0.0), telling


def mean_sharpness(rows: Tensor, telling: Tensor) -> Tensor:
    """The average over the rows that say something; 1 where none does."""
    count = telling.sum(-1)
    return torch.where(count > 0, rows.sum(-1) / count.clamp(min=1), 1.0).clamp(0, 1)


def bin_edges(length: int, size: int) -> list[int]:
    """Where `size` bins over `length` items begin, with the end: as even as whole numbers allow."""
    return [i * length // size for i in range(size + 1)]


def pool(values: Tensor, edges: Sequence[int], axis: int) -> Tensor:
    """The maximum of each bin along `axis`: the brightest weight stays visible however small the overview."""
    widths = {end - start for start, end in pairwise(edges)}
    if len(widths) == 1:  # torch is faster, and knows bins of one width only
        at = axis % values.dim()
        return values.reshape(*values.shape[:at], -1, widths.pop(), *values.shape[at + 1 :]).amax(at + 1)
    pooled = np.maximum.reduceat(values.cpu().numpy(), edges[:-1], axis=axis)
    return torch.from_numpy(pooled)
