"""From a recipe and a data folder to a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tokenizers
import torch

from engine.checkpoint import TOKENIZER
from engine.train import vocabulary
from engine.train.data import documents, parallel
from engine.train.loop import Run
from engine.train.objectives import OBJECTIVES
from engine.train.recipe import BadRecipe, Recipe


def start(recipe: Recipe, data: Path, folder: Path, *, device: torch.device | str = "cpu") -> Run:
    """The recipe's run in `folder`, from its beginning or from where it was stopped."""
    if recipe.objective not in OBJECTIVES:
        raise BadRecipe(f"There is no objective {recipe.objective!r}. Known: {', '.join(OBJECTIVES)}.")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(recipe, data, folder)
    objective = OBJECTIVES[recipe.objective](recipe, data, tokenizer)
    return Run(recipe, folder, objective, tokenizer.get_vocab_size(), device=device)


def tokenizer_of(recipe: Recipe, data: Path, folder: Path) -> tokenizers.Tokenizer:
    """The run's tokenizer, trained on the training text when the run begins."""
    path = folder / TOKENIZER
    if not path.is_file():
        about = recipe.tokenizer
        texts = [text for source in recipe.train for row in rows(data, source) for text in row]
        vocabulary.train_bpe(texts, about["size"], about["template"]).save(str(path))
    return vocabulary.load(path)


def rows(data: Path, source: Mapping[str, object]) -> Iterator[Sequence[str]]:
    """The lines of every file that one of a recipe's sources names."""
    if "source" in source:
        yield from parallel(data, [source], ("source", "target"))
    else:
        yield from documents(data, [source])
