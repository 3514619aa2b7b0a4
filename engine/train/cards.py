"""CARD.md: what a trained model is, what made it, how good it is, and what to look for in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors import safe_open

from engine.model import Model
from engine.train.loop import STATE, Progress
from engine.train.recipe import Recipe
from engine.train.scoring import TOLD, Row
from engine.train.sources import TERMS


def card_text(recipe: Recipe, model: Model, folder: Path, rows: Sequence[Row]) -> str:
    """The card of the model that was trained into `folder`."""
    shape = model.family.shape(model.config)
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    files = list(dict.fromkeys(name.partition(":")[0] for name in named(recipe)))
    terms = [text for begins, text in TERMS.items() if any(name.startswith(begins) for name in files)]
    state = progress(folder)
    lines = [
        f"# {recipe.name}",
        "",
        recipe.about,
        "",
        "| | |",
        "|---|---|",
        f"| architecture | {model.family.name}: layers {shape.layers}, heads {shape.heads}, width {shape.width} |",
        f"| parameters | {parameters:,} |",
        f"| data | {', '.join(files) or 'generated'} |",
        *(f"| terms | {text} |" for text in terms),
        f"| recipe | engine/train/recipes/{recipe.name}.toml, seed {recipe.seed} |",
        f"| training | {state.step:,} steps in {state.seconds / 60:.0f} minutes on {os.cpu_count()} shared CPU cores |",
        *([f"| begun from | {recipe.base}, of which the rest of the weights comes |"] if recipe.base else []),
        "",
        "## Scores",
        "",
        "| metric | value | goal | reached |",
        "|---|---|---|---|",
        *(f"| {row.metric} | {row.value:.3g} | {row.goal or ''} | {TOLD[row.reached]} |" for row in rows),
        "",
        "The checkpoint was chosen on val; the recipe was not changed for any figure on test.",
        "",
        "## What to look for",
        "",
        recipe.look,
        "",
        "## Limits",
        "",
        recipe.limits,
    ]
    return "\n".join(lines) + "\n"


def named(recipe: Recipe) -> Iterator[str]:
    """The data files that the recipe names."""
    for source in (*recipe.train, *recipe.val, *recipe.test):
        for value in source.values():
            yield from (one for one in (value if isinstance(value, list) else [value]) if "/" in str(one))


def progress(folder: Path) -> Progress:
    """How far the training in that folder went."""
    with safe_open(folder / STATE, framework="pt") as file:
        return Progress(**json.loads(file.metadata()["progress"]))
