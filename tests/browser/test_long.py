"""A text of 4,096 tokens: all of it at once, then what is looked at; never a whole map, and the API's own numbers."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Response, expect

from tests import zoo
from tests.browser.conftest import Open, Visit
from tests.serving import client

LENGTH = 4096
WHOLE = f"queries 0–{LENGTH - 1} · keys 0–{LENGTH - 1} of {LENGTH} · a cell is 8 × 8 tokens"
TILE = 4 * 256 * 256  # bytes of float32


@pytest.fixture(scope="session")
def text(server: str) -> str:
    """Words of the tiny model, each of them one token, and as many as make up the length."""
    rng = random.Random(1)
    words = sorted({word for sentence in zoo.SENTENCES[:2] for word in sentence.split()})
    whole = [word for word in words if _tokens(server, f"a {word} {word}") == _tokens(server, f"a {word}") + 1]
    assert len(whole) >= 5
    return " ".join(["a", *(rng.choice(whole) for _ in range(LENGTH - 1))])


def _tokens(server: str, text: str) -> int:
    answer = client.post(f"{server}/api/v1/traces", json={"model": "tiny-long", "text": text})
    return len(answer.json()["tokens"]["decoder"])


@pytest.fixture(scope="session")
def api(server: str, text: str) -> Iterator[Any]:
    """Weights of layer 1, head 0, from the API: rows, for the queries and keys that are named."""
    with httpx.Client(base_url=f"{server}/api/v1", timeout=60) as client:
        trace = client.post("/traces", json={"model": "tiny-long", "text": text}).json()
        assert len(trace["tokens"]["decoder"]) == LENGTH

        def weights(**query: Any) -> list[list[float]]:
            path = f"/traces/{trace['id']}/attention"
            answer = client.get(path, params={"layers": 1, "heads": 0, **query}, headers={"accept": "application/json"})
            return answer.json()["values"][0][0]

        yield weights


@dataclass
class Traffic:
    """What a visit asked the API for."""

    queries: list[dict[str, str]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def hear(self, response: Response) -> None:
        url = urlsplit(response.url)
        if url.path.endswith("/attention"):
            self.queries.append({name: values[0] for name, values in parse_qs(url.query).items()})
            self.sizes.append(int(response.headers.get("content-length", 0)))


@pytest.fixture
def long(visit: Open, text: str) -> Any:
    def open_long(**state: Any) -> tuple[Visit, Traffic]:
        traffic = Traffic()
        seen = visit("/")
        seen.page.on("response", traffic.hear)
        state = {"model": "tiny-long", "layer": 1, "head": 0, "scale": "log", **state}
        hash = "&".join(f"{name}={value}" for name, value in state.items())
        go = "([hash, text]) => { location.hash = `${hash}&${new URLSearchParams({ text })}`; }"
        seen.page.evaluate(go, [hash, text])
        expect(seen.page.locator("#text")).to_have_value(text)
        seen.ready()
        return seen, traffic

    return open_long


def rested(seen: Visit) -> Visit:
    """When the window has come to rest, its tiles are here and the address holds it."""
    seen.page.wait_for_timeout(300)
    seen.settle()
    expect(seen.page.locator("#view")).to_have_attribute("data-complete", "true")
    return seen


def at(seen: Visit, query: int, key: int) -> tuple[float, float]:
    """The middle of one pair, in page coordinates: the map fills the room between its labels."""
    q, k, span = (int(part) for part in _window(seen).split("."))
    place = seen.page.evaluate("() => JSON.parse(document.querySelector('canvas.long').dataset.frame)")
    box = seen.page.locator("canvas.long").bounding_box()
    assert box is not None
    assert span == place["rows"]
    left, top, cell = place["left"], place["top"], place["cell"]
    return box["x"] + left + (key - k + 0.5) * cell, box["y"] + top + (query - q + 0.5) * cell


def _window(seen: Visit) -> str:
    found = parse_qs(seen.hash.removeprefix("#")).get("window")
    return found[0] if found else f"0.0.{LENGTH}"


def test_all_of_it_first_and_never_a_whole_map(long: Any) -> None:
    seen, traffic = long()
    rested(seen)
    expect(seen.page.locator(".where")).to_contain_text(WHOLE)
    assert len(traffic.queries) <= 8  # the overview, four tiles of it, a row, and the heads of two layers
    assert sum(traffic.sizes) <= 5 * TILE
    for query in traffic.queries:
        rows, columns = query.get("queries", ""), query.get("keys", "")
        assert "size" in query or "-" not in rows or "-" not in columns, query
    assert seen.page.locator("#view *").count() < 20
    assert seen.page.locator("#stage *").count() < 400, "and not an element for each token"


def test_a_cell_of_many_tokens_says_the_strongest_of_them(long: Any, api: Any) -> None:
    seen, _ = long()
    rested(seen)
    query, key = 3000, 1000
    seen.page.mouse.move(*at(seen, query, key))
    strongest = max(max(row) for row in api(queries="3000-3007", keys="1000-1007"))
    expect(seen.page.locator("#readout")).to_contain_text("tokens 3000–3007 → 1000–1007")
    expect(seen.page.locator("#readout")).to_contain_text("the strongest weight among them")
    shown = float(seen.page.locator("#readout b").get_attribute("title") or "")
    assert shown == pytest.approx(strongest, rel=1e-4)


def test_zooming_in_leads_to_single_weights(long: Any, api: Any) -> None:
    seen, traffic = long()
    rested(seen)
    page = seen.page
    page.mouse.move(*at(seen, 3000, 1000))
    for _ in range(5):
        page.mouse.wheel(0, -240)
    rested(seen)
    query, key, span = (int(part) for part in _window(seen).split("."))
    assert span == LENGTH // 32
    assert query < 3000 < query + span
    assert key < 1000 < key + span
    expect(page.locator(".where")).to_contain_text("a cell is one weight")
    expect(page.locator(".minimap")).to_be_visible()
    assert sum(traffic.sizes) <= 40 * TILE
    place = (query + 40, key + 30)
    page.mouse.move(*at(seen, *place))
    [[weight]] = api(queries=place[0], keys=place[1])
    expect(page.locator("#readout")).not_to_contain_text("strongest")
    assert float(page.locator("#readout b").get_attribute("title") or "") == pytest.approx(weight, rel=1e-5)
    page.mouse.click(*at(seen, *place))
    expect(page.locator("#weight")).to_have_attribute("title", _close_to(weight))
    assert f"query={place[0]}&key={place[1]}" in seen.hash
    expect(page.locator("#inspector")).to_contain_text("Share out")
    best = max(api(queries=place[0])[0])
    expect(page.locator(".ranking .value").first).to_have_attribute("title", _close_to(best))


def test_dragging_moves_the_window_and_the_address_keeps_it(long: Any) -> None:
    seen, _ = long(window="2000.1000.100")
    rested(seen)
    page = seen.page
    x, y = at(seen, 2050, 1050)
    frame = page.evaluate("() => JSON.parse(document.querySelector('canvas.long').dataset.frame)")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 20 * frame["cell"], y + 10 * frame["cell"], steps=5)
    page.mouse.up()
    rested(seen)
    assert _window(seen) == "1990.1020.100"
    assert "query=" not in seen.hash  # a drag is no click
    again = seen.page.context.new_page()
    again.goto(page.url)
    again.locator("html[data-ready=true]").wait_for(state="attached")
    expect(again.locator(".where")).to_contain_text("queries 1990–2089 · keys 1020–1119")


def test_everything_by_keyboard(long: Any, api: Any) -> None:
    seen, _ = long()
    rested(seen)
    page = seen.page
    page.locator("canvas.long").focus()
    for _ in range(4):
        page.keyboard.press("+")
    rested(seen)
    assert _window(seen) == "1920.1920.256"
    page.keyboard.press("Shift+ArrowLeft")
    rested(seen)
    assert _window(seen) == "1920.1792.256"
    page.keyboard.press("ArrowDown")  # from the middle of the window
    [[weight]] = api(queries=2049, keys=1920)
    assert float(page.locator("#readout b").get_attribute("title") or "") == pytest.approx(weight, rel=1e-5)
    page.keyboard.press("Enter")
    assert "query=2049&key=1920" in seen.hash
    page.keyboard.press("End")  # past the window, which follows
    rested(seen)
    assert _window(seen) == f"1920.{LENGTH - 256}.256"
    page.keyboard.press("-")
    rested(seen)
    assert _window(seen).endswith(".512")
    page.keyboard.press("0")
    rested(seen)
    assert "window" not in seen.hash
    page.get_by_role("button", name="Zoom in").click()
    rested(seen)
    assert _window(seen).endswith(f".{LENGTH // 2}")


@pytest.mark.parametrize("view", ["lines", "text", "bars", "table"])
def test_other_views_list_a_part_and_say_which(long: Any, api: Any, view: str) -> None:
    seen, traffic = long(view=view, query=2000, key=1990)
    expect(seen.page.locator("#focus-block")).to_contain_text(f"tokens 1968–2031 → 1958–2021 of {LENGTH}")
    assert seen.page.locator("#view *").count() < 6000
    part = {"queries": "1968-2031", "keys": "1958-2021"}
    for _ in range(200):  # the picture before it stays until the part is here
        if any(part.items() <= query.items() for query in traffic.queries):
            break
        seen.page.wait_for_timeout(50)
    else:
        raise AssertionError(traffic.queries)
    seen.settle()
    if view == "table":
        expect(seen.page.locator("tr.chosen td.chosen")).to_be_visible()
        shown = [float(cell) for cell in seen.page.locator("tr.chosen td").all_inner_texts() if _plain(cell)]
        row = api(queries=2000, keys="1958-2000")[0]
        assert len(shown) > 10
        for value in shown:
            assert any(value == pytest.approx(weight, rel=0.006) for weight in row)


def test_what_is_no_longer_looked_at_is_cancelled(long: Any) -> None:
    seen, _ = long()
    rested(seen)
    page = seen.page
    held: list[Any] = []
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.route("**/attention?*queries=*", lambda route: held.append(route) or None)
    page.locator("canvas.long").focus()
    for _ in range(4):
        page.keyboard.press("+")
    seen.page.wait_for_timeout(300)
    waiting = len(held)
    assert 0 < waiting <= 5 * 4
    page.keyboard.press("0")
    seen.page.wait_for_timeout(300)
    assert len(failed) >= 3  # the tiles of the close look, which nobody waits for any more
    page.unroute("**/attention?*queries=*")


def test_the_picture_and_the_file_are_of_what_is_looked_at(long: Any, api: Any) -> None:
    seen, _ = long(window="2000.1000.100")
    rested(seen)
    page = seen.page
    with page.expect_download() as download:
        page.click("#export-button")
        page.get_by_role("menuitem", name="safetensors").click()
    data = download.value.path().read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    values = struct.unpack(f"<{100 * 100}f", data[start:])
    expected = [weight for row in api(queries="2000-2099", keys="1000-1099") for weight in row]
    assert values == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_fingers_pinch(browser: Any, server: str, text: str) -> None:
    """Two pointers that move apart zoom in around their middle."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(server)
    go = "text => { location.hash = new URLSearchParams({ model: 'tiny-long', layer: 1, head: 0, text }); }"
    page.evaluate(go, text)
    expect(page.locator(".where")).to_contain_text(WHOLE)
    page.evaluate(
        """() => {
            const map = document.querySelector('canvas.long');
            map.setPointerCapture = () => {};
            const box = map.getBoundingClientRect();
            const [x, y] = [box.left + box.width * 0.5, box.top + box.height * 0.6];
            const finger = { pointerType: 'touch', bubbles: true, clientY: y };
            const send = (type, pointerId, dx) =>
                map.dispatchEvent(new PointerEvent(type, { ...finger, pointerId, clientX: x + dx }));
            send('pointerdown', 1, -20); send('pointerdown', 2, 20);
            send('pointermove', 1, -40); send('pointermove', 2, 40);
            send('pointerup', 1, -40); send('pointerup', 2, 40);
        }"""
    )
    expect(page.locator(".where")).to_contain_text("a cell is 4 × 4 tokens")
    context.close()


def _close_to(value: float) -> Any:
    return re.compile(re.escape(f"{value:.9f}"[:6]))


def _plain(cell: str) -> bool:
    return cell.replace(".", "", 1).isdigit()
