"""Every family is picked and explored with the same controls, and shows the API's own numbers."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from engine.models import FAMILIES
from tests.browser.conftest import Open, Visit
from tests.browser.test_access import STILL, serious
from tests.serving import client

SOURCE = "two dogs run in the snow"
TARGET = "deux chiens dorment"
VIEWS = ["heatmap", "lines", "text", "bars", "table"]
CROSS = {"model": "tiny-t5", "text": SOURCE, "target": TARGET, "stack": "decoder", "block": "cross"}
GRU = {"model": "tiny-gru", "text": SOURCE, "target": TARGET}


def ask(server: str, path: str, **query: Any) -> Any:
    answer = client.get(f"{server}/api/v1/{path}", params=query, headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def traced(server: str, model: str, text: str = SOURCE, **more: str) -> Any:
    return client.post(f"{server}/api/v1/traces", json={"model": model, "text": text, **more}).json()


def shown(seen: Visit) -> float:
    return float((seen.page.get_attribute("#weight", "title") or "").replace("−", "-"))


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("tiny-gpt2", "decoder.2.self.3"),
        ("tiny-llama", "decoder.1.self.5"),
        ("tiny-t5", "encoder.1.self.2"),
        ("tiny-t5", "decoder.0.self.4"),
        ("tiny-t5", "decoder.2.cross.1"),
        ("tiny-marian", "encoder.1.self.3"),
        ("tiny-marian", "decoder.2.self.0"),
        ("tiny-marian", "decoder.1.cross.2"),
        ("tiny-bert-mlm", "encoder.2.self.5"),
        ("tiny-bert-tokens", "encoder.0.self.1"),
        ("tiny-roberta", "encoder.1.self.4"),
        ("tiny-gru", "decoder.0.cross.0"),
        ("tiny-luong", "decoder.0.cross.0"),
    ],
)
def test_every_family_shows_its_own_weights(visit: Open, server: str, model: str, head: str) -> None:
    says = client.get(f"{server}/api/v1/models/{model}").json()["targets"]
    more = {"target": TARGET} if says else {}
    stack, layer, block, number = head.split(".")
    named = {"stack": stack, "block": block}
    place = {**named, "layer": layer, "head": number, "query": 3, "key": 1}
    seen = visit({"model": model, "text": SOURCE, **more, **place})
    trace = traced(server, model, **more)
    maps = ask(server, f"traces/{trace['id']}/attention", **named, layers=layer, heads=number)
    assert shown(seen) == pytest.approx(maps["values"][0][0][3][1], abs=1e-6)
    tokens = [maps["tokens"]["query"][3].strip(), maps["tokens"]["key"][1].strip()]
    assert [chip.lstrip("·") for chip in seen.state["pair"].split()] == tokens
    expect(seen.page.locator("#inspector.waiting")).to_have_count(0)
    for view in VIEWS:
        seen.page.locator(f"#tab-{view}").click()
        seen.settle()


FAMILY_NAMES = {family.name: family.title for family in FAMILIES}


def test_the_picker_says_how_large_each_model_is_and_what_to_look_for(visit: Open, server: str) -> None:
    seen = visit()
    for card in client.get(f"{server}/api/v1/models").json():
        name, size, line = seen.page.locator(f"#model option[value='{card['id']}'] > *").all_inner_texts()
        assert name.startswith(card["name"])
        assert line == card["summary"]
        if card["layers"] and card["heads"] and card["layers"] * card["heads"] > 1:
            assert f"{card['layers']} × {card['heads']} heads" in size
        if card["parameters"] is not None:
            counted, unit = size.split()[:2]
            millions = float(counted) * {"k": 1e-3, "M": 1.0, "G": 1e3}.get(unit, 1e-6)
            assert millions == pytest.approx(card["parameters"] / 1e6, rel=0.006)
    seen.page.select_option("#model", "tiny-gpt2")
    expect(seen.page.locator("#model > button")).to_have_text("tiny-gpt2")


def test_a_model_opens_with_its_own_example_and_what_somebody_wrote_stays(visit: Open) -> None:
    seen = visit()
    page = seen.page

    def pick(model: str) -> str:
        page.select_option("#model", model)
        page.locator("#progress").wait_for(state="hidden")
        seen.settle()
        return page.input_value("#text")

    assert pick("transformer-fr-en") == "Un homme noir porte une chemise blanche."
    assert "stack=decoder&block=cross&layer=2&head=1&query=1&key=2" in seen.hash
    assert seen.state["pair"].split()[-1] == "noir"
    assert float(seen.state["weight"]) > 0.9
    assert page.input_value("#target") == ""
    seen.run("Je mange une pomme.")
    assert pick("minilm") == "Je mange une pomme."


def test_a_tab_that_was_clicked_leaves_the_arrows_to_its_view(visit: Open) -> None:
    page = visit().page
    page.locator("#tab-steps").click()
    expect(page.locator("#step-title .count")).to_have_text("1 of 13")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#step-title .count")).to_have_text("2 of 13")
    page.locator("#tab-steps").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-heatmap")).to_have_attribute("aria-selected", "true")


def test_every_model_can_be_picked_from_its_family(visit: Open, server: str) -> None:
    seen = visit()
    cards = [card for card in client.get(f"{server}/api/v1/models").json() if card["status"] != "absent"]
    for card in cards[::-1]:
        model = card["id"]
        group = seen.page.locator(f"#model optgroup:has(> option[value='{model}'])")
        expect(group).to_have_attribute("label", FAMILY_NAMES[card["family"]])
        if model == "tiny-numbers":
            seen.page.fill("#text", "1 1 2 3 5")
        elif seen.page.input_value("#text") == "1 1 2 3 5" and not card["examples"]:
            seen.page.fill("#text", SOURCE)
        seen.page.select_option("#model", model)
        seen.page.locator("#progress").wait_for(state="hidden")
        seen.settle()
        expect(seen.page.locator("#problem")).to_be_hidden()
        assert f"model={model}" in seen.hash
        if card["id"].startswith("fibonacci"):  # words say nothing to it
            assert seen.page.input_value("#text") == card["examples"][0]["text"]


def test_three_grids_for_an_encoder_and_a_decoder(visit: Open) -> None:
    seen = visit(CROSS)
    page = seen.page
    expect(page.locator(".block:visible")).to_have_count(3)
    expect(page.locator(".block.lit .block-name")).to_contain_text("decoder cross-attention")
    expect(page.locator("#focus-block")).to_have_text("cross-attention")
    box = page.locator(".block canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 50, box["y"] + 40)
    expect(page.locator("#focus-title")).to_have_text("Layer 0 · Head 0")
    expect(page.locator("#focus-block")).to_have_text("encoder self-attention")
    page.locator(".block-name").nth(1).click()
    assert "block=self&" in seen.settle().hash + "&"
    assert "stack=decoder" in seen.hash


def test_on_a_phone_blocks_are_switched(visit: Open) -> None:
    page = visit(CROSS, size=(390, 844)).page
    expect(page.locator(".block:visible")).to_have_count(1)
    page.locator(".blocks button").first.click()
    expect(page.locator("#focus-block")).to_have_text("encoder self-attention")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_the_model_says_a_target_or_is_made_to(visit: Open, server: str) -> None:
    seen = visit({"model": "tiny-t5", "text": SOURCE})
    page = seen.page
    said = [token["text"] for token in traced(server, "tiny-t5")["tokens"]["decoder"] if not token["special"]]
    placeholder = page.get_attribute("#target", "placeholder") or ""
    assert placeholder.startswith("says: ")
    assert said[0].strip() in placeholder
    page.fill("#target", TARGET)
    page.press("#target", "Enter")
    page.locator("#progress").wait_for(state="hidden")
    seen.settle()
    assert "target=deux" in seen.hash
    page.locator(".block-name").nth(2).click()
    tokens = traced(server, "tiny-t5", target=TARGET)["tokens"]
    size = f"{len(tokens['decoder'])} target tokens by {len(tokens['encoder'])} source tokens"
    assert size in (page.locator("canvas.axes").get_attribute("aria-label") or "")
    assert visit(page.url).page.input_value("#target") == TARGET
    page.fill("#target", "")
    page.press("#target", "Enter")
    page.locator("#progress").wait_for(state="hidden")
    assert "target=" not in seen.settle().hash


def test_second_sentences_only_where_two_are_read(visit: Open) -> None:
    seen = visit()
    expect(seen.page.locator("#pair-toggle")).to_be_visible()
    expect(seen.page.locator("#target")).to_be_hidden()
    seen.page.select_option("#model", "tiny-gpt2")
    expect(seen.page.locator("#pair-toggle")).to_be_hidden()
    expect(seen.page.locator("#target")).to_be_hidden()


def test_text_of_cross_attention_holds_both_sentences(visit: Open) -> None:
    seen = visit({**CROSS, "view": "text", "query": 2})
    page = seen.page
    expect(page.locator(".prose h3")).to_have_text(["source", "target"])
    expect(page.locator(".prose p").first).to_contain_text("two dogs run in the snow")
    expect(page.locator(".prose p").last).to_contain_text("deux chiens dorment")
    page.locator(".prose p").first.locator(".word").nth(3).click()
    assert "query=2&key=3" in seen.hash
    page.get_by_role("radio", name="attended by").click()
    expect(page.locator(".ranked p")).to_have_text("in is attended by")


def test_the_future_is_not_allowed(visit: Open) -> None:
    seen = visit({"model": "tiny-gpt2", "text": SOURCE, "view": "table"})
    expect(seen.page.locator("td.never")).to_have_count(15)
    seen.page.locator("#tab-heatmap").click()
    seen.settle().page.mouse.move(*seen.cell(0, 3))
    expect(seen.page.locator("#readout")).to_contain_text("not allowed")


def test_what_comes_next(visit: Open, server: str) -> None:
    seen = visit({"model": "tiny-gpt2", "text": SOURCE})
    top = traced(server, "tiny-gpt2")["prediction"]["positions"][-1]["top"]
    expect(seen.page.locator("#next li")).to_have_count(5)
    assert str(top[0]["probability"])[:6] in (seen.page.locator("#next li").first.get_attribute("title") or "")
    expect(visit().page.locator("#next")).to_be_hidden()


def test_a_class_of_the_whole_is_said(visit: Open, server: str) -> None:
    seen = visit({"model": "tiny-sentiment", "text": SOURCE})
    labels = traced(server, "tiny-sentiment")["prediction"]["labels"]
    best = max(labels, key=lambda label: label["probability"])
    expect(seen.page.locator("#next h3")).to_have_text("Class")
    expect(seen.page.locator("#next li")).to_have_count(2)
    expect(seen.page.locator("#next li .token").first).to_have_text(best["label"])
    assert str(best["probability"])[:6] in (seen.page.locator("#next li").first.get_attribute("title") or "")
    weights = maps(server, "tiny-sentiment")
    assert shown(seen) == pytest.approx(max(weights), rel=1e-5)


@pytest.mark.parametrize("model", ["tiny-bert-tokens", "tiny-lstm-tagger"])
def test_every_token_has_its_class(visit: Open, server: str, model: str) -> None:
    seen = visit({"model": model, "text": SOURCE})
    page = seen.page
    (stack,) = (trace := traced(server, model))["tokens"]
    said, tokens = trace["prediction"]["token_labels"], trace["tokens"][stack]
    assert len({one["label"] for one in said}) > 1, "a page that says one class of all would not be noticed"
    words = page.locator("#next .classes button")
    expect(page.locator("#next h3")).to_have_text("Class of each token")
    expect(words.locator(".token")).to_have_text([token["text"].strip() for token in tokens])
    expect(words.locator("b")).to_have_text([one["label"] for one in said])
    for place in (1, len(tokens) - 1):
        word, one = words.nth(place), said[place]
        assert str(one["probability"])[:6] in (word.get_attribute("title") or "")
        share = one["probability"]
        percent = "over 99 %" if 0.99 < share < 1 else f"{round(100 * share)} %"
        spoken = f"{tokens[place]['text'].strip()}: {one['label']}, {percent}"
        expect(word).to_have_attribute("aria-label", spoken)
        word.focus()
        page.keyboard.press("Enter")
        seen.settle()
        expect(word).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#inspector .class b").nth(1)).to_have_text(one["label"])
        title = page.locator("#inspector .class .number").get_attribute("title") or ""
        assert float(title) == pytest.approx(one["probability"], rel=1e-5)


def test_a_class_is_said_aloud(visit: Open, server: str) -> None:
    seen = visit({"model": "tiny-bert-tokens", "text": SOURCE, "query": 2, "key": 1})
    own = traced(server, "tiny-bert-tokens")["prediction"]["token_labels"][2]
    expect(seen.page.locator("#live")).to_contain_text(f"Its class is {own['label']}")


@pytest.mark.parametrize(("model", "mask"), [("tiny-bert-mlm", "[MASK]"), ("tiny-roberta", "<mask>")])
def test_every_mask_is_filled(visit: Open, server: str, model: str, mask: str) -> None:
    text = f"two {mask} run in the {mask}"
    seen = visit({"model": model, "text": text})
    places = traced(server, model, text)["prediction"]["positions"]
    assert len(places) == 2
    strips = seen.page.locator("#next .said", has_text="In place of")
    expect(strips).to_have_count(2)
    for nth, place in enumerate(places):
        row = strips.nth(nth)
        for guess, shown_as in zip(place["top"][:5], row.locator("li").all(), strict=True):
            assert str(guess["probability"])[:6] in (shown_as.get_attribute("title") or "")
        row.locator("h3 button").click()
        assert f"query={place['position']}" in seen.settle().hash
        expect(row.locator("h3 button")).to_have_attribute("aria-pressed", "true")
        seen.page.keyboard.press("Escape")
    seen.run("two dogs run")
    expect(seen.page.locator("#next")).to_contain_text(f"Write {mask} in place of a word")
    seen.page.mouse.click(*seen.cell(2, 1))  # the second word looks
    seen.settle()
    seen.page.get_by_role("button", name="Mask the word in question").click()
    seen.page.locator("#next .said", has_text="In place of").wait_for()
    assert seen.settle().state["text"] == f"two {mask} run"


def test_whether_the_next_sentence_follows(visit: Open, server: str) -> None:
    pair = "it was too tired"
    seen = visit({"model": "tiny-bert-mlm", "text": "two [MASK] run", "pair": pair})
    labels = traced(server, "tiny-bert-mlm", "two [MASK] run", pair=pair)["prediction"]["labels"]
    best = max(labels, key=lambda label: label["probability"])
    row = seen.page.locator("#next .said").first
    expect(row.locator("h3")).to_have_text("Class of the pair")
    expect(row.locator("li .token").first).to_have_text(best["label"])
    assert str(best["probability"])[:6] in (row.locator("li").first.get_attribute("title") or "")
    expect(seen.page.locator("#next .said")).to_have_count(2)


def test_the_whole_looks_at_each_token(visit: Open, server: str) -> None:
    seen = visit({"model": "tiny-sentiment", "text": SOURCE, "query": 0, "key": 2})
    page = seen.page
    weights = maps(server, "tiny-sentiment")
    assert shown(seen) == pytest.approx(weights[2], rel=1e-5)
    expect(page.locator("#focus-title")).to_have_text("Attention pooling")
    expect(page.locator("#live")).to_contain_text("Attention pooling: the whole attends to run")
    assert "the whole by 6 tokens" in (page.locator("canvas.axes").get_attribute("aria-label") or "")
    for view in VIEWS:
        page.locator(f"#tab-{view}").click()
        seen.settle()
        expect(page.locator("#focus-title")).to_have_text("Attention pooling")
        expect(page.get_by_role("radiogroup", name="Direction")).to_be_hidden()
        assert not {"source", "target"} & set(page.locator(".stage").inner_text().split())
    page.locator("#tab-text").click()
    seen.settle()
    expect(page.locator(".prose .word")).to_have_count(6)
    page.locator(".prose .word").nth(4).click()
    assert "query=0&key=4" in seen.settle().hash
    assert shown(seen) == pytest.approx(weights[4], rel=1e-5)


def test_a_network_that_reads_numbers_says_one(visit: Open, server: str) -> None:
    series = "0.1 0.1 0.2 0.3 0.5"
    seen = visit({"model": "tiny-numbers", "text": series})
    said = traced(server, "tiny-numbers", series)["prediction"]["number"]
    title = seen.page.locator("#next h3 .value").get_attribute("title") or ""
    assert float(title.replace("−", "-")) == pytest.approx(said, rel=1e-5)
    seen.run("one two")
    expect(seen.page.locator("#problem")).to_contain_text("reads numbers")
    assert seen.page.locator("#next h3").is_visible()  # the old picture stays


def maps(server: str, model: str) -> list[float]:
    """The one row of a pool: what the whole takes from each token."""
    id = traced(server, model)["id"]
    answer = client.get(f"{server}/api/v1/traces/{id}/attention", headers={"accept": "application/json"})
    row: list[float] = answer.json()["values"][0][0][0]
    return row


def test_additive_attention_says_its_own_formula(visit: Open) -> None:
    page = visit(GRU).page
    expect(page.locator("#focus-title")).to_have_text("Alignment")
    expect(page.locator("#inspector")).to_contain_text("v·tanh(q + k)")
    expect(page.locator("#inspector")).not_to_contain_text("q·k")
    expect(page.locator("#inspector")).not_to_contain_text("√")


@pytest.mark.parametrize(
    ("model", "site"),
    [
        ("tiny-gru", "encoder.0.cell.hidden"),
        ("tiny-gru", "encoder.0.reverse.hidden"),
        ("tiny-gru", "decoder.0.cell.gate.update"),
        ("tiny-lstm", "encoder.0.cell.cell"),
        ("tiny-lstm", "decoder.0.cell.hidden"),
        ("tiny-luong", "encoder.1.cell.hidden"),
        ("tiny-luong", "decoder.1.cell.hidden"),
        ("tiny-lstm-tagger", "sequence.1.reverse.cell"),
        ("tiny-lstm-tagger", "sequence.0.cell.gate.forget"),
        ("tiny-rnn", "sequence.0.cell.hidden"),
    ],
)
def test_states_over_time(visit: Open, server: str, model: str, site: str) -> None:
    more = {} if site.startswith("sequence") else {"target": TARGET}
    seen = visit({"model": model, "text": SOURCE, **more, "view": "states", "site": site, "time": 2, "unit": 5})
    values = ask(server, f"traces/{traced(server, model, **more)['id']}/tensors/{site}")["values"]
    assert shown(seen) == pytest.approx(values[2][5], abs=1e-6)
    if "gate" in site or model in ("tiny-luong", "tiny-rnn"):
        expect(seen.page.locator("#inspector .formula")).to_contain_text("σ(" if "gate" in site else "tanh(")
    else:
        worked = seen.page.locator(".formula b").get_attribute("title") or ""
        assert float(worked.replace("−", "-")) == pytest.approx(values[2][5], abs=1e-5)
    box = seen.page.locator("canvas.cells").bounding_box()
    assert box is not None
    seen.page.mouse.click(box["x"] + 7.5 * box["width"] / len(values[0]), box["y"] + 1.5 * box["height"] / len(values))
    seen.settle()
    assert shown(seen) == pytest.approx(values[1][7], abs=1e-6)
    assert "time=1&unit=7" in seen.hash
    seen.page.get_by_role("radio", name="table").click()
    cell = seen.page.locator("tbody tr").nth(1).locator("td").nth(7)
    expect(cell).to_have_text(f"{values[1][7]:.3f}".replace("-", "−"))


def test_gates_and_layers_are_chosen(visit: Open) -> None:
    seen = visit(GRU)
    page = seen.page
    page.keyboard.press("6")
    expect(page.locator("#focus-title")).to_have_text("Hidden state")
    page.select_option("#state-part", label="reset gate")
    page.select_option("#state-where", label="encoder layer 0 ←")
    assert "site=encoder.0.reverse.gate.reset" in seen.settle().hash
    expect(page.locator("#legend span").first).to_have_text("0")
    page.locator("button.state").first.click()
    expect(page.locator("#focus-block")).to_have_text("encoder layer 0 →")
    expect(page.locator("#legend span").first).to_have_text("−1")
    page.locator("canvas.axes").focus()
    page.keyboard.press("Home")
    expect(page.locator("#readout")).to_contain_text("unit 0")
    page.keyboard.press("Enter")
    assert "unit=0" in seen.hash


@pytest.mark.parametrize(
    ("model", "layers", "states"),
    [
        ("tiny-lstm-tagger", ["layer 0 →", "layer 0 ←", "layer 1 →", "layer 1 ←"], 6),
        ("tiny-luong", ["encoder layer 0", "encoder layer 1", "decoder layer 0", "decoder layer 1"], 1),
        ("tiny-gru", ["encoder layer 0 →", "encoder layer 0 ←", "decoder layer 0"], 4),
    ],
)
def test_every_layer_and_gate_is_there(visit: Open, model: str, layers: list[str], states: int) -> None:
    seen = visit({"model": model, "text": SOURCE, "view": "states"})
    page = seen.page
    expect(page.locator("#state-where option")).to_have_text(layers)
    expect(page.locator("button.state")).to_have_count(len(layers) * states)
    page.locator("button.state").last.click()
    seen.settle()
    expect(page.locator("#focus-block")).to_have_text(layers[-1])
    page.select_option("#state-where", label=layers[0])
    expect(page.locator("#focus-block")).to_have_text(layers[0])
    label = page.locator("canvas.axes").get_attribute("aria-label") or ""
    assert label.startswith(layers[0])
    assert "units" in label


def test_a_network_without_attention_opens_in_its_states(visit: Open) -> None:
    seen = visit({"model": "tiny-lstm", "text": SOURCE})
    expect(seen.page.locator("[role=tab]:visible")).to_have_text(["States", "Generate", "Steps"])
    expect(seen.page.locator("#heads-title")).to_have_text("States")
    expect(seen.page.locator("button.state")).to_have_count(3 * 6)
    expect(seen.page.locator(".state-grid")).to_contain_text("No attention here")
    expect(seen.page.locator("#next h3")).to_contain_text("Next after")
    seen.page.select_option("#model", "minilm")
    expect(seen.page.locator("#tab-heatmap")).to_have_attribute("aria-selected", "true")
    expect(seen.page.locator("#tab-states")).to_be_hidden()


def test_bytes_that_are_no_letters_are_shown_as_bytes(visit: Open) -> None:
    seen = visit({"model": "tiny-gpt2", "text": "the é", "view": "text"})
    expect(seen.page.locator(".word.byte")).to_have_text(["xC3", "xA9"])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "state",
    [
        {**CROSS, "view": "text"},
        CROSS,
        {"model": "tiny-gpt2", "text": SOURCE, "view": "text"},
        {"model": "tiny-gpt2", "text": SOURCE, "view": "table"},
        GRU,
        {**GRU, "view": "states"},
        {**GRU, "view": "states", "form": "table"},
        {"model": "tiny-bert-tokens", "text": SOURCE},
        {"model": "tiny-lstm-tagger", "text": SOURCE},
        {"model": "tiny-bert-mlm", "text": "two [MASK] run in the [MASK]", "pair": "it was tired"},
        {"model": "tiny-roberta", "text": SOURCE},
        {"model": "tiny-sentiment", "text": SOURCE, "view": "text"},
    ],
    ids=[
        "cross text",
        "cross",
        "causal text",
        "causal table",
        "alignment",
        "states",
        "states table",
        "token classes",
        "classes over states",
        "masks",
        "no mask yet",
        "pool",
    ],
)
def test_axe_finds_nothing_serious_in_any_family(visit: Open, state: dict[str, Any], theme: str) -> None:
    assert serious(visit(state, theme=theme, **STILL)) == []


def test_bars_name_tokens_that_look_like_markup(visit: Open) -> None:
    page = visit({**CROSS, "view": "bars"}).page
    expect(page.locator(".xtick").last).to_have_text("</s>")
    expect(page.locator(".xtitle")).to_have_text("source (keys)")


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
@pytest.mark.parametrize("view", ["table", "lines"])
def test_long_pictures_scroll_in_their_own_box(visit: Open, view: str, size: tuple[int, int]) -> None:
    text = " ".join([SOURCE] * (5 if view == "table" else 12))
    page = visit({"model": "tiny-gpt2", "text": text, "view": view}, size=size).page
    inner = page.evaluate(
        "() => { const b = document.querySelector('.view .scroller');"
        " return [b.scrollWidth - b.clientWidth, b.scrollHeight - b.clientHeight] }"
    )
    assert inner[0 if view == "table" else 1] > 100
    assert page.evaluate("() => document.documentElement.scrollWidth") == size[0]


def test_states_follow_the_pointer_within_a_frame(visit: Open) -> None:
    seen = visit({**GRU, "view": "states"})
    box = seen.page.locator("canvas.cells").bounding_box()
    assert box is not None
    for step in range(30):
        seen.page.mouse.move(box["x"] + 5 + step * 9, box["y"] + 20 + step)
    spent = seen.page.evaluate(
        "() => performance.getEntriesByName('headlight:hover').map(one => one.duration).sort((a, b) => a - b)"
    )
    assert spent[len(spent) // 2] < 16
