"""What a visitor sees and does, against the API's own numbers."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import expect

import engine
from tests.browser.conftest import FLAGSHIP, Open, Visit
from tests.serving import client

VIEWS = ["heatmap", "lines", "text", "bars", "table"]
AT_IT = {"model": "minilm", "text": FLAGSHIP, "layer": 5, "head": 11, "query": 10, "key": 2}


@pytest.fixture(scope="session")
def api(server: str) -> Any:
    """One head's weights, from the API: (layer, head) -> rows."""
    with httpx.Client(base_url=f"{server}/api/v1") as client:
        trace = client.post("/traces", json={"model": "minilm", "text": FLAGSHIP}).json()

        def weights(**query: Any) -> list[list[float]]:
            answer = client.get(
                f"/traces/{trace['id']}/attention", params=query, headers={"accept": "application/json"}
            )
            return answer.json()["values"][0][0]

        yield weights


def test_the_page_opens_on_it_looking_at_the_animal(visit: Open, api: Any) -> None:
    page = visit().page
    expect(page.locator("#focus-title")).to_have_text("Layer 5 · Head 11")
    expect(page.locator("#weight")).to_have_text("0.647")
    expect(page.locator(".verdict .chip")).to_have_text(["it", "animal"])
    shown = float(page.get_attribute("#weight", "title") or "")
    assert shown == pytest.approx(api(layers=5, heads=11)[10][2], abs=1e-6)
    assert shown == pytest.approx(0.647, abs=0.002)
    expect(page.locator("#inspector")).to_contain_text("23.4 ÷ √32 = 4.14")
    expect(page.locator("#readout")).to_have_text("it → animal0.647")


def test_every_module_is_asked_for_at_once(visit: Open) -> None:
    page = visit().page
    preloaded = page.eval_on_selector_all("link[rel=modulepreload]", "links => links.map(link => link.href)")
    modules = page.evaluate("() => performance.getEntriesByType('resource').map(r => r.name)")
    loaded = {url for url in modules if url.endswith(".js") and not url.endswith(("/main.js", "/theme.js"))}
    assert set(preloaded) == loaded


def test_a_sentence_of_ones_own(visit: Open) -> None:
    seen = visit().run("The trophy would not fit in the suitcase because it was too big")
    assert "trophy" in seen.hash
    labels = seen.page.locator("canvas.axes").get_attribute("aria-label") or ""
    assert "15 tokens by 15" in labels
    assert seen.page.inner_text("#weight") != "0.647"
    seen.page.locator("#tab-text").click()
    expect(seen.page.locator(".prose")).to_contain_text("trophy")


def test_two_sentences(visit: Open) -> None:
    seen = visit()
    seen.page.click("#pair-toggle")
    seen.page.fill("#text", "A man is playing a guitar")
    seen.page.fill("#pair", "Someone plays an instrument")
    seen.page.press("#pair", "Enter")
    expect(seen.page.locator("canvas.axes")).to_have_attribute("aria-label", _containing("13 tokens by 13"))
    seen.page.locator("#tab-text").click()
    expect(seen.page.locator(".prose p")).to_have_count(2)
    assert "pair=Someone" in seen.hash


def test_examples_start_where_something_can_be_seen(visit: Open) -> None:
    seen = visit({"model": "minilm", "text": "something else", "layer": 0, "head": 0})
    seen.page.click("#examples-button")
    seen.page.locator("#examples [role=menuitem]").first.click()
    expect(seen.page.locator("#weight")).to_have_text("0.647")


@pytest.mark.parametrize(
    ("example", "pair", "weight"),
    [
        (1, "it animal", "0.266"),
        (2, "ball kicked", "0.634"),
        (3, "The fox", "0.763"),
        (4, "you how", "0.646"),
        (5, "It cat", "0.515"),
    ],
)
def test_every_example_opens_at_a_telling_weight(visit: Open, example: int, pair: str, weight: str) -> None:
    seen = visit({**AT_IT, "also": "2.3"})
    seen.page.click("#examples-button")
    seen.page.locator("#examples [role=menuitem]").nth(example).click()
    expect(seen.page.locator("#weight")).to_have_text(weight)
    assert seen.settle().state["pair"] == pair
    assert seen.state["chips"] == ""


def test_heat_map_holds_the_numbers(visit: Open, api: Any) -> None:
    page = visit().page
    size, row = page.evaluate(
        """() => {
            const canvas = document.querySelector('canvas.cells');
            const { width, height } = canvas;
            const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 10, width, 1);
            const light = (i) => data[4 * i] + data[4 * i + 1] + data[4 * i + 2];
            return [[width, height], Array.from({ length: width }, (_, i) => light(i))];
        }"""
    )
    weights = api(layers=5, heads=11)[10]
    assert size == [15, 15]
    by_light = sorted(range(15), key=lambda key: -row[key])
    assert by_light[:2] == sorted(range(15), key=lambda key: -weights[key])[:2] == [2, 0]


def test_lines_are_drawn_and_isolate_a_token(visit: Open) -> None:
    seen = visit({**AT_IT, "view": "lines", "query": "", "key": ""})
    everything = _ink(seen, "canvas.lines")
    box = seen.page.locator("canvas.lines").bounding_box()
    assert box is not None
    names = 15
    pitch = (box["height"] - 28) / names
    seen.page.mouse.move(box["x"] + 90, box["y"] + 24 + 10.5 * pitch)
    expect(seen.page.locator("#readout")).to_have_text("row of it")
    assert 0 < _ink(seen, "canvas.lines") < everything


def test_lines_and_inspector_agree_when_nothing_is_held(visit: Open) -> None:
    seen = visit("/#view=lines")
    assert seen.state["pair"] == "it animal"
    marked = """() => {
        const canvas = document.querySelector('canvas.lines');
        const { width, height } = canvas;
        const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
        const rows = { left: new Set(), right: new Set() };
        for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
            const [r, g, b, a] = data.slice(4 * (y * width + x), 4 * (y * width + x) + 4);
            if (a === 255 && r === 102 && g === 199 && b === 255) rows[x < width / 2 ? 'left' : 'right'].add(y);
        }
        const middle = (ys) => [...ys].reduce((sum, y) => sum + y, 0) / ys.size;
        const pitch = (height - 28) / 15;
        return [middle(rows.left), middle(rows.right)].map((y) => Math.floor((y - 24) / pitch));
    }"""
    assert seen.page.evaluate(marked) == [10, 2]


def test_a_head_that_looks_at_special_tokens_is_explained_by_them(visit: Open) -> None:
    seen = visit({**AT_IT, "text": "Hi there you", "query": "", "key": ""})
    assert seen.state["pair"] == "there [CLS]"
    seen.page.select_option("select[data-state=special]", "hide")
    seen.settle()
    assert "[CLS]" not in seen.state["pair"]


@pytest.mark.parametrize("width", [1280, 1366, 1920])
def test_controls_stay_where_they_are(visit: Open, width: int) -> None:
    seen = visit(AT_IT, size=(width, 768))
    where = """() => ['[data-state=threshold]', '[data-state=special]', '#view']
        .map(name => document.querySelector(name).getBoundingClientRect()).flatMap(box => [box.left, box.top])"""
    before = seen.page.evaluate(where)
    for special in ("hide", "renormalise"):
        seen.page.select_option("select[data-state=special]", special)
        seen.settle()
        assert seen.page.evaluate(where) == before


def test_on_a_phone_everything_can_be_reached(visit: Open) -> None:
    seen = visit({**AT_IT, "also": "4.5"}, size=(390, 844))
    page = seen.page
    expect(page.locator("#readout")).to_be_in_viewport()
    expect(page.locator("#chips button").last).to_be_in_viewport()
    page.click("#examples-button")
    box = page.locator("#examples").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.keyboard.press("Escape")
    page.click("#why")
    expect(page.locator("#weight")).to_be_in_viewport()


def test_what_is_on_screen_dims_while_another_sentence_is_read(visit: Open) -> None:
    seen = visit()
    waiting: list[Any] = []
    seen.page.route("**/api/v1/traces", lambda route: waiting.append(route) or None)
    seen.page.fill("#text", "A sentence that takes its time")
    seen.page.click("#run")
    expect(seen.page.locator("#stage.stale")).to_be_attached()
    waiting[0].continue_()
    expect(seen.page.locator("#stage.stale")).to_have_count(0)
    expect(seen.page.locator("#focus-title")).to_be_visible()


def test_text_is_tinted_by_the_chosen_token(visit: Open, api: Any) -> None:
    seen = visit({**AT_IT, "view": "text"})
    page = seen.page
    rows = page.locator(".ranked li")
    expect(rows.first).to_contain_text("animal")
    expect(rows.first).to_contain_text("0.647")
    page.get_by_role("radio", name="attended by").click()
    column = [row[10] for row in api(layers=5, heads=11)]
    expect(rows.first.locator(".value")).to_have_attribute("title", _close_to(max(column)))
    page.locator(".word", has_text="street").click()
    assert "query=8" in seen.hash


def test_bars_show_every_chosen_head(visit: Open, api: Any) -> None:
    page = visit({**AT_IT, "view": "bars", "also": "4.5"}).page
    page.locator(".plot.ready").wait_for()
    drawn = page.evaluate("() => document.querySelector('.plot').data.map(d => [d.name, Array.from(d.y)])")
    assert [name for name, _ in drawn] == ["Layer 5 · Head 11", "Layer 4 · Head 5"]
    assert drawn[0][1] == pytest.approx(api(layers=5, heads=11)[10], abs=1e-6)
    assert drawn[1][1] == pytest.approx(api(layers=4, heads=5)[10], abs=1e-6)


def test_table_holds_the_same_numbers(visit: Open, api: Any) -> None:
    page = visit({**AT_IT, "view": "table"}).page
    expect(page.locator("tr.chosen td.chosen")).to_have_text("0.647")
    cells = [float(cell) for cell in page.locator("tr.chosen td").all_inner_texts()]
    assert cells == pytest.approx(api(layers=5, heads=11)[10], abs=5.1e-4)


def test_special_tokens_hidden_and_rows_made_to_sum_to_one(visit: Open, api: Any) -> None:
    seen = visit({**AT_IT, "view": "table"})
    seen.page.select_option("select[data-state=special]", "hide")
    seen.settle()
    row = api(layers=5, heads=11)[10][1:-1]
    shown = [float(cell) for cell in seen.page.locator("tr.chosen td").all_inner_texts()]
    assert shown == pytest.approx(row, abs=5.1e-4)
    seen.page.select_option("select[data-state=special]", "renormalise")
    seen.settle()
    shown = [float(cell) for cell in seen.page.locator("tr.chosen td").all_inner_texts()]
    assert shown == pytest.approx([weight / sum(row) for weight in row], abs=5.1e-4)
    expect(seen.page.locator("#weight")).to_have_text("0.647")


def test_threshold_leaves_the_strong_ones(visit: Open) -> None:
    seen = visit({**AT_IT, "view": "table", "threshold": "0.3"})
    assert [text for text in seen.page.locator("tr.chosen td").all_inner_texts() if text] == ["0.647"]


def test_hover_reads_and_click_holds(visit: Open, api: Any) -> None:
    seen = visit()
    page = seen.page
    page.mouse.move(*seen.cell(8, 0))
    weight = api(layers=5, heads=11)[8][0]
    expect(page.locator("#readout")).to_have_text(f"street → [CLS]{weight:.3f}")
    expect(page.locator("#weight")).to_have_text("0.647")
    page.mouse.click(*seen.cell(8, 0))
    expect(page.locator("#weight")).to_have_text(f"{weight:.3f}")
    assert "query=8" in seen.hash
    page.keyboard.press("Escape")
    assert "query" not in seen.hash
    expect(page.locator(".verdict .chip").last).to_have_text("animal")
    x, y = seen.cell(10, 0)
    page.mouse.click(x - 60, y)
    assert "query=10" in seen.hash
    assert "key" not in seen.hash
    expect(page.locator(".verdict .chip")).to_have_text(["it", "animal"])


def test_strongest_keys_lead_to_their_weights(visit: Open) -> None:
    seen = visit()
    page = seen.page
    page.locator(".ranking .key", has_text="tired").click()
    expect(page.locator(".verdict .chip")).to_have_text(["it", "tired"])
    assert "key=13" in seen.hash


def test_every_palette_and_scale_draws_something_else(visit: Open) -> None:
    seen = visit()
    pictures = set()
    for palette in ("light", "viridis", "cividis"):
        for scale in ("linear", "log"):
            seen.page.select_option("select[data-state=palette]", palette)
            seen.page.get_by_role("radio", name=scale).click()
            seen.settle()
            pictures.add(_picture(seen))
    assert len(pictures) == 6


def test_grid_focuses_previews_and_adds_heads(visit: Open) -> None:
    seen = visit()
    page = seen.page
    box = page.locator("#grids canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 50)
    expect(page.locator(".preview")).to_be_visible()
    expect(page.locator(".preview strong")).to_have_text("Layer 0 · Head 0")
    page.mouse.click(box["x"] + 60, box["y"] + 50)
    expect(page.locator("#focus-title")).to_have_text("Layer 0 · Head 0")
    page.keyboard.down("Shift")
    page.mouse.click(box["x"] + 100, box["y"] + 50)
    page.keyboard.up("Shift")
    expect(page.locator("#chips button")).to_have_text(["0·0", "1·0"])
    page.locator("#chips button").first.click()
    expect(page.locator("#focus-title")).to_have_text("Layer 1 · Head 0")


def test_heads_of_a_layer_together(visit: Open, api: Any) -> None:
    seen = visit({**AT_IT, "head": "mean"})
    expect(seen.page.locator("#focus-title")).to_have_text("Layer 5 · mean of heads")
    shown = float(seen.page.get_attribute("#weight", "title") or "")
    heads = [api(layers=5, heads=head)[10][2] for head in range(12)]
    assert shown == pytest.approx(sum(heads) / 12, abs=1e-6)
    expect(seen.page.locator("#inspector")).to_contain_text("have no single q and k")
    seen.page.get_by_role("radio", name="max").click()
    expect(seen.page.locator("#focus-title")).to_have_text("Layer 5 · max of heads")
    every = visit({**AT_IT, "layer": "all", "head": "max"})
    shown = float(every.page.get_attribute("#weight", "title") or "")
    assert shown == pytest.approx(api(reduce="max", over="all")[10][2], abs=1e-6)


def test_sharpest_heads_first(visit: Open, server: str) -> None:
    seen = visit()
    page = seen.page
    page.select_option("select[data-state=sort]", "sharp")
    seen.settle()
    trace = client.post(f"{server}/api/v1/traces", json={"model": "minilm", "text": FLAGSHIP}).json()["id"]
    sharpness = client.get(f"{server}/api/v1/traces/{trace}/heads").json()["sharpness"]
    layer, head = max(((la, he) for la in range(6) for he in range(12)), key=lambda at: sharpness[at[0]][at[1]])
    box = page.locator("#grids canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 8, box["y"] + 8)
    expect(page.locator("#focus-title")).to_have_text(f"Layer {layer} · Head {head}")


def test_the_address_is_the_whole_state(visit: Open) -> None:
    seen = visit()
    page = seen.page
    seen.run("The river bank was muddy, so the bank sent nobody")
    page.keyboard.press("Escape")
    page.keyboard.press("[")
    page.keyboard.press("{")
    page.select_option("select[data-state=palette]", "viridis")
    page.select_option("select[data-state=special]", "renormalise")
    page.select_option("select[data-state=sort]", "sharp")
    page.select_option("select[data-state=kind]", "previous")
    page.get_by_role("radio", name="log").click()
    page.locator("[data-state=threshold]").fill("0.02")
    seen.settle()
    page.mouse.click(*seen.cell(3, 5))
    seen.settle()
    other = visit(page.url)
    assert other.state == seen.state
    assert other.state["palette"] == "viridis"
    assert _picture(other) == _picture(seen)
    assert _picture(other, "#grids canvas") != ""


def test_back_and_forward(visit: Open) -> None:
    seen = visit()
    page = seen.page
    page.keyboard.press("]")
    expect(page.locator("#focus-title")).to_have_text("Layer 5 · Head 0")
    page.keyboard.press("2")
    expect(page.locator("#tab-lines")).to_have_attribute("aria-selected", "true")
    seen.settle().run("Birds fly")
    page.go_back()
    expect(page.locator("#text")).to_have_value(FLAGSHIP)
    expect(page.locator("#tab-lines")).to_have_attribute("aria-selected", "true")
    page.go_back()
    page.go_back()
    expect(page.locator("#focus-title")).to_have_text("Layer 5 · Head 11")
    expect(page.locator("#weight")).to_have_text("0.647")
    for _ in range(3):
        page.go_forward()
    expect(page.locator("#text")).to_have_value("Birds fly")


def test_an_address_that_names_what_is_not_there(visit: Open) -> None:
    seen = visit({"model": "minilm", "text": "Birds fly", "layer": 40, "head": 99, "query": 77, "view": "nothing"})
    page = seen.page
    expect(page.locator("#focus-title")).to_have_text("Layer 5 · Head 11")
    expect(page.locator("#tab-heatmap")).to_have_attribute("aria-selected", "true")
    assert "layer=5" in seen.hash


def test_an_address_without_a_text_opens_the_models_own_example(visit: Open) -> None:
    (card,) = (card for card in engine.cards() if card.id == "transformer-fr-en")
    look = card.examples[0].look
    assert look is not None
    seen = visit({"model": card.id, "view": "lines"})
    expect(seen.page.locator("#text")).to_have_value(card.examples[0].text)
    expect(seen.page.locator("#focus-title")).to_have_text(f"Layer {look[0]} · Head {look[1]}")
    expect(seen.page.locator("#tab-lines")).to_have_attribute("aria-selected", "true")
    assert "block=cross" in seen.hash
    states = visit({"model": "lstm-captions"}).page
    expect(states.locator("#focus-title")).to_contain_text("Input gate")
    expect(states.locator("#readout")).to_contain_text("unit 148")
    unknown = visit({"model": "nothing-of-ours"}).page
    expect(unknown.locator("#problem")).to_contain_text("nothing-of-ours")


def test_keyboard_alone(visit: Open) -> None:
    seen = visit()
    page = seen.page
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("#grids canvas").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".preview strong")).to_have_text("Layer 5 · Head 10")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#focus-title")).to_have_text("Layer 4 · Head 10")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#chips button")).to_have_text(["4·10", "4·11"])
    page.locator("canvas.axes").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#readout")).to_contain_text("was → didn")
    page.keyboard.press("Enter")
    assert "query=11&key=3" in seen.hash
    expect(page.locator("#live")).to_contain_text("was attends to didn")
    page.locator("#tab-heatmap").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-lines")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_tab_order_follows_the_eye(visit: Open) -> None:
    page = visit().page
    order = []
    for _ in range(40):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                "() => document.activeElement.id || document.activeElement.className"
                " || document.activeElement.dataset.state || document.activeElement.parentElement.id"
            )
        )
    landmarks = ["text", "run", "share", "head-grid", "tab-heatmap", "axes", "key chosen"]
    places = [order.index(name) for name in landmarks if name in order]
    assert len(places) == len(landmarks), order
    assert places == sorted(places)


@pytest.mark.parametrize(("text", "says"), [("", "at least one word"), ("word " * 600, "602 tokens")])
def test_problems_are_sentences_and_nothing_is_lost(visit: Open, text: str, says: str) -> None:
    seen = visit()
    before = _picture(seen)
    seen.page.fill("#text", text)
    seen.page.click("#run")
    expect(seen.page.locator("#problem")).to_contain_text(says)
    expect(seen.page.locator("#text")).to_have_value(text)
    expect(seen.page.locator("#weight")).to_have_text("0.647")
    assert _picture(seen) == before
    seen.run("It works again")
    expect(seen.page.locator("#problem")).to_be_hidden()


def test_a_server_that_is_gone(visit: Open) -> None:
    seen = visit()
    seen.page.route("**/api/v1/**", lambda route: route.abort())
    seen.page.fill("#text", "Is anybody there")
    seen.page.click("#run")
    expect(seen.page.locator("#problem")).to_contain_text("cannot be reached")
    expect(seen.page.locator("#weight")).to_have_text("0.647")


def test_what_failed_is_not_asked_for_over_and_over(visit: Open) -> None:
    seen = visit()
    asked = []
    seen.page.route("**/arithmetic?**", lambda route: (asked.append(route.request.url), route.abort()))
    seen.page.mouse.click(*seen.cell(8, 0))
    expect(seen.page.locator("#problem")).to_contain_text("cannot be reached")
    seen.page.wait_for_timeout(500)
    assert len(asked) == 1
    seen.page.unroute("**/arithmetic?**")
    seen.page.mouse.click(*seen.cell(8, 2))
    expect(seen.page.locator(".verdict .chip")).to_have_text(["street", "animal"])
    expect(seen.page.locator("#inspector.waiting")).to_have_count(0)
    expect(seen.page.locator("#problem")).to_be_hidden()


def test_a_server_that_forgot_the_trace(visit: Open, server: str) -> None:
    seen = visit()
    forgotten = []

    def forget(route: Any) -> None:
        if forgotten:
            return route.continue_()
        forgotten.append(route.request.url)
        body = {"type": "about:blank", "title": "Unknown trace", "status": 404, "detail": "POST it again."}
        return route.fulfill(status=404, content_type="application/problem+json", body=json.dumps(body))

    seen.page.route("**/attention?**layers=2**", forget)
    for _ in range(3):
        seen.page.keyboard.press("{")
    expect(seen.page.locator("#focus-title")).to_have_text("Layer 2 · Head 11")
    seen.page.locator("html[data-ready=true]").wait_for(state="attached")
    expect(seen.page.locator("#readout b")).to_have_count(1)
    expect(seen.page.locator("#problem")).to_be_hidden()
    assert forgotten


def test_files_of_what_is_on_screen(visit: Open, api: Any, tmp_path: Path) -> None:
    seen = visit(AT_IT)

    def download(name: str) -> bytes:
        seen.page.click("#export-button")
        with seen.page.expect_download() as coming:
            seen.page.get_by_role("menuitem", name=name).click()
        assert coming.value.suggested_filename.startswith("headlight-minilm-5-11")
        target = tmp_path / coming.value.suggested_filename
        coming.value.save_as(target)
        return target.read_bytes()

    assert download("PNG").startswith(b"\x89PNG")
    weight = api(layers=5, heads=11)[10][2]
    assert json.loads(download("JSON"))["values"][0][0][10][2] == pytest.approx(weight)
    lines = download("CSV").decode().splitlines()
    assert len(lines) == 1 + 15 * 15
    tensors = download("safetensors")
    start = 8 + struct.unpack("<Q", tensors[:8])[0]
    assert struct.unpack_from("<f", tensors, start + 4 * (10 * 15 + 2))[0] == pytest.approx(weight, abs=1e-6)


def test_theme_is_chosen_and_kept(visit: Open) -> None:
    seen = visit(theme="light")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = seen.page.evaluate(ground)
    seen.page.click("#theme")
    seen.page.click("#theme")
    expect(seen.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert seen.page.evaluate(ground) != light
    seen.page.goto(seen.server)
    expect(seen.page.locator("html")).to_have_attribute("data-theme", "dark")
    seen.page.goto("about:blank")
    seen.page.goto(f"{seen.server}/#view=lines&layer=5&head=11")
    seen.ready()
    expect(seen.page.locator("html")).to_have_attribute("data-theme", "dark")
    while seen.page.evaluate("() => document.documentElement.dataset.theme") != "system":
        seen.page.click("#theme")
    seen.page.evaluate("() => (location.hash = 'view=lines&layer=4&head=2')")
    expect(seen.page.locator("#focus-title")).to_have_text("Layer 4 · Head 2")
    expect(seen.page.locator("html")).to_have_attribute("data-theme", "system")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [390, 1366, 1920])
def test_no_sideways_scrolling_and_no_jump(visit: Open, width: int, view: str) -> None:
    height = {390: 844, 1366: 768, 1920: 1080}[width]
    seen = visit({**AT_IT, "view": view}, size=(width, height))
    page = seen.page
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    where = "() => ['grids', 'view', 'inspector'].map(i => document.getElementById(i).getBoundingClientRect().top)"
    before = page.evaluate(where)
    seen.run("A much longer sentence, which has to be read and drawn in the very same place as the one before it")
    assert page.evaluate(where) == pytest.approx(before, abs=1)
    if width > 1000:
        assert page.evaluate("() => document.documentElement.scrollHeight") <= height


def test_by_touch(visit: Open) -> None:
    seen = visit(AT_IT, size=(390, 844), has_touch=True, is_mobile=True)
    seen.page.locator("canvas.cells").scroll_into_view_if_needed()
    seen.page.touchscreen.tap(*seen.cell(4, 2))
    expect(seen.page.locator("#readout")).to_contain_text("' → animal")


@pytest.mark.parametrize(
    "text",
    [
        "القطة جلست على السجادة لأنها كانت متعبة",
        "Emoji 😀👩‍👩‍👧 and cafe\u0301 \u200d",
        "東京タワーは高い",
        "<script>alert(1)</script> & \"quotes\" 'too'",
    ],
)
def test_any_script(visit: Open, text: str) -> None:
    seen = visit().run(text)
    expect(seen.page.locator("#problem")).to_be_hidden()
    for view in VIEWS:
        seen.page.locator(f"#tab-{view}").click()
        seen.settle()
    seen.page.locator("#tab-text").click()
    seen.settle()
    assert seen.page.locator(".word").count() > 3
    arabic = "القطة" in text
    assert seen.page.locator(".prose p").first.get_attribute("dir") == ("rtl" if arabic else "ltr")
    assert visit(seen.page.url).page.input_value("#text") == text.strip()


def test_stillness_where_it_is_asked_for(visit: Open) -> None:
    seen = visit(reduced_motion="reduce")
    assert seen.page.evaluate("() => getComputedStyle(document.querySelector('.tabs button')).transitionDuration") in (
        "0s",
        "0ms",
    )


def _picture(seen: Visit, canvas: str = "canvas.cells") -> str:
    return str(seen.page.evaluate("(name) => document.querySelector(name).toDataURL()", canvas))


def _ink(seen: Visit, canvas: str) -> int:
    """How much has been drawn: the sum of all opacities."""
    return int(
        seen.page.evaluate(
            """(name) => {
                const canvas = document.querySelector(name);
                const { width, height } = canvas;
                const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
                copy.drawImage(canvas, 0, 0);
                const { data } = copy.getImageData(0, 0, width, height);
                let sum = 0;
                for (let i = 3; i < data.length; i += 4) sum += data[i];
                return sum;
            }""",
            canvas,
        )
    )


def _containing(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))


def _close_to(value: float) -> re.Pattern[str]:
    return re.compile(re.escape(f"{value:.5f}"[:6]))


def test_what_was_pointed_at_is_no_place_in_another_picture(visit: Open) -> None:
    text = {"model": "tiny-t5", "text": " ".join(["deux chiens courent"] * 5), "target": "two dogs"}
    seen = visit({**text, "stack": "encoder", "block": "self"}, has_touch=True)
    rows = seen.page.locator("#view canvas.cells").evaluate("c => c.height")
    seen.page.touchscreen.tap(*seen.cell(rows - 1, rows - 1))
    expect(seen.page.locator("#readout")).to_contain_text("→")
    there = urlencode({**text, "stack": "decoder", "block": "cross"})
    seen.page.evaluate("hash => (location.hash = hash)", there)
    seen.settle()
    size = seen.page.locator("#view canvas.cells").evaluate("c => [c.height, c.width]")
    assert size[0] < size[1] == rows
    assert seen.complaints == []


def test_a_hidden_token_that_is_held_leaves_the_text_in_reach(visit: Open) -> None:
    page = visit({**AT_IT, "query": 0, "key": 0, "special": "hide", "view": "text"}).page
    assert page.locator(".prose [tabindex='0'], .prose button:not([tabindex='-1'])").count() == 1


def test_chips_that_are_let_go_by_keyboard_keep_the_focus(visit: Open) -> None:
    page = visit({**AT_IT, "also": "4.5,3.2"}).page
    page.locator("#chips button").nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#chips button")).to_have_count(2)
    expect(page.locator("#chips button").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#chips button")).to_have_count(0)
    expect(page.locator("#focus-title")).to_be_focused()
