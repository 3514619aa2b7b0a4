"""Texts that run from right to left: in their order and direction, in every view."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, Visit

ARABIC = "القطة تجلس على السجادة"
HEBREW = "שלום לכל העולם"

KEPT = """(() => {
    const written = [];
    const real = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
        written.push(text);
        real.call(this, text, ...at);
    };
    window.written = written;
})()"""


def words(seen: Visit) -> list[tuple[str, float, float]]:
    """The words of the text view in the order of the text: what, and from where to where."""
    found = seen.page.evaluate(
        """() => [...document.querySelectorAll('.prose .word:not(.special)')].map(word => {
            const { left, right } = word.getBoundingClientRect(); return [word.textContent, left, right] })"""
    )
    return [(text, left, right) for text, left, right in found]


@pytest.mark.parametrize("text", [ARABIC, HEBREW], ids=["Arabic", "Hebrew"])
def test_the_text_runs_from_right_to_left(visit: Open, text: str) -> None:
    seen = visit({"model": "minilm", "text": text, "view": "text"})
    found = words(seen)
    assert "".join(word for word, *_ in found) == text.replace(" ", "")
    assert len(found) > len(text.split()), "words are cut into pieces"
    for (_, left, _), (_, _, right) in pairwise(found):
        assert right <= left + 3, "what comes later stands further left"
    # The arrow to the left goes on in the text.
    chip = seen.page.locator(".prose .word:not(.special)").first
    chip.focus()
    chip.press("ArrowLeft")
    assert seen.page.evaluate("() => document.activeElement.textContent") == found[1][0]


def test_a_sentence_from_left_to_right_stays_as_it_is(visit: Open) -> None:
    found = words(visit({"model": "minilm", "text": "cats sat", "view": "text"}))
    assert [left for _, left, _ in found] == sorted(left for _, left, _ in found)


@pytest.mark.parametrize("view", ["heatmap", "lines"])
def test_labels_are_set_apart(visit: Open, view: str) -> None:
    seen = visit({"model": "minilm", "text": HEBREW, "view": view})
    seen.page.evaluate(KEPT)
    seen.page.click("#theme")
    seen.settle()
    labels = [
        text for text in seen.page.evaluate("() => window.written") if "\u05d0" <= text.strip("\u2068·")[:1] <= "\u05ea"
    ]
    assert any("·" in text for text in labels)
    assert all(text[0] == "\u2068" and text[-1] in "\u2069…" for text in labels)


def test_the_mark_of_a_piece_stands_where_the_word_goes_on(visit: Open) -> None:
    """Right of a Hebrew piece: the columns of ink say where the small dot is."""
    seen = visit({"model": "minilm", "text": HEBREW})
    heights = seen.page.evaluate(
        """async server => {
            const { label } = await import(`${server}/static/js/trace.js`);
            const ink = text => {
                const canvas = document.createElement('canvas');
                [canvas.width, canvas.height] = [120, 40];
                const pen = canvas.getContext('2d');
                pen.font = '24px monospace';
                pen.fillText(label({ text, piece: '##' + text, special: false, continues: true }), 20, 28);
                const { data } = pen.getImageData(0, 0, 120, 40);
                const columns = Array.from({ length: 120 }, (_, x) =>
                    Array.from({ length: 40 }, (_, y) => data[4 * (y * 120 + x) + 3] > 60).filter(Boolean).length);
                return columns.filter(Boolean);
            };
            return [ink('םםם'), ink('HHH')].map(at => [Math.max(...at.slice(0, 4)), Math.max(...at.slice(-4))]);
        }""",
        seen.server,
    )
    (left, right), (latin_left, latin_right) = heights
    assert right <= 4 < left
    assert latin_left <= 4 < latin_right


def test_what_is_said_and_listed_keeps_its_order(visit: Open) -> None:
    seen = visit({"model": "minilm", "text": HEBREW, "layer": 2, "head": 3, "query": 2, "key": 3})
    spoken = seen.page.locator("#live")
    expect(spoken).to_contain_text("attends to")
    assert (spoken.text_content() or "").count("\u2068") == (spoken.text_content() or "").count("\u2069") == 2
    expect(seen.page.locator("#text")).to_have_attribute("dir", "auto")
    assert seen.page.evaluate("() => getComputedStyle(document.getElementById('text')).direction") == "rtl"
    for part in ("#readout .token", ".verdict .chip", ".ranking .token"):
        assert set(seen.page.locator(part).evaluate_all("all => all.map(one => one.dir)")) == {"auto"}
    seen.page.click("#tab-table")
    seen.settle()
    assert set(seen.page.locator("#view tbody th").evaluate_all("all => all.map(one => one.dir)")) == {"auto"}
