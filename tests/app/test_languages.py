"""Which language a visitor reads: the address says it, else the reader's choice, else the browser, else the setting."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app import files
from app.languages import COOKIE, Languages
from app.settings import BadSetting
from tests.app.conftest import Serve

FOLDER = files.folder("static") / "lang"
WORDS = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}


def lang(client: TestClient, path: str = "/", **headers: str) -> str:
    """What the page says it is written in, held against everything else that says so."""
    answer = client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == 200
    found = re.search(r'<html lang="([^"]+)"', answer.text)
    assert found
    block = re.search(r'<script type="application/json" id="words">(.*?)</script>', answer.text, re.S)
    assert block
    assert json.loads(block[1]) in WORDS.values()
    assert json.loads(block[1])["language.tag"] == found[1] == answer.headers["content-language"]
    return found[1]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("", "en"),
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("pt-BR", "pt-BR"),
        ("pt-PT, en;q=0.5", "pt-BR"),
        ("id-ID;q=0.3, fr;q=0.9", "id"),
        ("en;q=0.5, id;q=0.7, ko;q=0.6", "id"),
        ("ko;q=0, id;q=0.1", "id"),
        ("fr, de;q=0.5, *;q=0.1", "en"),
        ("KO", "ko"),
        (";;q=x,,-", "en"),
        ("../en", "en"),
    ],
)
def test_the_browser_chooses(client: TestClient, asked: str, given: str) -> None:
    assert lang(client, accept_language=asked) == given


def test_a_choice_wins_over_the_browser_and_the_address_over_both(client: TestClient) -> None:
    korean = {"accept_language": "ko"}
    assert lang(client, cookie=f"{COOKIE}=id", **korean) == "id"
    assert lang(client, "/?lang=pt", cookie=f"{COOKIE}=id", **korean) == "pt-BR"
    assert lang(client, "/?lang=pt-BR", **korean) == "pt-BR"


@pytest.mark.parametrize("nonsense", ["xx", "", "../en", "<b>", "e" * 5000])
def test_a_language_that_is_not_there_is_passed_over(client: TestClient, nonsense: str) -> None:
    assert lang(client, f"/?lang={nonsense}", accept_language="ko") == "ko"


def test_the_setting_is_for_browsers_that_ask_for_nothing_we_have(serve: Serve) -> None:
    with serve(language="id", preload=False) as client:
        assert lang(client, accept_language="fr") == "id"
        assert lang(client, accept_language="en") == "en"


def test_a_default_without_words_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"HEADLIGHT_LANGUAGE.*'tlh'.*en, id, ko, pt"):
        Languages(FOLDER, "tlh")


def test_a_new_file_is_a_new_language(tmp_path: Path) -> None:
    for name in ("en", "de"):
        words = {"language.tag": name, "language.name": name, "a.b": "{x} <"}
        (tmp_path / f"{name}.json").write_text(json.dumps(words))
    languages = Languages(tmp_path, "de")
    assert list(languages) == ["de", "en"]
    assert languages["de"].t("a.b", x=1) == "1 <"
    assert "<" not in languages["de"].block
    with pytest.raises(KeyError):
        languages["de"].t("a.c")
    with pytest.raises(KeyError):
        languages["de"].t("a.b")


def test_caches_are_told_what_the_page_depends_on(client: TestClient) -> None:
    vary = client.get("/", headers={"accept-encoding": "gzip"}).headers["vary"]
    assert set(vary.split(", ")) == {"Accept-Language", "Cookie", "Accept-Encoding"}
