"""The generation player: what it shows is what the API says; it steps, forces, stops, and its address says it again."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app import runner
from tests.browser.conftest import Open, Visit
from tests.browser.test_access import STILL, serious
from tests.serving import client

TEXT = "two dogs run"
MODELS = ["tiny-gpt2", "tiny-t5", "tiny-gru", "tiny-rnn"]
DRAWN = {"temperature": 1.3, "top_k": 6, "seed": 5, "most": 7}


def here(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "text": TEXT, "view": "generate", **more}


def said(server: str, model: str, **body: Any) -> tuple[list[Any], Any]:
    """The steps and the end, as the API gives them."""
    given = {"model": model, "text": TEXT, **body}
    answer = client.post(f"{server}/api/v1/generate", json=given, timeout=60)
    assert answer.status_code == 200, answer.text
    parts = [part.split("data: ", 1)[1] for part in answer.text.strip().split("\n\n")]
    *steps, done = map(json.loads, parts)
    return steps, done


def generate(seen: Visit) -> Visit:
    """Presses Generate and waits until the replay is drawn."""
    seen.page.click("#generate")
    return seen.settle()


def tokens(seen: Visit) -> list[str]:
    return seen.page.locator("button.uttered .w").all_inner_texts()


def ids(seen: Visit) -> list[int]:
    """Everything that was said, as the address has it."""
    found: str = seen.page.evaluate("() => new URLSearchParams(location.hash.slice(1)).get('said')")
    return [] if found == "-" else [int(id) for id in found.split("-")]


def number(text: str | None) -> float:
    return float((text or "").split(":")[-1].replace("−", "-").split(",")[0])


def listed(seen: Visit) -> list[tuple[float, float]]:
    """The distribution that is on screen: the network's probability and the chance of every candidate, in full."""
    rows = seen.page.locator(".candidates li:not(.others):visible").all()
    return [
        (
            number(row.locator(".value").nth(0).get_attribute("title")),
            number(row.locator(".value").nth(1).get_attribute("title")),
        )
        for row in rows
    ]


def shown_trace(seen: Visit, action: Any) -> tuple[list[str], int]:
    """The ids of the traces that maps are asked of while something happens, and how often a text is generated."""
    urls: list[str] = []
    seen.page.on("request", lambda request: urls.append(request.url))
    action()
    asked = [url.split("/traces/")[1][:32] for url in urls if "/traces/" in url]
    return asked, sum(url.endswith("/generate") for url in urls)


@pytest.mark.parametrize("model", MODELS)
def test_the_screen_shows_what_the_api_says(visit: Open, server: str, model: str) -> None:
    seen = visit(here(model, **DRAWN))
    asked, posts = shown_trace(seen, lambda: generate(seen))
    steps, done = said(server, model, temperature=1.3, top_k=6, seed=5, max_new_tokens=7)
    assert ids(seen) == done["said"]
    chips = seen.page.locator("button.uttered")
    expect(chips).to_have_count(len(steps))
    assert [number(chip.get_attribute("title")) for chip in chips.all()] == pytest.approx(
        [s["probability"] for s in steps]
    )
    assert set(asked) == {done["id"]}
    assert posts == 1
    for index in (len(steps) - 1, 0, 2):
        chips.nth(index).click()
        seen.settle()
        top = [(one["probability"], one["chance"]) for one in steps[index]["top"]]
        assert listed(seen) == [pytest.approx(pair) for pair in top]
        chosen = seen.page.locator(".candidates .chosen:visible")
        assert number(chosen.locator(".value").first.get_attribute("title")) == pytest.approx(
            steps[index]["probability"]
        )
        cut = sum(one["chance"] == 0 for one in steps[index]["top"])
        expect(seen.page.locator(".candidates .cut:visible")).to_have_count(cut)
        assert cut == 4
    rest = 1 - sum(one["probability"] for one in steps[2]["top"])
    assert number(seen.page.locator(".others .value").first.get_attribute("title")) == pytest.approx(rest)


def test_every_view_shows_what_was_said(visit: Open, server: str) -> None:
    seen = generate(visit(here("tiny-gpt2", most=5)))
    _, done = said(server, "tiny-gpt2", max_new_tokens=5)
    seen.page.keyboard.press("1")
    seen.settle()
    length = len(client.get(f"{server}{done['location']}").json()["tokens"]["decoder"])
    assert f"{length} tokens by {length}" in (seen.page.get_attribute("canvas.axes", "aria-label") or "")
    expect(seen.page.locator("#said-note")).to_be_visible()
    seen.page.keyboard.press("3")
    expect(seen.page.locator(".word.new")).to_have_count(5)
    seen.page.keyboard.press("5")
    expect(seen.page.locator("tbody th.new")).to_have_count(5)
    seen.page.click("#run")
    seen.settle()
    assert "said=" not in seen.hash
    expect(seen.page.locator("tbody th.new")).to_have_count(0)
    expect(seen.page.locator("#said-note")).to_be_hidden()


@pytest.mark.parametrize(("model", "block"), [("tiny-gpt2", "self"), ("tiny-t5", "cross"), ("tiny-gru", "cross")])
def test_a_step_is_looked_at_from_the_row_that_it_came_from(visit: Open, server: str, model: str, block: str) -> None:
    seen = generate(visit(here(model, most=5, layer=0, head=0)))
    steps, done = said(server, model, max_new_tokens=5)
    seen.page.locator("button.uttered").nth(3).click()
    seen.settle()
    row = steps[3]["position"] - 1
    assert f"query={row}" in seen.hash
    assert "step=3" in seen.hash
    maps = client.get(
        f"{server}{done['location']}/attention",
        params={"stack": "decoder", "block": block, "layers": 0, "heads": 0},
        headers={"accept": "application/json"},
    ).json()["values"][0][0]
    words = seen.page.locator(".words span.w:visible")
    if block == "cross":
        words = seen.page.locator(".words").first.locator(".w")
    weights = [
        number(word.get_attribute("title").replace("looked at with ", ""))
        for word in words.all()
        if word.get_attribute("title")
    ]
    assert weights == pytest.approx(maps[row][: len(weights)], rel=6e-3, abs=1e-6)
    assert len(weights) == (row + 1 if block == "self" else len(maps[row]))
    assert float(seen.page.get_attribute("#weight", "title") or "") == pytest.approx(max(maps[row]), abs=1e-6)


def test_a_network_without_attention_is_looked_at_in_its_states(visit: Open) -> None:
    seen = generate(visit(here("tiny-rnn", most=4)))
    seen.page.locator("button.uttered").nth(1).click()
    expect(seen.page.locator("#inspector")).to_contain_text("This unit over time")
    assert "time=3" in seen.settle().hash


def test_stepping(visit: Open) -> None:
    seen = generate(visit(here("tiny-gpt2", most=6)))
    page = seen.page
    place = page.locator(".transport output")
    expect(place).to_have_text("step 6 of 6")
    for name, at in [("First step", 1), ("One step forward", 2), ("One step back", 1), ("Last step", 6)]:
        page.get_by_role("button", name=name).click()
        expect(place).to_have_text(f"step {at} of 6")
        expect(page.locator("button.uttered[aria-pressed=true]")).to_have_count(1)
    page.locator(".transport input").fill("3")
    expect(place).to_have_text("step 3 of 6")
    expect(page.locator("button.uttered").nth(2)).to_have_attribute("aria-pressed", "true")
    page.select_option(".transport select", "slow")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()
    expect(place).to_have_text("step 3 of 6")
    page.evaluate(
        """() => {
            const place = document.querySelector('.transport output');
            window.played = [];
            new MutationObserver(() => window.played.push(place.textContent)).observe(place, { childList: true });
        }"""
    )
    page.select_option(".transport select", "fast")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(place).to_have_text("step 6 of 6")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    played = page.evaluate("() => [...new Set(window.played)].filter(text => text !== 'step 3 of 6')")
    assert played == ["step 4 of 6", "step 5 of 6", "step 6 of 6"]


def test_playing_goes_to_the_end_at_once_where_movement_is_unwanted(visit: Open) -> None:
    seen = generate(visit(here("tiny-gpt2", most=6), reduced_motion="reduce"))
    seen.page.select_option(".transport select", "slow")
    seen.page.locator("#focus-title").focus()
    seen.page.keyboard.press("Home")
    seen.page.keyboard.press(" ")
    expect(seen.page.locator(".transport output")).to_have_text("step 6 of 6")
    expect(seen.page.get_by_role("button", name="Pause")).to_have_count(0)


@pytest.mark.parametrize("model", ["tiny-gpt2", "tiny-t5", "tiny-gru"])
def test_forcing_another_token_goes_on_from_there(visit: Open, server: str, model: str) -> None:
    seen = generate(visit(here(model, most=6)))
    page = seen.page
    before = ids(seen)
    steps, _ = said(server, model, max_new_tokens=6)
    page.locator("button.uttered").nth(2).click()
    other = next(one["token"]["id"] for one in steps[2]["top"] if one["token"]["id"] != before[2])
    page.locator(".candidates li:not(.chosen) button").first.click()
    expect(page.locator("button.uttered.forced")).to_have_count(1)
    expect(page.locator("#generate")).to_have_text("Generate")
    seen.settle()
    forced = [*before[:2], other]
    more, done = said(server, model, said=forced, max_new_tokens=3)
    assert ids(seen) == done["said"]
    assert "forced=2" in seen.hash
    chips = page.locator("button.uttered")
    assert [number(chip.get_attribute("title")) for chip in chips.all()][3:] == pytest.approx(
        [s["probability"] for s in more]
    )
    chips.nth(2).click()
    expect(page.locator(".candidates .chosen .mark")).to_have_text("forced")
    assert listed(seen) == [pytest.approx((one["probability"], one["chance"])) for one in steps[2]["top"]]
    page.get_by_role("button", name="Let step 3 go").click()
    expect(page.locator("button.uttered.forced")).to_have_count(0)
    expect(page.locator("#generate")).to_have_text("Generate")
    assert ids(seen.settle()) == before
    page.go_back()
    seen.settle()
    assert ids(seen) == done["said"]
    expect(page.locator("button.uttered.forced")).to_have_count(1)


@pytest.mark.parametrize("model", MODELS)
def test_the_address_says_the_same_again(visit: Open, model: str) -> None:
    first = generate(visit(here(model, **DRAWN)))
    first.page.locator("button.uttered").nth(3).click()
    first.page.locator(".candidates li:not(.chosen):not(.cut) button").first.click()
    expect(first.page.locator("button.uttered.forced")).to_have_count(1)
    expect(first.page.locator("#generate")).to_have_text("Generate")
    first.settle().page.locator("button.uttered").nth(1).click()
    first.settle()
    again = visit(first.page.url)
    for look in (
        tokens,
        ids,
        listed,
        lambda seen: seen.page.inner_text(".step-head"),
        lambda seen: seen.state["weight"],
    ):
        assert look(again) == look(first)
    assert [chip.get_attribute("title") for chip in again.page.locator("button.uttered").all()] == [
        chip.get_attribute("title") for chip in first.page.locator("button.uttered").all()
    ]
    expect(again.page.locator("button.uttered.forced")).to_have_count(1)
    expect(again.page.locator("button.uttered").nth(3)).to_contain_text("forced")
    assert again.page.input_value("#temperature") == "1.3"
    assert again.page.input_value("#seed") == "5"
    heat = visit(first.page.url.replace("view=generate", "view=heatmap"))
    assert heat.state["weight"] == first.state["weight"]


def test_a_seed_is_chosen_anew(visit: Open) -> None:
    seen = visit(here("tiny-gpt2", temperature=2, most=6))
    words = tokens(generate(seen))
    assert tokens(generate(seen)) == words
    seen.page.evaluate("() => { Math.random = () => 0.617 }")
    seen.page.click("#new-seed")
    assert seen.page.input_value("#seed") == "617"
    assert tokens(generate(seen)) != words
    assert "seed=617" in seen.hash


def held(page: Page, tokens: int, *, then: str) -> None:
    """Lets so many tokens of the server's own stream through; then it `waits` to be stopped, `breaks` or `ends`."""
    page.evaluate(
        """([tokens, then]) => {
            const real = window.fetch;
            window.stopped = 0;
            window.fetch = async (url, init) => {
                if (!String(url).endsWith('/generate')) return real(url, init);
                const parts = (await (await real(url, init)).text()).split('\\n\\n').slice(0, tokens);
                return new Response(new ReadableStream({
                    async pull(controller) {
                        if (parts.length) return controller.enqueue(new TextEncoder().encode(parts.shift() + '\\n\\n'));
                        if (then === 'ends') return controller.close();
                        if (then === 'breaks') return controller.error(new TypeError('network error'));
                        await new Promise(done => init.signal.addEventListener('abort', done));
                        window.stopped++;
                        controller.error(new DOMException('stopped', 'AbortError'));
                    },
                }));
            };
        }""",
        [tokens, then],
    )


@pytest.mark.parametrize("how", ["button", "g", "Escape"])
def test_stopping_keeps_what_was_said(visit: Open, server: str, how: str) -> None:
    seen = visit(here("tiny-gpt2", most=20))
    held(seen.page, 4, then="waits")
    seen.page.click("#generate")
    expect(seen.page.locator("button.uttered")).to_have_count(4)
    expect(seen.page.locator("#generate")).to_have_text("Stop")
    words = tokens(seen)
    expect(seen.page.locator("#live")).to_contain_text(words[1].strip("·"))  # those who listen hear it meanwhile
    if how == "button":
        seen.page.click("#generate")
    else:
        seen.page.locator("#tab-generate").focus()
        seen.page.keyboard.press(how)
    expect(seen.page.locator(".ending")).to_have_text("Stopped after 4 tokens.")
    assert seen.page.evaluate("() => window.stopped") == 1
    steps, _ = said(server, "tiny-gpt2", max_new_tokens=4)
    assert ids(seen.settle()) == [step["token"]["id"] for step in steps]
    again = visit(seen.page.url)
    assert tokens(again) == tokens(seen) == words
    expect(again.page.locator(".ending")).to_have_text("Stopped after 4 tokens.")


def test_the_server_stops_with_the_page(visit: Open, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = runner.Generation._next
    monkeypatch.setattr(runner.Generation, "_next", lambda self: (time.sleep(0.03), steps(self))[1])

    def counted() -> float:
        lines = client.get(f"{server}/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith("headlight_generated_tokens_total")).split()[1])

    seen = visit({"model": "tiny-gpt2", "text": TEXT, "most": 120})
    before = counted()
    seen.page.keyboard.press("g")
    expect(seen.page.locator("button.uttered").nth(2)).to_be_visible()
    seen.page.keyboard.press("1")  # what is said goes on behind another view, whose picture follows it
    seen.page.keyboard.press("Escape")
    expect(seen.page.locator("#said-note")).to_be_visible()
    kept = len(ids(seen.settle()))
    said_so_far = counted() - before
    assert 3 <= kept <= said_so_far < 60
    time.sleep(0.3)
    assert counted() - before <= said_so_far + 1


@pytest.mark.parametrize("how", ["breaks", "ends"])
def test_a_connection_that_breaks_loses_nothing(visit: Open, how: str) -> None:
    seen = visit(here("tiny-gpt2", most=20))
    held(seen.page, 3, then=how)
    seen.page.click("#generate")
    expect(seen.page.locator(".broke")).to_contain_text("The connection to the server broke")
    expect(seen.page.locator(".ending")).to_have_text("Broke off after 3 tokens; they stay.")
    assert len(ids(seen.settle())) == 3


def test_what_cannot_be_is_said_in_words_and_loses_nothing(visit: Open) -> None:
    seen = generate(visit(here("tiny-gpt2", most=5)))
    words = tokens(seen)
    seen.page.route(
        "**/api/v1/generate",
        lambda route: route.fulfill(
            status=503,
            content_type="application/problem+json",
            body=json.dumps({"title": "Busy", "detail": "Busy. Try again in a second.", "status": 503}),
        ),
    )
    seen.page.click("#generate")
    expect(seen.page.locator(".broke")).to_have_text("Busy Try again in a second.")
    assert tokens(seen) == words
    seen.page.unroute("**/api/v1/generate")
    generate(seen)
    expect(seen.page.locator(".broke")).to_be_hidden()


def test_a_full_text_ends_and_says_so(visit: Open, server: str) -> None:
    text = " ".join(["dogs"] * 120)
    length = len(
        client.post(f"{server}/api/v1/traces", json={"model": "tiny-gpt2", "text": text}).json()["tokens"]["decoder"]
    )
    seen = generate(visit({**here("tiny-gpt2"), "text": text}))
    assert len(tokens(seen)) == 128 - length
    full = "the model has no room for more than 128"
    expect(seen.page.locator(".ending")).to_contain_text(full)
    again = visit(seen.page.url)
    expect(again.page.locator(".ending")).to_contain_text(full)
    expect(again.page.locator(".broke")).to_be_hidden()
    seen.page.locator(".candidates li:not(.chosen) button").first.click()
    expect(seen.page.locator(".broke")).to_contain_text("128")
    assert len(tokens(seen)) == 128 - length


def test_a_typed_text_is_read_before_it_is_continued(visit: Open, server: str) -> None:
    seen = visit(here("tiny-gpt2", most=4))
    seen.page.fill("#text", "un chien court")
    generate(seen)
    answer = client.post(
        f"{server}/api/v1/generate", json={"model": "tiny-gpt2", "text": "un chien court", "max_new_tokens": 4}
    ).text
    assert f'"said":{json.dumps(ids(seen)).replace(" ", "")}' in answer
    assert "text=un+chien+court" in seen.hash


def test_a_target_is_gone_on_from(visit: Open, server: str) -> None:
    seen = generate(visit(here("tiny-t5", target="deux chiens", most=4)))
    _, done = said(server, "tiny-t5", target="deux chiens", max_new_tokens=4)
    assert ids(seen) == done["said"]
    expect(seen.page.locator(".spoken h3")).to_have_text(["source", "target"])
    expect(seen.page.locator(".words").nth(1)).to_contain_text("chiens")


def test_only_models_that_generate_offer_it(visit: Open) -> None:
    seen = visit()
    expect(seen.page.locator("#tab-generate")).to_be_hidden()
    seen.page.keyboard.press("g")
    expect(seen.page.locator("#toast")).to_contain_text("continues no text")
    away = visit({"model": "minilm", "text": "a cat", "view": "generate"})
    expect(away.page.locator("#tab-heatmap")).to_have_attribute("aria-selected", "true")


def test_all_of_it_by_keyboard(visit: Open) -> None:
    seen = visit({"model": "tiny-gpt2", "text": TEXT, "most": 5})
    page = seen.page
    page.locator("#focus-title").focus()
    page.keyboard.press("7")
    expect(page.locator("#tab-generate")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("g")
    expect(page.locator(".transport output")).to_have_text("step 5 of 5")
    seen.settle()
    for key, at in [("Home", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 5)]:
        page.keyboard.press(key)
        expect(page.locator(".transport output")).to_have_text(f"step {at} of 5")
    page.locator("button.uttered[aria-pressed=true]").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("button.uttered:focus")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".transport output")).to_have_text("step 4 of 5")
    seen.settle()  # until then the list may be drawn anew, and take the focus along
    page.locator(".candidates li:not(.chosen) button").nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("button.uttered.forced")).to_have_count(1)
    seen.settle()
    page.locator("#seed").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("12")
    page.keyboard.press("Enter")
    expect(page.locator("button.uttered.forced")).to_have_count(0)
    assert "seed=12" in seen.settle().hash


def test_settings_are_explained_and_corrected(visit: Open) -> None:
    seen = visit(here("tiny-gpt2"))
    line = seen.page.locator("#decoding-line")
    expect(line).to_have_text("Takes the likeliest token each time, up to 20 tokens.")
    seen.page.focus("#top_p")
    expect(line).to_contain_text("share together")
    seen.page.fill("#temperature", "0.8")
    seen.page.fill("#top_k", "5")
    seen.page.fill("#top_p", "7")
    seen.page.locator("#focus-title").focus()
    expect(line).to_have_text("Draws each token at temperature 0.8 among the 5 likeliest, up to 20 tokens, seed 0.")
    assert seen.page.input_value("#top_p") == ""
    seen.page.fill("#beams", "3")
    expect(seen.page.locator("#temperature")).to_be_disabled()
    seen.page.locator("#focus-title").focus()
    expect(line).to_contain_text("Continues 3 texts side by side")


def test_those_who_listen_hear_it(visit: Open) -> None:
    seen = generate(visit(here("tiny-llama", most=4)))
    live = seen.page.locator("#live")
    expect(live).to_contain_text("It says:")
    expect(live).to_contain_text("4 tokens")
    seen.page.locator("#focus-title").focus()
    seen.page.keyboard.press("Home")
    expect(live).to_contain_text("Step 1: ")
    expect(live).to_contain_text("the likeliest, so it is taken. Also possible:")


@pytest.mark.parametrize("model", ["tiny-gpt2", "tiny-t5", "tiny-gru"])
def test_beams(visit: Open, server: str, model: str) -> None:
    seen = generate(visit(here(model, beams=3, most=5)))
    page = seen.page
    steps, done = said(server, model, beams=3, max_new_tokens=5)
    assert ids(seen) == done["said"]
    nodes = [node for step in steps for node in step["beams"]]
    expect(page.locator(".tree .beam")).to_have_count(len(nodes))
    for fate, count in [
        ("kept", sum(node["kept"] for node in nodes)),
        ("ended", sum(node["ended"] for node in nodes)),
        ("dropped", sum(not node["kept"] and not node["ended"] for node in nodes)),
    ]:
        expect(page.locator(f".tree .beam.{fate}")).to_have_count(count)
    won = page.locator(".tree .beam.won")
    expect(won).to_have_count(len(done["said"]) + ("then its stop token" in page.inner_text(".ending")))
    best = max((node for node in steps[-1]["beams"] if node["kept"]), key=lambda node: node["log_probability"])
    place = nodes.index(best)
    page.locator(".tree .beam").nth(place).hover()
    assert number(page.locator(".tree-line .number").get_attribute("title")) == pytest.approx(best["log_probability"])
    # The distribution along the best path is that of its own prefix, whichever text led at the time.
    page.locator("button.uttered").nth(3).click()
    seen.settle()
    alone, _ = said(server, model, said=done["said"][:3], max_new_tokens=1)
    assert listed(seen) == [pytest.approx((one["probability"], one["chance"]), rel=1e-5) for one in alone[0]["top"]]
    page.locator(".tree .beam[tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator(".tree .beam:focus")).to_have_count(1)
    expect(page.locator(".tree-line")).to_contain_text("log-probability")
    page.get_by_role("radio", name="table").click()
    expect(page.locator(".tables caption")).to_have_count(3)
    expect(page.locator(".tables table").last.locator("tbody tr")).to_have_count(len(nodes))
    again = visit(page.url.replace("form=table", "form=picture"))
    expect(again.page.locator(".tree .beam")).to_have_count(len(nodes))
    expect(again.page.locator(".tree .beam.won")).to_have_count(
        len(done["said"]) + ("then its stop token" in seen.page.inner_text(".ending"))
    )


def test_the_table_holds_the_same_numbers(visit: Open, server: str) -> None:
    seen = generate(visit(here("tiny-gpt2", **DRAWN, form="table")))
    steps, _ = said(server, "tiny-gpt2", temperature=1.3, top_k=6, seed=5, max_new_tokens=7)
    cells = seen.page.locator(".tables table").first.locator("tbody tr td:first-of-type").all()
    assert [number(cell.get_attribute("title")) for cell in cells] == pytest.approx(
        [one["probability"] for one in steps[-1]["top"]]
    )
    rows = seen.page.locator(".tables table").nth(1).locator("tbody tr")
    expect(rows).to_have_count(len(steps))
    assert number(rows.nth(2).locator("td").nth(1).get_attribute("title")) == pytest.approx(steps[2]["probability"])


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "more", [{}, DRAWN, {"beams": 3, "most": 6}, {**DRAWN, "form": "table"}], ids=["greedy", "drawn", "beams", "table"]
)
def test_axe_finds_nothing_serious(visit: Open, theme: str, size: tuple[int, int], more: dict[str, Any]) -> None:
    seen = visit(here("tiny-gpt2", **more), theme=theme, size=size, **STILL)
    assert serious(seen) == []
    generate(seen)
    assert serious(seen) == []
    assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= size[0]


def test_by_touch_on_a_phone(visit: Open) -> None:
    seen = visit(here("tiny-t5", most=5), size=(390, 844), has_touch=True, is_mobile=True)
    page = seen.page
    page.tap("#generate")
    expect(page.locator(".transport output")).to_have_text("step 5 of 5")
    seen.settle()
    page.locator("button.uttered").nth(1).tap()
    expect(page.locator(".transport output")).to_have_text("step 2 of 5")
    page.locator(".candidates li:not(.chosen) button").first.tap()
    expect(page.locator("button.uttered.forced")).to_have_count(1)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
