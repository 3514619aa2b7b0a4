"""Where forward passes run: one at a time per device, off the event loop, and never twice for the same thing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import structlog
import torch

import engine
from app import schemas
from app.cache import Lru
from app.metrics import Metrics
from app.problems import Busy, UnknownModel, UnknownTrace, did_you_mean
from app.settings import Settings
from engine import load as load_model

T = TypeVar("T")
Status = Literal["loaded", "loading", "ready", "absent"]

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

    @property
    def nbytes(self) -> int:
        """Roughly what remembering it costs: Python may take four bytes a character, and some for the objects."""
        letters = sum(len(text or "") for text in (self.text, self.pair, self.target))
        places = sum(len(at) for patch in self.patches for at in (*patch.where.values(), patch.positions or ()))
        return 400 + 4 * letters + 2000 * len(self.patches) + 100 * places


@dataclass(frozen=True)
class Known:
    """A model that may be asked for, loaded or not."""

    card: engine.ModelCard
    status: Status
    model: engine.Model | None


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
        """The loaded model, loading it first where need be."""
        ...

    async def trace(self, recipe: Recipe) -> engine.Trace:
        """The trace that the recipe makes; `Busy` where too many are waiting."""
        ...

    async def find(self, digest: str) -> tuple[Recipe, engine.Trace]:
        """The trace with that digest, computed again if it was let go of; `UnknownTrace` where nobody made it."""
        ...

    async def derive(self, work: Callable[[], T]) -> T:
        """Work that needs no forward pass, away from the event loop."""
        ...


class LocalRunner:
    """Models in this process: a bounded queue in front of one forward thread, and a byte-bounded cache of traces.

    Its methods belong to one event loop; only what is handed to an executor runs on another thread.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        # Threads of their own, so that neither a forward pass nor a model that is being loaded delays an answer that is
        # already known. torch counts its threads per calling thread: each of ours has to say it.
        threads = partial(torch.set_num_threads, settings.torch_threads)
        self._forward = ThreadPoolExecutor(1, "forward", initializer=threads)
        self._deriving = ThreadPoolExecutor(settings.derive_threads, "derive", initializer=threads)
        self._loading = ThreadPoolExecutor(1, "load", initializer=threads)
        self._cards = {card.id: card for card in engine.cards()}
        self._loaded: dict[str, engine.Model] = {}
        self._flights: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._waiting = 0
        self._seconds = 1.0  # a running mean of one forward pass: what Retry-After is made of
        self._recipes: Lru[Recipe] = Lru(settings.recipe_bytes, lambda recipe: recipe.nbytes)
        self._traces: Lru[engine.Trace] = Lru(settings.cache_bytes, lambda trace: trace.nbytes)
        self._started = False
        self.opening: str | None = None

    async def start(self) -> None:
        for folder in self._settings.models:
            model = await self._load(folder)
            self._cards[model.id] = model.card
        self.known(self._settings.default_model)  # a wrong name is for the operator to hear of now
        if self._settings.preload:
            model = await self.model(self._settings.default_model)
            self.opening = (await self.trace(opening(model.card))).digest  # and torch's own first-time work is done
        self._started = True

    def close(self) -> None:
        for executor in (self._loading, self._forward, self._deriving):
            executor.shutdown(wait=True, cancel_futures=True)

    def ready(self) -> bool:
        return self._started

    def models(self) -> tuple[Known, ...]:
        return tuple(map(self.known, self._cards))

    def known(self, id: str) -> Known:
        if id not in self._cards:
            raise UnknownModel(f"There is no model {id!r}. {did_you_mean(id, self._cards)}")
        return Known(self._cards[id], self._status(id), self._loaded.get(id))

    async def model(self, id: str) -> engine.Model:
        loaded = self.known(id).model
        return loaded if loaded else await self._once(("model", id), lambda: self._load(id))

    async def trace(self, recipe: Recipe) -> engine.Trace:
        model = await self.model(recipe.model)
        patches = [await self._patch(patch) for patch in recipe.patches]
        inputs, digest = await self.derive(partial(prepare, model, recipe, patches))
        if digest not in self._recipes:
            self._recipes.put(digest, recipe)
        if trace := self._traces.get(digest):
            self._metrics.traces.labels("cached").inc()
            return trace
        if ("trace", digest) in self._flights:
            self._metrics.traces.labels("shared").inc()
        return await self._once(("trace", digest), lambda: self._compute(model, inputs, patches, digest))

    async def find(self, digest: str) -> tuple[Recipe, engine.Trace]:
        recipe = self._recipes.get(digest)
        if recipe is None:
            raise UnknownTrace()
        return recipe, self._traces.get(digest) or await self.trace(recipe)

    async def derive(self, work: Callable[[], T]) -> T:
        return await _on(self._deriving, work)

    def _status(self, id: str) -> Status:
        if id in self._loaded:
            return "loaded"
        if ("model", id) in self._flights:
            return "loading"
        return "ready" if self._cards[id].status() == "ready" else "absent"

    async def _load(self, name: str) -> engine.Model:
        log.info("model.loading", model=name)
        load = partial(load_model, name, device=self._settings.device)
        model, seconds = await _on(self._loading, partial(timed, load))
        self._loaded[model.id] = model
        log.info("model.loaded", model=name, seconds=round(seconds, 3))
        return model

    async def _patch(self, wanted: schemas.Patch) -> engine.Patch:
        """The engine's patch; a copy brings the other trace along."""
        if wanted.operation == "copy":
            assert wanted.source is not None
            _, source = await self.find(wanted.source)
            positions = None if wanted.positions is None else dict(wanted.positions)
            return await self.derive(partial(engine.Copy, wanted.address, source, positions, **wanted.where))
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
        self, model: engine.Model, inputs: engine.Inputs, patches: Sequence[engine.Patch], digest: str
    ) -> engine.Trace:
        if self._waiting > self._settings.queue_size:  # one runs, the others wait
            wait = max(1, round(self._waiting * self._seconds))
            raise Busy(
                f"{self._waiting} forward passes are under way. Try again in {wait} seconds.",
                headers={"retry-after": str(wait)},
            )
        self._count(+1)
        try:
            trace, seconds = await _on(
                self._forward, partial(timed, partial(engine.trace, model, inputs, patches=patches))
            )
        finally:
            self._count(-1)
        self._seconds += (seconds - self._seconds) / 8
        self._traces.put(digest, trace)
        self._metrics.traces.labels("computed").inc()
        self._metrics.forward.observe(seconds)
        self._metrics.cached.set(self._traces.weight)
        return trace

    def _count(self, change: int) -> None:
        self._waiting += change
        self._metrics.waiting.set(self._waiting)

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


def opening(card: engine.ModelCard) -> Recipe:
    """What the page opens with: the model's first example."""
    example = card.examples[0] if card.examples else engine.Example(FALLBACK)
    return Recipe(card.id, example.text, example.pair)


async def _on(executor: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work)


def prepare(model: engine.Model, recipe: Recipe, patches: Sequence[engine.Patch]) -> tuple[engine.Inputs, str]:
    """Tokens and digest of a recipe: cheap, and enough to know whether the trace is already there."""
    inputs = model.inputs(recipe.text, pair=recipe.pair, target=recipe.target)
    return inputs, engine.digest(model, inputs, patches=patches)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What `work` gives, and the seconds it took."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started
