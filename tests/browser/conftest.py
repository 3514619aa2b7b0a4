"""A real Chromium on a real server. A browser that cannot be had is a failure, never a skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from app.settings import Settings
from tests import zoo
from tests.browser.chromium import ARGUMENTS, chromium
from tests.serving import served

FLAGSHIP = "The animal didn't cross the street because it was too tired"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app, on a free port, with a tiny model of every family beside the bundled one."""
    folders = zoo.make(tmp_path_factory.mktemp("zoo"))
    with served(Settings(models=tuple(map(str, folders)))) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(playwright), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def module(browser: Browser, server: str) -> Iterator[Any]:
    """Hands one of the page's modules to a function: `module("colors", "m => …")`."""
    page: Page = browser.new_page()
    page.goto(server)
    yield lambda name, function: page.evaluate(
        f"async () => ({function})(await import('{server}/static/js/{name}.js'))"
    )
    page.close()


@dataclass
class Visit:
    """One visitor's tab, and what it must never do: complain, break the policy, or talk to anybody else."""

    page: Page
    server: str
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def ready(self) -> Visit:
        """Waits until everything that the state asks for is drawn."""
        self.page.locator("html[data-ready=true]").wait_for(state="attached")
        return self

    def settle(self) -> Visit:
        """Waits until a change has been drawn: two frames, then whatever that asked the server for."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self.ready()

    @property
    def state(self) -> dict[str, str]:
        """What is on screen, in words."""
        page = self.page
        return {
            "title": page.inner_text("#focus-title"),
            "weight": page.inner_text("#weight"),
            "pair": " ".join(page.locator(".verdict .chip").all_inner_texts()),
            "text": page.input_value("#text"),
            "view": page.inner_text("[role=tab][aria-selected=true]"),
            "chips": " ".join(page.locator("#chips button").all_inner_texts()),
            **{name: page.input_value(f"select[data-state={name}]") for name in ("palette", "special", "sort", "kind")},
        }

    @property
    def hash(self) -> str:
        """The address's state, as it is now."""
        return str(self.page.evaluate("() => location.hash"))

    def run(self, text: str) -> Visit:
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")
        self.page.locator("#progress").wait_for(state="hidden")
        return self.settle()

    def cell(self, query: int, key: int) -> tuple[float, float]:
        """The middle of a cell of the heat map, in page coordinates."""
        box = self.page.locator("canvas.cells").bounding_box()
        rows, cols = self.page.evaluate(
            "() => { const c = document.querySelector('canvas.cells'); return [c.height, c.width] }"
        )
        assert box is not None
        return box["x"] + (key + 0.5) * box["width"] / cols, box["y"] + (query + 0.5) * box["height"] / rows


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, server: str) -> Iterator[Open]:
    """Opens the page as a new visitor; afterwards nothing may have gone wrong behind the picture."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def open_page(
        state: dict[str, Any] | str = "", *, size: tuple[int, int] = (1366, 768), theme: Any = "dark", **options: Any
    ) -> Visit:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, accept_downloads=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        seen = Visit(page, server)
        visits.append(seen)
        page.on("pageerror", lambda error: seen.complaints.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                seen.complaints.append(f"{message.type}: {message.text}")
                # A refused sentence is a 4xx, which Chromium mentions on its own; the page then says it in words.
                if message.type in ("error", "warning") and "Failed to load resource" not in message.text
                else None
            ),
        )
        page.on("request", lambda request: _origin(request.url, server) or seen.outside.append(request.url))
        if isinstance(state, dict):
            state = f"/#{urlencode(state)}"
        page.goto(state if state.startswith("http") else server + (state or "/"))
        return seen.ready()

    yield open_page
    for context in contexts:
        context.close()
    for seen in visits:
        assert not seen.complaints
        assert not seen.outside


def _origin(url: str, server: str) -> bool:
    return url.startswith(("data:", "blob:")) or urlsplit(url).netloc == urlsplit(server).netloc
