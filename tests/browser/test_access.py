"""Nothing serious for axe, in every view and both themes; and words for every picture."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import FLAGSHIP, Open, Visit

VIEWS = ["heatmap", "lines", "text", "bars", "table", "steps"]
# axe enters the page as a script, which its policy forbids; and a colour on its way to another is none to judge.
STILL: dict[str, Any] = {"bypass_csp": True, "reduced_motion": "reduce"}
AT_IT = {"model": "minilm", "text": FLAGSHIP, "layer": 5, "head": 11, "query": 10, "key": 2}


def serious(seen: Visit, *, covered: bool = False) -> list[dict[str, Any]]:
    """What axe complains of; where a message covers controls, their size is what is left of them."""
    # The rule of WCAG 2.2 for the size of targets has to be asked for.
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": not covered}}}
    found = Axe().run(seen.page, options=options).response["violations"]
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
    assert serious(seen, covered=True) == []
    seen.page.keyboard.press("Escape")
    seen.page.fill("#text", "")
    seen.page.click("#run")
    expect(seen.page.locator("#problem")).to_be_visible()
    assert serious(seen, covered=True) == []
    seen.page.click("#help-button")
    assert serious(seen, covered=True) == []


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


@pytest.mark.parametrize("form", ["picture", "table"])
@pytest.mark.parametrize(
    ("model", "view"),
    [
        *((model, "states") for model in ("tiny-luong", "tiny-sentiment")),
        *((model, "generate") for model in ("tiny-gpt2", "tiny-luong")),
        *((model, "steps") for model in ("tiny-gpt2", "tiny-luong", "tiny-sentiment")),
    ],
)
def test_views_of_other_networks_too(visit: Open, model: str, view: str, form: str) -> None:
    assert serious(visit({"model": model, "text": "two dogs run", "view": view, "form": form}, **STILL)) == []


@pytest.mark.parametrize("locale", ["id", "pt-BR", "ko"])
def test_in_every_language(visit: Open, locale: str) -> None:
    seen = visit(AT_IT, locale=locale, **STILL)
    assert serious(seen) == []
    seen.page.click("#language-button")
    assert serious(seen, covered=True) == []
    seen.page.keyboard.press("Escape")
    seen.page.click("#help-button")
    assert serious(seen, covered=True) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_the_api(visit: Open, server: str, theme: str) -> None:
    """Its header and frame are ours; the list of calls is drawn by Swagger UI, whose own faults are named here."""
    page = visit(theme=theme, **STILL).page
    page.goto(f"{server}/api/docs")
    page.locator(".opblock").first.wait_for()
    expect(page.locator("a.back")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en"
    found = Axe().run(page, context={"exclude": [["#calls"]]}).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


FOCUSED = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const { left, top, width, height } = one.getBoundingClientRect();
    const style = getComputedStyle(one), around = getComputedStyle(one.closest('label, .composer') ?? one);
    const inside = [0.1, 0.5, 0.9].flatMap(x => [0.1, 0.5, 0.9].map(y => [left + x * width, top + y * height]));
    const there = inside.some(([x, y]) => {
        const hit = document.elementFromPoint(x, y);
        return hit && (one.contains(hit) || hit.contains(one) || hit.closest('label')?.control === one);
    });
    const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    return { name: `${one.localName}#${one.id} ${one.textContent.trim().slice(0, 24)}`, ring, there };
}"""


@pytest.mark.parametrize("view", ["heatmap", "text", "generate", "steps"])
@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
def test_the_focus_is_seen_wherever_it_goes(visit: Open, view: str, size: tuple[int, int]) -> None:
    seen = visit({"model": "tiny-gpt2", "text": "two dogs run", "view": view}, size=size, **STILL)
    walked = []
    seen.page.evaluate("() => document.activeElement.blur()")
    for _ in range(80):
        seen.page.keyboard.press("Tab")
        now = seen.page.evaluate(FOCUSED)
        if now is None:
            break
        walked.append(now)
    assert len(walked) > 15
    assert [one["name"] for one in walked if not one["ring"]] == []
    assert [one["name"] for one in walked if not one["there"]] == []


@pytest.mark.parametrize("locale", ["en-US", "pt-BR", "ko", "id"])
@pytest.mark.parametrize("view", ["heatmap", "table", "steps"])
def test_at_200_percent_nothing_runs_out_of_the_page(visit: Open, view: str, locale: str) -> None:
    """1366 × 768 at 200 % is a window of 683 × 384."""
    seen = visit({**AT_IT, "view": view}, size=(683, 384), locale=locale)
    assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 683
    cut = seen.page.evaluate(
        """() => [...document.querySelectorAll('button, .tabs button, label > span, h2, .aside')]
            .filter(one => one.checkVisibility() && !one.closest('.hidden, select, .popup') && !one.matches('.hidden'))
            .filter(one => {
                const { left, right, width } = one.getBoundingClientRect();
                return width > 2 && (right > 684 || left < -1);
            })
            .filter(one => !one.closest('.tabs, .next, .scroller, .view'))
            .map(one => one.outerHTML.slice(0, 80))"""
    )
    assert cut == []


def test_with_forced_colours_what_is_chosen_can_be_told(visit: Open) -> None:
    """Grounds are dropped there: what is chosen needs an edge or a mark that is no ground."""
    seen = visit({**AT_IT, "also": "4.5"}, forced_colors="active")
    for group in ("choice-group [aria-checked=true]", "[role=tab][aria-selected=true]"):
        chosen = seen.page.locator(f"{group}:visible").first
        kinds = chosen.evaluate(
            """one => {
                const style = getComputedStyle(one), after = getComputedStyle(one, '::after');
                return [style.outlineStyle, style.borderStyle, after.content !== 'none' ? after.backgroundColor : ''];
            }"""
        )
        assert kinds[0] != "none" or kinds[1] != "none" or kinds[2] not in ("", "rgba(0, 0, 0, 0)"), group


def test_with_forced_colours_the_light_is_still_there(visit: Open) -> None:
    seen = visit({**AT_IT, "view": "text"}, forced_colors="active")
    ground = "one => getComputedStyle(one).backgroundColor"
    lit = seen.page.locator(".prose .word", has_text="animal").evaluate(ground)
    assert lit not in (seen.page.locator(".prose").evaluate(ground), "rgba(0, 0, 0, 0)")
    bar = seen.page.locator(".ranking .bar").first
    assert bar.evaluate(ground) != bar.locator("i").evaluate(ground)
    assert seen.page.locator("[data-state=threshold]").evaluate("one => getComputedStyle(one).appearance") == "auto"


def test_with_less_movement_nothing_moves(visit: Open) -> None:
    seen = visit({**AT_IT, "view": "steps"}, reduced_motion="reduce")
    seen.page.keyboard.press("ArrowRight")
    seen.settle()
    moving = "() => document.getAnimations().filter(one => one.playState === 'running').length"
    assert seen.page.evaluate(moving) == 0


@pytest.mark.parametrize(
    ("view", "model"),
    [
        ("heatmap", "minilm"),
        ("lines", "minilm"),
        ("text", "minilm"),
        ("bars", "minilm"),
        ("states", "tiny-gru"),
        ("generate", "tiny-gpt2"),
        ("steps", "minilm"),
    ],
)
def test_every_picture_has_a_table_a_step_away(visit: Open, view: str, model: str) -> None:
    """By its own button, or by the key of the table view."""
    seen = visit(
        {"model": model, "text": "two dogs run", "view": view, "said": "5-6"}
        if model == "tiny-gpt2"
        else {"model": model, "text": "two dogs run", "view": view}
    )
    own = seen.page.locator("[data-state=form] button[value=table]")
    if own.is_visible():
        own.click()
    else:
        seen.page.locator("#focus-title").focus()
        seen.page.keyboard.press("5")
    seen.settle()
    expect(seen.page.locator("#view table").first).to_be_visible()
    expect(seen.page.locator("#view table caption").first).not_to_be_empty()
    assert seen.page.locator("#view tbody th, #view tbody td").count() > 3


SPOKEN = {
    "en-US": "Layer 5 · Head 11: it attends to animal, 65 %.",
    "id": "Lapisan 5 · Head 11: it memperhatikan animal, 65 %.",
    "pt-BR": "Camada 5 · Cabeça 11: it presta atenção em animal, 65 %.",
    "ko": "레이어 5 · 헤드 11: it → animal 주목, 65 %.",
}


@pytest.mark.parametrize("locale", SPOKEN)
def test_what_is_seen_is_said_in_every_language(visit: Open, locale: str) -> None:
    seen = visit(AT_IT, locale=locale)
    expect(seen.page.locator("#live")).to_have_text(SPOKEN[locale])
    seen.page.locator("canvas.axes").focus()
    seen.page.keyboard.press("ArrowRight")
    expect(seen.page.locator("#live")).not_to_have_text(SPOKEN[locale])
    expect(seen.page.locator("#live")).to_contain_text("didn")


@pytest.mark.parametrize("model", ["minilm", "tiny-t5"])
def test_the_focus_goes_as_one_reads(visit: Open, model: str) -> None:
    """WCAG 2.4.3: above a view, from left to right and line by line, in windows of every width."""
    seen = visit({"model": model, "layer": 1, "head": 1, "also": "0.1"}, **STILL)
    for width in (390, 761, 900, 1024, 1280, 1366, 1440, 1920):
        seen.page.set_viewport_size({"width": width, "height": 800})
        seen.settle()
        boxes = seen.page.eval_on_selector_all(
            ".focus .panel-head :is(h2, span.aside, button)",
            """all => all.filter(one => one.checkVisibility() && one.textContent).map(one => {
                const { left, top, bottom } = one.getBoundingClientRect();
                return { left, top, bottom };
            })""",
        )
        assert len(boxes) > 5
        for one, following in pairwise(boxes):
            below = following["top"] >= (one["top"] + one["bottom"]) / 2
            assert below or following["left"] > one["left"], (width, boxes)
