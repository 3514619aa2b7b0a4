"""From one token to the next: a silent loop with a cache, by greedy choice, by sampling, or by beam search."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from engine.errors import BadInput, TooLong
from engine.nn.cache import Cache
from engine.tap import SILENT, Capture, Patch, Recorder, Tap
from engine.tokens import Token

if TYPE_CHECKING:
    from engine.model import Model
    from engine.models.family import Tokens

LONGEST = 128
"""Most tokens that a decoder says where nobody gave it a target or a limit."""


LEAST_PENALTY = 0.01
"""A logit divided by less than this may be beyond all numbers."""


@dataclass(frozen=True)
class Decoding:
    """How a text is continued; `BadInput` where a setting makes no sense.

    With a `temperature` of 0 the likeliest token is taken. Otherwise logits are divided by it (below 1: surer, above:
    more varied), then `top_k` keeps only the likeliest tokens (Fan et al. 2018) and `top_p` the fewest that have this
    much probability together (Holtzman et al. 2020), and one of them is drawn with the `seed`. A `repetition_penalty`
    above 1 makes what stands there already less likely (Keskar et al. 2019, section 4.1). With several `beams`, that
    many texts are continued side by side and the best is kept, by its log-probability divided by length to the
    `length_penalty`. It ends with one of the model's stop tokens, with one of the texts in `stop`, or after
    `max_new_tokens`. `top` is how many of the likeliest tokens each step names, besides the one that is chosen.
    """

    max_new_tokens: int = 20
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    beams: int = 1
    length_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    top: int = 10

    def __post_init__(self) -> None:
        for name, least in (("max_new_tokens", 1), ("beams", 1), ("top", 1), ("top_k", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise BadInput(f"{name} is {value}: give {least} or more.")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise BadInput(f"temperature is {self.temperature}: give 0 for the likeliest token, or more to draw one.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise BadInput(f"top_p is {self.top_p}: give a share above 0 and up to 1.")
        if not (self.repetition_penalty >= LEAST_PENALTY and math.isfinite(self.repetition_penalty)):
            raise BadInput(
                f"repetition_penalty is {self.repetition_penalty}: give {LEAST_PENALTY} or more; 1 changes nothing."
            )
        if not math.isfinite(self.length_penalty):
            raise BadInput("length_penalty must be a finite number; 1 is usual.")
        if self.beams > 1 and self.temperature > 0:
            raise BadInput("Beam search draws nothing: leave out the temperature, or use one beam.")
        if not all(self.stop):
            raise BadInput("A stop text is empty: leave it out.")


@dataclass(frozen=True)
class Candidate:
    """A token that could come next: `probability` is the network's own, `chance` what it is drawn with."""

    token: Token
    probability: float
    chance: float


@dataclass(frozen=True)
class Beam:
    """A node of the beam tree: the `token` that was added to its `parent`, and the sum of log-probabilities so far.

    `parent` is a node's number in the order in which they come, None at the root; `kept` says whether it is continued,
    and `ended` whether it is a whole text.
    """

    parent: int | None
    token: Token
    log_probability: float
    kept: bool
    ended: bool


Ended = Literal["token", "text", "length"]
"""Why a text ends: the model's stop token, a stop text, or no room for more."""


@dataclass(frozen=True)
class Step:
    """One more token. `position` is its place in the last stack; `seconds` went into it.

    In a beam search, `token` is the best beam's latest, and `beams` are the nodes that this step added to the tree.
    """

    position: int
    token: Token
    probability: float
    top: tuple[Candidate, ...]
    seconds: float
    ended: Ended | None = None
    beams: tuple[Beam, ...] = ()


Steps = Generator[Step, None, tuple[int, ...]]


class Reading:
    """A network part-way through a text, with all that it remembers of it."""

    def __init__(self, model: Model, tokens: Tokens, capacity: int, patches: Sequence[Patch] = ()) -> None:
        assert model.family.resume is not None
        assert model.family.head is not None
        self._model, self._resume, self._head = model, model.family.resume, model.family.head
        self.cache = Cache(capacity)
        recorders = [Recorder(model.sites, Capture(()), patches, growing=growing) for growing in (False, True)]
        self._source: Tap = recorders[0] if patches else SILENT
        self._tap: Tap = recorders[1] if patches else SILENT
        if model.family.encode is not None:
            source = self._batch([[token.id for token in tokens[model.family.stacks[0]]]])
            with torch.inference_mode():
                model.family.encode(model.network, source, self.cache, self._source)

    def _batch(self, rows: Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor(rows, device=next(self._model.network.parameters()).device)

    def read(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits (row, vocab) of what follows, after reading these ids on top of those before; float64, on the CPU."""
        ids = self._batch(rows)
        tap = self._tap.during(self.cache.length) if self.cache.length else self._tap
        with torch.inference_mode():
            hidden = self._resume(self._model.network, ids, self.cache, tap)
            self.cache.advance(ids.shape[1])
            logits: Tensor = self._head(self._model.network, hidden[:, -1]).double().cpu()
        if logits.isnan().any():
            raise BadInput("Changed like this the network computes no numbers any more: give a smaller factor.")
        return logits


def decode(model: Model, tokens: Tokens, how: Decoding, patches: Sequence[Patch] = ()) -> Steps:
    """Continue the last stack's tokens, one `Step` at a time, under the same patches; returns the ids that were said.

    The stop token is the last step's, and not among those ids. Raises `BadInput` where the model continues nothing,
    `TooLong` where no more tokens fit, and `BadPatch` where a patch needs to know the whole text.
    """
    if model.family.resume is None or not model.predicts:
        raise BadInput(f"{model.id} predicts no next token, so it can't continue a text. Trace it instead.")
    said = len(tokens[model.family.stacks[-1]])
    room = model.limit - said
    if room < 1:
        raise TooLong(said + 1, model.limit)
    return (_beams if how.beams > 1 else _one)(model, tokens, how, min(how.max_new_tokens, room), patches)


def _one(model: Model, tokens: Tokens, how: Decoding, most: int, patches: Sequence[Patch]) -> Steps:
    ids = [token.id for token in tokens[model.family.stacks[-1]]]
    start, prompt = time.perf_counter(), len(ids)
    reading = Reading(model, tokens, prompt + most, patches)
    dice = torch.Generator().manual_seed(how.seed)
    new: list[int] = list(ids)
    ended: Ended | None = None
    for position in range(prompt, prompt + most):
        logits = reading.read([new])[0]
        chances = reshaped(sayable(model, logits), ids, how)
        id = int(chances.argmax()) if how.temperature == 0 else int(torch.multinomial(chances, 1, generator=dice))
        probabilities = logits.softmax(-1)
        ids.append(id)
        ended = "length" if position + 1 == prompt + most else None
        if said_stop(model, ids[prompt:], how):
            ended = "text"
        if id in model.stops:
            ended = "token"
        (token,) = model.named([id])
        top = likeliest(model, probabilities, chances, how.top, id)
        now = time.perf_counter()
        yield Step(position, token, float(probabilities[id]), top, now - start, ended)
        if ended:
            break
        start, new = now, [id]
    return tuple(ids[prompt:-1] if ended == "token" else ids[prompt:])


def reshaped(logits: Tensor, ids: Sequence[int], how: Decoding) -> Tensor:
    """What each token is drawn with, (vocab,): after the penalty, the temperature and the cuts, in that order."""
    logits = penalised(logits, ids, how.repetition_penalty)
    logits = (logits - logits.max()) / (how.temperature or 1.0)  # so that none is too large, however cold it is
    if how.top_k is not None and how.top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(how.top_k).values[-1], -math.inf)
    if how.top_p is not None:
        order = logits.sort(descending=True, stable=True)
        shares = order.values.softmax(-1)
        beyond = shares.cumsum(-1) - shares >= how.top_p  # the one that crosses the line stays, and so does the first
        logits = logits.index_fill(0, order.indices[beyond], -math.inf)
    return logits.softmax(-1)


def sayable(model: Model, logits: Tensor) -> Tensor:
    """Logits (..., vocab) without the tokens that the model must not say."""
    return logits.index_fill(-1, torch.tensor(model.never), -math.inf) if model.never else logits


def penalised(logits: Tensor, ids: Sequence[int], penalty: float) -> Tensor:
    """Logits (..., vocab) with those of `ids` made smaller: divided where they are positive, else multiplied."""
    if penalty == 1.0:
        return logits
    there = torch.tensor(sorted(set(ids)))
    old = logits[there]
    return logits.index_copy(0, there, torch.where(old > 0, old / penalty, old * penalty))


def likeliest(model: Model, probabilities: Tensor, chances: Tensor, count: int, chosen: int) -> tuple[Candidate, ...]:
    """The tokens with the highest chance to be drawn, then by the network's own probability; and the chosen one."""
    count = min(count, len(chances))
    best = sorted(set(chances.topk(count).indices.tolist()) | set(probabilities.topk(count).indices.tolist()))
    best.sort(key=lambda id: (-float(chances[id]), -float(probabilities[id]), id))
    named = model.named([*best[:count], *({chosen} - {*best[:count]})])
    return tuple(Candidate(token, float(probabilities[token.id]), float(chances[token.id])) for token in named)


def said_stop(model: Model, ids: Sequence[int], how: Decoding) -> bool:
    """Whether one of the stop texts has been said."""
    return bool(how.stop) and any(stop in model.text_of(ids) for stop in how.stop)


@dataclass(frozen=True)
class Line:
    """One of the texts that a beam search continues: what it said, its log-probability, its last node in the tree."""

    ids: tuple[int, ...] = ()
    total: float = 0.0
    node: int | None = None
    row: int = 0


def _beams(model: Model, tokens: Tokens, how: Decoding, most: int, patches: Sequence[Patch]) -> Steps:
    prompt = tuple(token.id for token in tokens[model.family.stacks[-1]])
    start, reading = time.perf_counter(), Reading(model, tokens, len(prompt) + most, patches)
    lines, whole, nodes = [Line()], list[tuple[float, tuple[int, ...]]](), 0
    for length in range(1, most + 1):
        if length > 1:
            reading.cache.choose(torch.tensor([line.row for line in lines]))
        logits = reading.read([line.ids[-1:] or prompt for line in lines])
        seen = [
            penalised(row, prompt + line.ids, how.repetition_penalty)
            for row, line in zip(sayable(model, logits), lines, strict=True)
        ]
        scores = torch.stack([row.log_softmax(-1) + line.total for row, line in zip(seen, lines, strict=True)])
        best = scores.flatten().topk(min(2 * how.beams, scores.numel()))  # where half of them end, enough go on
        going, beams, over = list[Line](), list[Beam](), list[tuple[Line, Ended]]()
        for rank, (total, place) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            row, id = divmod(place, scores.shape[1])
            ids = (*lines[row].ids, id)
            why: Ended | None = "token" if id in model.stops else "text" if said_stop(model, ids, how) else None
            if why and rank < how.beams:
                whole.append((total / length**how.length_penalty, ids[:-1] if why == "token" else ids))
                over.append((Line(ids, total, nodes + rank, row), why))
            kept = why is None and len(going) < how.beams
            if kept:
                going.append(Line(ids, total, nodes + rank, row))
            (token,) = model.named([id])
            beams.append(Beam(lines[row].node, token, total, kept, why is not None and rank < how.beams))
        nodes += len(beams)
        whole = sorted(whole, key=lambda found: -found[0])[: how.beams]
        # No text that goes on can still overtake the worst of the whole ones: its sum can only fall.
        settled = len(whole) == how.beams and whole[-1][0] >= best.values[0].item() / length**how.length_penalty
        ended: Ended | None = "length" if length == most else "token" if settled else None
        if ended == "length":
            whole += [(line.total / length**how.length_penalty, line.ids) for line in going]
        # Stop texts and several stop tokens may end all of them at once.
        first, ended = (going[0], ended) if going else over[0]
        probabilities, chances = logits[first.row].softmax(-1), seen[first.row].softmax(-1)
        top = likeliest(model, probabilities, chances, how.top, first.ids[-1])
        (token,) = model.named(first.ids[-1:])
        now = time.perf_counter()
        yield Step(
            len(prompt) + length - 1, token, float(probabilities[token.id]), top, now - start, ended, tuple(beams)
        )
        if ended:
            break
        start, lines = now, going
    return max(whole, key=lambda found: found[0])[1]
