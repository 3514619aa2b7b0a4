"""Every setting can be set, and is documented."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme(name: str) -> None:
    rows = [line for line in README.read_text().splitlines() if line.startswith(f"| `HEADLIGHT_{name.upper()}`")]
    assert len(rows) == 1, f"README.md needs one row for HEADLIGHT_{name.upper()}"
    described = Settings.model_fields[name].description
    assert described
    assert described in rows[0]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_readme_tells_every_default(name: str) -> None:
    (row,) = (line for line in README.read_text().splitlines() if line.startswith(f"| `HEADLIGHT_{name.upper()}`"))
    told = row.split(" | ")[1].strip("`")
    field = Settings.model_fields[name]
    default = field.default
    if field.default_factory is not None:
        assert told == "number of processors, 8 at most"
    elif isinstance(default, tuple):
        assert told == (", ".join(default) or "none")
    elif isinstance(default, bool):
        assert told == str(default).lower()
    else:
        assert told == str(default)


def test_the_readme_has_no_setting_that_is_gone() -> None:
    known = {f"HEADLIGHT_{name.upper()}" for name in Settings.model_fields}
    rows = {line.split("`")[1] for line in README.read_text().splitlines() if line.startswith("| `HEADLIGHT_")}
    assert rows == known


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_ALLOWED_HOSTS", "a.example.org, *.b.example.org")
    monkeypatch.setenv("HEADLIGHT_QUEUE_SIZE", "3")
    settings = Settings()
    assert settings.allowed_hosts == ("a.example.org", "*.b.example.org")
    assert settings.queue_size == 3


def test_a_setting_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_QUEUE_SIZE", "-1")
    with pytest.raises(ValidationError):
        Settings()


def test_the_default_is_for_this_machine_only() -> None:
    settings = Settings()
    assert set(settings.allowed_hosts) == {"localhost", "127.0.0.1", "[::1]"}
    assert settings.cors_origins == ()
    assert 1 <= settings.torch_threads <= 8
