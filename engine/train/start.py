"""From a recipe and a data folder to a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch

from engine import registry
from engine.checkpoint import TOKENIZER, tokenizer_path
from engine.train import vocabulary
from engine.train.data import documents
from engine.train.loop import Run
from engine.train.objectives import OBJECTIVES, text_pairs
from engine.train.recipe import BadRecipe, Recipe


def start(recipe: Recipe, data: Path, folder: Path, *, device: torch.device | str = "cpu") -> Run:
    """The recipe's run in `folder`, from its beginning or from where it was stopped."""
    if recipe.objective not in OBJECTIVES:
        raise BadRecipe(f"There is no objective {recipe.objective!r}. Known: {', '.join(OBJECTIVES)}.")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(recipe, data, folder) if recipe.tokenizer else None
    objective = OBJECTIVES[recipe.objective](recipe, data, tokenizer)
    return Run(recipe, folder, objective, tokenizer.get_vocab_size() if tokenizer else None, device=device)


def tokenizer_of(recipe: Recipe, data: Path, folder: Path) -> tokenizers.Tokenizer:
    """The run's tokenizer: that of the model which it begins from, or one trained on the text when the run begins."""
    path, about = folder / TOKENIZER, recipe.tokenizer
    if not path.is_file() and "base" in about:
        shutil.copy(tokenizer_path(registry.card(about["base"]).folder()), path)
    if not path.is_file():
        texts = [text for source in recipe.train for row in rows(data, source) for text in row]
        if about.get("kind") == "wordpiece":
            made = vocabulary.train_wordpiece(texts, about["size"])
        else:
            made = vocabulary.train_bpe(texts, about["size"], about["template"])
        part = path.with_suffix(".part")  # so that whoever is stopped here leaves no half of a tokenizer
        made.save(str(part))
        part.replace(path)
    return vocabulary.load(path)


def rows(data: Path, source: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """The texts of every file that one of a recipe's sources names."""
    if {"source", "labelled", "gaps"} & set(source):
        yield from text_pairs(data, {"words": ("", ""), **source})
    else:
        yield from documents(data, [source])
