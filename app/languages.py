"""The languages that the pages are written in: a file of words for each, and which of them a visitor reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markupsafe import Markup
from starlette.requests import Request

from app import wire
from app.settings import BadSetting

COOKIE = "headlight-language"
"""Where a browser keeps the language that its reader chose."""

VARY = "Accept-Language, Cookie"


def data_block(body: bytes) -> Markup:
    """JSON that can stand inside a script element: no `</script>`, no `<!--`, and nothing else that starts with `<`."""
    return Markup(body.decode().replace("<", "\\u003c"))


@dataclass(frozen=True)
class Language:
    """One file of words; `name` is the file's, such as `pt`."""

    name: str
    words: Mapping[str, str]

    @property
    def tag(self) -> str:
        """What `<html lang>` says, such as `pt-BR`."""
        return self.words["language.tag"]

    @property
    def own_name(self) -> str:
        """What its speakers call it."""
        return self.words["language.name"]

    def t(self, key: str, **values: object) -> str:
        """The words under a key, with `{name}` filled in; KeyError where there is no such key or value."""
        return self.words[key].format_map(values)

    @cached_property
    def block(self) -> Markup:
        """All words as JSON for static/js/words.js."""
        return data_block(json.dumps(self.words, ensure_ascii=False).encode())


class Languages(Mapping[str, Language]):
    """Every language by its name; `BadSetting` where the default has no file."""

    def __init__(self, folder: Path, default: str) -> None:
        files = sorted(folder.glob("*.json"))
        self._known = {file.stem: Language(file.stem, json.loads(file.read_text("utf-8"))) for file in files}
        if default not in self._known:
            raise BadSetting(f"HEADLIGHT_LANGUAGE: there are no words for {default!r}. Set one of {', '.join(self)}.")
        self._default = default

    def __getitem__(self, name: str) -> Language:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def of(self, request: Request) -> Language:
        """The visitor's: as the address says, else as was chosen, else as the browser asks for, else the default."""
        for asked in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
            if found := self._find(asked or ""):
                return found
        liked = wire.qualities(wire.joined(request.headers, "accept-language"))
        for tag in sorted((tag for tag in liked if liked[tag] > 0), key=lambda tag: -liked[tag]):
            if found := self._find(tag):
                return found
        return self[self._default]

    def called(self, tag: str) -> str:
        """What its speakers call a language, or its tag where there are no words in it."""
        found = self._find(tag)
        return found.own_name if found else tag

    def _find(self, tag: str) -> Language | None:
        """By a tag such as `pt-PT`: the language is what counts where the country has no file of its own."""
        name = tag.lower()
        return self._known.get(name) or self._known.get(name.partition("-")[0])
