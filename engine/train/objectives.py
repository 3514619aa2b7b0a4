"""What a network is trained to do: which examples there are, what a batch costs, and how good the network is on val."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Protocol

import tokenizers
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.family import Family
from engine.tap import Tap
from engine.train.batches import IGNORED, Example, bucketed, collate, mask
from engine.train.data import documents, labelled, parallel
from engine.train.decoding import greedy
from engine.train.recipe import BadRecipe, Recipe
from engine.train.vocabulary import SPECIAL, START, STOP, Cuts


def in_epoch(epoch: int, value: float | list[float]) -> float:
    """What an option says of an epoch: the same of all, or one number for each and the last for all that follow."""
    return value[min(epoch, len(value) - 1)] if isinstance(value, list) else value


def copies(share: float, draw: random.Random) -> int:
    """How often an example comes in an epoch, of which a `share` comes: the whole of it, and once more by chance."""
    return int(share) + (draw.random() < share % 1)


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

    def classes(self, hidden: Tensor) -> Tensor:
        """Logits (batch, class) of the whole text."""
        assert self.family.classify is not None
        found = self.family.classify(self.network, self.config, hidden)
        if found is None:
            raise BadRecipe("The recipe's objective is a class, but its model has no labels to choose from.")
        return found[1]


class Objective(Protocol):
    """What the loop needs to know of a task; `score` is None where the mean loss on val says how good a network is."""

    val: Sequence[Example]

    def examples(self, epoch: int) -> Sequence[Example]:
        """The training examples of that epoch, the same whenever it is asked for."""
        ...

    def loss(self, model: Trainee, batch: Mapping[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:
        """The summed loss of a batch, and of how many predictions it is the sum."""
        ...

    def score(self, model: Trainee) -> float | None:
        """How good the network is on val, more being better."""
        ...


def cross_entropy(logits: Tensor, said: Tensor, smoothing: float) -> tuple[Tensor, int]:
    """Summed over the predictions, (predictions, class) and (predictions,), and how many these are."""
    return CrossEntropy.apply(logits, said, smoothing), len(said)  # type: ignore[no-untyped-call]


class CrossEntropy(torch.autograd.Function):
    """torch's, with label smoothing (Szegedy et al. 2016), in float32 and some rows at a time.

    A large vocabulary's logits are the largest tensor of a step: what is made of some rows of them stays in the
    processor's cache, and the gradient has the logits' own type.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, said: Tensor, smoothing: float) -> Tensor:
        gradient, total = torch.empty_like(logits), logits.new_zeros((), dtype=torch.float32)
        classes = logits.shape[-1]
        for first in range(0, len(logits), ROWS):
            some = slice(first, first + ROWS)
            rows, right = logits[some], said[some, None]
            log = rows.float().log_softmax(-1)
            total -= (1 - smoothing) * log.gather(-1, right).sum()
            if smoothing:
                total -= smoothing / classes * log.sum()
            chance = log.exp_().sub_(smoothing / classes)
            gradient[some] = chance.scatter_add_(-1, right, torch.full_like(right, smoothing - 1, dtype=torch.float32))
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None, None


ROWS = 128
"""As many rows of logits at a time as leave the cache for nothing else."""


def encoded(texts: Sequence[str], tokenizer: tokenizers.Tokenizer) -> list[list[int]]:
    """The token ids of each text, without marks."""
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def flat(sentences: Iterable[list[int]]) -> list[int]:
    """The sentences' tokens one after another."""
    return list(chain.from_iterable(sentences))


def bleu(said: Sequence[str], wanted: Sequence[str]) -> float:
    """BLEU as sacrebleu counts it with its default settings (Post 2018), 0 to 100."""
    import sacrebleu  # noqa: PLC0415 (an extra, and slow to import)

    return float(sacrebleu.corpus_bleu(said, [wanted]).score)


class Translate:
    """A target for each source, token after token (Sutskever et al. 2014); judged by BLEU on val.

    With `prefix`, a source says which task it is of (Raffel et al. 2020). Besides files side by side there are
    `labelled` sentences, whose target is the label in `words`, and sentences with `gaps`, whose target is the word.
    A source's `share` and the tokens of the `longest` side may be lists, one number for each epoch and the last one for
    all that follow: among few words the right one is soon found, and longer sentences follow (as in Platanios et al.
    2019). So may a source's `weight`, a whole number: a task whose targets are short counts for little otherwise.
    """

    def __init__(self, recipe: Recipe, data: Path, tokenizer: tokenizers.Tokenizer) -> None:
        if find_spec("sacrebleu") is None:  # said now, and not at the first look at val
            raise BadRecipe(
                "Translations are judged by sacrebleu, which is not installed. "
                "Install it in the checkout with: python -m pip install -e '.[train]'."
            )
        self.tokenizer = tokenizer
        self.seed, self.longest = recipe.seed, recipe.options.get("longest", 80)
        self.sets = [(source, text_pairs(data, source)) for source in recipe.train]
        self.cuts = Cuts(tokenizer, recipe.tokenizer.get("dropout", 0.0), recipe.seed)
        self.words: dict[str, list[str]] = {}
        draw = random.Random(f"{recipe.seed} val")
        tasks = [(source, text_pairs(data, source)) for source in recipe.val]
        self.pairs = [gap(pair, draw) for _, pairs in tasks for pair in pairs]
        self.judged = sum(len(pairs) for source, pairs in tasks if "source" in source)
        sides = zip(*(encoded(side, tokenizer) for side in zip(*self.pairs, strict=True)), strict=True)
        self.val = [self.example(source, target) for source, target in sides]

    def example(self, source: list[int], target: list[int]) -> Example:
        """Token ids of both sides with the marks of start and end."""
        return {"source": [*source, STOP], "given": [START, *target], "said": [*target, STOP]}

    def examples(self, epoch: int) -> Sequence[Example]:
        draw = random.Random(f"{self.seed} examples {epoch}")
        longest, pairs, weights = in_epoch(epoch, self.longest), [], []
        for source, those in self.sets:
            share = in_epoch(epoch, source.get("share", 1))
            some = [gap(pair, draw) for pair in those for _ in range(copies(share, draw))]
            pairs += some
            weights += [in_epoch(epoch, source.get("weight", 1))] * len(some)
        found = [self.example(*(self.drawn(side, draw) for side in pair)) for pair in pairs]
        if any(weight != 1 for weight in weights):
            found = [{**one, "weight": [weight]} for one, weight in zip(found, weights, strict=True)]
        return [one for one in found if len(one["source"]) <= longest and len(one["said"]) <= longest]

    def drawn(self, text: str, draw: random.Random) -> list[int]:
        """The text's tokens, each word in one of its cuts."""
        if text not in self.words:
            self.words[text] = self.cuts.words(text)
        return [id for word in self.words[text] for id in draw.choice(self.cuts.of(word))]

    def loss(self, model: Trainee, batch: Mapping[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:
        seen = mask(batch["source"])
        memory = model.network.encode(batch["source"], seen, tap=tap)  # type: ignore[operator]
        hidden = model.network.decode(batch["given"], memory, seen, tap=tap)  # type: ignore[operator]
        wanted = batch["said"] != IGNORED
        hidden, said = hidden[wanted], batch["said"][wanted]
        if "weight" in batch:  # as if each of these had been said so many times
            times = batch["weight"].expand(wanted.shape)[wanted]
            hidden, said = hidden.repeat_interleave(times, 0), said.repeat_interleave(times)
        return cross_entropy(model.logits(hidden), said, smoothing)

    def score(self, model: Trainee) -> float:
        return bleu(self.said(model, self.judged), [target for _, target in self.pairs[: self.judged]])

    def said(self, model: Trainee, first: int | None = None) -> list[str]:
        """What the network makes of the `first` sources of val, greedily."""
        sources = [one["source"] for one in self.val[:first]]
        return self.tokenizer.decode_batch(greedy(model.family, model.network, sources, START, STOP))


GAP = "___"


def text_pairs(data: Path, source: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What goes in and what shall come out; of a sentence that a gap is yet to be cut into, nothing comes out yet."""
    prefix = source.get("prefix", "")
    if "labelled" in source:
        return [(prefix + text, source["words"][label]) for label, text in labelled(data, source["labelled"])]
    if "gaps" in source:
        return [(prefix + text, "") for (text,) in parallel(data, [source], ("gaps",))]
    return [(prefix + first, second) for first, second in parallel(data, [source], ("source", "target"))]


def gap(pair: tuple[str, str], draw: random.Random) -> tuple[str, str]:
    """The pair as it is; or, where nothing comes out yet, with a word of the sentence taken out and asked for."""
    text, target = pair
    if target:
        return pair
    prefix, _, sentence = text.rpartition(": ")
    words = sentence.split()
    at = draw.randrange(len(words))
    target = words[at].strip(".,!?\"'") or words[at]
    words[at] = words[at].replace(target, GAP, 1)
    return f"{prefix}: {' '.join(words)}", target


class NextToken:
    """Each token from those before it (Radford et al. 2019); judged by the loss on val.

    With `repeated`, that share of further examples are random tokens said twice, the second time predictable only by
    looking back at the first; a list says so epoch by epoch, its last number for all that follow.
    """

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
        again = [self.twice(draw) for _ in range(round(in_epoch(epoch, self.repeated) * len(texts)))]
        return self.cut(texts) + again

    def twice(self, draw: random.Random) -> Example:
        """Random tokens, and the same again: only the second time there is something to be learnt.

        Few are as frequent as many on a logarithmic scale: a short way back is learnt first, and makes the long one
        easy. In every second text a token comes several times, so that it takes more than one to know the place.
        """
        length = round(math.exp(draw.uniform(math.log(2), math.log(self.longest // 2 - 1))))
        different = length if draw.random() < 0.5 else max(2, round(length * draw.uniform(0.2, 1.0)))
        alphabet = [draw.randrange(len(SPECIAL), self.size) for _ in range(different)]
        once = alphabet if different == length else draw.choices(alphabet, k=length)
        return {"ids": [START, *once, *once[:-1]], "said": [IGNORED] * (len(once) + 1) + once[1:]}

    def loss(self, model: Trainee, batch: Mapping[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:
        wanted = batch["said"] != IGNORED
        hidden = model.network(batch["ids"], tap=tap)  # padding comes last, where no real token sees it
        return cross_entropy(model.logits(hidden[wanted]), batch["said"][wanted], smoothing)

    def score(self, model: Trainee) -> None:  # noqa: ARG002
        return None


SHARE = 0.15
"""Of the words are hidden where the network is judged."""


MARKS = ("[CLS]", "[SEP]", "[MASK]")
"""What stands before a text, between its parts, and for a hidden word."""


class MaskedWords:
    """Words that are hidden, and whether the second part belongs to the first (Devlin et al. 2019, section 3.1).

    A text of several sentences is cut into two segments; for half of them the second is taken from another text. Val
    hides 15 % of the words, training the `share` it is told: more of them teach more at a time (Wettig et al. 2023).
    In the first epochs, as many as `short` says, every sentence is a text of its own: what stands around a hidden word
    is sooner found in few words than in many (as in the paper's appendix A.2, where most batches are short).
    """

    def __init__(self, recipe: Recipe, data: Path, tokenizer: tokenizers.Tokenizer) -> None:
        self.seed, self.longest = recipe.seed, recipe.options.get("longest", 128)
        self.share = recipe.options.get("share", SHARE)
        self.short = recipe.options.get("short", 0)
        known = tokenizer.get_vocab()
        if missing := [mark for mark in MARKS if mark not in known]:
            raise BadRecipe(
                f"The tokenizer has no {', '.join(missing)}, which masked words need. "
                'Say kind = "wordpiece" under [tokenizer].'
            )
        self.first, self.between, self.hidden = (known[mark] for mark in MARKS)
        self.words = range(self.hidden + 1, len(known))
        self.texts = [encoded(text, tokenizer) for text in documents(data, recipe.train)]
        draw = random.Random(f"{recipe.seed} val")
        self.val_texts = [encoded(text, tokenizer) for text in documents(data, recipe.val)]
        self.val = [self.masked(*self.segments(text, None), draw, always=True) for text in self.val_texts]

    def examples(self, epoch: int) -> Sequence[Example]:
        draw = random.Random(f"{self.seed} examples {epoch}")
        texts = self.texts if epoch >= self.short else [[sentence] for text in self.texts for sentence in text]
        return [self.masked(*self.segments(text, draw, self.texts), draw) for text in texts]

    def segments(
        self, text: list[list[int]], draw: random.Random | None, others: Sequence[list[list[int]]] = ()
    ) -> tuple[list[int], list[int], int]:
        """Two segments, and 0 where the second belongs to the first, 1 where it does not, `IGNORED` without one."""
        if len(text) < 2:
            return flat(text), [], IGNORED
        if draw is None:
            return flat(text[:2]), flat(text[2:]), 0
        order = draw.sample(text, len(text))
        cut = draw.randint(1, len(order) - 1)
        other = draw.random() < 0.5
        second = draw.choice(others) if other else order
        return flat(order[:cut]), flat(second[cut:] or second), int(other)

    def masked(
        self, first: list[int], second: list[int], follows: int, draw: random.Random, *, always: bool = False
    ) -> Example:
        """One example: of the chosen words 80 % are masked, 10 % another word, 10 % as they are; or `always` masked."""
        ids = [self.first, *first[: self.longest // 2], self.between]
        start = len(ids)
        if second:
            ids += [*second[: self.longest - start - 1], self.between]
        said = [IGNORED] * len(ids)
        share = SHARE if always else self.share
        for at, id in enumerate(ids):
            if id in (self.first, self.between) or draw.random() >= share:
                continue
            said[at] = id
            fate = 0.0 if always else draw.random()
            ids[at] = self.hidden if fate < 0.8 else draw.choice(self.words) if fate < 0.9 else id
        segments = [int(at >= start) for at in range(len(ids))]
        return {"ids": ids, "segments": segments, "said": said, "follows": [follows]}

    def loss(self, model: Trainee, batch: Mapping[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:
        hidden = model.network(batch["ids"], batch["segments"], mask(batch["ids"]), tap=tap)
        wanted, follows = batch["said"] != IGNORED, batch["follows"][:, 0]
        loss, count = cross_entropy(model.logits(hidden[wanted]), batch["said"][wanted], smoothing)
        if bool((follows != IGNORED).any()):  # both tasks weigh the same
            loss = loss + count * F.cross_entropy(model.classes(hidden).float(), follows, ignore_index=IGNORED)
        return loss, count

    def score(self, model: Trainee) -> float:
        """The share of masked words on val that come first."""
        return self.found(model, 1)

    def found(self, model: Trainee, first: int, examples: Sequence[Example] | None = None) -> float:
        """The share of masked words, on val unless told otherwise, that are among the `first` likeliest."""
        right, count = 0, 0
        with torch.inference_mode():
            for batch in val_batches(self.val if examples is None else examples, model):
                hidden = model.network(batch["ids"], batch["segments"], mask(batch["ids"]))
                wanted = batch["said"] != IGNORED
                top = model.logits(hidden[wanted]).topk(first).indices
                right += int((top == batch["said"][wanted][:, None]).sum())
                count += len(top)
        return right / count


class Classify:
    """One class for each text; judged by accuracy on val."""

    def __init__(self, recipe: Recipe, data: Path, tokenizer: tokenizers.Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.train = [one for source in recipe.train for one in self.read(data, source)]
        self.val = [one for source in recipe.val for one in self.read(data, source)]

    def read(self, data: Path, source: Mapping[str, Any]) -> list[Example]:
        """The examples of one labelled file, with the marks that the tokenizer sets."""
        found = labelled(data, source["labelled"])
        encodings = self.tokenizer.encode_batch([text for _, text in found])
        return [{"ids": one.ids, "label": [label]} for one, (label, _) in zip(encodings, found, strict=True)]

    def examples(self, epoch: int) -> Sequence[Example]:  # noqa: ARG002
        return self.train

    def loss(self, model: Trainee, batch: Mapping[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:
        hidden = model.network(batch["ids"], mask=mask(batch["ids"]), tap=tap)
        return cross_entropy(model.classes(hidden), batch["label"][:, 0], smoothing)

    def score(self, model: Trainee) -> float:
        return accuracy(model, self.val)


def accuracy(model: Trainee, examples: Sequence[Example]) -> float:
    """The share of the examples whose likeliest class is the right one."""
    right = 0
    with torch.inference_mode():
        for batch in val_batches(examples, model):
            classes = model.classes(model.network(batch["ids"], mask=mask(batch["ids"])))
            right += int((classes.argmax(-1) == batch["label"][:, 0]).sum())
    return right / len(examples)


def val_batches(examples: Sequence[Example], model: Trainee, tokens: int = 8192) -> Iterable[dict[str, Tensor]]:
    """The examples in batches, where the network is."""
    device = next(model.network.parameters()).device
    for batch in bucketed(examples, tokens, "val"):
        yield collate([examples[at] for at in batch], device)


class NextNumber:
    """The number after a window of the Fibonacci series, scaled to lie between 0 and 1; judged by the squared error."""

    PARTS: ClassVar = {"train": (0.0, 0.7), "val": (0.7, 0.85), "test": (0.85, 1.0)}

    def __init__(self, recipe: Recipe, data: Path, tokenizer: None) -> None:  # noqa: ARG002
        terms, steps = recipe.options.get("terms", 1200), recipe.options.get("steps", 20)
        series = fibonacci(terms)
        windows: list[Example] = [
            {"values": series[at : at + steps], "number": [series[at + steps]]} for at in range(terms - steps)
        ]
        random.Random(f"{recipe.seed} windows").shuffle(windows)
        cuts = {part: [round(end * len(windows)) for end in ends] for part, ends in self.PARTS.items()}
        self.train, self.val, self.test = (windows[first:last] for first, last in cuts.values())

    def examples(self, epoch: int) -> Sequence[Example]:  # noqa: ARG002
        return self.train

    def loss(self, model: Trainee, batch: Mapping[str, Tensor], tap: Tap, smoothing: float) -> tuple[Tensor, int]:  # noqa: ARG002
        hidden = model.network(batch["values"][..., None], tap=tap)
        said = model.family.number(model.network, model.config, hidden)
        assert said is not None
        return F.mse_loss(said, batch["number"][:, 0], reduction="sum"), len(said)

    def score(self, model: Trainee) -> None:  # noqa: ARG002
        return None


def fibonacci(terms: int) -> list[float]:
    """The first terms of the series, divided by the last."""
    series = [1, 1]
    while len(series) < terms:
        series.append(series[-1] + series[-2])
    return [term / series[-1] for term in series]


OBJECTIVES: dict[str, Any] = {
    "translate": Translate,
    "next-token": NextToken,
    "masked-words": MaskedWords,
    "classify": Classify,
    "next-number": NextNumber,
}
