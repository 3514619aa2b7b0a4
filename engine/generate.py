"""Continue a text: a silent loop with a cache, then one traced replay of everything that was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.decoding import Decoding, decode
from engine.errors import BadInput, TooLong
from engine.model import Inputs, Model, trace
from engine.tap import Capture, Patch
from engine.trace import Trace


def prompt(
    model: Model,
    text: str | None = None,
    *,
    source: str | None = None,
    target: str | None = None,
    ids: Mapping[str, Sequence[int]] | None = None,
    said: Sequence[int] = (),
) -> Inputs:
    """What a model goes on from: a text, or a source and perhaps the beginning of a target; then the ids in `said`.

    A stop token that the tokenizer puts at the end of a text is left out. Raises what `Model.inputs` raises.
    """
    if not model.generates:
        raise BadInput(f"{model.id} predicts no next token, so it can't continue a text. Trace it instead.")
    inputs = model.inputs(text, source=source, target=target, ids=ids)
    last = model.family.stacks[-1]
    given = inputs.tokens[last]
    while len(given) > 1 and given[-1].id in model.stops:
        given = given[:-1]
    return continued(model, replace(inputs, tokens={**inputs.tokens, last: given}, decode=False), said)


def continued(model: Model, inputs: Inputs, said: Sequence[int]) -> Inputs:
    """The same inputs with these ids at the end of the last stack.

    Raises `BadInput` where there is no such token, and `TooLong` where the model has no room for all of them.
    """
    last = model.family.stacks[-1]
    if said and (length := len(inputs.tokens[last]) + len(said)) > model.limit:
        raise TooLong(length, model.limit)
    new = model.from_ids(said) if said else ()
    return replace(inputs, tokens={**inputs.tokens, last: (*inputs.tokens[last], *new)})


def generate(
    model: Model,
    text: str | None = None,
    *,
    source: str | None = None,
    target: str | None = None,
    ids: Mapping[str, Sequence[int]] | None = None,
    said: Sequence[int] = (),
    patches: Sequence[Patch] = (),
    capture: Capture | None = None,
    **settings: Any,
) -> Trace:
    """Continue a text and trace all of it in one teacher-forced forward pass, under the same patches.

    `settings` are those of `Decoding`: max_new_tokens, temperature, top_k, top_p, seed, beams and so on. The trace's
    last stack holds the prompt and what was said, without the stop token. Raises what `prompt` and `decode` raise.
    """
    inputs = prompt(model, text, source=source, target=target, ids=ids, said=said)
    steps = decode(model, inputs.tokens, Decoding(**settings), patches)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return trace(model, continued(model, inputs, end.value), patches=patches, capture=capture)
