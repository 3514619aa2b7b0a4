"""Do alignments say what people say? Fifty sentences whose word pairs were set by hand.

Each line holds a source, its target, and for words of the target the words of the source that they come from, several
joined by `+`, or `-` for none. A word that stands twice in the target has its pairs in order; `le#2` is the second `le`
of the source.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources

import torch

import engine
from engine.model import Model
from engine.sites import address
from engine.tokens import Token

Span = tuple[int, int]
"""Where a word begins and ends, in characters."""


def annotated() -> Iterator[tuple[str, str, list[tuple[Span, list[Span]]]]]:
    """Sources, targets, and for each word of the target that has any the words of the source it comes from."""
    for line in (resources.files("engine.train") / "alignments.tsv").read_text(encoding="utf-8").splitlines():
        source, target, links = line.split("\t")
        there, here = places(source), places(target)
        seen: Counter[str] = Counter()
        pairs = []
        for link in links.split():
            word, _, origins = link.partition("=")
            seen[word] += 1
            if origins != "-":
                named = [origin.partition("#") for origin in origins.split("+")]
                pairs.append((here[word, seen[word]], [there[name, int(which or 1)] for name, _, which in named]))
        yield source, target, pairs


def places(text: str) -> dict[tuple[str, int], Span]:
    """Each word, with how many times it was there up to here."""
    seen: Counter[str] = Counter()
    found = {}
    for match in re.finditer(r"\w+", text):
        seen[match[0]] += 1
        found[match[0], seen[match[0]]] = match.span()
    return found


def agreement(model: Model, block: str = "cross") -> float:
    """The share of annotated target words whose greatest weight lies on a right source word."""
    right, count = 0, 0
    stack = model.family.stacks[-1]
    for source, target, pairs in annotated():
        trace = engine.trace(model, source=source, target=target)
        pattern = trace[address(stack, 0, block, "pattern")][0]  # (query, key)
        for word, origins in pairs:
            # The step before a token is the one that says it.
            rows = [at - 1 for at in within(trace.tokens[stack], word)]
            best = int(pattern[torch.tensor(rows)].mean(0).argmax())
            right += any(best in within(trace.tokens[model.family.stacks[0]], origin) for origin in origins)
            count += 1
    return right / count


def within(tokens: Sequence[Token], span: Span) -> list[int]:
    """The tokens that stand for characters of that word."""
    return [
        at
        for at, token in enumerate(tokens)
        if token.start is not None and token.end is not None and token.start < span[1] and token.end > span[0]
    ]
