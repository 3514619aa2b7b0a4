"""How good a trained model is: its objective's figures on val and test, and whether they reach the recipe's goals."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import engine
from engine.checkpoint import TOKENIZER
from engine.model import Model
from engine.sites import address
from engine.tap import SILENT
from engine.train import vocabulary
from engine.train.alignment import agreement
from engine.train.batches import IGNORED
from engine.train.data import documents
from engine.train.loop import train
from engine.train.objectives import (
    OBJECTIVES,
    Classify,
    MaskedWords,
    NextNumber,
    NextToken,
    Trainee,
    Translate,
    bleu,
    val_batches,
)
from engine.train.recipe import Recipe
from engine.train.start import start

Figures = dict[str, float]
"""What was measured, by name."""

SEEDS = (1, 2, 3, 4, 5)
LENGTHS = ((1, 8), (9, 12), (13, 16), (17, 1000))
"""Words of the source, for BLEU by length."""


@dataclass(frozen=True)
class Row:
    """One line of the table of scores; `goal` is None for what is only reported."""

    model: str
    metric: str
    value: float
    goal: str | None = None
    reached: bool | None = None


def rows(figures: Mapping[str, Figures], recipes: Mapping[str, Recipe]) -> list[Row]:
    """Every figure of every model beside its goal; a goal may be another model's figure."""
    found = []
    for name, measured in figures.items():
        goals = {goal["metric"]: goal for goal in recipes[name].goals}
        for metric, value in measured.items():
            goal = goals.get(metric, {})
            if "at_least" in goal:
                least = float(goal["at_least"])
                found.append(Row(name, metric, value, f"at least {least:g}", value >= least))
            elif (other := goal.get("below", goal.get("at_most"))) in figures:
                limit, strict = figures[other][metric], "below" in goal
                told = f"{'below' if strict else 'at most'} {other}"
                found.append(Row(name, metric, value, told, value < limit if strict else value <= limit))
            else:
                found.append(Row(name, metric, value))
    return found


def measure(recipe: Recipe, model: Model, folder: Path, data: Path) -> Figures:
    """Every figure of that model, whose files lie in `folder`."""
    tokenizer = vocabulary.load(folder / TOKENIZER) if recipe.tokenizer else None
    network = Trainee(model.family, model.config, model.network)

    def on(part: str) -> Any:
        """The objective with that part of the data in the place of val, and nothing to train on."""
        return OBJECTIVES[recipe.objective](replace(recipe, train=(), val=getattr(recipe, part)), data, tokenizer)

    return MEASURES[recipe.objective](recipe, model, network, data, on)


def translation(recipe: Recipe, model: Model, network: Trainee, data: Path, on: Callable[[str], Any]) -> Figures:  # noqa: ARG001
    """BLEU as sacrebleu counts it, of all and by the source's length; and the other tasks' accuracy."""
    found: Figures = {"BLEU, val": on("val").score(network)}
    objective: Translate = on("test")
    said, pairs = objective.said(network), objective.pairs
    judged = list(zip(said, pairs, strict=True))[: objective.judged]

    def score(chosen: list[tuple[str, tuple[str, str]]]) -> float:
        return bleu([one for one, _ in chosen], [target for _, (_, target) in chosen])

    found["BLEU, test"] = score(judged)
    for first, last in LENGTHS:
        some = [one for one in judged if first <= len(one[1][0].rpartition(": ")[2].split()) <= last]
        if some:
            words = f"{first} to {last}" if last < 1000 else f"{first} or more"
            found[f"BLEU, test, sources of {words} words"] = score(some)
    if any(block.kind == "additive" for block in model.blocks):
        found["alignment, words with the right source word"] = agreement(model)
    others = list(zip(said, pairs, strict=True))[objective.judged :]
    if others:
        found["sentiment, test"] = sum(one == target for one, (_, target) in others) / len(others)
    return found


def language(recipe: Recipe, model: Model, network: Trainee, data: Path, on: Callable[[str], Any]) -> Figures:
    """Perplexity per word, which does not depend on how words are cut; and what the heads do, where there are any."""
    objective: NextToken = on("val")
    total = 0.0
    with torch.inference_mode():
        for batch in val_batches(objective.val, network):
            total += float(objective.loss(network, batch, SILENT, 0.0)[0])
    words = sum(len(sentence.split()) for text in documents(data, recipe.val) for sentence in text)
    found = {"perplexity per word, val": math.exp(total / words)}
    if model.blocks:
        found |= {name: score for name, (score, _, _) in heads(model).items()}
    return found


def heads(model: Model, *, length: int = 25, texts: int = 20) -> dict[str, tuple[float, int, int]]:
    """The best previous-token head and induction head: (score, layer, head), on random tokens that are said twice.

    A head's score is the mean weight that queries in the second half give to the token before them; or to the token
    after their own previous occurrence (Olsson et al. 2022).
    """
    (block,) = model.blocks
    draw = random.Random(0)
    first = len(vocabulary.SPECIAL)
    previous = torch.zeros(block.layers, block.heads)
    induction = torch.zeros(block.layers, block.heads)
    for _ in range(texts):
        once = [draw.randrange(first, model.family.shape(model.config).vocabulary) for _ in range(length)]
        trace = engine.trace(model, ids={block.query_stack: [vocabulary.START, *once, *once]})
        queries = torch.arange(length + 1, 2 * length + 1)
        for layer in range(block.layers):
            pattern = trace[address(block.query_stack, layer, block.name, "pattern")].float()
            previous[layer] += pattern[:, queries, queries - 1].mean(-1) / texts
            induction[layer] += pattern[:, queries, queries - length + 1].mean(-1) / texts
    found = {}
    for name, scores in (("previous-token head", previous), ("induction head", induction)):
        at = int(scores.argmax())
        found[name] = (float(scores.flatten()[at]), at // block.heads, at % block.heads)
    return found


def masked_words(recipe: Recipe, model: Model, network: Trainee, data: Path, on: Callable[[str], Any]) -> Figures:  # noqa: ARG001
    """How many hidden words are guessed, beside captions of the same picture and alone; and next sentences."""
    objective: MaskedWords = on("val")
    found = {
        "masked word, top 1, val": objective.found(network, 1),
        "masked word, top 5, val": objective.found(network, 5),
    }
    draw = random.Random(f"{recipe.seed} alone")
    alone = [objective.masked(text, [], IGNORED, draw, always=True) for texts in objective.val_texts for text in texts]
    found["masked word of a caption alone, top 1, val"] = objective.found(network, 1, alone)
    texts = objective.val_texts
    pairs = [objective.masked(*objective.segments(text, draw, texts), draw, always=True) for text in texts]
    right, count = 0, 0
    with torch.inference_mode():
        for batch in val_batches(pairs, network):
            hidden = network.network(batch["ids"], batch["segments"], batch["ids"] != 0)
            right += int((network.classes(hidden).argmax(-1) == batch["follows"][:, 0]).sum())
            count += len(hidden)
    return found | {"next sentence, val": right / count}


def classes(recipe: Recipe, model: Model, network: Trainee, data: Path, on: Callable[[str], Any]) -> Figures:  # noqa: ARG001
    """Accuracy, and precision and recall of each class."""
    found: Figures = {"accuracy, val": on("val").score(network)}
    objective: Classify = on("test")
    labels = model.config.labels
    counts = torch.zeros(len(labels), len(labels))  # (said, right)
    with torch.inference_mode():
        for batch in val_batches(objective.val, network):
            said = network.classes(network.network(batch["ids"], mask=batch["ids"] != 0)).argmax(-1)
            for one, right in zip(said.tolist(), batch["label"][:, 0].tolist(), strict=True):
                counts[one, right] += 1
    found["accuracy, test"] = float(counts.trace() / counts.sum())
    for index, label in enumerate(labels):
        found[f"precision of {label}, test"] = float(counts[index, index] / counts[index].sum())
        found[f"recall of {label}, test"] = float(counts[index, index] / counts[:, index].sum())
    return found


def numbers(recipe: Recipe, model: Model, network: Trainee, data: Path, on: Callable[[str], Any]) -> Figures:  # noqa: ARG001
    """The mean squared error on test, and what five seeds come to, each trained anew."""
    objective: NextNumber = on("val")
    found = {"MSE, test": squared_error(objective, network)}
    errors: list[float] = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            run = start(replace(recipe, seed=seed), data, Path(folder))
            train(run, progress=False)
            assert isinstance(run.objective, NextNumber)
            errors.append(squared_error(run.objective, run.average))
    found["MSE, test, mean of 5 seeds"] = sum(errors) / len(errors)
    return found | {"MSE, test, median of 5 seeds": sorted(errors)[len(errors) // 2]}


def squared_error(objective: NextNumber, network: Trainee) -> float:
    """The mean squared error on test."""
    with torch.inference_mode():
        losses = [objective.loss(network, batch, SILENT, 0.0) for batch in val_batches(objective.test, network)]
    return sum(float(loss) for loss, _ in losses) / sum(count for _, count in losses)


MEASURES: dict[str, Callable[..., Figures]] = {
    "translate": translation,
    "next-token": language,
    "masked-words": masked_words,
    "classify": classes,
    "next-number": numbers,
}


TOLD = {None: "", True: "yes", False: "no"}
"""Whether a goal is reached, in a word."""


def table(lines: list[Row]) -> Iterator[str]:
    """The rows as text for a terminal."""
    cells = [("name", "metric", "value", "goal", "reached")]
    cells += [(row.model, row.metric, f"{row.value:.3g}", row.goal or "", TOLD[row.reached]) for row in lines]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
