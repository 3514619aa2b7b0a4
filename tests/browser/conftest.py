"""A real Chromium on a real server. A browser that cannot be had is a failure, never a skip."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from app.main import create_app
from app.settings import Settings

FLAGSHIP = "The animal didn't cross the street because it was too tired"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ON_THE_MACHINE = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the app, served by uvicorn on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(
        create_app(Settings(log_level="warning")), host="127.0.0.1", port=port, log_level="warning", ws="none"
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not running.started:
        if time.monotonic() > deadline or not thread.is_alive():
            pytest.fail("The server did not start within a minute.")
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(timeout=10)


def _on_the_machine() -> str | None:
    return next((found for name in ON_THE_MACHINE if (found := shutil.which(name))), None)


def _run(*command: str) -> None:
    """Best effort: what counts is whether a browser is there afterwards."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(command, check=False, timeout=240, capture_output=True, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{command[0]}: {error}", file=sys.stderr)


def chromium(playwright: Playwright) -> str:
    """A browser on this machine, else Playwright's own, else Debian's."""
    if found := _on_the_machine():
        return found
    own = playwright.chromium.executable_path
    if not Path(own).exists():
        _run(sys.executable, "-m", "playwright", "install", "chromium")
    if Path(own).exists():
        return own
    if shutil.which("apt-get"):
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    if found := _on_the_machine():
        return found
    pytest.fail(
        "Browser tests need Chromium: none is on this machine, and neither `playwright install chromium` nor "
        "`apt-get install chromium` could bring one. Install Chromium or Chrome and run again."
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(playwright), args=ARGUMENTS)
        yield launched
        launched.close()


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
