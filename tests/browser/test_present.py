"""Projected: letters for the back row, contrast, a clicker's keys, a black screen, a halo, and nothing that jumps."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FLAGSHIP, Open, Visit
from tests.browser.test_access import STILL, serious

ROOM = (1280, 720)
DISTANCE, WIDTH = 10, 2  # metres to the back row, and across the picture
# What is read at a distance is a two-hundredth of it high.
LEAST = DISTANCE / 200 / WIDTH * ROOM[0]

AT_IT = {"model": "minilm", "text": FLAGSHIP, "layer": 5, "head": 11, "query": 10, "key": 2, "present": "on"}
VIEWS: dict[str, dict[str, Any]] = {
    "heatmap": {},
    "crowded": {"view": "heatmap", "text": f"{FLAGSHIP}, and it was too wide for all of the others who came with it"},
    "lines": {},
    "text": {},
    "bars": {},
    "table": {},
    "states": {"model": "tiny-lstm-tagger", "text": "Two dogs ran", "query": "", "key": ""},
    "generate": {"model": "tiny-gpt2", "text": "Two dogs", "said": "5-9-12-40", "layer": 1, "head": 0},
    "steps": {"at": "match"},
    "long": {"model": "tiny-long", "text": "two dogs ran " * 300, "view": "heatmap", "layer": 0, "head": 0},
}

# Everything that a canvas was told to write since it was last wiped.
SPY = """(() => {
    const kept = new Map();
    const pen = CanvasRenderingContext2D.prototype;
    const [wipe, write] = [pen.clearRect, pen.fillText];
    pen.clearRect = function (...box) { kept.set(this.canvas, []); return wipe.apply(this, box); };
    pen.fillText = function (text, ...at) {
        const { a, b } = this.getTransform();
        const size = parseFloat(/([\\d.]+)px/.exec(this.font)[1]) * Math.hypot(a, b) / devicePixelRatio;
        kept.get(this.canvas)?.push({ text: String(text), size, color: this.fillStyle, alpha: this.globalAlpha });
        return write.call(this, text, ...at);
    };
    window.written = () => [...kept].flatMap(([canvas, words]) => canvas.checkVisibility() ? words : []);
})()"""

# Every piece of text in sight: its size, and its colour over what is behind it.
READ = """() => {
    const parse = color => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
    const linear = x => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const contrast = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((x, y) => x - y);
        return (high + 0.05) / (low + 0.05);
    };
    const behind = element => {
        const own = parse(getComputedStyle(element).backgroundColor);
        return own[3] === 1 || !element.parentElement ? own : over(own, behind(element.parentElement));
    };
    const ground = behind(document.body);
    const words = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
        if (!node.data.trim()) continue;
        if (element.closest("script, .hidden, .toast, defs")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        if (box.width < 2 || box.bottom < 1 || box.top > innerHeight - 1 || box.left > innerWidth - 1) continue;
        const style = getComputedStyle(element);
        let opacity = 1;
        for (let one = element; one; one = one.parentElement) opacity *= Number(getComputedStyle(one).opacity);
        const [r, g, b, a] = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
        if (!a) continue;  // there was no room for it
        const back = behind(element);
        words.push({ text: node.data.trim(), size: parseFloat(style.fontSize), data: !!element.style.background,
            contrast: contrast(over([r, g, b, a * opacity], back), back) });
    }
    for (const { text, size, color, alpha } of window.written()) {
        const [r, g, b] = color.match(/[0-9a-f]{2}/g).map(x => parseInt(x, 16));
        words.push({ text, size, data: false, contrast: contrast(over([r, g, b, alpha], ground), ground) });
    }
    return words;
}"""


def project(visit: Open, view: str, *, size: tuple[int, int] = ROOM, theme: str = "dark", **more: Any) -> Visit:
    """The page projected, with everything that is written on a canvas noted."""
    state = {"view": view, **AT_IT, **VIEWS[view], **more}
    seen = visit(state, size=size, theme=theme, script=SPY, **STILL).settle()
    if view == "bars":
        seen.page.locator(".plot.ready").wait_for()
    return seen


def words(seen: Visit) -> list[dict[str, Any]]:
    found = list(seen.page.evaluate(READ))
    assert found
    return found


def box(seen: Visit, what: str) -> dict[str, float]:
    found = seen.page.locator(what).bounding_box()
    assert found
    return dict(found)


def hash_of(seen: Visit) -> dict[str, str]:
    written = seen.page.evaluate("() => Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    return {name: value for name, value in written.items() if value and (name, value) != ("view", "heatmap")}


def press(seen: Visit, *keys: str) -> Visit:
    for key in keys:
        seen.page.keyboard.press(key)
        seen.settle()
    return seen


@pytest.mark.parametrize("view", VIEWS)
def test_the_back_row_can_read_everything(visit: Open, view: str) -> None:
    assert LEAST == 32
    seen = project(visit, view)
    small = [(one["text"], one["size"]) for one in words(seen) if one["size"] < LEAST]
    assert small == []


@pytest.mark.parametrize("part", ["heads", "why"])
def test_so_can_it_what_stands_beside_the_picture(visit: Open, part: str) -> None:
    seen = project(visit, "heatmap", present=part)
    expect(seen.page.locator(".heads" if part == "heads" else ".inspector")).to_be_visible()
    assert [(one["text"], one["size"]) for one in words(seen) if one["size"] < LEAST] == []


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080)])
def test_letters_grow_with_the_picture(visit: Open, size: tuple[int, int]) -> None:
    least = min(size[0] / 40, size[1] / 22.5)
    for view in ("heatmap", "steps"):
        seen = project(visit, view, size=size)
        assert [(one["text"], one["size"]) for one in words(seen) if one["size"] < least - 0.01] == []


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("view", VIEWS)
def test_contrast_is_high(visit: Open, view: str, theme: str) -> None:
    """7 to 1; a word on a colour of the data has black or white letters, whichever is better: 4.5 to 1."""
    seen = project(visit, view, theme=theme)
    weak = [one for one in words(seen) if one["contrast"] < (4.5 if one["data"] else 7)]
    assert weak == []


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("view", ["heatmap", "text", "generate", "steps"])
def test_axe_finds_nothing_serious(visit: Open, view: str, theme: str) -> None:
    assert serious(project(visit, view, theme=theme)) == []


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_left_but_the_picture_and_it_fits(visit: Open, view: str) -> None:
    seen = project(visit, view)
    for gone in (".top", ".heads", ".inspector", ".controls", ".tabs"):
        expect(seen.page.locator(gone).first).to_be_hidden()
    seen.page.evaluate("() => scrollTo(9, 9)")
    assert seen.page.evaluate("() => [scrollX, scrollY]") == [0, 0]
    right = box(seen, "#view")
    assert right["height"] > 0.9 * ROOM[1]


@pytest.mark.parametrize("view", VIEWS)
def test_a_clicker_walks_through_every_view_and_nothing_jumps(visit: Open, view: str) -> None:
    seen = project(visit, view, query="", key="", step="", at="", most=4)
    press(seen, "Home")
    places = {json.dumps([box(seen, "#view"), box(seen, "#focus-title")])}
    states = [hash_of(seen)]
    for key in ("PageDown", "ArrowRight", " "):
        press(seen, key)
        places.add(json.dumps([box(seen, "#view"), box(seen, "#focus-title")]))
        states.append(hash_of(seen))
    assert len({json.dumps(state) for state in states}) == 4, "every key is a step"
    assert len(places) == 1, "and nothing moves"
    press(seen, "PageUp")
    assert hash_of(seen) == states[2]
    press(seen, "ArrowLeft", "PageUp")
    first = hash_of(seen)
    unnamed = {"at": "", "story": ""}  # the first step of the first storyboard need not be named
    assert first | unnamed == states[0] | unnamed
    press(seen, "PageUp")
    assert hash_of(seen) == first, "there is nothing before the first"
    press(seen, "End")
    last = seen.hash
    press(seen, "PageDown")
    assert seen.hash == last, "nor after the last"


def test_rows_are_those_that_the_picture_shows(visit: Open) -> None:
    seen = project(visit, "heatmap", query="", key="", special="hide")
    walked = [hash_of(press(seen, "PageDown")).get("query") for _ in range(3)]
    assert walked == ["1", "2", "3"], "[CLS] is hidden, so it is no row"
    expect(seen.page.locator("#readout")).to_contain_text("didn")


def test_every_step_of_a_storyboard_has_one_place(visit: Open) -> None:
    seen = project(visit, "steps", at="")
    count = int(seen.page.inner_text(".count").split(" of ")[1])
    places = set()
    titles = []
    for _ in range(count):
        places.add(json.dumps([box(seen, "#view"), box(seen, ".step-stage"), box(seen, ".steps .title .count")]))
        titles.append(seen.page.inner_text(".steps .title"))
        press(seen, "PageDown")
    assert len(set(titles)) == count > 6
    assert len(places) == 1


def test_a_formula_has_room(visit: Open) -> None:
    """Above and below the bars of its fractions, under the picture, and over the note."""
    seen = project(visit, "steps", at="softmax")
    for fraction in seen.page.locator(".step-formula mfrac").all():
        over, under = (box_of.bounding_box() for box_of in fraction.locator(":scope > *").all())
        assert over
        assert under
        assert under["y"] - over["y"] - over["height"] >= 2, "the bar itself"
        assert fraction.evaluate("f => getComputedStyle(f).mathStyle") == "normal", "and what stands off from it"
    formula = box(seen, ".step-formula math")
    last = seen.page.locator(".scene .line").last.bounding_box()
    assert last
    assert formula["y"] >= last["y"] + last["height"] - 1
    assert formula["y"] + formula["height"] <= box(seen, ".step-note")["y"] + 1


def test_the_word_that_is_held_is_marked_in_the_text(visit: Open) -> None:
    seen = project(visit, "text", key=8)
    expect(seen.page.locator(".word.chosen")).to_have_text("it")
    expect(seen.page.locator(".word.partner")).to_have_text("street")
    assert "0px 0px 0px 2px" in seen.page.locator(".word.partner").evaluate("w => getComputedStyle(w).boxShadow")
    press(seen, "PageDown")
    expect(seen.page.locator(".word.partner")).to_have_count(0)


def test_a_source_and_its_target_are_both_seen(visit: Open) -> None:
    where = {"stack": "decoder", "block": "cross", "layer": 2, "head": 1, "query": 1, "key": 1}
    text = "Une petite fille en robe rouge joue avec un ballon."
    seen = project(visit, "text", model="transformer-fr-en", text=text, **where)
    expect(seen.page.locator(".prose")).to_contain_text("playing with a ball.")
    assert seen.page.eval_on_selector(".prose", "prose => prose.scrollHeight - prose.clientHeight") <= 1
    expect(seen.page.locator(".ranking .now, .ranking .chosen").first).to_be_in_viewport(ratio=1)
    expect(seen.page.locator("#next")).to_be_hidden()  # that the text ends is seen in the text


def test_every_row_of_a_translation_has_its_word(visit: Open) -> None:
    """Sixteen words, each by its name, and long ones of the source a little shorter for it."""
    where = {"stack": "decoder", "block": "cross", "layer": 2, "head": 1, "query": 1, "key": ""}
    text = "Un homme en chemise bleue se tient sur une échelle pour nettoyer une fenêtre."
    seen = project(visit, "heatmap", model="transformer-fr-en", text=text, **where)
    written = seen.page.evaluate("() => window.written().map(one => one.text)")
    for word in "<s> A man in a blue shirt stands on a ladder to clean a window".split():
        assert word in written, word
    assert sum(word == "a" for word in written) == 3, "each of them"


def test_the_heads_of_a_translator_are_those_of_the_picture(visit: Open) -> None:
    """Three grids have no room beside a picture: the one that is looked at has all of it."""
    where = {"stack": "decoder", "block": "cross", "layer": 2, "head": 1, "query": 1, "key": 1}
    text = "Un chat gris sur un banc vert."
    seen = project(visit, "heatmap", model="transformer-fr-en", text=text, present="heads", **where)
    expect(seen.page.locator(".heads .block:visible")).to_have_count(1)
    expect(seen.page.locator(".heads .block-name:visible")).to_have_text("decoder cross-attention", use_inner_text=True)
    expect(seen.page.locator(".heads .blocks")).to_be_hidden()
    room = seen.page.locator(".heads .block:visible .room")
    assert room.evaluate("room => room.clientHeight") > 0.7 * ROOM[1]
    assert room.evaluate("room => room.scrollWidth - room.clientWidth") <= 0


@pytest.mark.parametrize("options", [{}, {"size": (390, 844), "present": "off"}])
def test_a_sum_stands_under_what_is_summed(visit: Open, options: dict[str, Any]) -> None:
    seen = project(visit, "steps", at="sum", **options)
    total = seen.page.locator(".scene .line.total")
    summed = seen.page.locator(".scene .line.now .part.strip").bounding_box()
    parts = [part.bounding_box() for part in total.locator(".part").all()]
    strip = total.locator(".part.strip").bounding_box()
    assert strip
    assert summed
    assert (strip["x"], strip["width"]) == pytest.approx((summed["x"], summed["width"]), abs=1)
    assert all(part and abs(part["y"] + part["height"] / 2 - strip["y"] - strip["height"] / 2) < 8 for part in parts)
    assert total.evaluate("line => getComputedStyle(line).position") == "static"


@pytest.mark.parametrize(("query", "key"), [(0, 14), (10, 2), (14, 0)])
def test_the_headings_of_a_table_cut_no_number(visit: Open, query: int, key: int) -> None:
    seen = project(visit, "table", query=query, key=key)
    cut = seen.page.evaluate(
        """() => {
            const corner = document.querySelector('.scroller th').getBoundingClientRect();
            const across = (low, high, edge) => low < edge - 1 && high > edge + 1;
            return [...document.querySelectorAll('.scroller td')].filter(one => {
                const { left, right, top, bottom } = one.getBoundingClientRect();
                if (bottom < corner.bottom || right < corner.right) return false;
                return across(left, right, corner.right) || across(top, bottom, corner.bottom);
            }).map(one => one.textContent);
        }"""
    )
    assert cut == []
    expect(seen.page.locator("td.chosen")).to_be_in_viewport(ratio=1)


def test_the_sum_stands_below_what_is_summed(visit: Open) -> None:
    seen = project(visit, "steps", at="sum")
    lines = [one.bounding_box() for one in seen.page.locator(".scene .line").all()]
    ends = [(line["y"], line["y"] + line["height"]) for line in lines if line]
    assert len(ends) == len(lines) > 4
    assert all(above[1] <= below[0] for above, below in pairwise(ends))
    expect(seen.page.locator(".scene .line").last).to_contain_text("z =")


def test_a_hidden_result_is_shown_before_the_next_step(visit: Open) -> None:
    seen = project(visit, "steps", at="match", predict="on")
    expect(seen.page.locator(".reveal")).to_be_visible()
    press(seen, "PageDown")
    expect(seen.page.locator(".reveal")).to_be_hidden()
    assert hash_of(seen)["at"] == "match"
    press(seen, "PageDown")
    assert hash_of(seen)["at"] == "scale"


def test_the_screen_goes_black_and_comes_back(visit: Open) -> None:
    seen = project(visit, "heatmap", query=4, key="")
    for dark, light in (("b", "b"), (".", "PageDown"), ("B", "Escape")):
        press(seen, dark)
        cover = seen.page.locator(".black")
        expect(cover).to_be_visible()
        assert cover.bounding_box() == {"x": 0, "y": 0, "width": ROOM[0], "height": ROOM[1]}
        assert cover.evaluate("c => getComputedStyle(c).backgroundColor") == "rgb(0, 0, 0)"
        press(seen, light)
        expect(cover).to_be_hidden()
        assert hash_of(seen)["query"] == "4", "the key that lights it does nothing else"
    press(seen, "b")
    seen.page.mouse.click(300, 300)
    expect(seen.page.locator(".black")).to_be_hidden()


def test_a_halo_follows_the_mouse(visit: Open) -> None:
    seen = project(visit, "heatmap")
    halo = seen.page.locator(".halo")
    expect(halo).to_be_hidden()
    for x, y in ((400, 300), (900, 500)):
        seen.page.mouse.move(x, y)
        expect(halo).to_be_visible()
        place = box(seen, ".halo")
        assert abs(place["x"] + place["width"] / 2 - x) < 1
        assert abs(place["y"] + place["height"] / 2 - y) < 1
    assert halo.evaluate("h => getComputedStyle(h).pointerEvents") == "none"
    press(seen, "Escape")
    seen.page.mouse.move(500, 500)
    expect(halo).to_be_hidden()


def test_p_projects_and_escape_leaves(visit: Open) -> None:
    seen = visit({**AT_IT, "present": "off"})
    press(seen, "p")
    assert hash_of(seen)["present"] == "on"
    expect(seen.page.locator(".top")).to_be_hidden()
    assert seen.page.evaluate("() => document.fullscreenElement !== null")
    press(seen, "f")
    assert seen.page.evaluate("() => document.fullscreenElement === null")
    press(seen, "Escape")
    assert "present" not in hash_of(seen)
    expect(seen.page.locator(".top")).to_be_visible()
    seen.page.click("#present")
    seen.settle()
    seen.page.keyboard.press("h")
    expect(seen.page.locator(".heads")).to_be_visible()
    seen.page.keyboard.press("i")
    expect(seen.page.locator(".heads")).to_be_hidden()
    expect(seen.page.locator(".inspector")).to_be_visible()
    press(seen, "i")
    assert hash_of(seen)["present"] == "on"


def test_the_hint_is_gone_with_the_next_key(visit: Open) -> None:
    seen = visit({**AT_IT, "present": "off"})
    hint = seen.page.locator("#toast")
    for keys in (("ArrowRight", "Escape"), ("Escape",)):
        press(seen, "p")
        expect(hint).to_be_visible()
        press(seen, keys[0])
        assert hint.is_hidden(), "it would lie over the picture"
        press(seen, *keys[1:])


def test_rows_of_a_part_of_a_long_map_stay_in_sight(visit: Open) -> None:
    seen = project(visit, "long", query="", key="", window="100.0.64")
    walked = [hash_of(press(seen, key)) for key in ("PageDown", "PageUp", "PageUp", "End", "Home", "PageDown")]
    assert [(one["query"], one["window"]) for one in walked[:3]] == [
        ("100", "100.0.64"),
        ("99", "99.0.64"),
        ("98", "98.0.64"),
    ]
    last = int(walked[3]["query"])
    assert walked[3]["window"] == f"{last - 63}.0.64", "the window goes with the row"
    assert "query" not in walked[4]
    assert walked[5]["query"] == str(last - 63), "and rows start where the window is"


def test_a_link_opens_projected(visit: Open) -> None:
    seen = visit("/?present")
    assert hash_of(seen)["present"] == "on"
    assert "?" not in seen.page.url
    expect(seen.page.locator(".top")).to_be_hidden()
    expect(seen.page.locator("#readout")).to_contain_text("0.647")
    again = visit("/" + seen.hash)
    expect(again.page.locator(".top")).to_be_hidden()
    press(again, "Escape")
    assert "present" not in hash_of(again)


def test_other_keys_do_what_they_always_do(visit: Open) -> None:
    seen = project(visit, "heatmap")
    press(seen, "2")
    assert hash_of(seen)["view"] == "lines"
    press(seen, "]")
    assert hash_of(seen)["head"] == "0"
    press(seen, "?")
    expect(seen.page.locator("#help")).to_be_visible()
    press(seen, "Escape")
    expect(seen.page.locator("#help")).to_be_hidden()
    assert hash_of(seen)["present"] == "on"


def test_fingers_have_buttons(visit: Open) -> None:
    seen = visit({**AT_IT, "query": 4, "key": ""}, size=(390, 844), has_touch=True, is_mobile=True)
    remote = seen.page.locator(".remote")
    expect(remote).to_be_visible()
    assert seen.page.evaluate("() => document.documentElement.scrollWidth") == 390
    seen.page.get_by_role("button", name="Next").tap()
    seen.settle()
    assert hash_of(seen)["query"] == "5"
    seen.page.get_by_role("button", name="Leave").tap()
    seen.settle()
    expect(seen.page.locator(".top")).to_be_visible()
