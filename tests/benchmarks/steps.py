"""What a storyboard costs: the time between frames while attention is played over 24 tokens, once and side by side."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from itertools import accumulate
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.drawing import MEASURES, SENTENCE
from tests.browser.chromium import ARGUMENTS, chromium
from tests.serving import served

TOKENS = 24
TEXT = " ".join(SENTENCE.split()[: TOKENS - 2])  # with [CLS] and [SEP]
RATE = 50  # frames a second
GOAL = 1000 / RATE  # milliseconds

FRAMES = """() => {
    window.frames_ = [];
    let last = performance.now();
    const next = now => { frames_.push(now - last); last = now; if (window.frames_) requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""


AT_IT = {"text": TEXT, "view": "steps", "layer": 5, "head": 11, "query": 8}
OTHER = TEXT.replace("cat", "dog")
BOARDS = {
    f"a storyboard of {TOKENS} tokens": AT_IT,
    f"two storyboards of {TOKENS} tokens side by side": {**AT_IT, "vs_text": OTHER, "compare": "panes"},
}
MATRICES = "project"  # the step that draws W_Q, W_K and W_V, cell by cell


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (what, ours, goal, ratio)."""
    rows: dict[str, float] = {}
    seconds: dict[str, int] = {}
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(playwright), args=ARGUMENTS)
        for what, state in BOARDS.items():
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            page.goto(f"{url}/#{urlencode(state)}")
            page.locator("html[data-ready=true]").wait_for(state="attached")
            frames = played(page)
            made = page.evaluate(MEASURES, "steps")  # of each step, that it was made and that it was put there
            if "compare" not in state:
                rows[f"drawing a step of {TOKENS} tokens, main thread"] = statistics.median(
                    map(sum, zip(made[::2], made[1::2], strict=False))
                )
                rows["drawing a step with three learned matrices of 32 × 384, main thread"] = matrices(page)
            name = f"a frame while {what} {'plays' if 'compare' not in state else 'play'}"
            rows[f"{name}, median"] = statistics.median(frames)
            rows[f"{name}, 95th percentile"] = sorted(frames)[int(0.95 * len(frames))]
            rows[f"{name}, worst"] = max(frames)
            seconds[name.replace("a frame", "frames in the slowest second", 1)] = slowest_second(frames)
            page.close()
        browser.close()
    taken = [(name, f"{value:.1f} ms", f"{GOAL:.0f} ms", f"{value / GOAL:.2f}") for name, value in rows.items()]
    return taken + [(name, str(count), str(RATE), f"{count / RATE:.2f}") for name, count in seconds.items()]


def slowest_second(frames: list[float]) -> int:
    """The fewest frames that any second of these holds."""
    ends = list(accumulate(frames))
    return min(
        bisect_right(ends, begin + 1000) - at for at, begin in enumerate([0.0, *ends]) if begin + 1000 <= ends[-1]
    )


def matrices(page: Page, rounds: int = 9) -> float:
    """Median milliseconds of drawing the step that shows what was learned, each time from the step after it."""
    page.keyboard.press("Home")
    page.wait_for_timeout(500)
    page.evaluate("() => performance.clearMeasures()")
    drawn: list[float] = []
    for _ in range(rounds):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(450)
        page.evaluate("() => performance.clearMeasures()")
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(450)
        if page.eval_on_selector("#view .step-transport select", "select => select.value") != MATRICES:
            raise RuntimeError(f"The step {MATRICES} is not on screen.")
        drawn.append(sum(page.evaluate(MEASURES, "steps")))
    return statistics.median(drawn)


def played(page: Page, rounds: int = 3) -> list[float]:
    """Milliseconds between frames, while every step travels into the next one; the first round warms up."""
    last = int(page.evaluate("() => document.querySelector('#view .step-transport input').max"))
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
