"""A finger: the first tap points, the second holds, and everything is large enough to be hit."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FLAGSHIP, Open, Visit
from tests.serving import client

PHONE: dict[str, Any] = {"size": (390, 844), "has_touch": True, "is_mobile": True}
AT_HEAD = {"model": "minilm", "text": FLAGSHIP, "layer": 5, "head": 11}


def tap(seen: Visit, query: int, key: int) -> None:
    seen.page.locator("canvas.cells").scroll_into_view_if_needed()
    seen.page.touchscreen.tap(*seen.cell(query, key))
    seen.settle()


def test_a_tap_points_and_a_second_one_holds(visit: Open) -> None:
    seen = visit(AT_HEAD, **PHONE)
    tap(seen, 10, 2)
    expect(seen.page.locator("#readout")).to_contain_text("it → animal")
    assert "query=" not in seen.hash
    tap(seen, 10, 2)
    assert "query=10" in seen.hash
    assert "key=2" in seen.hash
    tap(seen, 4, 2)
    expect(seen.page.locator("#readout")).to_contain_text("' → animal")
    assert "query=10" in seen.hash, "another cell is only pointed at"
    tap(seen, 4, 2)
    assert "query=4" in seen.hash
    tap(seen, 4, 2)
    assert "query=" not in seen.hash, "and the held one is let go"


def test_words_are_pointed_at_and_held(visit: Open) -> None:
    seen = visit({**AT_HEAD, "view": "text"}, **PHONE)
    word = seen.page.locator(".prose .word", has_text="it").first
    word.tap()
    seen.settle()
    expect(seen.page.locator(".ranked p")).to_have_text("it attends to")
    assert "query=" not in seen.hash
    word.tap()
    seen.settle()
    assert "query=10" in seen.hash


def test_lines_and_states(visit: Open) -> None:
    seen = visit({**AT_HEAD, "view": "lines"}, **PHONE)
    canvas = seen.page.locator("#view canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    for held in (False, True):
        seen.page.touchscreen.tap(box["x"] + 60, box["y"] + 24 + 40)
        seen.settle()
        assert ("query=" in seen.hash) == held
    seen = visit({"model": "tiny-lstm", "text": "a b", "view": "states"}, **PHONE)
    for held in (False, True):
        tap(seen, 1, 3)
        assert ("unit=3" in seen.hash) == held


SMALL = """() => {
    const TARGETS = 'button, a[href], input, select, summary, [role=button], [role=tab], [role=menuitem]';
    const seen = [...document.querySelectorAll(TARGETS)]
        .filter(one => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
        .filter(one => getComputedStyle(one).display !== 'inline')  // what stands in a sentence may be as it is
        .map(one => ({ one, box: one.getBoundingClientRect() }));
    const small = ({ width, height }) => width && height && Math.min(width, height) < 24;
    return seen.filter(({ box }) => small(box)).map(({ one, box }) =>
        `${one.outerHTML.slice(0, 60)} ${box.width.toFixed(1)} × ${box.height.toFixed(1)}`);
}"""


@pytest.mark.parametrize("view", ["heatmap", "lines", "text", "bars", "table", "steps"])
def test_targets_are_large_enough(visit: Open, view: str) -> None:
    seen = visit({**AT_HEAD, "view": view, "query": 10, "key": 2, "also": "4.5"}, **PHONE)
    assert seen.page.evaluate(SMALL) == []


@pytest.mark.parametrize("model", ["tiny-gpt2", "tiny-lstm", "tiny-t5", "tiny-bert-mlm"])
def test_targets_of_other_networks_too(visit: Open, server: str, model: str) -> None:
    known = [card["id"] for card in client.get(f"{server}/api/v1/models").json()]
    assert model in known
    seen = visit({"model": model, "text": "The animal was tired"}, **PHONE)
    assert seen.page.evaluate(SMALL) == []


@pytest.mark.parametrize("button", ["examples-button", "export-button", "language-button"])
def test_a_menu_is_within_the_screen(visit: Open, button: str) -> None:
    seen = visit(AT_HEAD, **PHONE)
    seen.page.tap(f"#{button}")
    menu = seen.page.locator(f"menu-button:has(#{button}) [role=menu]")
    expect(menu).to_be_visible()
    box = menu.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["size"][0]


@pytest.mark.parametrize("locale", ["pt", "id"])
def test_the_names_of_the_views_come_to_where_one_is(visit: Open, locale: str) -> None:
    """They take more than the screen's width: the chosen one is in sight, by finger, link or key; the others fade."""
    seen = visit({"model": "tiny-gpt2", "text": "two dogs run", "view": "steps"}, locale=locale, **PHONE)
    chosen = seen.page.locator("[role=tab][aria-selected=true]")
    mask = "() => getComputedStyle(document.querySelector('#tabs')).maskImage"
    expect(chosen).to_be_in_viewport(ratio=0.99)
    assert seen.page.locator("#tabs").evaluate("e => e.scrollLeft") > 0, "or there is nothing to be tested"
    assert "rgb(0, 0, 0) 48px, rgb(0, 0, 0) 100%" in seen.page.evaluate(mask), "there is more on the left alone"
    chosen.focus()
    seen.page.keyboard.press("Home")
    seen.settle()
    expect(chosen).to_be_in_viewport(ratio=0.99)
    expect(chosen).to_be_focused()
    assert seen.page.locator("#tabs").evaluate("e => e.scrollLeft") == 0
    assert "rgb(0, 0, 0) calc(100% - 48px)" in seen.page.evaluate(mask), "and now on the right"
    seen.page.keyboard.press("End")
    seen.settle()
    expect(chosen).to_have_attribute("data-view", "steps")
    expect(chosen).to_be_in_viewport(ratio=0.99)
