"""The page in every language: chosen by the browser or by the reader, with plurals and directions as they are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Open

TAGS = {"en": "en", "id": "id", "pt": "pt-BR", "ko": "ko"}


@pytest.mark.parametrize("name", TAGS)
def test_the_browsers_language_is_the_pages(visit: Open, name: str) -> None:
    seen = visit(locale=TAGS[name])
    expect(seen.page.locator("html")).to_have_attribute("lang", TAGS[name])


def test_a_choice_is_kept_and_wins_over_the_address(visit: Open) -> None:
    seen = visit("/?lang=id#model=minilm&text=hello&layer=2&head=3")
    expect(seen.page.locator("html")).to_have_attribute("lang", "id")
    seen.page.click("#language-button")
    chosen = seen.page.locator("#languages [aria-current=true]")
    expect(chosen).to_have_text("Bahasa Indonesia")
    seen.page.locator("#languages button", has_text="한국어").click()
    expect(seen.page.locator("html")).to_have_attribute("lang", "ko")
    seen.ready()
    assert "lang=" not in seen.page.url, "an address that is passed on leaves the choice to its reader"
    assert seen.page.input_value("#text") == "hello"
    seen.page.goto(seen.server)
    expect(seen.page.locator("html")).to_have_attribute("lang", "ko")


@pytest.fixture
def words(browser: Browser, server: str) -> Any:
    """Hands words.js, with a catalogue of its own, to a function."""
    pages: list[Page] = []

    def run(lang: str, catalogue: str, function: str) -> Any:
        page = browser.new_page()
        pages.append(page)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        block = f'<script type="application/json" id="words">{catalogue}</script>'
        html = f'<!doctype html><meta charset="utf-8"><html lang="{lang}">{block}'
        page.route("**/empty", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(f"{server}/empty")
        result = page.evaluate(f"async () => ({function})(await import('{server}/static/js/words.js'))")
        return result, said

    yield run
    for page in pages:
        page.close()


def test_values_and_plurals(words: Any) -> None:
    catalogue = '{"a": "{x} of {y}", "n.one": "{count} token", "n.other": "{count} tokens"}'
    made, said = words(
        "en", catalogue, "m => [m.t('a', {x: 1, y: '$&'}), ...[0, 1, 2].map(count => m.t('n', {count}))]"
    )
    assert made == ["1 of $&", "0 tokens", "1 token", "2 tokens"]
    assert said == []
    made, _ = words("pt-BR", catalogue, "m => [0, 1, 2, 1e6].map(count => m.t('n', {count}))")
    assert made == ["0 token", "1 token", "2 tokens", "1000000 tokens"]


def test_what_is_missing_is_said_aloud(words: Any) -> None:
    made, said = words("en", '{"a": "{x}!"}', "m => [m.t('b'), m.t('a')]")
    assert made == ["b", "undefined!"]
    assert [re.sub(r" in .*", "", line) for line in said] == ["No words for b", "a needs a value for {x}."]


def test_elements_stand_where_the_sentence_has_them(words: Any) -> None:
    made, _ = words(
        "ko",
        '{"a": "{to}을(를) {from}이(가) 봄"}',
        """m => { const b = document.createElement("b"); b.textContent = "it";
            const p = document.createElement("p"); p.append(...m.phrase("a", { from: b, to: "x" }));
            return p.innerHTML }""",
    )
    assert made == "x을(를) <b>it</b>이(가) 봄"


def test_words_from_right_to_left_are_set_apart(words: Any) -> None:
    made, _ = words("en", '{"a": "{x} attends to {y}"}', "m => m.t('a', {x: 'שלום', y: 'it'})")
    assert made == "\u2068שלום\u2069 attends to it"


HANGUL = re.compile("[\uac00-\ud7a3]")


@pytest.mark.parametrize("model", ["tiny-gpt2", "tiny-llama", "tiny-t5", "tiny-luong", "tiny-lstm", "tiny-bert-mlm"])
def test_every_step_of_every_storyboard_is_told(visit: Open, model: str) -> None:
    """In one language that shares no letter with English; a key or a value that lacks would be complained of."""
    text = "two dogs [MASK]" if "mlm" in model else "two dogs run"
    seen = visit({"model": model, "text": text, "view": "steps"}, locale="ko", reduced_motion="reduce")
    page = seen.page
    for story in page.locator("#story option").evaluate_all("all => all.map(one => one.value)"):
        page.select_option("#story", story)
        seen.settle()
        names = page.locator(".step-transport select").first
        for index in range(names.locator("option").count()):
            names.select_option(index=index)
            seen.settle()
            told = page.inner_text("#step-title"), page.inner_text(".steps p.sentence")
            assert all(HANGUL.search(line) for line in told), told


@pytest.mark.parametrize("view", ["heatmap", "lines", "text", "bars", "table", "generate", "states"])
def test_every_view_is_told(visit: Open, view: str) -> None:
    """What is read and heard, but for tokens, numbers, names and symbols, is in the reader's letters."""
    model = "tiny-luong" if view == "states" else "tiny-gpt2"
    seen = visit({"model": model, "text": "two dogs run", "view": view, "said": "5-6"}, locale="ko")
    left = seen.page.evaluate(
        """() => {
            const own = '.token, .word, .chip, .w, option, .popup, kbd, .brand, button[lang], .number, th, td, .plot';
            const names = /^(Headlight|Top|API|Shift|Enter|Esc|tiny|gpt|luong|two|dogs|run|tanh)$/;
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const found = [];
            for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                const within = node.parentElement;
                if (!within.checkVisibility() || within.closest(own + ', script, svg')) continue;
                found.push(...(node.data.match(/[A-Za-z]{3,}/g) ?? []).filter(word => !names.test(word)));
            }
            return found;
        }"""
    )
    assert left == []


@pytest.mark.parametrize("name", TAGS)
def test_the_page_fits_windows_of_every_width(visit: Open, name: str) -> None:
    """With all views of a model that generates, and room for a sentence."""
    state = {"model": "tiny-gpt2", "text": "two dogs run", "layer": 1, "head": 2}
    seen = visit(state, locale=TAGS[name])
    widths = "() => ['html', '.focus'].map(e => document.querySelector(e)).map(e => e.scrollWidth - e.clientWidth)"
    for width in (390, 761, 960, 961, 1024, 1180, 1181, 1280, 1366):
        seen.page.set_viewport_size({"width": width, "height": 768})
        seen.settle()
        assert seen.page.evaluate(widths) == [0, 0], width
        assert seen.page.locator("#text").evaluate("e => e.clientWidth") > 200, width
        cut = seen.page.locator("#tabs").evaluate("e => e.scrollWidth - e.clientWidth")
        assert cut <= 0 or width == 390, "a phone scrolls the names of the views, nobody else has to"
        compare = seen.page.locator("#compare").bounding_box()
        title = seen.page.locator("#focus-title").bounding_box()
        assert compare is not None
        assert title is not None
        assert compare["y"] < title["y"] + title["height"], "beside the title, not on a line of its own"


@pytest.mark.parametrize("name", TAGS)
def test_all_of_the_help_is_in_sight_on_a_laptop(visit: Open, name: str) -> None:
    page = visit(locale=TAGS[name]).page
    page.click("#help-button")
    for part in ("#help-title", ".keys > :last-child", "#help .aside"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
    assert page.locator("#help").evaluate("e => [e.scrollHeight - e.clientHeight, e.scrollWidth - e.clientWidth]") == [
        0,
        0,
    ]
