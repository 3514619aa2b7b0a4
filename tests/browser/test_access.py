"""Nothing serious for axe, in every view and both themes; and words for every picture."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import FLAGSHIP, Open, Visit

VIEWS = ["heatmap", "lines", "text", "bars", "table"]
# axe enters the page as a script, which its policy forbids; and a colour on its way to another is none to judge.
STILL: dict[str, Any] = {"bypass_csp": True, "reduced_motion": "reduce"}
AT_IT = {"model": "minilm", "text": FLAGSHIP, "layer": 5, "head": 11, "query": 10, "key": 2}


def serious(seen: Visit) -> list[dict[str, Any]]:
    found = Axe().run(seen.page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        {"rule": one["id"], "what": one["help"], "where": [node["html"][:200] for node in one["nodes"]][:5]}
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(visit: Open, view: str, theme: str) -> None:
    seen = visit({**AT_IT, "view": view, "also": "4.5"}, theme=theme, **STILL)
    if view == "bars":
        seen.page.locator(".plot.ready").wait_for()
    assert serious(seen) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_menus_help_and_problems_too(visit: Open, theme: str) -> None:
    seen = visit(theme=theme, **STILL)
    seen.page.click("#examples-button")
    assert serious(seen) == []
    seen.page.keyboard.press("Escape")
    seen.page.fill("#text", "")
    seen.page.click("#run")
    expect(seen.page.locator("#problem")).to_be_visible()
    assert serious(seen) == []
    seen.page.click("#help-button")
    assert serious(seen) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("palette", ["light", "viridis", "cividis"])
def test_tinted_words_stay_readable(visit: Open, palette: str, theme: str) -> None:
    seen = visit({**AT_IT, "view": "text", "palette": palette, "scale": "log"}, theme=theme, **STILL)
    assert serious(seen) == []


def test_on_a_small_screen(visit: Open) -> None:
    assert serious(visit(AT_IT, size=(390, 844), **STILL)) == []


def test_every_canvas_has_words(visit: Open) -> None:
    seen = visit(AT_IT)
    grid = seen.page.locator("#grids canvas").get_attribute("aria-label") or ""
    assert "72 attention heads" in grid
    assert "Layer 5 · Head 11" in grid
    words = seen.page.locator("canvas.axes").get_attribute("aria-label") or ""
    assert "it attends to animal with 0.647" in words
    expect(seen.page.locator("#live")).to_have_text("Layer 5 · Head 11: it attends to animal, 65 %.")
    for canvas in seen.page.locator("canvas:visible").all():
        hidden = canvas.evaluate("c => c.closest('[aria-hidden=true]') !== null")
        assert hidden or canvas.get_attribute("aria-label")
