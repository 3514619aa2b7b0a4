"""Everything that can be set, once: a field here is `HEADLIGHT_<NAME>` in the environment and a row in the README."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic.functional_validators import BeforeValidator

MIB = 2**20


def _split(value: object) -> object:
    """`a, b` as a person writes a list in the environment; JSON lists are left to nobody."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def _threads() -> int:
    """The processors this process may use: containers and taskset often allow fewer than the machine has."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, 8)  # a forward pass over one sentence gains nothing from more


class Settings(BaseSettings):
    """Settings of one server; lists are written with commas."""

    model_config = SettingsConfigDict(env_prefix="HEADLIGHT_", frozen=True, extra="ignore")

    default_model: str = Field("minilm", min_length=1, description="The model that the page opens with.")
    models: Names = Field(
        (),
        description="Folders with a checkpoint to serve besides the models that Headlight knows; loaded at startup, and "
        "asked for by the folder's name.",
    )
    preload: bool = Field(True, description="Load the default model at startup, so that the first visitor need not wait.")
    device: str = Field("cpu", description="The torch device that forward passes run on, such as `cpu` or `cuda:0`.")
    torch_threads: int = Field(
        default_factory=_threads, ge=1, le=1024, description="Threads of one forward pass: the usable processors, at most 8."
    )
    derive_threads: int = Field(2, ge=1, le=64, description="Threads that derive maps and encode answers.")
    queue_size: int = Field(16, ge=0, description="Forward passes that may wait; one more is answered with 503.")
    cache_bytes: int = Field(512 * MIB, ge=0, description="Memory for traces, in bytes; the least recently used go first.")
    recipe_bytes: int = Field(32 * MIB, ge=1, description="Memory for the requests that made them, in bytes, so that a trace that went can be computed again.")
    max_body_bytes: int = Field(256 * 1024, ge=1, description="The longest request body, in bytes.")
    max_values: int = Field(8_000_000, ge=1, description="Most numbers in one binary answer or picture.")
    max_text_values: int = Field(2_000_000, ge=1, description="Most numbers in one JSON or CSV answer.")
    allowed_hosts: Names = Field(
        ("localhost", "127.0.0.1", "[::1]"),
        description="Host names that requests may be addressed to; `*.example.org` for all subdomains, `*` for any.",
    )
    cors_origins: Names = Field((), description="Origins whose pages may call the API, such as `https://example.org`; none.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Logs as JSON lines or for people; `auto` writes for people only on a terminal."
    )
