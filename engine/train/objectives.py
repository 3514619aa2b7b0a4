"""What a network is trained to do: which examples there are, what a batch costs, and how good the network is on val."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import tokenizers
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.family import Family
from engine.tap import Tap
from engine.train import vocabulary
from engine.train.batches import IGNORED, Example, mask
from engine.train.data import documents, parallel
from engine.train.decoding import greedy
from engine.train.recipe import Recipe
from engine.train.vocabulary import START, STOP


@dataclass(frozen=True)
class Trainee:
    """A network in training, and what knows how to use it."""

    family: Family
    config: Any
    network: nn.Module

    def logits(self, hidden: Tensor) -> Tensor:
        """What the head makes of hidden states."""
        assert self.family.head is not None
        return self.family.head(self.network, hidden)


class Objective(Protocol):
    """What the loop needs to know of a task."""

    higher: bool  # whether a higher score is better
    val: Sequence[Example]

    def examples(self, epoch: int) -> Sequence[Example]:
        """The training examples of that epoch, the same whenever it is asked for."""
        ...

    def loss(self, model: Trainee, batch: dict[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:
        """The summed loss of a batch, and of how many predictions it is the sum."""
        ...

    def score(self, model: Trainee) -> float | None:
        """How good the network is on val, or None where the mean loss on val says it."""
        ...


def cross_entropy(logits: Tensor, said: Tensor, smoothing: float) -> tuple[Tensor, int]:
    """Summed over the predictions, (predictions, class) and (predictions,), and how many these are."""
    return F.cross_entropy(logits.float(), said, reduction="sum", label_smoothing=smoothing), len(said)


class Translate:
    """A target for each source, token after token (Sutskever et al. 2014); judged by BLEU on val."""

    higher = True

    def __init__(self, recipe: Recipe, data: Path, tokenizer: tokenizers.Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.seed, self.longest = recipe.seed, recipe.options.get("longest", 80)
        self.sets = [
            (float(source.get("share", 1)), parallel(data, [source], ("source", "target"))) for source in recipe.train
        ]
        self.pairs = parallel(data, recipe.val, ("source", "target"))
        self.val = [
            self.example(*(tokenizer.encode(side, add_special_tokens=False).ids for side in p)) for p in self.pairs
        ]
        rate = recipe.tokenizer.get("dropout", 0.0)
        self.cuts = vocabulary.Cuts(tokenizer, rate, recipe.seed)
        self.words: dict[str, list[str]] = {}

    def example(self, source: list[int], target: list[int]) -> Example:
        """Token ids of both sides with the marks of start and end."""
        return {"source": [*source, STOP], "given": [START, *target], "said": [*target, STOP]}

    def examples(self, epoch: int) -> Sequence[Example]:
        draw = random.Random(f"{self.seed} examples {epoch}")
        pairs = [pair for share, pairs in self.sets for pair in pairs if draw.random() < share]
        found = [self.example(*(self.drawn(side, draw) for side in pair)) for pair in pairs]
        return [one for one in found if len(one["source"]) <= self.longest and len(one["said"]) <= self.longest]

    def drawn(self, text: str, draw: random.Random) -> list[int]:
        """The text's tokens, each word in one of its cuts."""
        if text not in self.words:
            self.words[text] = self.cuts.words(text)
        return [id for word in self.words[text] for id in draw.choice(self.cuts.of(word))]

    def loss(self, model: Trainee, batch: dict[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:
        seen = mask(batch["source"])
        memory = model.network.encode(batch["source"], seen, tap=tap)  # type: ignore[operator]
        hidden = model.network.decode(batch["given"], memory, seen, tap=tap)  # type: ignore[operator]
        wanted = batch["said"] != IGNORED
        return cross_entropy(model.logits(hidden[wanted]), batch["said"][wanted], smoothing)

    def score(self, model: Trainee) -> float:
        import sacrebleu  # noqa: PLC0415 (an extra, and slow to import)

        said = greedy(model.network, model.logits, [one["source"] for one in self.val], START, STOP)
        texts = self.tokenizer.decode_batch(said)
        return float(sacrebleu.corpus_bleu(texts, [[target for _, target in self.pairs]]).score)


class NextToken:
    """Each token from those before it (Radford et al. 2019); judged by the loss on val.

    With `repeated`, that share of further examples are random tokens said twice, the second time predictable only by
    looking back at the first.
    """

    higher = False

    def __init__(self, recipe: Recipe, data: Path, tokenizer: tokenizers.Tokenizer) -> None:
        self.seed, self.longest = recipe.seed, recipe.options.get("longest", 128)
        self.repeated = recipe.options.get("repeated", 0.0)
        self.size = tokenizer.get_vocab_size()
        self.texts = [encoded(text, tokenizer) for text in documents(data, recipe.train)]
        self.val = self.cut([flat(encoded(text, tokenizer)) for text in documents(data, recipe.val)])

    def cut(self, texts: list[list[int]]) -> list[Example]:
        """Each text from its start to its stop, in pieces that are not too long."""
        found: list[Example] = []
        for text in texts:
            marked = [START, *text, STOP]
            for first in range(0, len(marked) - 1, self.longest):
                piece = marked[first : first + self.longest + 1]
                found.append({"ids": piece[:-1], "said": piece[1:]})
        return found

    def examples(self, epoch: int) -> Sequence[Example]:
        draw = random.Random(f"{self.seed} examples {epoch}")
        texts = [flat(draw.sample(text, len(text))) for text in self.texts]
        again = [self.twice(draw) for _ in range(round(self.repeated * len(texts)))]
        return self.cut(texts) + again

    def twice(self, draw: random.Random) -> Example:
        """Random tokens, and the same again: only the second time there is something to be learnt."""
        once = [
            draw.randrange(len(vocabulary.SPECIAL), self.size) for _ in range(draw.randint(8, self.longest // 2 - 1))
        ]
        return {"ids": [START, *once, *once[:-1]], "said": [IGNORED] * (len(once) + 1) + once[1:]}

    def loss(self, model: Trainee, batch: dict[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:
        wanted = batch["said"] != IGNORED
        hidden = model.network(batch["ids"], tap=tap)  # padding comes last, where no real token sees it
        return cross_entropy(model.logits(hidden[wanted]), batch["said"][wanted], smoothing)

    def score(self, model: Trainee) -> None:  # noqa: ARG002
        return None


def encoded(text: list[str], tokenizer: tokenizers.Tokenizer) -> list[list[int]]:
    """The token ids of each sentence of a text, without marks."""
    return [encoding.ids for encoding in tokenizer.encode_batch(text, add_special_tokens=False)]


def flat(sentences: Iterable[list[int]]) -> list[int]:
    """The sentences' tokens one after another."""
    return list(chain.from_iterable(sentences))


OBJECTIVES: dict[str, Any] = {"translate": Translate, "next-token": NextToken}
