"""Downloads from the hub: which are allowed, and one for each model however many people wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

import engine
from app.lanes import Lane
from app.metrics import Metrics
from app.problems import NotOffered, UnknownModel
from app.settings import BadSetting
from app.words import cut
from engine.errors import nearest
from engine.registry import on_hub

Files = Mapping[str, tuple[int, int]]
"""For each file, how many bytes of it are here, and of how many."""

PULSE = 0.2
"""Seconds between two looks at how far a download is."""

EVERY = "*"

log = structlog.get_logger("headlight.downloads")


def offered(wanted: Iterable[str]) -> dict[str, engine.ModelCard]:
    """The models that may be downloaded, by id; `BadSetting` where an entry names none, or an id that is taken."""
    known = {card.id: card for card in engine.cards()}
    found: dict[str, engine.ModelCard] = {}
    for entry in wanted:
        if entry == EVERY:
            found = {id: card for id, card in known.items() if card.hub} | found
            continue
        card = known.get(entry) or on_hub(entry)
        if card is None or card.hub is None:
            hint = nearest(entry, known) or " Write a known model's id, org/name or org/name@revision."
            raise BadSetting(f"HEADLIGHT_DOWNLOADS: there is no {cut(entry)!r} on the hub.{hint}")
        for other in (found.get(card.id), known.get(card.id)):
            if other and (other.hub is None or other.hub.repository != card.hub.repository):
                both = f"{card.sources[0]} and {other.sources[0]}"
                raise BadSetting(f"HEADLIGHT_DOWNLOADS: {both} would both be called {card.id!r}. Leave one out.")
        found[card.id] = card
    return found


def choose(name: str, among: Mapping[str, engine.ModelCard]) -> engine.ModelCard:
    """The model that `name` means: an id, `org/name` or `org/name@revision`; `NotOffered` or `UnknownModel`."""
    for card in among.values():
        assert card.hub is not None
        if name in (card.id, card.hub.repository, f"{card.hub.repository}@{card.hub.revision}"):
            return card
    known = {card.id: card for card in engine.cards()}
    if name in known or on_hub(name):
        raise NotOffered(not_offered(name))
    hint = nearest(name, {**known, **among}) or f" Known here: {', '.join({**known, **among})}."
    raise UnknownModel(f"There is no model {cut(name)!r}.{hint}")


def not_offered(name: str) -> str:
    """What to do about a model that may not be downloaded."""
    return f"{cut(name)} is not among the models that may be downloaded here: HEADLIGHT_DOWNLOADS lists them."


class Abandoned(Exception):
    """Nobody waits for the download any longer."""


@dataclass(eq=False)
class Flight:
    """One download under way."""

    files: Files = field(default_factory=dict)
    watchers: int = 0
    abandoned: threading.Event = field(default_factory=threading.Event)
    work: asyncio.Future[Path] | None = None

    def watch(self, name: str, done: int, size: int) -> None:
        """Called from the download's thread."""
        if self.abandoned.is_set():
            raise Abandoned
        self.files = {**self.files, name: (done, size)}


class Downloads:
    """Downloads on a lane of their own: they delay no forward pass, no load and no answer.

    All who ask for the same model follow one download. It ends when the last of them leaves, and what has come by then
    is kept: whoever asks next goes on from there. Belongs to one event loop.
    """

    def __init__(self, lane: Lane, metrics: Metrics) -> None:
        self._lane = lane
        self._metrics = metrics
        self._flights: dict[str, Flight] = {}

    def under_way(self, id: str) -> bool:
        """Whether the model is being downloaded."""
        return id in self._flights

    async def follow(self, card: engine.ModelCard) -> AsyncGenerator[Files, None]:
        """How far the download is, as often as that changes, to its end; raises what `ModelCard.download` does."""
        while (flight := self._flights.get(card.id)) and flight.abandoned.is_set():
            assert flight.work is not None
            await asyncio.wait({flight.work})  # it stops within a few bytes; then the next one may begin
        flight = flight or self._start(card)
        assert flight.work is not None
        self._count(flight, +1)
        told: Files = {}
        try:
            while not flight.work.done():
                if flight.files != told:
                    yield (told := flight.files)
                await asyncio.wait({flight.work}, timeout=PULSE)
            flight.work.result()
            if flight.files != told:
                yield flight.files
        finally:
            self._count(flight, -1)
            if not flight.watchers:
                flight.abandoned.set()

    def stop(self) -> None:
        """End all of them, keeping what has come."""
        for flight in self._flights.values():
            flight.abandoned.set()

    def _count(self, flight: Flight, change: int) -> None:
        flight.watchers += change
        self._metrics.watchers.inc(change)

    def _start(self, card: engine.ModelCard) -> Flight:
        flight = self._flights[card.id] = Flight()
        log.info("download.started", model=card.id, source=str(card.hub))
        flight.work = asyncio.ensure_future(self._lane.run(partial(card.download, flight.watch)))
        flight.work.add_done_callback(partial(self._land, card.id, flight))
        return flight

    def _land(self, id: str, flight: Flight, work: asyncio.Future[Path]) -> None:
        del self._flights[id]
        error = None if work.cancelled() else work.exception()
        abandoned = work.cancelled() or isinstance(error, Abandoned)
        result = "abandoned" if abandoned else "failed" if error else "ready"
        self._metrics.downloads.labels(result).inc()
        detail = getattr(error, "detail", None)
        log.info("download.ended", model=id, result=result, bytes=sum(done for done, _ in flight.files.values()))
        if detail:
            log.warning("download.failed", model=id, error=type(error).__name__, detail=detail)
