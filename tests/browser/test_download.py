"""A model that is not here is offered, downloaded with its progress, and then explored; what goes wrong is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.settings import Settings
from tests.app.test_runner import until
from tests.browser.conftest import Open, Visit
from tests.browser.test_access import STILL, serious
from tests.browser.test_families import shown, traced
from tests.hub import Hub
from tests.serving import client, served

NAME, ID = "someone/tiny", "tiny"
TEXT = "two dogs run in the snow"


@pytest.fixture
def server(hub: Hub, published: Path) -> Iterator[str]:
    """A server that may download one model from a hub on loopback."""
    hub.add(NAME, published)
    with served(Settings(downloads=(NAME,))) as url:
        yield url


def offered(seen: Visit) -> Visit:
    """Chooses the model that is not here."""
    seen.page.select_option("#model", ID)
    expect(seen.page.get_by_role("button", name="Download")).to_be_visible()
    return seen


def opened(seen: Visit) -> None:
    """Waits until the model's own picture is on screen."""
    seen.page.wait_for_function(f"() => new URLSearchParams(location.hash.slice(1)).get('model') === '{ID}'")
    seen.settle()


def test_a_model_is_downloaded_and_explored(visit: Open, server: str, hub: Hub) -> None:
    seen = visit({"text": TEXT})
    page = seen.page
    assert page.locator("#model optgroup[label='To download'] option .name").all_inner_texts() == ["tiny"]
    offered(seen)
    assert hub.asked == []  # choosing is not asking for it
    assert NAME in page.inner_text(".download")
    hub.hold()
    page.get_by_role("button", name="Download").click()
    bar = page.get_by_role("progressbar", name="Download of tiny")
    expect(bar).to_be_visible()
    expect(page.locator(".download .state")).to_have_text("285 kB of 559 kB")
    assert page.evaluate("() => { const p = document.querySelector('progress'); return p.value / p.max }") > 0.5
    expect(page.locator("#live")).to_have_text("tiny: 50 percent downloaded.")
    page.locator("#tab-table").click()  # meanwhile the old picture can be explored
    seen.settle()
    assert seen.state["view"] == "Table"
    page.locator("#tab-heatmap").click()
    hub.release()
    opened(seen)
    expect(page.locator(".download")).to_have_count(0)
    assert page.locator("#model optgroup[label='To download']").count() == 0
    trace = traced(server, ID, TEXT)
    assert trace["text"] == seen.state["text"]
    page.mouse.click(*seen.cell(3, 1))
    seen.settle()
    assert shown(seen) > 0
    assert hub.bodies[-1].range is None


def test_a_link_to_a_model_that_is_not_here_offers_it(visit: Open, hub: Hub) -> None:
    seen = visit({"model": ID, "text": TEXT})
    page = seen.page
    expect(page.locator("#problem")).to_be_hidden()
    page.get_by_role("button", name="Not now").click()
    assert page.input_value("#model") == "minilm"
    expect(page.locator(".download")).to_have_count(0)
    offered(seen)
    page.get_by_role("button", name="Download").click()
    opened(seen)
    assert seen.state["text"] == TEXT


def test_a_download_can_be_cancelled_and_goes_on(visit: Open, server: str, hub: Hub) -> None:
    seen = offered(visit({"text": TEXT}))
    page = seen.page
    hub.hold()
    page.get_by_role("button", name="Download").click()
    expect(page.locator(".download .state")).to_contain_text("285 kB")
    page.keyboard.press("Enter")  # the focus is on Cancel
    expect(page.locator(".download .state")).to_have_text("Stopped at 285 kB of 559 kB. What has come is kept.")
    until(lambda: "headlight_download_watchers 0.0" in client.get(f"{server}/metrics").text)
    hub.release()
    page.get_by_role("button", name="Go on").click()
    opened(seen)
    assert hub.bodies[-1].range is not None


def test_a_hub_that_refuses_is_quoted(visit: Open, hub: Hub) -> None:
    seen = offered(visit({"text": TEXT}))
    page = seen.page
    repository = hub.repositories[NAME]
    weights = repository.files.pop("model.safetensors")
    repository.files["pytorch_model.bin"] = weights
    page.get_by_role("button", name="Download").click()
    state = page.locator(".download.failed .state")
    expect(state).to_contain_text("only safetensors are ever read")
    expect(page.locator("#live")).to_contain_text("only safetensors are ever read")
    assert seen.state["text"] == TEXT  # the picture stays
    assert page.input_value("#model") == ID
    repository.files["model.safetensors"] = weights
    page.get_by_role("button", name="Try again").click()
    opened(seen)


def test_a_connection_that_breaks_half_way_is_told(visit: Open, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.hub.TRIES", 2)
    seen = offered(visit({"text": TEXT}))
    page = seen.page
    hub.cuts = [200_000, 0, 0]
    page.get_by_role("button", name="Download").click()
    expect(page.locator(".download.failed .state")).to_contain_text("200,000 of 548,064 bytes")
    hub.cuts.clear()
    page.get_by_role("button", name="Go on").click()
    opened(seen)
    assert hub.bodies[-1].range == "bytes=200000-"


def test_events_are_read_however_they_are_cut(visit: Open, server: str) -> None:
    told = visit().page.evaluate(
        """async server => {
            const { eventsOf } = await import(`${server}/static/js/events.js`);
            const first = 'event: progress\\ndata: {"done":1,"word":"é"}', second = 'event: ready\\ndata: {"id":"x"}';
            const whole = new TextEncoder().encode(`${first}\\n\\n${second}\\n\\n`);
            const read = async size => {
                const body = new ReadableStream({ start(it) {
                    for (let at = 0; at < whole.length; at += size) it.enqueue(whole.slice(at, at + size));
                    it.close();
                } });
                return await Array.fromAsync(eventsOf(body));
            };
            return await Promise.all([1, 2, 7, 500].map(read));
        }""",
        server,
    )
    events = [{"name": "progress", "data": {"done": 1, "word": "é"}}, {"name": "ready", "data": {"id": "x"}}]
    assert told == [events] * 4


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080), (390, 844)])
def test_the_offer_can_be_read_and_reached_by_everybody(
    visit: Open, hub: Hub, theme: str, size: tuple[int, int]
) -> None:
    seen = offered(visit({"text": TEXT}, size=size, theme=theme, **STILL))
    page = seen.page
    hub.hold()
    assert serious(seen) == []
    page.get_by_role("button", name="Download").click()
    expect(page.locator(".download .state")).to_contain_text("285 kB")
    assert serious(seen) == []
    box = page.locator(".download").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size[0]
    hub.release()
    opened(seen)
