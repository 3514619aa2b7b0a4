"""A tab that one visitor left is new to the next; where it can't be made so, nobody gets it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Tabs

SIZE = (1366, 768)
LEAVE = """() => {
    localStorage.setItem("headlight-theme", "light");
    sessionStorage.setItem("began", "1");
    document.cookie = "headlight-language=ko; path=/";
    window.name = "mine";
    history.pushState(null, "", "#elsewhere");
}"""
FOUND = """() => [localStorage.length, sessionStorage.length, document.cookie, window.name, history.length,
    document.querySelectorAll(":hover").length, document.documentElement.lang]"""


def found(page: Page, server: str) -> Any:
    page.goto(server)
    page.locator("html[data-ready=true]").wait_for(state="attached")
    return page.evaluate(FOUND)


def test_who_takes_over_a_tab_finds_nothing_of_who_left_it(tabs: Tabs, server: str) -> None:
    tab = tabs.take(server, SIZE, "", locale="en-GB")
    new = found(tab.page, server)
    tab.page.mouse.move(600, 400)
    tab.page.route("**/*.js", lambda route: route.abort())
    tab.page.evaluate(LEAVE)
    other = tab.page.context.new_page()
    assert tab.sweep(server)
    assert other.is_closed()
    tabs.leave(tab)
    again = tabs.take(server, (390, 844), "", locale="en-GB")
    assert again is tab
    assert again.page.viewport_size == {"width": 390, "height": 844}
    assert found(again.page, server) == new
    again.page.context.close()


@pytest.mark.parametrize("what", ["a script", "a clock"])
def test_what_stays_for_ever_is_noticed(tabs: Tabs, server: str, what: str) -> None:
    tab = tabs.take(server, SIZE, "")
    if what == "a script":
        tab.page.add_init_script("window.written = []")
    else:
        tab.page.clock.install()
    assert not tab.sweep(server)
    tab.page.context.close()


def test_another_kind_of_visitor_gets_another_tab(tabs: Tabs, server: str) -> None:
    one = tabs.take(server, SIZE, "", locale="en-GB")
    tabs.leave(one)
    for script, options in (("", {"locale": "ko"}), ("window.spy = 1", {"locale": "en-GB"})):
        other = tabs.take(server, SIZE, script, **options)
        assert other is not one
        other.page.context.close()
