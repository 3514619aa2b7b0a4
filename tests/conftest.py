"""What tests of every kind share: a hub on loopback, and a model to put on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests import zoo
from tests.hub import Hub, point_at, serving


@pytest.fixture(autouse=True)
def _torch_threads() -> Iterator[None]:
    """A test may compute in fewer threads; the next one starts with as many as the machine has."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The zoo's folders by the names of their models, made once: whoever changes one copies it first."""
    return {folder.name: folder for folder in zoo.make(tmp_path_factory.mktemp("zoo"))}


@pytest.fixture(scope="session")
def published(folders: dict[str, Path]) -> Path:
    """A folder with a tiny random GPT-2, as `transformers` saves one."""
    return folders["tiny-gpt2"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """An empty hub that this process talks to, and an empty cache for what comes from it."""
    with serving() as hub:
        point_at(monkeypatch, hub.endpoint, tmp_path / "cache")
        yield hub
