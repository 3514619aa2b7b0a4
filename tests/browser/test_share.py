"""What is handed on is what was on screen: links, codes, frames, and files that are opened again."""

from __future__ import annotations

import csv
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter
from playwright.sync_api import Browser, FrameLocator, Page, expect
from safetensors.numpy import load_file
from zxingcpp import read_barcodes

from app.settings import Settings
from tests.browser.conftest import FLAGSHIP, Open, Visit
from tests.browser.test_access import STILL, serious
from tests.browser.test_compare import DIFFERENCE, SHARED, SIDES, WIDE, Side
from tests.browser.test_generation import TEXT, said
from tests.serving import served

AT_IT = {"model": "minilm", "text": FLAGSHIP, "layer": 5, "head": 11, "query": 10, "key": 2}


# ---------------------------------------------------------------- links and codes


def test_a_link_to_exactly_this(visit: Open) -> None:
    seen = visit(AT_IT, permissions=["clipboard-read", "clipboard-write"])
    seen.page.click("#share")
    seen.page.get_by_role("button", name="Copy").first.click()
    expect(seen.page.get_by_role("button", name="Copied")).to_be_visible()
    link = seen.page.evaluate("() => navigator.clipboard.readText()")
    assert link == seen.page.input_value("#sharing-link") == seen.page.url
    seen.page.keyboard.press("Escape")
    assert visit(link).state == seen.state


def test_the_code_reads_as_the_link(visit: Open) -> None:
    seen = visit(AT_IT)
    seen.page.click("#share")
    code = seen.page.locator("#sharing-code")
    expect(code).to_be_visible()
    (found,) = read_barcodes(Image.open(BytesIO(code.screenshot())))
    assert found.text == seen.page.url
    # 127.0.0.1 is another machine for everybody else.
    expect(seen.page.locator("#sharing-loopback")).to_contain_text("HEADLIGHT_ALLOWED_HOSTS")


def test_a_link_too_long_for_a_code_says_so(visit: Open) -> None:
    seen = visit({**AT_IT, "text": "word " * 400})
    seen.page.click("#share")
    expect(seen.page.locator("#sharing-code-note")).to_contain_text("Shorten the text")
    expect(seen.page.locator("#sharing-code")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1366])
def test_the_dialog_is_for_everybody(visit: Open, width: int, theme: str) -> None:
    seen = visit(AT_IT, size=(width, 800), theme=theme, **STILL)
    seen.page.click("#share")
    expect(seen.page.locator("#sharing-code")).to_be_visible()
    assert serious(seen) == []
    assert seen.page.evaluate("() => document.querySelector('#sharing').scrollWidth") <= width


# ---------------------------------------------------------------- frames


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests print nothing of their own."""


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """Another origin: files of a folder, on a port of their own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def elsewhere(browser: Browser, tmp_path: Path) -> Iterator[tuple[Page, str, Path]]:
    """A tab on another site, the site's address, and the folder of its pages."""
    with site(tmp_path) as url:
        context = browser.new_context(viewport={"width": 900, "height": 640})
        page = context.new_page()
        page.set_default_timeout(15_000)
        yield page, url, tmp_path
        context.close()


def test_a_frame_on_a_site_that_may_shows_the_picture_alone(
    visit: Open, elsewhere: tuple[Page, str, Path], server: str
) -> None:
    page, url, folder = elsewhere
    seen = visit(AT_IT)
    seen.page.click("#share")
    snippet = seen.page.input_value("#sharing-frame")
    with served(Settings(embed=(url,))) as open_to_it:
        (folder / "index.html").write_text(f"<!doctype html>{snippet.replace(server, open_to_it)}")
        page.goto(url)
        frame = page.frame_locator("iframe")
        frame.locator("html[data-ready=true]").wait_for(state="attached")
        expect(frame.locator("#focus-title")).to_have_text("Layer 5 · Head 11")
        expect(frame.locator("#readout")).to_contain_text("0.647")
        for gone in (".top", ".heads", "#inspector", "#tabs", ".focus > .controls"):
            expect(frame.locator(gone)).to_be_hidden()
        assert _overflow(frame) == (0, 0)
        whole = frame.locator("#whole-page")
        assert whole.get_attribute("href") == seen.page.url.replace(server, open_to_it)
        before = page.evaluate("() => history.length")
        frame.locator("canvas.axes").focus()
        for key in ("ArrowUp", "Enter"):
            page.keyboard.press(key)
        expect(frame.locator("#readout")).to_contain_text("because")
        assert page.evaluate("() => history.length") == before, "going back is the other page's"
        expect(whole).to_have_attribute("href", re.compile("query=9"))


def test_a_small_frame_shows_both_panes_alike(visit: Open) -> None:
    page = visit(f"/embed#{urlencode(SIDES)}", size=(390, 844)).page
    left, right = (page.locator(f"{pane} canvas.cells").bounding_box() for pane in ("#view", "#beside"))
    assert left is not None
    assert right is not None
    assert abs(left["height"] - right["height"]) < 4
    assert left["height"] > 100


def test_a_frame_of_two_panes_asks_for_nothing_that_it_lacks(visit: Open) -> None:
    page = visit(f"/embed#{urlencode(SIDES)}").page
    expect(page.locator("#readout")).to_contain_text("0.647")
    expect(page.locator("#why")).to_be_hidden()
    foot, credit = (page.locator(part).bounding_box() for part in (".foot", ".credit"))
    assert foot is not None
    assert credit is not None
    assert credit["y"] - foot["y"] - foot["height"] < 16, "nothing empty between them"


def test_the_readout_stands_below_a_map_on_a_phone(visit: Open) -> None:
    page = visit(f"/embed#{urlencode(AT_IT)}", size=(390, 844)).page
    cells, readout = (page.locator(part).bounding_box() for part in ("canvas.cells", "#readout"))
    assert cells is not None
    assert readout is not None
    assert readout["y"] - cells["y"] - cells["height"] < 100


def _overflow(frame: FrameLocator) -> tuple[int, int]:
    found = frame.locator("html").evaluate("e => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]")
    return found[0], found[1]


@pytest.mark.parametrize(("path", "allowed"), [("/embed", "https://example.org"), ("/embed", ""), ("/", "*")])
def test_every_other_frame_stays_empty(elsewhere: tuple[Page, str, Path], path: str, allowed: str) -> None:
    page, url, folder = elsewhere
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "frame-ancestors" in said.text else None)
    with served(Settings(embed=tuple(filter(None, [allowed])))) as server:
        (folder / "index.html").write_text(f'<!doctype html><iframe src="{server}{path}"></iframe>')
        page.goto(url, wait_until="networkidle")
        assert refused
        assert page.frames[1].locator("canvas").count() == 0


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ((), "No site may show it yet: HEADLIGHT_EMBED lists those that may."),
        (
            ("https://school.example", "https://blog.example"),
            "Sites that may show it: https://school.example, https://blog.example",
        ),
        (("*",), "Any site may show it."),
        (("https://school.example", "*"), "Any site may show it."),
    ],
)
def test_the_dialog_says_which_sites_may_show_it(
    elsewhere: tuple[Page, str, Path], allowed: tuple[str, ...], said: str
) -> None:
    """And the browser agrees: another site's frame shows the picture where any may, and stays empty else."""
    page, url, folder = elsewhere
    with served(Settings(embed=allowed)) as server:
        page.goto(f"{server}/#{urlencode(AT_IT)}")
        page.locator("html[data-ready=true]").wait_for(state="attached")
        page.click("#share")
        expect(page.locator("#sharing-embed")).to_have_text(said)
        expect(page.locator("#sharing-embed")).to_be_visible()
        (folder / "index.html").write_text(f"<!doctype html>{page.input_value('#sharing-frame')}")
        page.goto(url, wait_until="networkidle")
        expect(page.frame_locator("iframe").locator("canvas.cells")).to_have_count(int("*" in allowed))


# ---------------------------------------------------------------- pictures

SVG = "{http://www.w3.org/2000/svg}"
PICTURES: dict[str, dict[str, Any]] = {
    "heat map": AT_IT,
    "heat map of a causal head": {"model": "tiny-gpt2", "text": "two dogs run in the snow", "layer": 1, "head": 2},
    "heat map of a long text": {"model": "tiny-long", "text": "two dogs run " * 200, "layer": 1, "head": 1},
    "lines": {**AT_IT, "view": "lines", "also": "4.5"},
    "two panes": SIDES,
    "two storyboards": {**SIDES, "view": "steps", "at": "softmax"},
    "a difference": DIFFERENCE,
    "text": {**AT_IT, "view": "text"},
    "text from right to left": {"model": "minilm", "text": "القطة جلست", "layer": 1, "head": 1, "view": "text"},
    "bars": {**AT_IT, "view": "bars"},
    "table": {**AT_IT, "view": "table"},
    "states": {"model": "lstm-sentiment", "text": "a fine film", "view": "states"},
    "generate": {"model": "tiny-gpt2", "text": "two dogs", "layer": 0, "view": "generate", "said": "5-12-40"},
    "steps": {**AT_IT, "view": "steps", "story": "attention", "at": "softmax"},
    "steps with vectors": {**AT_IT, "view": "steps", "story": "attention", "at": "project"},
}


def downloaded(seen: Visit, kind: str, folder: Path) -> Path:
    """The file that Export gives."""
    seen.page.click("#export-button")
    with seen.page.expect_download() as coming:
        seen.page.get_by_role("menuitem", name=kind).click()
    target = folder / coming.value.suggested_filename
    coming.value.save_as(target)
    return target


Render = Callable[[Path, int, int, int], Image.Image]


@pytest.fixture(scope="module")
def rendered(browser: Browser) -> Iterator[Render]:
    """A file as a browser shows it that knows nothing of this page, with that width, height and pixels in each."""
    pages: dict[int, Page] = {}

    def render(file: Path, width: int, height: int, scale: int) -> Image.Image:
        if scale not in pages:
            pages[scale] = browser.new_context(device_scale_factor=scale).new_page()
        page = pages[scale]
        page.set_viewport_size({"width": width, "height": height})
        page.goto(file.as_uri())
        page.evaluate("() => document.fonts.ready")
        return Image.open(BytesIO(page.screenshot())).convert("RGB")

    yield render
    for page in pages.values():
        page.context.close()


def differing(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that are clearly of another colour; edges of letters are not."""
    difference = ImageChops.difference(one, other).filter(ImageFilter.GaussianBlur(1.5)).convert("L")
    return sum(difference.histogram()[40:]) / (one.width * one.height)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", PICTURES)
def test_an_svg_is_what_was_on_screen(visit: Open, rendered: Render, tmp_path: Path, view: str, theme: str) -> None:
    seen = visit(PICTURES[view], theme=theme, reduced_motion="reduce")
    if view == "bars":
        seen.page.locator(".plot.ready").wait_for()
    if view == "heat map of a long text":
        seen.page.locator("#view[data-complete=true]").wait_for()
    seen.page.mouse.move(0, 0)
    place = seen.page.locator("#panes" if view.startswith("two") else "#view")
    place.evaluate("e => (e.dataset.picture = '')")  # words instead of fields, and no buttons
    hide = "() => document.querySelectorAll('[data-tool]').forEach(tool => (tool.style.visibility = 'hidden'))"
    seen.page.evaluate(hide)
    seen.settle()
    screen = Image.open(BytesIO(seen.page.screenshot())).convert("RGB")
    box = place.bounding_box()
    assert box is not None
    file = downloaded(seen, "SVG", tmp_path)
    root = ET.parse(file).getroot()
    names = {node.tag for node in root.iter()}
    assert names <= {SVG + name for name in VECTORS}, "every program reads these"
    links = [value for node in root.iter() for key, value in node.attrib.items() if key.endswith("href")]
    assert all(link.startswith("data:image/png") for link in links)
    assert "http" not in file.read_text().replace("http://www.w3.org/", "")

    left, top, width, height = (int(part) for part in root.attrib["viewBox"].split())
    shown = rendered(file, width, height, 1)
    # Of the margin around it, the page shows what stands beside the view.
    inner = (
        max(0, -left) + MARGIN,
        max(0, -top) + MARGIN,
        min(width, int(box["width"]) - left) - MARGIN,
        min(height, int(box["height"]) - top) - MARGIN,
    )
    x, y = box["x"] + left, box["y"] + top
    on_screen = screen.crop(tuple(round(part) for part in (x + inner[0], y + inner[1], x + inner[2], y + inner[3])))
    assert differing(on_screen, shown.crop(inner)) < (DENSE if view == "steps with vectors" else SAME)
    assert len(shown.crop(inner).getcolors(1 << 24) or ()) > 50, "something was drawn"

    picture = Image.open(downloaded(seen, "PNG", tmp_path)).convert("RGB")
    assert picture.size == (2 * width, 2 * height)
    assert differing(picture, rendered(file, width, height, 2)) < SAME


VECTORS = ("svg", "title", "desc", "style", "defs", "g", "rect", "path", "text", "image", "pattern", "clipPath")
SAME = 0.003  # letters of formulas are set by the browser in its own way
DENSE = 0.01  # and of a matrix with more columns than pixels it shows others
MARGIN = 18  # pixels around what is drawn, and the frames that reach into it


def words(file: Path) -> list[str]:
    return [node.text or "" for node in ET.parse(file).getroot().iter(f"{SVG}text")]


def test_the_words_and_numbers_of_an_svg_are_text(visit: Open, tmp_path: Path) -> None:
    seen = visit(AT_IT)
    tokens = [*FLAGSHIP.replace("didn't", "didn ' t").split(), "[CLS]", "[SEP]"]
    found = words(downloaded(seen, "SVG", tmp_path))
    for token in tokens:
        assert found.count(token) >= 2, "on both axes"
    assert ".65" in found
    seen = visit({**AT_IT, "view": "table"})
    found = words(downloaded(seen, "SVG", tmp_path))
    cells = seen.page.locator("#view :is(td, th)").all_inner_texts()
    assert sorted(found[1:]) == sorted(cells)
    seen = visit({**AT_IT, "view": "steps", "story": "attention", "at": "softmax"})
    found = words(downloaded(seen, "SVG", tmp_path))
    shown = seen.page.locator("#view .number").all_inner_texts()
    assert len(shown) > 40
    assert set(shown) <= set(found)


def test_only_the_typefaces_that_are_needed_travel(visit: Open, tmp_path: Path) -> None:
    seen = visit({**AT_IT, "view": "lines"})
    text = downloaded(seen, "SVG", tmp_path).read_text()
    families = re.findall(r'@font-face\{font-family:"?([^";]+)', text)
    assert sorted(families) == ["Roboto Mono Variable", "Roboto Variable"], "no arrow, no Greek letter"
    assert text.count("data:font/woff2;base64,d09GMg") == 2


def test_what_scrolls_is_drawn_to_its_end(visit: Open, tmp_path: Path) -> None:
    seen = visit({**AT_IT, "view": "table"}, size=(700, 700))
    at = "e => [e.scrollLeft, e.scrollTop]"
    seen.page.locator(".scroller").evaluate("e => e.scrollTo(120, 0)")
    found = words(downloaded(seen, "SVG", tmp_path))
    assert len(found) == 1 + 16 * 16
    assert seen.page.locator(".scroller").evaluate(at) == [120, 0]


# ---------------------------------------------------------------- numbers


@pytest.fixture(scope="session")
def http(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server}/api/v1", headers={"accept": "application/json"}) as client:
        yield client


def exported(seen: Visit, folder: Path) -> tuple[list[dict[str, str]], Any, dict[str, np.ndarray]]:
    """The data of what is on screen, in all three formats, opened again."""
    table = downloaded(seen, "CSV", folder).read_text()
    body = json.loads(downloaded(seen, "JSON", folder).read_text())
    return list(csv.DictReader(table.splitlines())), body, load_file(downloaded(seen, "safetensors", folder))


def test_numbers_of_a_map(visit: Open, http: httpx.Client, tmp_path: Path) -> None:
    rows, body, tensors = exported(visit({**AT_IT, "view": "text"}), tmp_path)
    trace = http.post("/traces", json={"model": "minilm", "text": FLAGSHIP}).json()["id"]
    wanted = http.get(f"/traces/{trace}/attention", params={"layers": 5, "heads": 11}).json()
    assert body == wanted
    (values,) = tensors.values()
    assert values.tolist() == pytest.approx(np.array(wanted["values"], np.float32))
    assert len(rows) == values.size
    told = [float(row["value"]) for row in rows]
    assert told == pytest.approx(values.ravel().tolist(), abs=1e-7)


def test_numbers_of_recurrent_states(visit: Open, http: httpx.Client, tmp_path: Path) -> None:
    state = {"model": "lstm-sentiment", "text": "a fine film", "view": "states", "site": "sequence.0.cell.gate.forget"}
    rows, body, tensors = exported(visit(state), tmp_path)
    trace = http.post("/traces", json={"model": "lstm-sentiment", "text": "a fine film"}).json()["id"]
    wanted = http.get(f"/traces/{trace}/tensors/sequence.0.cell.gate.forget").json()
    assert body == wanted
    (values,) = tensors.values()
    assert values.tolist() == pytest.approx(np.array(wanted["values"], np.float32))
    assert len(rows) == values.size


def test_tensors_of_a_step(visit: Open, http: httpx.Client, tmp_path: Path) -> None:
    seen = visit({**AT_IT, "view": "steps", "story": "attention", "at": "softmax"})
    rows, body, tensors = exported(seen, tmp_path)
    assert seen.page.inner_text("#step-title").endswith(body["title"])
    trace = http.post("/traces", json={"model": "minilm", "text": FLAGSHIP}).json()["id"]
    assert body["tensors"].keys() == tensors.keys() != set()
    for name, tensor in body["tensors"].items():
        wanted = np.array(http.get(f"/traces/{trace}/{tensor['source']}").json()["values"], np.float32)
        assert list(wanted.shape) == tensor["shape"] == list(tensors[name].shape)
        assert np.array_equal(tensors[name], wanted)
        assert np.array_equal(np.array(tensor["values"], np.float32), wanted)
        told = np.array([float(row["value"]) for row in rows if row["tensor"] == name], np.float32)
        assert np.array_equal(told, wanted.ravel())


def test_what_was_said_and_what_could_have_been(visit: Open, server: str, tmp_path: Path) -> None:
    steps, done = said(server, "tiny-gpt2", temperature=0.8, top_k=6, seed=3, max_new_tokens=4)
    state = {"model": "tiny-gpt2", "text": TEXT, "view": "generate", "said": "-".join(map(str, done["said"]))}
    seen = visit({**state, "temperature": 0.8, "top_k": 6, "seed": 3, "most": 4})
    rows, body, tensors = exported(seen, tmp_path)
    told = [(int(row["step"]), int(row["token_id"])) for row in rows]
    wanted = [(i + 1, one["token"]["id"]) for i, step in enumerate(steps) for one in step["top"]]
    assert told == wanted
    for column in ("probability", "chance"):
        values = [[one[column] for one in step["top"]] for step in steps]
        assert [float(row[column]) for row in rows] == pytest.approx(np.ravel(values).tolist(), abs=1e-6)
        assert tensors[column].tolist() == pytest.approx(np.array(values, np.float32), abs=1e-6)
        assert body["tensors"][column]["values"] == pytest.approx(np.array(values, np.float32), abs=1e-6)
    assert [row["token"] for row in rows if row["came"] == "true"] == [step["token"]["text"] for step in steps]
    assert tensors["said"].tolist() == done["said"]


def test_numbers_of_two_panes(visit: Open, server: str, tmp_path: Path) -> None:
    rows, body, tensors = exported(visit(SIDES), tmp_path)
    left, right = (np.array(Side(server, text=text).head(5, 11), np.float32) for text in (FLAGSHIP, WIDE))
    wanted = {name: whole[np.ix_(SHARED, SHARED)] for name, whole in {"left": left, "right": right}.items()}
    wanted["difference"] = wanted["right"] - wanted["left"]
    for name, values in wanted.items():
        assert tensors[name].tolist() == pytest.approx(values, abs=1e-7)
        assert np.array(body["tensors"][name]["values"]) == pytest.approx(values, abs=1e-7)
        assert [float(row[name]) for row in rows] == pytest.approx(values.ravel().tolist(), abs=1e-7)
    assert (body["left"]["text"], body["right"]["text"]) == (FLAGSHIP, WIDE)
    assert rows[0]["query_text"] == rows[0]["key_text"] == "[CLS]"


CHOSEN = [(5, 11), (3, 1), (0, "mean")]


def head_of(http: httpx.Client, text: str, layer: int, head: int | str) -> np.ndarray:
    """One map, or a mean of a row of maps, from the API."""
    trace = http.post("/traces", json={"model": "minilm", "text": text}).json()["id"]
    which = {"heads": head} if isinstance(head, int) else {"reduce": head}
    values = http.get(f"/traces/{trace}/attention", params={"layers": layer, **which}).json()["values"]
    return np.array(values, np.float32).reshape(np.array(values).shape[-2:])


def titled(layer: int, head: int | str) -> str:
    return f"layer {layer} head {head}" if isinstance(head, int) else f"layer {layer} {head}"


@pytest.mark.parametrize("view", ["lines", "bars"])
def test_numbers_of_all_heads_that_are_seen(visit: Open, http: httpx.Client, tmp_path: Path, view: str) -> None:
    seen = visit({**AT_IT, "view": view, "also": "3.1,0.mean"})
    rows, body, tensors = exported(seen, tmp_path)
    assert [(one["layer"], one["head"]) for one in body["heads"]] == CHOSEN
    assert tensors.keys() == body["tensors"].keys() == {titled(*one) for one in CHOSEN}
    for layer, head in CHOSEN:
        wanted = head_of(http, FLAGSHIP, layer, head)
        name = titled(layer, head)
        assert np.array_equal(tensors[name], wanted)
        assert np.array_equal(np.array(body["tensors"][name]["values"], np.float32), wanted)
        told = [float(row["value"]) for row in rows if (row["layer"], row["head"]) == (str(layer), str(head))]
        assert np.array_equal(np.array(told, np.float32), wanted.ravel())
    assert (rows[0]["query_token"], rows[1]["key_token"]) == ("[CLS]", "The")


def test_a_view_of_one_head_gives_one_head(visit: Open, tmp_path: Path) -> None:
    _, body, _ = exported(visit({**AT_IT, "view": "heatmap", "also": "3.1"}), tmp_path)
    assert (body["layers"], body["heads"]) == ([5], [11])


def test_numbers_of_several_heads_in_two_panes(visit: Open, http: httpx.Client, tmp_path: Path) -> None:
    rows, body, tensors = exported(visit({**SIDES, "view": "lines", "also": "3.1"}), tmp_path)
    assert [body[side]["heads"] for side in SIDED] == [[{"layer": 5, "head": 11}, {"layer": 3, "head": 1}]] * 2
    assert len(tensors) == 6
    for layer, head in ((5, 11), (3, 1)):
        name = titled(layer, head)
        sides = {side: head_of(http, text, layer, head)[np.ix_(SHARED, SHARED)] for side, text in SIDED.items()}
        sides["difference"] = sides["right"] - sides["left"]
        own = [row for row in rows if row["left_head"] == row["right_head"] == name]
        for side, values in sides.items():
            assert tensors[f"{side} {name}"] == pytest.approx(values, abs=1e-7)
            assert [float(row[side]) for row in own] == pytest.approx(values.ravel().tolist(), abs=1e-7)


def test_numbers_of_maps_that_cannot_be_subtracted(visit: Open, http: httpx.Client, tmp_path: Path) -> None:
    rows, body, tensors = exported(visit({**SIDES, **UNLIKE}), tmp_path)
    assert tensors.keys() == body["tensors"].keys() == set(SIDED)
    made = http.post("/traces", json={"model": "tiny-marian", "text": UNLIKE["text"], "target": UNLIKE["target"]})
    for side, block in {"left": ("encoder", "self"), "right": ("decoder", "cross")}.items():
        asked = {"stack": block[0], "block": block[1], "layers": 0, "heads": 0}
        values = http.get(f"/traces/{made.json()['id']}/attention", params=asked).json()["values"][0][0]
        wanted = np.array(values, np.float32)
        assert np.array_equal(tensors[side], wanted)
        assert (body[side]["stack"], body[side]["block"]) == block
        told = [float(row["value"]) for row in rows if row["side"] == side]
        assert np.array_equal(np.array(told, np.float32), wanted.ravel())


UNLIKE = {"model": "tiny-marian", "text": "two dogs run", "target": "deux chiens", "vs_text": "", "stack": "encoder"}
UNLIKE |= {"block": "self", "layer": "0", "head": "0", "query": "", "key": ""}
UNLIKE |= {"vs_stack": "decoder", "vs_block": "cross"}


def test_numbers_of_two_recurrent_states(visit: Open, http: httpx.Client, tmp_path: Path) -> None:
    texts = {"left": "two dogs run", "right": "three dogs run"}
    state = {"model": "tiny-lstm", "view": "states", "compare": "panes", "site": "encoder.0.cell.cell"}
    seen = visit({**state, "text": texts["left"], "vs_text": texts["right"]})
    rows, body, tensors = exported(seen, tmp_path)
    sides, tokens = {}, {}
    for side, text in texts.items():
        trace = http.post("/traces", json={"model": "tiny-lstm", "text": text}).json()["id"]
        answer = http.get(f"/traces/{trace}/tensors/encoder.0.cell.cell").json()
        sides[side] = np.array(answer["values"], np.float32)
        tokens[side] = answer["tokens"]["position"]
        assert np.array_equal(tensors[side], sides[side])
        assert np.array_equal(np.array(body["tensors"][side]["values"], np.float32), sides[side])
        assert (body[side]["text"], body[side]["address"], body[side]["tokens"]) == (text, state["site"], tokens[side])
        assert {float(row[side]) for row in rows if row[side]} == {float(x) for x in sides[side].ravel()}
    shared = body["shared"]
    assert [tokens["left"][i] for i, _ in shared] == [tokens["right"][j] for _, j in shared]
    assert 0 < len(shared) < len(tokens["right"])
    wanted = np.stack([sides["right"][j] - sides["left"][i] for i, j in shared])
    assert np.array_equal(tensors["difference"], wanted)
    assert [float(row["difference"]) for row in rows if row["difference"]] == pytest.approx(wanted.ravel().tolist())
    assert all(row["difference"] == "" for row in rows if "" in (row["left"], row["right"]))


def test_tensors_of_two_storyboards(visit: Open, server: str, tmp_path: Path) -> None:
    rows, body, tensors = exported(visit(PICTURES["two storyboards"]), tmp_path)
    assert (
        tensors.keys() == body["tensors"].keys() == {f"{side} {name}" for side in SIDED for name in ("score", "weight")}
    )
    for side, text in SIDED.items():
        assert (body[side]["text"], body[side]["step"]) == (text, "softmax")
        # Two requests, one for a row and one for all of the head: float32 may differ in its last two places.
        wanted = np.array(Side(server, text=text).head(5, 11)[10], np.float32)
        assert tensors[f"{side} weight"].ravel() == pytest.approx(wanted, abs=5e-7)
        told = [float(row["value"]) for row in rows if row["tensor"] == f"{side} weight"]
        assert told == pytest.approx(wanted.tolist(), abs=5e-7)


SIDED = {"left": FLAGSHIP, "right": WIDE}


def test_a_field_with_commas_and_quotes_stays_one(visit: Open) -> None:
    page = visit().page
    table = page.evaluate(
        """async () => {
            const { csvOf } = await import(document.querySelector('link[href$="share/numbers.js"]').href);
            return csvOf({ about: {}, tensors: [], rows: [{ a: 'x, "y"', b: "two\\nlines", c: null, d: 1.5 }] });
        }"""
    )
    assert list(csv.DictReader(StringIO(table))) == [{"a": 'x, "y"', "b": "two\nlines", "c": "", "d": "1.5"}]


# ---------------------------------------------------------------- a file that needs no server


@dataclass
class Opened:
    """A file from disk in a browser without a network, and what it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def ready(self) -> Opened:
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.page.locator("html[data-ready=true]").wait_for(state="attached")
        return self


@pytest.fixture
def from_disk(browser: Browser) -> Iterator[Callable[[Path], Opened]]:
    opened: list[Opened] = []

    def open_file(file: Path, width: int = 1000, height: int = 720) -> Opened:
        viewport: Any = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, offline=True, color_scheme="light", reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(15_000)
        seen = Opened(page)
        opened.append(seen)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("console", lambda m: seen.complaints.append(m.text) if m.type in ("error", "warning") else None)
        own = (file.as_uri(), "data:", "blob:")
        page.on("request", lambda sent: None if sent.url.startswith(own) else seen.outside.append(sent.url))
        page.goto(file.as_uri())
        return seen.ready()

    yield open_file
    for seen in opened:
        seen.page.context.close()
        assert not seen.complaints
        assert not seen.outside


IN_THE_VIEW = """() => ({
    words: document.querySelector('#view').innerText,
    cells: [...document.querySelectorAll('.view canvas.cells')].map(canvas => canvas.toDataURL()),
    beside: document.querySelector('#beside').innerText,
    readout: document.querySelector('#readout').innerText,
    title: document.querySelector('#focus-title').innerText,
})"""


@pytest.mark.parametrize("view", [view for view in PICTURES if "long" not in view])
def test_a_file_shows_the_same_without_a_server(visit: Open, from_disk: Any, tmp_path: Path, view: str) -> None:
    seen = visit(PICTURES[view], theme="light", reduced_motion="reduce")
    if view == "bars":
        seen.page.locator(".plot.ready").wait_for()
    file = downloaded(seen, "HTML", tmp_path)
    page = from_disk(file).page
    if view == "bars":
        page.locator(".plot.ready").wait_for()
    assert page.evaluate(IN_THE_VIEW) == seen.page.evaluate(IN_THE_VIEW)
    assert page.title() == f"Headlight: {PICTURES[view]['text']}"
    place, _, hash_ = (page.get_attribute("#whole-page", "href") or "").partition("#")
    assert place == f"{seen.server}/"
    assert dict(parse_qsl(hash_)) == dict(parse_qsl(seen.hash[1:]))
    assert file.stat().st_size < (8e6 if view == "bars" else 3e6)


def test_a_file_answers_to_the_reader(visit: Open, from_disk: Any, tmp_path: Path) -> None:
    seen = visit(AT_IT, theme="light")
    opened = from_disk(downloaded(seen, "HTML", tmp_path))
    page = opened.page
    box = page.locator("canvas.cells").bounding_box()
    assert box is not None

    def at(query: int, key: int) -> tuple[float, float]:
        return box["x"] + (key + 0.5) * box["width"] / 15, box["y"] + (query + 0.5) * box["height"] / 15

    page.mouse.move(*at(4, 2))
    expect(page.locator("#readout")).to_contain_text("' → animal")
    page.mouse.click(*at(8, 0))
    page.mouse.move(0, 0)
    expect(page.locator("#readout")).to_contain_text("street → [CLS]")
    page.locator("canvas.axes").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#readout")).to_contain_text("because → [CLS]")

    cells = "() => document.querySelector('canvas.cells').toDataURL()"
    for control, value in (("palette", "viridis"), ("special", "renormalise")):
        before = page.evaluate(cells)
        page.select_option(f"select[data-state={control}]", value)
        opened.ready()
        assert page.evaluate(cells) != before
    ground = "() => getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    while page.evaluate(ground) == before:
        page.click("#theme")
    opened.ready()

    page.keyboard.press("[")
    expect(page.locator("#toast")).to_contain_text("not in this file")


def test_a_file_plays_the_whole_storyboard(visit: Open, from_disk: Any, tmp_path: Path) -> None:
    seen = visit({**AT_IT, "view": "steps", "story": "attention", "at": "softmax"}, reduced_motion="reduce")
    opened = from_disk(downloaded(seen, "HTML", tmp_path))
    page = opened.page
    last = seen.page.locator("#step-title .count").inner_text().split()[-1]
    page.keyboard.press("Home")
    titles = []
    for _ in range(int(last)):
        opened.ready()
        titles.append(page.inner_text("#step-title"))
        assert page.locator(".scene .part").count() > 1
        page.keyboard.press("ArrowRight")
    assert len(set(titles)) == int(last)
    assert titles[-1].startswith(f"{last} of {last}")


def test_a_file_plays_two_storyboards(visit: Open, from_disk: Any, tmp_path: Path) -> None:
    seen = visit(PICTURES["two storyboards"], reduced_motion="reduce")
    opened = from_disk(downloaded(seen, "HTML", tmp_path))
    page = opened.page
    page.keyboard.press("Home")
    for at in range(13):
        opened.ready()
        for host in ("#view", "#beside"):
            expect(page.locator(f"{host} .title .count")).to_have_text(f"{at + 1} of 13")
            assert page.locator(f"{host} .scene .part").count() > 1
        page.keyboard.press("ArrowRight")


def test_a_file_has_nothing_of_another_address(visit: Open, server: str, tmp_path: Path) -> None:
    text = downloaded(visit(AT_IT), "HTML", tmp_path).read_text()
    assert text.count(server) == 1, "where the whole page is"
    assert "/static/" not in re.sub(r"data:[\w/+-]+;base64,[\w+/=]+", "", text)
    assert "default-src 'none'" in text[:400]


def test_what_is_too_large_for_a_file_is_said(visit: Open) -> None:
    seen = visit(AT_IT)
    seen.page.evaluate(
        """() => {
            const real = fetch;
            const huge = () => Promise.resolve(new Response(new Uint8Array(33 * 2 ** 20)));
            window.fetch = (url, init) => (String(url).includes("/attention") ? huge() : real(url, init));
        }"""
    )
    seen.page.click("#export-button")
    seen.page.get_by_role("menuitem", name="HTML").click()
    expect(seen.page.locator("#toast")).to_contain_text("a file may hold")


@pytest.mark.parametrize("view", ["heat map", "two panes", "steps"])
def test_a_projected_file_is_the_picture_alone(visit: Open, from_disk: Any, tmp_path: Path, view: str) -> None:
    opened = from_disk(downloaded(visit(PICTURES[view]), "HTML", tmp_path), 1280, 720)
    page = opened.page
    expect(page.locator(".focus > .controls")).to_be_visible()
    page.keyboard.press("p")
    opened.ready()
    for gone in (".focus > .controls", ".credit"):
        expect(page.locator(gone)).to_be_hidden()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 1280
    page.keyboard.press("Escape")
    for back in (".focus > .controls", ".credit"):
        expect(page.locator(back)).to_be_visible()


def test_a_file_on_a_small_screen(visit: Open, from_disk: Any, tmp_path: Path) -> None:
    file = downloaded(visit(AT_IT), "HTML", tmp_path)
    page = from_disk(file, 390, 700).page
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    canvas = page.locator("canvas.cells").bounding_box()
    assert canvas is not None
    assert canvas["width"] > 150


def test_a_slide_of_a_lesson_is_handed_on_like_any_picture(visit: Open, from_disk: Any, tmp_path: Path) -> None:
    """From a lesson's page the link, its code, the frame and the file lead to the picture, on the front page."""
    seen = visit("/lesson/which-word#3.3", theme="light", reduced_motion="reduce")
    seen.page.keyboard.press("Escape")
    seen.settle()
    seen.page.click("#share")
    code = seen.page.locator("#sharing-code")
    expect(code).to_be_visible()
    link = seen.page.input_value("#sharing-link")
    (found,) = read_barcodes(Image.open(BytesIO(code.screenshot())))
    assert found.text == link
    assert link.startswith(f"{seen.server}/#model=minilm&")
    assert f'src="{seen.server}/embed#model=minilm&amp;' in seen.page.input_value("#sharing-frame")
    seen.page.keyboard.press("Escape")
    assert visit(link).state == seen.state
    page = from_disk(downloaded(seen, "HTML", tmp_path)).page
    assert page.inner_text("#readout") == seen.page.inner_text("#readout")
    assert "street" in page.inner_text("#readout")
    assert page.get_attribute("#whole-page", "href") == link
    assert json.loads(downloaded(seen, "JSON", tmp_path).read_text())["layers"] == [5]
