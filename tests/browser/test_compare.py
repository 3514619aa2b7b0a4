"""Two panes on one clock: what stands beside what, what differs, and that all of it is the API's numbers."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FLAGSHIP, Open, Visit
from tests.browser.test_access import STILL, serious
from tests.serving import client

WIDE = FLAGSHIP.replace("tired", "wide")
SIDES = {"model": "minilm", "text": FLAGSHIP, "vs_text": WIDE, "layer": 5, "head": 11, "query": 10, "key": 2}
SIDES |= {"compare": "panes"}
DIFFERENCE = {**SIDES, "compare": "difference"}
IT, ANIMAL, TIRED = 10, 2, 13
SHARED = [i for i in range(15) if i != TIRED]
CUT = "knockout encoder.5.self.scores head.11 key.2 query.10"
SOURCE = "two dogs run in the snow"
TARGET = "deux chiens dorment"


class Side:
    """One side's trace, and its numbers from the API."""

    def __init__(self, server: str, **what: Any) -> None:
        self.root = f"{server}/api/v1"
        answer = client.post(f"{self.root}/traces", json=what)
        assert answer.status_code == 201, answer.text
        self.body = answer.json()

    def maps(self, **query: Any) -> list[list[list[list[float]]]]:
        """Weights by layer, head, query and key."""
        url = f"{self.root}/traces/{self.body['id']}/attention"
        values: list[Any] = client.get(url, params=query, headers={"accept": "application/json"}).json()["values"]
        return values

    def head(self, layer: int, head: int, **query: Any) -> list[list[float]]:
        return self.maps(layers=layer, heads=head, **query)[0][0]


def read(text: str | None) -> float:
    return float((text or "").replace("−", "-").replace("+", ""))


def both(seen: Visit) -> list[float]:
    """Left, right and difference, as the inspector has them with every digit."""
    shown = seen.page.locator(".both dd").evaluate_all("all => all.map(one => one.title)")
    return [read(one) for one in shown]


def readout(seen: Visit) -> list[float]:
    return [read(one) for one in seen.page.locator("#readout b").evaluate_all("all => all.map(one => one.title)")]


def cell(seen: Visit, host: str, row: int, col: int) -> tuple[float, float]:
    """The middle of a cell of one pane's heat map."""
    canvas = seen.page.locator(f"{host} canvas.cells")
    box = canvas.bounding_box()
    rows, cols = canvas.evaluate("c => [c.height, c.width]")
    assert box is not None
    return box["x"] + (col + 0.5) * box["width"] / cols, box["y"] + (row + 0.5) * box["height"] / rows


def table(seen: Visit) -> dict[str, list[list[float]]]:
    """The compared table: the numbers of each side, row by row."""
    rows = seen.page.locator(".scroller tbody tr").evaluate_all(
        "rows => rows.map(row => [row.querySelector('th[scope=row]').textContent,"
        " [...row.querySelectorAll('td')].map(cell => cell.title)])"
    )
    found: dict[str, list[list[float]]] = {"left": [], "right": [], "difference": []}
    for name, cells in rows:
        found[name].append([read(one) for one in cells])
    return found


def pixels(seen: Visit, host: str = "#view") -> list[list[list[int]]]:
    """The colours of a heat map, cell by cell."""
    found: list[list[list[int]]] = seen.page.locator(f"{host} canvas.cells").evaluate(
        """canvas => {
            const { width, height } = canvas;
            const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
            return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) =>
                [...data.slice(4 * (y * width + x), 4 * (y * width + x) + 3)]));
        }"""
    )
    return found


@pytest.fixture(scope="module")
def tired(server: str) -> Side:
    return Side(server, text=FLAGSHIP)


@pytest.fixture(scope="module")
def wide(server: str) -> Side:
    return Side(server, text=WIDE)


# ---------------------------------------------------------------- what differs


def test_the_difference_of_tired_and_wide_is_the_apis(visit: Open, tired: Side, wide: Side) -> None:
    left, right = tired.head(5, 11), wide.head(5, 11)
    seen = visit({**DIFFERENCE, "view": "table"})
    shown = table(seen)
    assert [len(row) for row in shown["difference"]] == [14] * 14
    for i, query in enumerate(SHARED):
        for j, key in enumerate(SHARED):
            assert shown["left"][i][j] == pytest.approx(left[query][key], abs=1e-6)
            assert shown["right"][i][j] == pytest.approx(right[query][key], abs=1e-6)
            assert shown["difference"][i][j] == pytest.approx(right[query][key] - left[query][key], abs=1e-6)


def test_the_map_of_what_differs(visit: Open, tired: Side, wide: Side) -> None:
    seen = visit(DIFFERENCE)
    left, right = tired.head(5, 11), wide.head(5, 11)
    colours = pixels(seen)
    assert [len(colours), len(colours[0])] == [14, 14]
    change = [[right[q][k] - left[q][k] for k in SHARED] for q in SHARED]
    top = float(seen.page.locator("#legend-difference span").last.inner_text())
    assert max(abs(x) for row in change for x in row) <= top <= 2 * max(abs(x) for row in change for x in row)
    assert seen.page.locator("#legend-difference span").all_inner_texts() == [f"−{top:g}", "0", f"+{top:g}"]
    ramp = seen.page.evaluate(
        f"async () => (await import('{seen.server}/static/js/colors.js')).diverging('dark')"
        ".css.map(one => one.match(/\\d+/g).map(Number))"
    )
    for row, values in zip(colours, change, strict=True):
        for colour, value in zip(row, values, strict=True):
            assert colour in [ramp[place] for place in near(127.5 + 127.5 * value / top)]
    it = SHARED.index(IT)
    assert change[it][ANIMAL] < 0
    red, _, blue = colours[it][ANIMAL]
    assert blue > red  # less is blue
    assert seen.page.inner_text("#compare-note") == "Left out, for want of a partner: tired (left), wide (right)"
    assert "−0.144" in (seen.page.locator("canvas.axes").get_attribute("aria-label") or "")


def near(place: float) -> range:
    """The ramp's entries that a rounded place may be."""
    return range(max(0, int(place) - 1), min(255, int(place) + 2) + 1)


@pytest.mark.parametrize("special", ["hide", "renormalise"])
def test_hidden_tokens_are_left_out_of_the_difference(visit: Open, tired: Side, wide: Side, special: str) -> None:
    shown = table(visit({**DIFFERENCE, "view": "table", "special": special}))
    words = range(1, 14)  # between [CLS] and [SEP]
    rows = {side: part.head(5, 11) for side, part in (("left", tired), ("right", wide))}
    if special == "renormalise":
        rows = {side: [[x / sum(row[k] for k in words) for x in row] for row in m] for side, m in rows.items()}
    aligned = [i for i in words if i != TIRED]
    for i, query in enumerate(aligned):
        for j, key in enumerate(aligned):
            change = rows["right"][query][key] - rows["left"][query][key]
            assert shown["difference"][i][j] == pytest.approx(change, abs=2e-6)


def test_the_grid_is_lit_by_how_much_each_head_differs(visit: Open, tired: Side, wide: Side) -> None:
    seen = visit(DIFFERENCE)
    expect(seen.page.locator("#heads-title")).to_have_text("What differs")
    left, right = tired.maps(), wide.maps()
    changes = [
        [
            sum(abs(right[la][he][q][k] - left[la][he][q][k]) for q in SHARED for k in SHARED) / (2 * len(SHARED))
            for he in range(12)
        ]
        for la in range(6)
    ]
    light = seen.page.evaluate(
        """async server => {
            const { arrange } = await import(`${server}/static/js/views/headlayout.js`);
            const host = document.querySelector('#grids .room');
            const room = { width: host.clientWidth, height: Math.max(host.clientHeight, 180) };
            const { tiles } = arrange({ layers: 6, heads: 12, ...room, aggregate: 'mean', ranked: null });
            const canvas = host.querySelector('canvas');
            const { width, height } = canvas;
            const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            const at = (layer, head) => tiles.find(({ ref }) => ref.layer === layer && ref.head === head);
            const middle = ({ x, y, size }) => copy.getImageData(x + size / 2, y + size / 2, 1, 1).data;
            return Array.from({ length: 6 }, (_, layer) => Array.from({ length: 12 }, (_, head) =>
                middle(at(layer, head)).slice(0, 3).reduce((sum, one) => sum + one, 0)));
        }""",
        seen.server,
    )
    flat = [(changes[la][he], light[la][he]) for la in range(6) for he in range(12)]
    strongest = max(flat)[1]
    assert strongest == max(one for _, one in flat)
    assert min(flat)[1] == min(one for _, one in flat)
    ordered = [one for _, one in sorted(flat)]
    assert not any(before > after + 12 for before, after in pairwise(ordered))
    label = seen.page.locator("#grids canvas").get_attribute("aria-label") or ""
    assert f"{100 * changes[5][11]:.0f} % of a row's attention goes elsewhere" in label


# ---------------------------------------------------------------- linked


def test_both_sides_stand_in_the_inspector_and_are_spoken(visit: Open, tired: Side, wide: Side) -> None:
    seen = visit(SIDES)
    left, right = tired.head(5, 11)[IT][ANIMAL], wide.head(5, 11)[IT][ANIMAL]
    assert both(seen) == pytest.approx([left, right, right - left], abs=1e-6)
    expect(seen.page.locator("#inspector")).to_contain_text("23.4 ÷ √32 = 4.14")
    expect(seen.page.locator("#live")).to_have_text(
        "Layer 5 · Head 11: it attends to animal, 65 % on the left and 50 % on the right, a difference of −0.144."
    )


def test_pointing_in_either_pane_points_in_both(visit: Open, tired: Side, wide: Side) -> None:
    seen = visit({**SIDES, "query": "", "key": ""})
    left, right = tired.head(5, 11), wide.head(5, 11)
    for host in ("#view", "#beside"):
        for row, col in ((3, 0), (14, 2)):
            seen.page.mouse.move(*cell(seen, host, row, col))
            seen.settle()
            pair = [left[row][col], right[row][col]]
            assert readout(seen) == pytest.approx([*pair, pair[1] - pair[0]], abs=1e-6)
    seen.page.mouse.move(*cell(seen, "#beside", IT, TIRED))  # it → wide: nothing on the left
    seen.settle()
    words = seen.page.locator("#beside canvas.axes").get_attribute("aria-label") or ""
    assert "it attends to wide" in words
    assert readout(seen) == pytest.approx([right[IT][TIRED]], abs=1e-6)
    expect(seen.page.locator("#readout")).to_contain_text("the left text has no such pair")


def test_a_cell_held_on_the_right_is_held_on_the_left(visit: Open) -> None:
    seen = visit({**SIDES, "vs_text": "Because " + WIDE})
    seen.page.mouse.click(*cell(seen, "#beside", 12, 3))  # one token further along
    seen.settle()
    assert seen.state["pair"] == "was animal"
    assert parse_qs(seen.hash)["query"] == ["11"]
    seen.page.mouse.click(*cell(seen, "#beside", 1, 1))  # "Because" is on the right alone
    expect(seen.page.locator("#toast")).to_contain_text("only in the right text")
    assert parse_qs(seen.settle().hash)["query"] == ["11"]


def test_the_grid_moves_both_panes_unless_one_is_kept(visit: Open, tired: Side, wide: Side) -> None:
    seen = visit(SIDES)
    seen.page.keyboard.press("[")
    seen.settle()
    assert both(seen)[:2] == pytest.approx([side.head(5, 10)[IT][ANIMAL] for side in (tired, wide)], abs=1e-6)
    seen.page.select_option("#vs-layer", "3")
    seen.page.select_option("#vs-head", "1")
    seen.settle()
    expected = [tired.head(5, 10)[IT][ANIMAL], wide.head(3, 1)[IT][ANIMAL]]
    assert both(seen)[:2] == pytest.approx(expected, abs=1e-6)
    seen.page.keyboard.press("]")
    seen.settle()
    expected = [tired.head(5, 11)[IT][ANIMAL], wide.head(3, 1)[IT][ANIMAL]]
    assert both(seen)[:2] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("view", ["lines", "text", "bars"])
def test_other_views_stand_side_by_side_too(visit: Open, view: str) -> None:
    seen = visit({**SIDES, "view": view})
    drawn = {"lines": "canvas.lines", "text": ".prose", "bars": ".plot.ready"}[view]
    for host in ("#view", "#beside"):
        expect(seen.page.locator(f"{host} {drawn}")).to_be_visible()
    if view == "text":
        expect(seen.page.locator("#view .prose")).to_contain_text("tired")
        expect(seen.page.locator("#beside .prose")).to_contain_text("wide")


# ---------------------------------------------------------------- what may differ


def test_two_sentences_by_hand(visit: Open, wide: Side) -> None:
    seen = visit({**SIDES, "vs_text": "", "compare": "off"})
    seen.page.keyboard.press("c")
    seen.settle()
    assert both(seen)[2] == 0
    expect(seen.page.locator("#compare-note")).to_contain_text("Both sides are the same")
    seen.page.fill("#vs-text", WIDE)
    seen.page.press("#vs-text", "Enter")
    seen.settle()
    assert both(seen)[1] == pytest.approx(wide.head(5, 11)[IT][ANIMAL], abs=1e-6)
    assert parse_qs(seen.hash)["vs_text"] == [WIDE]
    seen.page.click("#vs-swap")
    seen.settle()
    assert seen.state["text"] == WIDE
    assert seen.page.input_value("#vs-text") == FLAGSHIP
    seen.page.click("#vs-same")
    seen.settle()
    assert not any(name.startswith("vs_") for name in parse_qs(seen.hash))
    seen.page.click("#compare")
    expect(seen.page.locator("#beside")).to_be_hidden()


def test_two_models(visit: Open, server: str) -> None:
    state = {
        "model": "tiny-bert-mlm",
        "text": SOURCE,
        "vs_model": "tiny-gpt2",
        "layer": 2,
        "head": 3,
        "compare": "panes",
    }
    seen = visit({**state, "query": 3, "key": 2})
    sides = [Side(server, model=name, text=SOURCE) for name in ("tiny-bert-mlm", "tiny-gpt2")]
    words = [[token["text"].strip() for token in one.body["tokens"]] for one in [_Last(side) for side in sides]]
    query, key = words[0][3], words[0][2]
    places = [[line.index(query), line.index(key)] for line in words]
    expected = [side.head(2, 3)[q][k] for side, (q, k) in zip(sides, places, strict=True)]
    assert both(seen)[:2] == pytest.approx(expected, abs=1e-6)
    seen.page.select_option("#vs-model", "tiny-t5")
    seen.settle()
    expect(seen.page.locator("#vs-block")).to_be_visible()
    seen.page.select_option("#vs-block", "decoder.cross")
    seen.settle()
    expect(seen.page.locator("#beside canvas.axes")).to_have_attribute("aria-label", _containing("source tokens"))
    seen.page.locator("#compare-how [value=difference]").click()
    expect(seen.page.locator("#compare-note")).to_contain_text("Choose the same block on both sides")
    expect(seen.page.locator("#beside canvas.axes")).to_be_visible()


def _containing(words: str) -> Any:
    return re.compile(re.escape(words))


class _Last:
    """The last stack's tokens."""

    def __init__(self, side: Side) -> None:
        self.body = {"tokens": list(side.body["tokens"].values())[-1]}


def test_an_intervention_before_and_after(visit: Open, server: str, tired: Side) -> None:
    seen = visit({**SIDES, "vs_text": ""})
    seen.page.get_by_role("button", name="Intervene").click()
    seen.page.get_by_role("menuitem", name="Knock out it → animal").click()
    expect(seen.page.locator("#vs-patches .patch")).to_have_text("without it → animal in 5·11")
    seen.settle()
    patch = {"operation": "knockout", "address": "encoder.5.self.scores"}
    patch |= {"where": {"head": [11], "query": [IT], "key": [ANIMAL]}}  # type: ignore[dict-item]
    after = Side(server, text=FLAGSHIP, patches=[patch])
    rows = [side.head(5, 11)[IT] for side in (tired, after)]
    assert rows[1][ANIMAL] == 0
    assert both(seen) == pytest.approx([rows[0][ANIMAL], 0, -rows[0][ANIMAL]], abs=1e-6)
    seen.page.mouse.move(*cell(seen, "#beside", IT, 0))
    seen.settle()
    assert readout(seen) == pytest.approx([rows[0][0], rows[1][0], rows[1][0] - rows[0][0]], abs=1e-6)
    assert parse_qs(seen.hash)["vs_patches"] == [CUT]
    seen.page.locator("#vs-patches .patch").click()
    seen.settle()
    assert both(seen)[2] == 0


def test_a_trace_with_an_intervention_alone(visit: Open, server: str) -> None:
    seen = visit({**SIDES, "compare": "off", "vs_text": "", "patches": "zero encoder.3.self.z head.1"})
    patch = {"operation": "zero", "address": "encoder.3.self.z", "where": {"head": [1]}}
    after = Side(server, text=FLAGSHIP, patches=[patch])
    shown = float(seen.page.get_attribute("#weight", "title") or "")
    assert shown == pytest.approx(after.head(5, 11)[IT][ANIMAL], abs=1e-6)
    expect(seen.page.locator("#patches .patch")).to_have_text("3·1 silenced")
    seen.run(FLAGSHIP)
    expect(seen.page.locator("#patches .patch")).to_have_count(1)
    seen.page.locator("#patches .patch").click()
    expect(seen.page.locator("#weight")).to_have_text("0.647")
    assert "patches" not in parse_qs(seen.hash)


def test_generation_goes_on_under_the_intervention(visit: Open, server: str) -> None:
    patch = {"operation": "zero", "address": "decoder.1.self.z", "where": {}}
    said = client.post(
        f"{server}/api/v1/traces",
        json={"model": "tiny-gpt2", "text": SOURCE, "generate": {"max_new_tokens": 3}},
    ).json()["said"]
    ids = "-".join(map(str, said))
    seen = visit(
        {"model": "tiny-gpt2", "text": SOURCE, "said": ids, "most": 3, "view": "generate", "step": 1}
        | {"compare": "panes", "vs_patches": "zero decoder.1.self.z"}
    )
    shown = [seen.page.locator(f"{host} button.uttered").nth(1).get_attribute("title") for host in ("#view", "#beside")]
    chances = []
    for patches in ([], [patch]):
        side = Side(server, model="tiny-gpt2", text=SOURCE, said=said, patches=patches)
        url = f"{side.root}/traces/{side.body['id']}/tensors/decoder.logits"
        at = len(side.body["tokens"]["decoder"]) - 3
        logits = client.get(url, params={"position": at}, headers={"accept": "application/json"}).json()["values"][0]
        top = max(logits)
        chances.append(math.exp(logits[said[1]] - top) / sum(math.exp(x - top) for x in logits))
    assert chances[0] != pytest.approx(chances[1], rel=1e-2)
    assert [float((one or "").split(": ")[1].split(",")[0]) for one in shown] == pytest.approx(chances, rel=1e-4)


def test_a_pane_that_nobody_sees_takes_no_keys(visit: Open) -> None:
    seen = visit({**DIFFERENCE, "view": "steps"}, **STILL)
    expect(seen.page.locator("#beside .steps")).to_be_visible()
    seen.page.click("#tab-heatmap")
    seen.settle()
    seen.page.locator("#view canvas.axes").focus()
    seen.settle()
    before = seen.page.inner_text("#readout")
    seen.page.keyboard.press("ArrowRight")
    expect(seen.page.locator("#readout")).not_to_have_text(before)


def test_what_stands_there_already_keeps_the_focus(visit: Open) -> None:
    seen = visit({**SIDES, "vs_patches": CUT}, **STILL)
    chip = seen.page.locator("#vs-patches .patch")
    chip.focus()
    seen.page.mouse.move(*cell(seen, "#view", IT, 2))
    seen.settle()
    seen.page.mouse.move(1, 1)
    seen.page.evaluate("() => new Promise(done => setTimeout(done, 300))")  # longer than what was pointed at is kept
    seen.settle()
    expect(chip).to_be_focused()


# ---------------------------------------------------------------- one clock


def test_steps_go_on_one_clock(visit: Open) -> None:
    state = {"model": "tiny-lstm", "text": SOURCE, "target": TARGET, "vs_model": "tiny-gru", "view": "steps"}
    seen = visit({**state, "story": "time", "compare": "panes"})
    titles = seen.page.locator(".steps .title")
    names = seen.page.eval_on_selector("#view .step-transport select", "s => [...s.options].map(o => o.value)")
    other = seen.page.eval_on_selector("#beside .step-transport select", "s => [...s.options].map(o => o.value)")
    assert names != other
    for at, name in enumerate(names):
        expect(titles.first).to_contain_text(f"{at + 1} of {len(names)}")
        beside = other.index(name) if name in other else min(at, len(other) - 1)
        expect(titles.last).to_contain_text(f"{beside + 1} of {len(other)}")
        seen.page.keyboard.press("ArrowRight")
        seen.settle()
    for part in ("#view", "#beside"):
        expect(seen.page.locator(f"{part} .step-stage .line").first).to_be_visible()
    expect(seen.page.locator("#beside .step-transport")).to_be_hidden()


DRAWN = """() => {
  window.drawn = { "#view": [], "#beside": [] };
  for (const [host, frames] of Object.entries(window.drawn)) {
    const room = document.querySelector(`${host} .stage-room`);
    const noting = new MutationObserver(() => frames.push(document.timeline.currentTime));
    noting.observe(room, { childList: true, subtree: true });
  }
}"""


def test_two_players_never_draw_in_the_same_frame(visit: Open) -> None:
    seen = visit({**SIDES, "view": "steps"}, **STILL)
    seen.page.evaluate(DRAWN)
    for _ in range(4):
        seen.page.keyboard.press("PageDown")
        seen.settle()
    seen.page.wait_for_function("() => Object.values(drawn).every(frames => new Set(frames).size >= 4)")
    left, right = (set(frames) for frames in seen.page.evaluate("() => Object.values(drawn)"))
    assert not left & right


def test_two_translations_go_on_one_clock(visit: Open, server: str) -> None:
    models = ("tiny-gru", "tiny-luong")
    state = {"model": models[0], "vs_model": models[1], "text": SOURCE, "target": TARGET, "story": "translation"}
    seen = visit({**state, "view": "steps", "form": "table", "compare": "panes"}, **STILL)
    sides = [Side(server, model=name, text=SOURCE, target=TARGET) for name in models]
    names = seen.page.eval_on_selector("#view .step-transport select", "s => [...s.options].map(o => o.value)")
    assert names[0] == "encode"
    assert len(names) == 1 + len(sides[0].body["tokens"]["decoder"])
    for name in names:
        expect(seen.page.locator("#view .step-transport select").first).to_have_value(name)
        expect(seen.page.locator("#beside .step-transport select").first).to_have_value(name)
        shown = []
        for host, side in zip(("#view", "#beside"), sides, strict=True):
            cells = seen.page.locator(f"{host} td[data-source]").evaluate_all(
                "cells => cells.map(cell => [cell.dataset.source, cell.querySelector('.number').textContent])"
            )
            assert cells, name
            for source, text in cells:
                url = f"{side.root}/traces/{side.body['id']}/{source}"
                wanted = client.get(url, headers={"accept": "application/json"}).json()["values"]
                numbers = [read(one) for one in text.split()]
                assert numbers == pytest.approx(np.ravel(wanted).tolist(), rel=1e-5, abs=1e-7), (host, name)
                shown.append(numbers)
        assert shown[0] != shown[-1]
        seen.page.keyboard.press("ArrowRight")
        seen.settle()


def test_states_go_along(visit: Open) -> None:
    state = {"model": "tiny-lstm", "text": SOURCE, "vs_text": "run, " + SOURCE, "view": "states", "compare": "panes"}
    seen = visit({**state, "time": 2, "unit": 5})
    for host in ("#view", "#beside"):
        expect(seen.page.locator(f"{host} canvas").first).to_be_visible()


# ---------------------------------------------------------------- addresses, examples, problems


def test_the_address_holds_both_panes(visit: Open) -> None:
    first = visit({**DIFFERENCE, "vs_patches": CUT, "vs_layer": 3, "vs_head": 1, "special": "hide"})
    second = visit(f"/{first.hash}")
    assert second.hash == first.hash
    assert pixels(first) == pixels(second)
    assert first.page.inner_text("#readout") == second.page.inner_text("#readout")
    expect(second.page.locator("#vs-patches .patch")).to_have_count(1)


def test_what_is_as_on_the_left_is_not_in_the_address(visit: Open) -> None:
    seen = visit({**SIDES, "vs_text": ""})
    assert not any(name.startswith("vs_") for name in parse_qs(seen.hash))
    assert parse_qs(visit().hash).keys() & {"compare", "patches"} == set()


def test_the_built_in_comparison(visit: Open) -> None:
    seen = visit({"model": "minilm-sentiment", "text": "Not bad", "pair": "Good"})
    seen.page.click("#examples-button")
    seen.page.get_by_role("menuitem", name="too tired | too wide").click()
    expect(seen.page.locator("#beside canvas.axes")).to_have_attribute("aria-label", _containing("with 0.503"))
    seen.settle()
    assert both(seen)[2] == pytest.approx(-0.144, abs=1e-3)


def test_comparisons_are_offered_where_their_models_are(module: Any) -> None:
    ids = ["minilm", "seq2seq-fr-en", "transformer-fr-en", "seq2seq-plain-fr-en"]
    ready = [{"id": name, "status": "ready"} for name in ids]
    offered = "m => m.comparisons({models}).map(one => one.name)".replace
    assert module("compare/examples", offered("{models}", str(ready[:1]))) == ["too tired | too wide"]
    assert len(module("compare/examples", offered("{models}", str(ready[:3])))) == 2
    assert len(module("compare/examples", offered("{models}", str(ready)))) == 3
    away = [ready[0] | {"status": "absent"}, *ready[1:]]
    assert "too tired | too wide" not in module("compare/examples", offered("{models}", str(away)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vs_text": "word " * 600}, "512"),
        ({"vs_model": "nothing-here"}, "nothing-here"),
        ({"vs_patches": "zero encoder.9.self.z"}, "encoder.9.self.z"),
        ({"vs_patches": "knockout encoder.5.self.scores key.40"}, "key"),
    ],
)
def test_a_problem_on_the_right_is_said_there(visit: Open, change: dict[str, str], says: str) -> None:
    seen = visit({**SIDES, **change})
    expect(seen.page.locator("#beside-problem")).to_contain_text(says)
    expect(seen.page.locator("#problem")).to_be_hidden()
    assert seen.state["weight"] == "0.647"
    seen.page.click("#vs-same")
    seen.settle()
    expect(seen.page.locator("#beside-problem")).to_be_hidden()
    assert both(seen)[2] == 0


def test_networks_without_attention_say_why_nothing_is_subtracted(visit: Open) -> None:
    seen = visit({"model": "minilm", "text": SOURCE, "vs_model": "tiny-rnn", "compare": "difference"})
    expect(seen.page.locator("#compare-note")).to_contain_text("A network without attention has no weights")
    expect(seen.page.locator("#beside canvas").first).to_be_visible()


# ---------------------------------------------------------------- alignment


@pytest.mark.parametrize(
    ("left", "right", "pairs"),
    [
        ("a b c", "a b c", [[0, 0], [1, 1], [2, 2]]),
        ("a b c d", "a x c d", [[0, 0], [2, 2], [3, 3]]),
        ("a b", "x y a b z", [[0, 2], [1, 3]]),
        ("a b c a", "x a b a", [[0, 1], [1, 2], [3, 3]]),
        ("a", "b", []),
        ("", "a b", []),
    ],
)
def test_texts_are_aligned_by_their_longest_common_subsequence(
    module: Any, left: str, right: str, pairs: list[list[int]]
) -> None:
    words = [[{"text": word} for word in text.split()] for text in (left, right)]
    assert module("compare/alignment", f"m => m.align(...{words}).pairs") == pairs


def test_alignments_are_as_long_as_they_can_be_and_never_cross(module: Any) -> None:
    found = module(
        "compare/alignment",
        """m => Array.from({ length: 200 }, (_, seed) => {
            let state = seed + 1;
            const random = n => (state = (state * 48271) % 2147483647) % n;
            const text = () => Array.from({ length: random(12) }, () => ({ text: "abcd"[random(4)] }));
            const [left, right] = [text(), text()];
            return [left, right].map(one => one.map(({ text }) => text).join("")).concat([m.align(left, right)]);
        })""",
    )
    for left, right, by in found:
        assert len(by["pairs"]) == longest(left, right)
        for i, j in by["pairs"]:
            assert left[i] == right[j]
            assert (by["right"][i], by["left"][j]) == (j, i)
        assert all(i < k and j < m for (i, j), (k, m) in pairwise(by["pairs"]))


def longest(a: str, b: str) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        before = row
        row = [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(before[j + 1], row[j]))
    return row[-1]


def test_special_tokens_and_spaces_before_words_align_by_text(module: Any) -> None:
    left = [{"text": "[CLS]"}, {"text": "Two"}, {"text": "dogs"}]
    right = [{"text": "<s>"}, {"text": "Two"}, {"text": " dogs"}]
    assert module("compare/alignment", f"m => m.align({left}, {right}).pairs") == [[1, 1], [2, 2]]


# ---------------------------------------------------------------- for everybody


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", [SIDES, DIFFERENCE, {**SIDES, "view": "table"}, {**SIDES, "view": "steps"}])
def test_axe_finds_nothing_serious(visit: Open, state: dict[str, Any], theme: str) -> None:
    assert serious(visit({**state, "vs_patches": CUT}, theme=theme, **STILL)) == []


@pytest.mark.parametrize("size", [(390, 844), (1366, 768), (1920, 1080)])
@pytest.mark.parametrize("view", ["heatmap", "lines", "text", "table", "steps"])
def test_nothing_overflows(visit: Open, size: tuple[int, int], view: str) -> None:
    seen = visit({**SIDES, "view": view, "vs_patches": CUT}, size=size)
    assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
    right = seen.page.locator("#side-right").bounding_box()
    left = seen.page.locator("#side-left").bounding_box()
    assert right is not None
    assert left is not None
    assert (right["y"] > left["y"]) == (size[0] < 760)


@pytest.mark.parametrize("state", [SIDES, DIFFERENCE, {**SIDES, "view": "steps"}], ids=["panes", "difference", "steps"])
def test_two_panes_are_projected(visit: Open, state: dict[str, Any]) -> None:
    seen = visit({**state, "present": "on"}, size=(1280, 720))
    assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 1280
    expect(seen.page.locator("#side-left")).to_contain_text("tired")
    expect(seen.page.locator("#side-right")).to_contain_text("wide")
    expect(seen.page.locator("#vs-text")).to_be_hidden()
    if state.get("view") != "steps":
        expect(seen.page.locator("#readout")).to_contain_text("−0.144")
    seen.page.keyboard.press("ArrowRight")
    seen.settle()
    assert parse_qs(seen.hash).get("query") == ["11"] or "at" in parse_qs(seen.hash)


@pytest.mark.parametrize(("state", "once"), [(SIDES, True), ({**SIDES, "vs_layer": 3, "vs_head": 1}, False)])
def test_what_both_projected_panes_have_in_common_is_said_once(visit: Open, state: dict[str, Any], once: bool) -> None:
    page = visit({**state, "present": "on"}, size=(1280, 720)).page
    expect(page.locator("#side-left .aside")).to_contain_text("Layer 5 · Head 11")
    expect(page.locator("#vs-told-of")).to_be_visible(visible=not once)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 1280
    line = page.locator("#side-left .aside").bounding_box()
    assert line is not None
    assert (line["height"] < 60) == once, "in one line"


# What is wrong with the panes of a projected storyboard: numbers over numbers, words cut off, matrices without width.
CRAMPED = """() => [...document.querySelectorAll('.scene')].flatMap(scene => {
    const name = scene.closest('#beside') ? 'right' : 'left';
    const room = scene.closest('.stage-room').getBoundingClientRect();
    const wrong = [];
    const now = scene.querySelector('.line.now:not(.head)')?.getBoundingClientRect();
    if (now && (now.top < room.top - 2 || now.bottom > room.bottom + 2)) wrong.push('the line in focus is away');
    if (room.height < innerHeight / 3) wrong.push(`${room.height} pixels high`);
    for (const line of scene.querySelectorAll('.line:not(.titles)')) {
        const ends = [...line.querySelectorAll(':scope > .part:is(.token, .number, .phrase)')].map(part => {
            const range = document.createRange();
            range.selectNodeContents(part);
            return range.getBoundingClientRect();
        }).filter(({ width }) => width);
        ends.slice(1).forEach((box, i) => box.left < ends[i].right && wrong.push(`overlap in ${line.innerText}`));
    }
    for (const word of scene.querySelectorAll('.token'))
        if (word.clientWidth && word.scrollWidth > word.clientWidth + 1) wrong.push(`cut: ${word.innerText}`);
    for (const { clientWidth: width } of scene.querySelectorAll('.sheet'))
        if (width < 48) wrong.push(`a matrix ${width} wide`);
    return wrong.map(what => [name, what]);
})"""

# What is wrong with their words and formulas: not there, too small, cut off, or over one another.
UNSAID = """() => {
    const [left, right] = [...document.querySelectorAll('.steps')];
    const told = player => player.querySelector('.sentence').textContent;
    const once = document.querySelector('[data-alike]') !== null;
    const wrong = once === (told(left) === told(right)) ? [] : ['what is said once is not what both say'];
    const inked = element => [...element.querySelectorAll('*'), element].map(one => {
        const range = document.createRange();
        range.selectNodeContents(one);
        return range.getBoundingClientRect();
    }).filter(({ width }) => width);
    const least = element => Math.min(...[...element.querySelectorAll('*'), element]
        .filter(one => [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .map(one => parseFloat(getComputedStyle(one).fontSize)));
    for (const [side, player] of [['left', left], ['right', right]]) {
        let above = null;
        for (const name of ['.title', '.sentence', '.step-formula']) {
            const own = player.querySelector(name);
            if (!own.textContent) continue;
            const shared = once && name !== '.step-formula';
            const shown = shared ? left.querySelector(name) : own;
            const stage = player.querySelector('.step-stage').getBoundingClientRect();
            if (!shown.checkVisibility()) { wrong.push(`${side} ${name} is hidden`); continue; }
            if (least(shown) < 24) wrong.push(`${side} ${name} is written ${least(shown)} pixels high`);
            const box = shown.getBoundingClientRect();
            const ink = inked(shown);
            const end = (shared ? innerWidth : stage.right) + 1;
            if (ink.some(one => one.right > end)) wrong.push(`${side} ${name} is too wide`);
            const over = Math.max(...ink.map(one => Math.max(box.top - one.top, one.bottom - box.bottom)));
            if (over > 1) wrong.push(`${side} ${name} is cut by ${over}`);
            if (above !== null && box.top < above - 1) wrong.push(`${side} ${name} is over what is above it`);
            above = box.bottom;
        }
        const { top } = player.querySelector('.step-stage').getBoundingClientRect();
        if (top < above - 1) wrong.push(`${side}: words over the picture`);
    }
    return wrong;
}"""


RECURRENT: dict[str, Any] = {"model": "tiny-gru", "vs_model": "tiny-luong", "text": SOURCE, "target": TARGET}
RECURRENT |= {"vs_text": "", "layer": 0, "head": 0, "query": 1, "key": 1}


@pytest.mark.parametrize("story", ["heads", "translation", "attention", "time"])
def test_two_projected_storyboards_have_room(visit: Open, story: str) -> None:
    more = {} if story == "heads" else {**RECURRENT, "story": story}
    state = {**SIDES, "view": "steps", "present": "on", **more}
    seen = visit(state, size=(1280, 720), **STILL)
    found = {}
    for name in seen.page.eval_on_selector("#view .step-transport select", "s => [...s.options].map(o => o.value)"):
        assert parse_qs(seen.hash).get("at", [name]) == [name]
        assert seen.page.locator(".scene:has(.part)").count() == 2
        found[name] = seen.page.evaluate(CRAMPED) + seen.page.evaluate(UNSAID)
        seen.page.keyboard.press("ArrowRight")
        seen.settle()
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
