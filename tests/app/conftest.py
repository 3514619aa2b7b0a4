"""One app with the real model for most tests, and fresh ones with other settings for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import tokenizers.models
import tokenizers.pre_tokenizers
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient

import engine
from app.main import create_app
from app.settings import Settings

FLAGSHIP = "The animal didn't cross the street because it was too tired"
MAPS = "/api/v1/traces/{id}/attention"

Serve = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture(scope="session")
def minilm() -> engine.Model:
    return engine.load("minilm")


@pytest.fixture(scope="session")
def flagship(minilm: engine.Model) -> engine.Trace:
    return engine.trace(minilm, FLAGSHIP)


@pytest.fixture(scope="session")
def serve(minilm: engine.Model) -> Iterator[Serve]:
    """Start an app with other settings; a checkpoint is read once for all of them, since models are immutable."""
    real = engine.load
    read = cache(lambda name, device: minilm if name == "minilm" else real(name, device=device))

    @contextmanager
    def start(**settings: Any) -> Iterator[TestClient]:
        app = create_app(Settings(**settings))
        with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
            yield client

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "app.runner.load_model",
            lambda name, *, device, **_: (
                real(name, device=device) if isinstance(name, engine.ModelCard) else read(str(name), device)
            ),
        )
        yield start


@pytest.fixture(scope="session")
def client(serve: Serve) -> Iterator[TestClient]:
    with serve() as client:
        yield client


@pytest.fixture(scope="session")
def app(client: TestClient) -> FastAPI:
    assert isinstance(client.app, FastAPI)
    return client.app


@pytest.fixture(scope="session")
def id(client: TestClient) -> str:
    """The flagship sentence's trace."""
    return str(make(client, FLAGSHIP)["id"])


def make(client: TestClient, text: str, **more: Any) -> Any:
    """Trace a text; the body that comes back."""
    response = client.post("/api/v1/traces", json={"text": text, **more})
    assert response.status_code == 201, response.text
    return response.json()


def problem(response: Any, status: int) -> Any:
    """The body of a problem, which always has the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert {"type", "title", "status", "detail", "instance"} <= body.keys()
    assert body["status"] == status
    assert body["type"].startswith("urn:headlight:problem:")
    assert body["detail"].endswith((".", "?"))
    assert response.request.url.path == body["instance"]
    return body


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random BERT, where a second model is needed."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "sat", "it", "##s"]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(words[:5])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
