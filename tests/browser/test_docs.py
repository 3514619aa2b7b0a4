"""The API's page: it opens under the policy of all pages, and what it offers to try runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect


@pytest.fixture
def docs(browser: Browser, server: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda sent: None if sent.url.startswith((server, "data:")) else complaints.append(sent.url))
    page.goto(f"{server}/api/docs")
    page.locator(".opblock").first.wait_for()
    yield page
    context.close()
    assert not complaints


def test_the_page_lists_every_call(docs: Page, server: str) -> None:
    calls = docs.request.get(f"{server}/api/openapi.json").json()["paths"]
    expect(docs.locator(".opblock")).to_have_count(sum(len(methods) for methods in calls.values()))


def test_a_call_is_tried_with_its_own_example(docs: Page) -> None:
    call = docs.locator(".opblock", has=docs.locator("[data-path='/api/v1/attention']"))
    call.locator(".opblock-summary-control").click()
    with docs.expect_response("**/api/v1/attention") as sent:
        call.locator("button.execute").click()
    assert sent.value.status == 200
    assert sent.value.request.method == "POST"
    expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert json.loads(sent.value.body())["layers"] == [5]


@pytest.mark.parametrize(
    ("system", "kept", "dark"),
    [("dark", None, True), ("light", None, False), ("light", "dark", True), ("dark", "light", False)],
)
def test_it_follows_the_theme(browser: Browser, server: str, system: Any, kept: str | None, dark: bool) -> None:
    context = browser.new_context(color_scheme=system)
    page = context.new_page()
    page.goto(f"{server}/api/docs")
    if kept:
        page.evaluate("theme => localStorage.setItem('headlight-theme', theme)", kept)
        page.reload()
    page.locator(".opblock").first.wait_for()
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    title = page.evaluate(
        "() => getComputedStyle(document.querySelector('.info .title')).color.match(/\\d+/g).map(Number)"
    )
    context.close()
    assert (sum(ground[:3]) < 3 * 64) == dark
    assert (sum(title[:3]) > 3 * 150) == dark
