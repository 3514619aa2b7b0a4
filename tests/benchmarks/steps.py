"""What a storyboard costs: the time between frames while attention is played step by step over 24 tokens."""

from __future__ import annotations

import statistics
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.drawing import MEASURES, SENTENCE
from tests.browser.chromium import ARGUMENTS, chromium
from tests.serving import served

TOKENS = 24
TEXT = " ".join(SENTENCE.split()[: TOKENS - 2])  # with [CLS] and [SEP]
GOAL = 20.0  # milliseconds: 50 frames a second

FRAMES = """() => {
    window.frames_ = [];
    let last = performance.now();
    const next = now => { frames_.push(now - last); last = now; if (window.frames_) requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (what, ours, goal, ratio)."""
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(playwright), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.goto(f"{url}/#{urlencode({'text': TEXT, 'view': 'steps', 'layer': 5, 'head': 11, 'query': 8})}")
        page.locator("html[data-ready=true]").wait_for(state="attached")
        frames = played(page)
        made = page.evaluate(MEASURES, "steps")
        browser.close()
    what = f"a frame while a storyboard of {TOKENS} tokens plays"
    rows = {
        f"drawing a step of {TOKENS} tokens, main thread": statistics.median(made),
        f"{what}, median": statistics.median(frames),
        f"{what}, 95th percentile": sorted(frames)[int(0.95 * len(frames))],
        f"{what}, worst": max(frames),
    }
    return [(name, f"{value:.1f} ms", f"{GOAL:.0f} ms", f"{value / GOAL:.2f}") for name, value in rows.items()]


def played(page: Page, rounds: int = 3) -> list[float]:
    """Milliseconds between frames, while every step travels into the next one; the first round warms up."""
    last = int(page.evaluate("() => document.querySelector('.step-transport input').max"))
    for round_ in range(rounds):
        page.keyboard.press("Home")
        page.wait_for_timeout(500)
        if round_ == 1:
            page.evaluate(FRAMES)
        for _ in range(last):
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(450)
    frames: list[float] = page.evaluate("() => { const all = window.frames_; window.frames_ = null; return all; }")
    return frames[1:]
