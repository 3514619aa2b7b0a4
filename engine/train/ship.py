"""`python -m engine.train.ship NAME... --runs DIR --data DIR`: score runs and put their models into engine/weights."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch

import engine
from engine.checkpoint import FILES, WEIGHTS, sha256
from engine.registry import Bundled
from engine.train import cards, recipe, scoring


def main() -> None:
    """Score all that were named, and the bundled ones that goals compare them with; then copy each with its card."""
    options = argparse.ArgumentParser(description="Put trained models into the package.")
    options.add_argument("names", nargs="+", metavar="NAME")
    options.add_argument("--runs", type=Path, required=True, metavar="DIR")
    options.add_argument("--data", type=Path, required=True, metavar="DIR")
    options.add_argument("--threads", type=int, default=torch.get_num_threads(), help="processors to use")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    recipes = {name: recipe.read(name) for name in given.names}
    models = {name: engine.load(given.runs / name) for name in given.names}
    figures = {
        name: scoring.measure(recipes[name], models[name], given.runs / name, given.data) for name in given.names
    }
    goals = [goal for made in recipes.values() for goal in made.goals]
    for other in {goal.get("below", goal.get("at_most")) for goal in goals} - {None, *figures}:
        rival = recipe.read(other)
        figures[other] = scoring.measure(rival, engine.load(other), Bundled(other).path, given.data)
        recipes[other] = rival
    rows = scoring.rows(figures, recipes)
    print("\n".join(scoring.table(rows)))
    for name, model in models.items():
        source, target = given.runs / name, Bundled(name).path
        target.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            if (source / file).is_file():
                shutil.copyfile(source / file, target / file)
        mine = [row for row in rows if row.model == name]
        (target / "CARD.md").write_text(cards.card_text(recipes[name], model, source, mine), encoding="utf-8")
        shape = model.family.shape(model.config)
        parameters = sum(parameter.numel() for parameter in model.network.parameters())
        print(f"{name}: {parameters=:_}, {shape}, sha256={sha256(target / WEIGHTS)}")


if __name__ == "__main__":
    main()
