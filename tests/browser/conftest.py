"""A real Chromium on a real server. A browser that cannot be had is a failure, never a skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from app.settings import Settings
from tests.browser.chromium import ARGUMENTS, chromium
from tests.serving import served

PATIENCE = 15_000  # milliseconds until what a page should do counts as not done, on a machine that has other work, too
TABS = 8  # that wait for somebody, each with a process and its memory
BARE = "/health/live"  # of the same origin, and nothing happens there
STORED = "cookies,local_storage,indexeddb,cache_storage,service_workers"
NAMES = "() => { sessionStorage.clear(); window.name = ''; return Object.getOwnPropertyNames(window).length; }"
FLAGSHIP = "The animal didn't cross the street because it was too tired"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def server(folders: dict[str, Path]) -> Iterator[str]:
    """The address of the app, on a free port, with a tiny model of every family beside the bundled one."""
    with served(Settings(models=tuple(map(str, folders.values())))) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(playwright), args=ARGUMENTS)
        yield launched
        launched.close()


@dataclass
class Tab:
    """A page, and whose it may be: a visitor's with these options."""

    page: Page
    kind: tuple[Any, ...]
    names: int = 0  # that a window has before a page gives it any

    def sweep(self, server: str) -> bool:
        """Takes away what its visitor left; False where that can't be done."""
        page, context = self.page, self.page.context
        for other in context.pages:
            if other is not page:
                other.close()
        page.unroute_all(behavior="ignoreErrors")
        page.goto(server + BARE)
        context.clear_cookies()
        devtools = context.new_cdp_session(page)
        devtools.send("Storage.clearDataForOrigin", {"origin": server, "storageTypes": STORED})
        devtools.send("Page.resetNavigationHistory")
        devtools.detach()
        # A script that starts with every page, or a clock of one's own, has put its names there.
        before, self.names = self.names, page.evaluate(NAMES)
        return before in (0, self.names)


class Tabs:
    """Tabs that visitors have left, for the next ones: to open another costs more than most tests.

    Whoever takes one over is new to the page; all that is still there is what the browser fetched and compiled.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._left: list[Tab] = []  # whose visitor left last comes last

    def take(self, server: str, size: tuple[int, int], script: str, **options: Any) -> Tab:
        kind = (script, *sorted(options.items(), key=str))
        viewport: Any = {"width": size[0], "height": size[1]}
        if left := next((tab for tab in self._left if tab.kind == kind), None):
            self._left.remove(left)
            left.page.set_viewport_size(viewport)
            return left
        context = self._browser.new_context(viewport=viewport, accept_downloads=True, **options)
        if script:
            context.add_init_script(script)
        tab = Tab(context.new_page(), kind)
        tab.page.set_default_timeout(PATIENCE)
        tab.sweep(server)
        return tab

    def leave(self, tab: Tab) -> None:
        self._left.append(tab)
        if len(self._left) > TABS:
            self._left.pop(0).page.context.close()


@pytest.fixture(scope="session")
def tabs(browser: Browser) -> Tabs:
    return Tabs(browser)


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

    def __post_init__(self) -> None:
        self.listeners: dict[Any, Callable[[Any], None]] = {
            "pageerror": lambda error: self.complaints.append(f"error: {error}"),
            "console": self._hear,
            "request": self._watch,
        }

    def _hear(self, message: ConsoleMessage) -> None:
        # A refused sentence is a 4xx, which Chromium mentions on its own; the page then says it in words.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def _watch(self, request: Request) -> None:
        if not _origin(request.url, self.server):
            self.outside.append(request.url)

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
def visit(tabs: Tabs, server: str, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the page as a new visitor; afterwards nothing may have gone wrong behind the picture."""
    visits: list[tuple[Tab, Visit]] = []
    failed = request.session.testsfailed

    def open_page(
        state: dict[str, Any] | str = "",
        *,
        size: tuple[int, int] = (1366, 768),
        theme: Any = "dark",
        script: str = "",
        **options: Any,
    ) -> Visit:
        """`script` runs before the page does."""
        tab = tabs.take(server, size, script, color_scheme=theme, **options)
        seen = Visit(tab.page, server)
        visits.append((tab, seen))
        for event, hear in seen.listeners.items():
            tab.page.on(event, hear)
        if isinstance(state, dict):
            state = f"/#{urlencode(state)}"
        tab.page.goto(state if state.startswith("http") else server + (state or "/"))
        return seen.ready()

    yield open_page
    for tab, seen in visits:
        here = not tab.page.is_closed() and _origin(tab.page.url, server)
        well = here and request.session.testsfailed == failed and tab.sweep(server)
        for event, hear in seen.listeners.items():
            tab.page.remove_listener(event, hear)
        if well:
            tabs.leave(tab)
        else:
            tab.page.context.close()
    for _, seen in visits:
        assert not seen.complaints
        assert not seen.outside


def _origin(url: str, server: str) -> bool:
    return url.startswith(("data:", "blob:")) or urlsplit(url).netloc == urlsplit(server).netloc
