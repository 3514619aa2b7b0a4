"""What drawing costs on the browser's main thread: 72 maps of 64 tokens, and following the pointer."""

from __future__ import annotations

import statistics
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import ARGUMENTS, chromium
from tests.serving import served

WORDS = "the cat that chased the mouse which ate the cheese that lay in the house".split()
SENTENCE = " ".join(WORDS[i % len(WORDS)] for i in range(62))  # 64 tokens with [CLS] and [SEP]

HOVER = 16  # milliseconds: a frame at 60 a second

MEASURES = """name => performance.getEntriesByName(`headlight:${name}`).map(entry => entry.duration)"""
FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (what, ours, goal, ratio)."""
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(playwright), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.goto(f"{url}/#{urlencode({'text': SENTENCE})}")
        page.locator("html[data-ready=true]").wait_for(state="attached")
        drawn = grid(page)
        followed = hover(page)
        compared = {how: beside(page, url, how) for how in ("panes", "difference")}
        browser.close()
    return [
        ("drawing 72 maps of 64 tokens, main thread", f"{drawn:.1f} ms", "100 ms", f"{drawn / 100:.2f}"),
        *following("the heat map", followed),
        *following("two heat maps", compared["panes"]),
        *following("the map of what differs", compared["difference"]),
    ]


def following(what: str, followed: list[float]) -> list[tuple[str, str, str, str]]:
    """Two rows about the moves over something."""
    middle, slowest = statistics.median(followed), sorted(followed)[int(0.95 * len(followed))]
    name = f"following the pointer over {what}"
    return [
        (f"{name}, median", f"{middle:.2f} ms", f"{HOVER} ms", f"{middle / HOVER:.2f}"),
        (f"{name}, 95th percentile", f"{slowest:.2f} ms", f"{HOVER} ms", f"{slowest / HOVER:.2f}"),
    ]


def beside(page: Page, url: str, how: str) -> list[float]:
    """The same moves with another sentence beside this one: in two panes, or over what differs."""
    other = SENTENCE.replace("cheese", "bread")
    page.goto("about:blank")
    page.goto(f"{url}/#{urlencode({'text': SENTENCE, 'vs_text': other, 'compare': how, 'view': 'heatmap'})}")
    page.locator("html[data-ready=true]").wait_for(state="attached")
    return hover(page)


def grid(page: Page) -> float:
    """Milliseconds of the slowest drawing of the whole grid: the first, before anything was compiled, included."""
    for palette in ("viridis", "cividis", "light"):
        page.select_option("select[data-state=palette]", palette)
        page.evaluate(FRAME)
    return float(max(page.evaluate(MEASURES, "grid")))


def hover(page: Page) -> list[float]:
    """Milliseconds of each of 200 moves over the heat map."""
    box = page.locator("#view canvas.cells").bounding_box()
    assert box is not None
    page.evaluate("() => performance.clearMeasures()")
    for step in range(200):
        part = step / 200
        page.mouse.move(box["x"] + box["width"] * (part * 7 % 1), box["y"] + box["height"] * part)
        page.evaluate(FRAME)
    return [float(duration) for duration in page.evaluate(MEASURES, "hover")]
