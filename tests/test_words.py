"""The page's words: every language has all of them, every one is used, and none is written anywhere else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests import scripts

ROOT = Path(__file__).parent.parent
CATALOGUES = {file.stem: json.loads(file.read_text()) for file in sorted((ROOT / "static" / "lang").glob("*.json"))}
ENGLISH = CATALOGUES["en"]
OTHERS = sorted(CATALOGUES.keys() - {"en"})
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").rglob("*.js"))

FORMS = ("zero", "one", "two", "few", "many", "other")
PLURALS = {"en": {"one", "other"}, "id": {"other"}, "ko": {"other"}, "pt": {"one", "other"}}
"""Which forms a language tells apart; millions in Portuguese are told like other numbers."""

IN_TEMPLATES = re.compile(r"""\bpage\.t\(([^,)]+)""")
IN_SCRIPTS = re.compile(r"""\b(?:t|phrase)\(\s*`([^`]*)`|\b(?:t|phrase)\(([^()]*)""")
KEY = re.compile(r'"([a-z]+(?:\.[\w-]+)+)"')
READ_BY_THE_SERVER = {"language.name", "language.tag"}


def stem(key: str) -> str:
    """A key without its plural form."""
    head, _, last = key.rpartition(".")
    return head if last in FORMS else key


def holes(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def asked() -> dict[str, str]:
    """Every key that a template or script asks for, as a pattern, with the file that does."""
    found = {}
    for file in TEMPLATES:
        for expression in IN_TEMPLATES.findall(file.read_text()):
            parts = [part.strip() for part in expression.split("~")]
            pattern = "".join(re.escape(part[1:-1]) if part[0] in "\"'" else r"[\w-]+" for part in parts)
            found[pattern] = file.relative_to(ROOT).as_posix()
    for file in SCRIPTS:
        for template, arguments in IN_SCRIPTS.findall(file.read_text()):
            patterns = [r"[\w-]+".join(map(re.escape, re.split(r"\$\{.*?\}", template)))] if template else []
            for pattern in patterns + [re.escape(key) for key in KEY.findall(arguments)]:
                found[pattern] = file.relative_to(ROOT).as_posix()
    return found


@pytest.mark.parametrize("name", OTHERS)
def test_every_language_has_the_same_keys(name: str) -> None:
    assert {stem(key) for key in CATALOGUES[name]} == {stem(key) for key in ENGLISH}


@pytest.mark.parametrize("name", OTHERS)
def test_every_language_leaves_the_same_holes(name: str) -> None:
    english: dict[str, set[str]] = {}
    for key, text in ENGLISH.items():
        english.setdefault(stem(key), set()).update(holes(text))
    for key, text in CATALOGUES[name].items():
        said = {"count"} if stem(key) != key and not key.endswith(".other") else set()  # "the only head"
        assert english[stem(key)] - said <= holes(text) <= english[stem(key)], key


@pytest.mark.parametrize("name", sorted(CATALOGUES))
def test_every_plural_has_the_forms_of_its_language(name: str) -> None:
    forms: dict[str, set[str]] = {}
    for key in CATALOGUES[name]:
        if stem(key) != key:
            forms.setdefault(stem(key), set()).add(key.rpartition(".")[2])
    assert not [stem for stem, found in forms.items() if found != PLURALS[name]]
    plural = {stem(key) for key in ENGLISH if stem(key) != key}
    assert set(forms) == plural, "what is counted in one language is counted in all"


@pytest.mark.parametrize("name", sorted(CATALOGUES))
def test_words_are_whole_and_keys_in_order(name: str) -> None:
    for key, text in CATALOGUES[name].items():
        assert re.fullmatch(r"[a-z]+(\.[\w-]+)+", key)
        assert text == text.strip()
        assert text, key
        assert "  " not in text, key
    areas = [key.partition(".")[0] for key in ENGLISH]
    assert [key for key in areas if key != "language"] == sorted(key for key in areas if key != "language")
    order = [stem(key) for key in CATALOGUES[name]]
    assert list(dict.fromkeys(order)) == list(dict.fromkeys(stem(key) for key in ENGLISH)), "in the order of en.json"


def test_every_key_is_asked_for_somewhere() -> None:
    patterns = [re.compile(pattern) for pattern in asked()]
    written = {word for file in SCRIPTS for word in KEY.findall(file.read_text())}
    unused = [
        key
        for key in {stem(key) for key in ENGLISH} - READ_BY_THE_SERVER - written
        if not any(pattern.fullmatch(key) for pattern in patterns)
    ]
    assert sorted(unused) == []


def test_every_key_that_is_asked_for_exists() -> None:
    known = {stem(key) for key in ENGLISH}
    missing = {
        pattern: file for pattern, file in asked().items() if not any(re.fullmatch(pattern, key) for key in known)
    }
    assert missing == {}


SAME_EVERYWHERE = {"Headlight", "Shift", "Ctrl", "Enter", "Esc", "PgDn", "PgUp", *"BCFGHIPS"}
SAME_EVERYWHERE |= {"MB", "ms", "CSV", "JSON", "safetensors", "tanh", "Attn", "FFN"}
"""Names, what is printed on keys, units and functions."""

READ_OUT = {"title", "aria-label", "aria-description", "aria-valuetext", "aria-roledescription", "placeholder", "alt"}


class Bare(HTMLParser):
    """Collects what a reader would see or hear of a template that does not come from the catalogue."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)
        read = READ_OUT | ({"content"} if ("name", "description") in attrs else set())
        read |= {"label"} if tag in ("optgroup", "option", "track") else set()
        for name, value in attrs:
            if name in read:
                self.handle_data(value or "")

    def handle_data(self, data: str) -> None:
        if self.inside[-1:] != ["script"]:
            self.found += [word for word in re.findall(r"[^\W\d_]+", data) if word not in SAME_EVERYWHERE]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            self.inside = self.inside[: len(self.inside) - 1 - self.inside[::-1].index(tag)]


def bare(template: str) -> list[str]:
    """The words of a template that no language but English would have."""
    parser = Bare()
    parser.feed(re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", template, flags=re.S))
    parser.close()
    return parser.found


def test_bare_words_are_seen() -> None:
    assert bare("<p>{{ page.t('a.b') }} Headlight 3 ×</p><script>one</script>") == []
    assert bare('<b title="one {{ x }}">two</b><input placeholder="three"><style></style>{# no #}') == [
        "one",
        "two",
        "three",
    ]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_templates_hold_no_words_of_their_own(file: Path) -> None:
    assert bare(file.read_text()) == []


NOBODY_READS = {
    "events.js": {"message"},
    "recurrent.js": {"lstm hidden", "lstm cell"},
    "session.js": {"overview each ", "overview layer ", "overview all "},
    "beams.js": {"Arrow"},
    "examples.js": {
        "The animal didn't cross the street because it was too",
        " tired",
        "too tired | too wide",
        "Un chat gris sur un banc vert.",
    },
    "compared.js": {"left", "right", "difference"},
    "numbers.js": {"probability", "chance", "token_id", "said", "all layers"},
    "pen.js": {"10px sans-serif"},
    "sheet.js": {"\\ntext { white-space: pre; font-variant-numeric: tabular-nums; }"},
    "attention.js": {"e^(s−max)"},
    "backwards.js": {"token class", "steps models", "steps model ", "steps beside "},
    "storyboards.js": {"steps continued"},
    "unrolled.js": {"cell now"},
    "svg.js": {"Top", "Right", "Bottom", "Left", "Width", "Color", "Style"},
}
"""What looks like words and is a name inside the program, or is read by a network."""


def bare_in(script: Path) -> list[tuple[int, str]]:
    """Line and words of what a script shows that no catalogue has."""
    return [
        (line, text)
        for line, text in scripts.bare(script.read_text())
        if text not in NOBODY_READS.get(script.name, ())
        and not text.startswith("default-src ")  # a policy
        and not set(scripts.WORD.findall(text)) <= SAME_EVERYWHERE
    ]


def test_bare_words_are_seen_in_scripts() -> None:
    seen = {
        """h("p", { title: "a", class: "b c" }, "lower", x ? `one ${t("no.no")} two` : "three");""": 4,
        """button.title = on ? "Stop" : "Go"; element.className = "not this";""": 2,
        """chip.setAttribute("aria-label", `${x}, not allowed`); a.setAttribute("class", "deep down");""": 1,
        """say("it"); toast(`That failed: ${why}.`); const made = "A whole sentence";""": 3,
        """if (kind === "plain words" || /a "b c"/.test(x)) return t("a.b", { name: x / 2 / y });""": 0,
        """// with "some words"\nconst q = box.querySelector("dialog open"); /* h("p", {}, "no") */""": 0,
        """const by = { "two words": 1 }[key]; console.error("Only for developers");""": 0,
    }
    for source, count in seen.items():
        assert len(scripts.bare(source)) == count, scripts.bare(source)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.relative_to(ROOT / "static" / "js").as_posix())
def test_scripts_hold_no_words_of_their_own(script: Path) -> None:
    found = bare_in(script)
    assert not found, f"write these through t() and static/lang: {found}"
