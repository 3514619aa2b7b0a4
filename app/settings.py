"""Everything that can be set, once: a field here is `HEADLIGHT_<NAME>` in the environment and a row in the README."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from pydantic import Field
from pydantic.functional_validators import AfterValidator, BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 2**20

_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-fA-F:.]+\](:\d{1,5})?")


class BadSetting(Exception):
    """Settings with which a server can't start, in one line for whoever starts it."""


def _split(value: object) -> object:
    """A list as a person writes it in the environment: `a, b`."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def _origins(names: tuple[str, ...]) -> tuple[str, ...]:
    """As a browser compares them; anything else would end up in a header, and mean nothing there."""
    for name in names:
        if name != "*" and not _ORIGIN.fullmatch(name):
            raise ValueError(f"{name!r} is no origin: write it as https://example.org, or * for any")
    return names


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_origins)]


def _threads() -> int:
    """The processors this process may use: containers and taskset often allow fewer than the machine has."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, 8)  # a forward pass over one sentence gains nothing from more


class Settings(BaseSettings):
    """Settings of one server; lists are written with commas."""

    model_config = SettingsConfigDict(env_prefix="HEADLIGHT_", frozen=True, extra="forbid")

    default_model: str = Field(default="minilm", min_length=1, description="The model that the page opens with.")
    models: Names = Field(
        default=(),
        description="Folders with a checkpoint to serve besides the models that Headlight knows. They are loaded at "
        "startup and asked for by the folder's name.",
    )
    downloads: Names = Field(
        default=("*",),
        description="Models that may be downloaded from the Hugging Face hub: ids, `org/name` or `org/name@revision`; "
        "`*` for all that Headlight knows, empty for none.",
    )
    language: str = Field(
        default="en",
        min_length=1,
        description="The page's language for browsers that ask for none of those it has: `en`, `id`, `ko`, `pt`.",
    )
    preload: bool = Field(
        default=True, description="Load the default model at startup, so that the first visitor need not wait."
    )
    lessons: Names = Field(
        default=(),
        description="Folders with lessons of your own, `*.yaml`, besides those that come along; one with the name of "
        "another takes its place.",
    )
    device: str = Field(
        default="cpu", description="The torch device that forward passes run on, such as `cpu` or `cuda:0`."
    )
    torch_threads: int = Field(
        default_factory=_threads,
        ge=1,
        le=1024,
        description="Threads of one forward pass. By default the processors this process may use, 8 at most.",
    )
    derive_threads: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Threads that derive maps and encode answers; they share out `torch_threads`.",
    )
    queue_size: int = Field(
        default=16,
        ge=0,
        description="Forward passes that may wait; one more is answered with 503 and `Retry-After`.",
    )
    derive_queue_size: int = Field(
        default=256,
        ge=0,
        description="Answers that may wait to be derived; one more is answered with 503 and `Retry-After`.",
    )
    cache_bytes: int = Field(
        default=2048 * MIB,
        ge=0,
        description="Memory for traces, in bytes; what was not used for longest goes first. Of a text that would take "
        "more, less is kept: queries and keys last.",
    )
    recipe_bytes: int = Field(
        default=32 * MIB,
        ge=1,
        description="Memory for the requests behind the traces, in bytes: from them a trace that went is made again.",
    )
    max_body_bytes: int = Field(default=256 * 1024, ge=1, description="The longest request body, in bytes.")
    max_values: int = Field(default=8_000_000, ge=1, description="Most numbers in one binary answer or picture.")
    max_text_values: int = Field(default=500_000, ge=1, description="Most numbers in one JSON or CSV answer.")
    allowed_hosts: Names = Field(
        default=("localhost", "127.0.0.1", "[::1]"),
        description="Host names that requests may be addressed to; `*.example.org` for all subdomains, `*` for any.",
    )
    cors_origins: Names = Field(
        default=(), description="Origins whose pages may call the API, such as `https://example.org`; none by default."
    )
    embed: Origins = Field(
        default=(),
        description="Origins whose pages may show `/embed` in a frame, such as `https://example.org`; `*` for any, "
        "none by default. No other page of this server can be framed.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="Logs as JSON lines or for people; `auto` is for people on a terminal, else JSON."
    )
