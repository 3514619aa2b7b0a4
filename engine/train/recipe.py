"""A recipe: everything that makes a model, in one small file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.errors import EngineError, nearest


class BadRecipe(EngineError):
    """A recipe that can't be followed."""

    title = "The recipe can not be followed"


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. A step is one batch of at most `tokens` tokens, padding included.

    The learning rate climbs to `peak` over `warmup` steps and falls along a cosine to zero. With a `restart`, or
    several, it is at zero by that step, and does the same once more until the next one or the end. Every `evaluate`
    steps the running average of the weights (decay `average`) is held against val; training ends early once it was not
    better `patience` times in a row.
    """

    steps: int
    warmup: int = 400
    peak: float = 1e-3
    restart: int | list[int] = 0
    tokens: int = 8192
    evaluate: int = 500
    patience: int = 10
    weight_decay: float = 0.01
    clip: float = 1.0
    smoothing: float = 0.0  # of labels
    average: float = 0.999
    embedding: float = 0.02  # standard deviation of the first embeddings
    embedding_pace: float = 1.0  # their learning rate, as a multiple of everybody else's
    forget: float = 0.0  # added to the first bias of an LSTM's forget gates (Jozefowicz et al. 2015)
    positions: str = "random"  # how learned positions begin: so, or as "sinusoids"
    mixed: bool = True  # bfloat16 where the machine computes with it

    def __post_init__(self) -> None:
        if any(later <= earlier for earlier, later in pairwise([0, *self.restarts, self.steps])):
            raise ValueError(f"restart = {self.restart} is to lie between 0 and steps = {self.steps}, in order")

    @property
    def restarts(self) -> list[int]:
        """The steps at which the learning rate climbs again."""
        return self.restart if isinstance(self.restart, list) else [self.restart] * bool(self.restart)


@dataclass(frozen=True)
class Recipe:
    """What a recipe file says.

    `model` is the config.json to be; in it `"$vocabulary"` stands for the tokenizer's size and `"$none"` for null.
    `train`, `val` and `test` name data files, see engine/train/data.py. `dropout` gives a rate to patterns of sites,
    `options` are the objective's own. The weights may begin as those of the model `base`; then what is written is only
    what was `trainable`, as patterns of parameters' names. `goals` say how good it shall be (see scoring.py); `about`,
    `look` and `limits` are sentences for the model's card.
    """

    name: str
    objective: str
    model: Mapping[str, Any]
    schedule: Schedule
    train: tuple[Mapping[str, Any], ...] = ()
    val: tuple[Mapping[str, Any], ...] = ()
    test: tuple[Mapping[str, Any], ...] = ()
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    dropout: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    goals: tuple[Mapping[str, Any], ...] = ()
    about: str = ""
    look: str = ""
    limits: str = ""
    base: str | None = None
    trainable: tuple[str, ...] = ("*",)
    seed: int = 1

    def to_json(self) -> str:
        """The recipe as text, without what is at its default: a run goes on only under the recipe it was begun with."""
        said = {name: value for name, value in told(self).items() if name not in ("goals", "about", "look", "limits")}
        return json.dumps(said | {"schedule": told(self.schedule)}, sort_keys=True)


def told(part: Recipe | Schedule) -> dict[str, Any]:
    """The fields that are not at their default."""
    defaults = {known.name: known.default for known in fields(part)}
    return {name: value for name, value in vars(part).items() if value != defaults[name] and value not in ({}, ())}


def bundled() -> dict[str, Path]:
    """The recipes that come along, by name."""
    folder = Path(str(resources.files("engine.train") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read(name: str | Path) -> Recipe:
    """The recipe of that name, or in that file; `BadRecipe` where there is none or it is not understood."""
    known = bundled()
    path = known.get(str(name), Path(name))
    if not path.is_file():
        raise BadRecipe(
            f"There is no recipe {str(name)!r}.{nearest(str(name), known)} Known: {', '.join(known)}; or give a file."
        )
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        schedule = Schedule(**found.pop("schedule"))
        train, val, test = (tuple(found.pop(part, ())) for part in ("train", "val", "test"))
        found["goals"] = tuple(found.get("goals", ()))
        found["trainable"] = tuple(found.get("trainable", Recipe.trainable))
        return Recipe(name=found.pop("name", path.stem), schedule=schedule, train=train, val=val, test=test, **found)
    except KeyError as error:
        raise BadRecipe(f"{path} lacks {error}.") from None
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise BadRecipe(f"{path} is not understood: {error}.") from None
