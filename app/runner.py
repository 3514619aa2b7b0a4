"""Where forward passes run: one at a time per device, off the event loop, and never twice for the same thing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import structlog
from torch import Tensor

import engine
from app import schemas
from app.cache import Lru
from app.downloads import Downloads, Files, not_offered, offered
from app.lanes import Lane
from app.metrics import Metrics
from app.problems import NotOffered, UnknownModel, UnknownTrace, WeightsMissing
from app.settings import BadSetting, Settings
from app.words import cut
from engine import load as load_model
from engine.budget import AFFORDABLE
from engine.checkpoint import Progress
from engine.errors import nearest
from engine.model import usable

T = TypeVar("T")
Status = Literal["loaded", "loading", "ready", "downloading", "absent"]

FALLBACK = "The animal didn't cross the street because it was too tired"
"""For models that nobody wrote examples for."""

log = structlog.get_logger("headlight.runner")


@dataclass(frozen=True)
class Recipe:
    """The request that makes a trace: small enough to remember when the trace itself has gone."""

    model: str
    text: str
    pair: str | None = None
    target: str | None = None
    patches: tuple[schemas.Patch, ...] = ()
    said: tuple[int, ...] | None = None  # token ids after the prompt, where the text was continued

    @property
    def nbytes(self) -> int:
        """Roughly what remembering it costs: Python may take four bytes a character, and some for the objects."""
        letters = sum(len(text or "") for text in (self.text, self.pair, self.target))
        places = sum(len(at) for patch in self.patches for at in (*patch.where.values(), patch.positions or ()))
        return 400 + 4 * letters + 2000 * len(self.patches) + 100 * places + 40 * len(self.said or ())


class Generation:
    """A text that is being continued, one step at a time; at its end, `recipe` makes the replay.

    Whoever stops asking stops the work: between two steps nothing runs, and others get their turn.
    """

    def __init__(self, lane: Lane, steps: engine.Steps, recipe: Recipe, metrics: Metrics) -> None:
        self._lane, self._steps, self._metrics = lane, steps, metrics
        self._said = recipe.said or ()
        self._begun = False
        self.recipe = recipe

    async def step(self) -> engine.Step | None:
        """The next token; None at the end. `Busy` where too much waits before the first."""
        admitted, self._begun = self._begun, True
        return await self._lane.run(self._next, admitted=admitted)

    def _next(self) -> engine.Step | None:
        try:
            step = next(self._steps)
        except StopIteration as end:
            self.recipe = replace(self.recipe, said=(*self._said, *end.value))
            return None
        self._metrics.generated.inc()
        return step


@dataclass(frozen=True)
class Known:
    """A model that may be asked for, loaded or not."""

    card: engine.ModelCard
    status: Status
    model: engine.Model | None
    offered: bool = False  # for download


class Runner(Protocol):
    """What the app needs of whatever runs the models; it never knows which one it has."""

    opening: str | None
    """The id of the trace that the page opens with, once `start` has made it."""

    async def start(self) -> None:
        """Load what has to be there before the first request."""
        ...

    def close(self) -> None:
        """Stop the threads, letting what runs finish."""
        ...

    def ready(self) -> bool:
        """Whether `start` is through."""
        ...

    def models(self) -> tuple[Known, ...]:
        """Every model that may be asked for."""
        ...

    def known(self, id: str) -> Known:
        """One of them; `UnknownModel` where there is none of that name."""
        ...

    async def model(self, id: str) -> engine.Model:
        """The loaded model, loading it first where need be; `WeightsMissing` where it would have to be downloaded."""
        ...

    def download(self, id: str) -> AsyncGenerator[Files, None]:
        """Bring the model's files here, telling how far that is; `NotOffered` where that is not allowed."""
        ...

    async def trace(self, recipe: Recipe) -> engine.Trace:
        """The trace that the recipe makes; `Busy` where too many are waiting."""
        ...

    async def generate(self, recipe: Recipe, how: engine.Decoding) -> Generation:
        """The text of the recipe, ready to be continued."""
        ...

    async def gradient(
        self, recipe: Recipe, trace: engine.Trace, of: engine.Logit | engine.Loss | engine.Number, address: str
    ) -> Tensor:
        """The gradient of `of` with respect to one site of a trace that the recipe made."""
        ...

    async def find(self, digest: str) -> tuple[Recipe, engine.Trace]:
        """The trace with that digest, computed again if it was let go of; `UnknownTrace` where nobody made it."""
        ...

    async def derive(self, work: Callable[[], T], *, long: bool = False) -> T:
        """Work that needs no forward pass, such as maps; `long` where it takes seconds. `Busy` where too much waits."""
        ...

    async def describe(self, work: Callable[[], T]) -> T:
        """Work of a few milliseconds, off the event loop as well: it waits for no map."""
        ...


class LocalRunner:
    """Models in this process: a bounded queue in front of one forward thread, and a byte-bounded cache of traces.

    It belongs to one event loop. `models` and `known` look at disks and only read what is here: they may be called from
    any thread, and should be called from another than the loop's.
    """

    def __init__(self, settings: Settings, metrics: Metrics, progress: Progress | None = None) -> None:
        self._settings = settings
        self._metrics = metrics
        self._progress = progress  # of what is loaded while it starts
        # A lane for each kind of work: a forward pass, a model that is being loaded and a large answer that is being
        # written delay none of the others, and nothing delays a page.
        lane = partial(Lane, torch_threads=settings.torch_threads)
        self._forward = lane(
            "forward", 1, queue=settings.queue_size, gauge=metrics.forward_waiting, histogram=metrics.forward
        )
        # Deriving takes many short steps: with more threads than processors each of them would wait for the others.
        self._deriving = Lane(
            "derive",
            settings.derive_threads,
            torch_threads=max(1, settings.torch_threads // settings.derive_threads),
            queue=settings.derive_queue_size,
            gauge=metrics.derive_waiting,
            histogram=metrics.derive,
        )
        # What takes seconds has a thread to itself, so that it delays no answer of a few milliseconds.
        self._deriving_long = Lane("derive-long", 1, torch_threads=1, queue=settings.derive_queue_size)
        self._describing = lane("describe", 2)
        self._loading = lane("load", 1)
        self._downloading = lane("download", 2)
        self._downloads = Downloads(self._downloading, metrics)
        self._offered: dict[str, engine.ModelCard] = {}
        self._cards = {card.id: card for card in engine.cards()}
        self._loaded: dict[str, engine.Model] = {}
        self._flights: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._recipes: Lru[Recipe] = Lru(settings.recipe_bytes, lambda recipe: recipe.nbytes)
        self._traces: Lru[engine.Trace] = Lru(settings.cache_bytes, lambda trace: trace.nbytes)
        self._pinned: dict[str, Recipe] = {}  # what pages and the API's description name, whoever else comes
        self._started = False
        self.opening: str | None = None

    async def start(self) -> None:
        usable(self._settings.device)
        self._offered = offered(self._settings.downloads)
        self._cards |= self._offered
        for folder in served_folders(self._settings.models, taken=self._cards):
            await self._load(str(folder))
        self._card(self._settings.default_model)  # a wrong name is for the operator to hear of now
        if self._settings.preload:
            model = await self.model(self._settings.default_model)
            recipe = opening(model.card)
            self.opening = (await self.trace(recipe)).digest  # and torch's own first-time work is done
            self._pinned[self.opening] = recipe
        self._started = True
        self._progress = None

    def close(self) -> None:
        self._downloads.stop()
        lanes = (self._downloading, self._loading, self._forward, self._deriving, self._deriving_long, self._describing)
        for lane in lanes:
            lane.close()

    def ready(self) -> bool:
        return self._started

    def models(self) -> tuple[Known, ...]:
        return tuple(map(self.known, self._cards))

    def known(self, id: str) -> Known:
        return Known(self._card(id), self._status(id), self._loaded.get(id), id in self._offered)

    async def model(self, id: str) -> engine.Model:
        card = self._card(id)
        if loaded := self._loaded.get(id):
            return loaded
        # Somebody who asks for a picture has not asked for half a gigabyte; who chose the default model has.
        if id != self._settings.default_model and await self.describe(card.status) == "absent":
            how = f"POST /api/v1/models/{id}/download brings them." if id in self._offered else not_offered(id)
            raise WeightsMissing(f"The files of {id} are not on this server yet. {how}")
        name = id if card in engine.cards() else card
        return await self._once(("model", id), lambda: self._load(name))

    async def download(self, id: str) -> AsyncGenerator[Files, None]:
        card = self._card(id)
        if await self.describe(card.status) == "ready":
            return
        if id not in self._offered:
            raise NotOffered(not_offered(id))
        async with aclosing(self._downloads.follow(card)) as steps:
            async for files in steps:
                yield files

    async def trace(self, recipe: Recipe) -> engine.Trace:
        model = await self.model(recipe.model)
        patches = [await self._patch(patch) for patch in recipe.patches]
        inputs, capture, digest = await self.describe(
            partial(prepare, model, recipe, patches, self._settings.cache_bytes)
        )
        self._recipes.put(digest, recipe)
        if trace := self._traces.get(digest):
            self._metrics.traces.labels("cached").inc()
            return trace
        if ("trace", digest) in self._flights:
            self._metrics.traces.labels("shared").inc()
        return await self._once(("trace", digest), lambda: self._compute(model, inputs, patches, capture, digest))

    async def generate(self, recipe: Recipe, how: engine.Decoding) -> Generation:
        model = await self.model(recipe.model)
        patches = [await self._patch(patch) for patch in recipe.patches]
        said = recipe.said or ()
        inputs = await self.describe(lambda: engine.prompt(model, recipe.text, target=recipe.target, said=said))
        return Generation(self._forward, engine.decode(model, inputs.tokens, how, patches), recipe, self._metrics)

    async def gradient(
        self, recipe: Recipe, trace: engine.Trace, of: engine.Logit | engine.Loss | engine.Number, address: str
    ) -> Tensor:
        model = await self.model(recipe.model)
        patches = [await self._patch(patch) for patch in recipe.patches]
        inputs = engine.Inputs(trace.tokens)  # what the decoder said is what it is held to
        work = partial(engine.gradients, model, inputs, of=of, sites=[address], patches=patches)
        return (await self._forward.run(work))[address]

    async def find(self, digest: str) -> tuple[Recipe, engine.Trace]:
        recipe = self._recipes.get(digest) or self._pinned.get(digest)
        if recipe is None:
            raise UnknownTrace()
        return recipe, self._traces.get(digest) or await self.trace(recipe)

    async def derive(self, work: Callable[[], T], *, long: bool = False) -> T:
        return await (self._deriving_long if long else self._deriving).run(work)

    async def describe(self, work: Callable[[], T]) -> T:
        return await self._describing.run(work)

    def _card(self, id: str) -> engine.ModelCard:
        if id not in self._cards:
            hint = nearest(id, self._cards) or f" Known here: {', '.join(self._cards)}."
            raise UnknownModel(f"There is no model {cut(id)!r}.{hint}")
        return self._cards[id]

    def _status(self, id: str) -> Status:
        if id in self._loaded:
            return "loaded"
        if ("model", id) in self._flights:
            return "loading"
        if self._downloads.under_way(id):
            return "downloading"
        return "ready" if self._cards[id].status() == "ready" else "absent"

    async def _load(self, name: str | engine.ModelCard) -> engine.Model:
        log.info("model.loading", model=str(getattr(name, "id", name)))
        load = partial(load_model, name, device=self._settings.device, progress=self._progress)
        model = await self._loading.run(load)
        self._loaded[model.id] = model
        self._cards[model.id] = model.card
        log.info("model.loaded", model=model.id)
        return model

    async def _patch(self, wanted: schemas.Patch) -> engine.Patch:
        """The engine's patch; a copy brings the other trace along."""
        if wanted.operation == "copy":
            assert wanted.source is not None
            _, source = await self.find(wanted.source)
            positions = None if wanted.positions is None else dict(wanted.positions)
            return await self.describe(partial(engine.Copy, wanted.address, source, positions, **wanted.where))
        if wanted.operation == "scale":
            assert wanted.factor is not None
            return engine.Scale(wanted.address, wanted.factor, **wanted.where)
        kinds: dict[str, Callable[..., engine.Patch]] = {
            "zero": engine.Zero,
            "mean": engine.Mean,
            "knockout": engine.Knockout,
        }
        return kinds[wanted.operation](wanted.address, **wanted.where)

    async def _compute(
        self,
        model: engine.Model,
        inputs: engine.Inputs,
        patches: Sequence[engine.Patch],
        capture: engine.Capture,
        digest: str,
    ) -> engine.Trace:
        def forward() -> engine.Trace:
            # Before it is computed: what is let go of and what comes need not be in memory together.
            self._traces.make_room(model.footprint(inputs, capture))
            return engine.trace(model, inputs, patches=patches, capture=capture)

        trace = await self._forward.run(forward)
        self._traces.put(digest, trace)
        self._metrics.traces.labels("computed").inc()
        self._metrics.cached.set(self._traces.weight)
        return trace

    async def _once(self, key: tuple[str, str], start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `start` gives, shared by all who ask meanwhile; one who leaves takes nothing from the others."""
        flight: asyncio.Future[T] | None = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.ensure_future(start())
            flight.add_done_callback(partial(self._land, key))
        return await asyncio.shield(flight)

    def _land(self, key: tuple[str, str], flight: asyncio.Future[Any]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # whoever asked has it; asking here keeps asyncio quiet when they have all left


def served_folders(given: Sequence[str], taken: Collection[str]) -> list[Path]:
    """The folders, each once; `BadSetting` where one could not be asked for by its name alone."""
    folders: dict[str, Path] = {}
    for text in given:
        folder = Path(text).resolve()
        if not folder.is_dir():
            raise BadSetting(f"There is no folder {text} to serve a model from.")
        if folder.name in taken or not folder.name:
            raise BadSetting(f"The folder {folder} can't be served as {folder.name!r}: that name is taken. Rename it.")
        if folders.setdefault(folder.name, folder) != folder:
            both = f"{folders[folder.name]} and {folder}"
            raise BadSetting(f"Two folders would both be served as {folder.name!r}: {both}. Rename one.")
    return list(folders.values())


def opening(card: engine.ModelCard) -> Recipe:
    """What the page opens with: the model's first example."""
    example = card.examples[0] if card.examples else engine.Example(FALLBACK)
    return Recipe(card.id, example.text, example.pair)


def prepare(
    model: engine.Model, recipe: Recipe, patches: Sequence[engine.Patch], room: int
) -> tuple[engine.Inputs, engine.Capture, str]:
    """Tokens, what to keep in so much room, and digest: cheap, and enough to know whether the trace is there."""
    if recipe.said is None:
        inputs = model.inputs(recipe.text, pair=recipe.pair, target=recipe.target)
    else:
        inputs = engine.prompt(model, recipe.text, target=recipe.target, said=recipe.said)
    capture = model.affordable(inputs, min(room or AFFORDABLE, AFFORDABLE))
    return inputs, capture, engine.digest(model, inputs, patches=patches, capture=capture)
