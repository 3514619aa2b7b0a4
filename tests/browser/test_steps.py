"""Storyboards: each plays to its end in every family, and every number that it shows is the API's."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from engine.registry import FIBONACCI
from tests.browser.conftest import FLAGSHIP, Open, Visit
from tests.browser.test_access import STILL, serious
from tests.serving import client

SOURCE = "two dogs run in the snow"
TARGET = "deux chiens dorment"
FRENCH = "Un chat gris sur un banc vert."
MASKED = "two dogs [MASK] in the snow"
CROSS = {"target": TARGET, "stack": "decoder", "block": "cross"}
AT_IT = {"text": FLAGSHIP, "layer": 5, "head": 11, "query": 10, "key": 2, "view": "steps"}

HEAD = ["match", "scale", "softmax", "weigh", "sum"]
WHOLE = ["scores", "pattern", "mix", "heads", "concat", "residual"]
EVERY = {
    "attention": ["project", "product", *HEAD, *WHOLE],
    "layers": ["layer-0-self", "layer-0-mlp", "layer-1", "layer-2", "growth"],
}
MODELS: list[tuple[str, dict[str, Any], dict[str, list[str]]]] = [
    (
        "tiny-bert-mlm",
        {"text": MASKED},
        {"attention": ["project", *HEAD, *WHOLE], "network": ["positions", "logit", "say"]},
    ),
    ("tiny-bert-tokens", {}, {"attention": ["project", *HEAD], "network": ["tokens", "embed", "enter", "say"]}),
    ("tiny-roberta", {}, {"attention": ["project", *HEAD, *WHOLE], "network": EVERY["layers"]}),
    (
        "tiny-gpt2",
        {"query": 3},
        {
            "attention": ["scale", "mask", "softmax", *WHOLE],
            "network": ["positions", "logit", "say"],
            "generation": ["again", "keep", "cache"],
        },
    ),
    (
        "tiny-llama",
        {"query": 3},
        {
            "attention": ["product", "turn", "mask", *WHOLE],
            "network": ["positions", "logit", "say"],
            "generation": ["choose-0", "cache"],
        },
    ),
    ("tiny-t5", {"target": TARGET}, {"attention": ["mask", "residual"], "network": ["positions"], "translation": []}),
    (
        "tiny-t5",
        CROSS,
        {
            "attention": ["project", "product", "match", "softmax", *WHOLE],
            "network": ["layer-0-cross"],
            "translation": ["word-2"],
        },
    ),
    ("tiny-marian", CROSS, {"attention": ["scale", "residual"], "translation": ["encode", "word-0", "word-2"]}),
    (
        "tiny-gru",
        {"target": TARGET},
        {
            "attention": ["matrices", "project", "add", "match", "softmax", "sum", "pattern"],
            "translation": ["encode", "word-2"],
        }
        | {
            "time": ["read", "matrices", "gates", "hidden", "time-5", "states", "bridge", "alpha"],
            "backwards": ["reach"],
        },
    ),
    (
        "tiny-lstm",
        {"target": TARGET},
        {"time": ["gates", "cell", "bridge", "through", "logit", "say"], "backwards": ["backward", "reach", "cell"]},
    ),
    (
        "tiny-luong",
        {"target": TARGET},
        {"attention": ["project", "match", "softmax", "pattern"], "translation": ["word-1"]},
    ),
    (
        "tiny-concat",
        {"target": TARGET},
        {
            "attention": ["matrices", "project", "add", "match", "softmax", "sum", "pattern"],
            "translation": ["encode", "word-2"],
        }
        | {"time": ["gates", "cell", "bridge", "alpha", "logit", "say"], "backwards": ["reach"]},
    ),
    ("tiny-sentiment", {}, {"attention": ["matrices", "add", "sum"], "time": ["cell", "say"], "backwards": ["reach"]}),
    ("tiny-numbers", {"text": "1 1 2 3 5"}, {"time": ["hidden", "say"], "backwards": ["reach"]}),
    ("tiny-lstm-tagger", {}, {"time": ["gates", "cell", "states", "say"], "backwards": ["forward", "reach"]}),
    (
        "tiny-rnn",
        {},
        {"time": ["matrices", "hidden", "states", "logit", "say"], "backwards": ["forward", "reach"], "generation": []},
    ),
]

SHOWN = """() => [...document.querySelectorAll('.stage-room td[data-source]')]
    .map(cell => [cell.dataset.source, cell.querySelector('.number').textContent])"""


LINES = """() => [...document.querySelectorAll('.stage-room tbody tr')]
    .map(row => [row.cells[0].textContent, row.querySelector('.number')?.textContent ?? ""])"""
ROW = "() => [...document.querySelectorAll('.stage-room tbody tr')][1].cells[0].textContent"


def step(seen: Visit) -> str:
    return str(seen.page.eval_on_selector(".step-transport select", "names => names.value"))


def steps(seen: Visit) -> list[str]:
    return list(seen.page.eval_on_selector(".step-transport select", "names => [...names.options].map(o => o.value)"))


def press(seen: Visit, key: str) -> Visit:
    seen.page.keyboard.press(key)
    return seen.settle()


def numbers(text: str) -> list[float]:
    return [float(one.replace("−", "-").replace("Infinity", "inf")) for one in text.split()]


def flat(values: Any) -> list[float]:
    if isinstance(values, list):
        return [x for value in values for x in flat(value)]
    return [-math.inf if values is None else values]


class Api:
    """The trace that the page shows, and the numbers under its addresses."""

    def __init__(self, seen: Visit, what: dict[str, str]) -> None:
        self.root = f"{seen.server}/api/v1"
        self.kept: dict[str, list[float]] = {}
        self.traces = [client.post(f"{self.root}/traces", json=what).json()["id"]]
        seen.page.on("request", self._notice)

    def _notice(self, request: Any) -> None:
        if "/traces/" in request.url:
            trace = request.url.split("/traces/")[1].split("/")[0]
            if trace not in self.traces:
                self.traces.append(trace)

    def at(self, source: str) -> list[list[float]]:
        """What is there in each trace that the page asked about: a storyboard may show one of a longer text."""
        found = []
        learned = source.startswith("models/")
        for trace in self.traces:
            url = f"{self.root}/{source}" if learned else f"{self.root}/traces/{trace}/{source}"
            if url not in self.kept:
                answer = client.get(url, headers={"accept": "application/json"})
                self.kept[url] = flat(answer.json()["values"]) if answer.status_code == 200 else []
            found.append(self.kept[url])
        return found


@pytest.mark.parametrize(
    ("model", "more", "wanted"), MODELS, ids=[f"{name}-{more.get('block', '')}" for name, more, _ in MODELS]
)
def test_every_storyboard_plays_to_its_end(
    visit: Open, model: str, more: dict[str, Any], wanted: dict[str, list[str]]
) -> None:
    seen = visit({"text": SOURCE} | more | {"model": model, "view": "steps", "form": "table"}, **STILL)
    said = {name: more[name] for name in ("text", "target") if name in more}
    api = Api(seen, {"text": SOURCE, "model": model, **said})
    offered = seen.page.eval_on_selector_all("#story option", "all => all.map(o => o.value)")
    assert wanted.keys() <= set(offered)
    for story in offered:
        seen.page.select_option("#story", story)
        seen.settle()
        expect(seen.page.locator(".stage-room table")).to_be_visible()
        ids = steps(seen)
        assert set(wanted.get(story, [])) <= set(ids), story
        compared = 0
        for index, name in enumerate(ids):
            expect(seen.page.locator(".step-transport select").first).to_have_value(name)
            expect(seen.page.locator(".steps .count")).to_have_text(f"{index + 1} of {len(ids)}")
            expect(seen.page.locator(".stage-room .empty")).to_have_count(0)
            for source, text in seen.page.evaluate(SHOWN):
                on_screen = numbers(text)
                held = [values for values in api.at(source) if len(values) == len(on_screen)]
                assert any(values == pytest.approx(on_screen, rel=1e-5, abs=1e-7) for values in held), (name, source)
                compared += 1
            press(seen, "ArrowRight")
        assert step(seen) == ids[-1], "the last step is the last"
        assert compared or story == "say"


def test_the_flagship_in_six_steps(visit: Open) -> None:
    seen = visit(AT_IT, **STILL)
    assert steps(seen) == EVERY["attention"]
    trace = client.post(f"{seen.server}/api/v1/traces", json={"model": "minilm", "text": FLAGSHIP}).json()["id"]
    place = {"layer": 5, "head": 11, "query": 10, "key": 2}
    exact = client.get(f"{seen.server}/api/v1/traces/{trace}/arithmetic", params=place).json()
    drawn = {}
    for name in EVERY["attention"]:
        assert step(seen) == name
        line = ".scene .line.now:not(.head) .part.number .number, .scene .line.head .part.number .number"
        drawn[name] = [
            title.split(": ")[-1] for title in seen.page.eval_on_selector_all(line, "all => all.map(o => o.title)")
        ]
        press(seen, "PageDown")
    assert numbers(" ".join(drawn["match"])) == pytest.approx([exact["raw"]], rel=1e-5)
    assert numbers(" ".join(drawn["scale"])) == pytest.approx([exact["raw"], exact["scaled"]], rel=1e-5)
    softmax = [exact["row_max"], exact["denominator"], exact["score"], exact["numerator"], exact["weight"]]
    assert numbers(" ".join(drawn["softmax"])) == pytest.approx(softmax, rel=1e-5)
    assert numbers(" ".join(drawn["weigh"])) == pytest.approx([exact["weight"]], rel=1e-5)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("minilm", AT_IT),
        ("tiny-llama", {"query": 3}),
        ("tiny-t5", CROSS),
        ("tiny-marian", CROSS),
        ("transformer-fr-en", {"text": FRENCH, "query": 3}),
        ("transformer-fr-en", {"text": FRENCH, "query": 3, "layer": 2, "stack": "decoder", "block": "cross"}),
    ],
)
def test_a_row_of_w_times_x_is_a_number_of_q(visit: Open, model: str, more: dict[str, Any]) -> None:
    seen = visit({"text": SOURCE} | more | {"model": model, "view": "steps", "at": "product", "form": "table"}, **STILL)
    made = dict(seen.page.evaluate(LINES))
    x, weights, products = (numbers(made[name]) for name in ("x", seen.page.evaluate(ROW), "products"))
    assert [a * b for a, b in zip(x, weights, strict=True)] == pytest.approx(products, rel=1e-5, abs=1e-7)
    (total,) = numbers(made["∑"])
    assert total == pytest.approx(sum(products), rel=1e-4, abs=1e-5)
    (value,) = numbers(made[next(name for name in made if name.startswith("= q"))])
    assert total + sum(numbers(made.get("+ b", ""))) == pytest.approx(value, rel=1e-4, abs=1e-5)
    (source,) = seen.page.eval_on_selector_all("td[data-source]", "all => all.map(o => o.dataset.source)")
    assert Api(seen, {"text": SOURCE, "model": model} | only(more)).at(source)[0] == pytest.approx([value], rel=1e-5)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("bert-captions", {"text": "a dog runs through the [MASK] ."}),
        ("gpt-captions", {"text": "Two dogs are running through the"}),
        ("tiny-marian", {}),
        ("tiny-t5", {}),
        ("tiny-gru", {"target": TARGET}),
        ("gru-captions", {"text": "Two dogs are running through the"}),
    ],
)
def test_the_likeliest_word_is_a_row_of_w_u_times_what_the_head_reads(
    visit: Open, model: str, more: dict[str, Any]
) -> None:
    story = {"view": "steps", "at": "logit", "story": "time" if model in ("tiny-gru", "gru-captions") else "network"}
    seen = visit({"text": SOURCE} | more | {"model": model, "form": "table"} | story, **STILL)
    assert step(seen) == "logit"
    made = dict(seen.page.evaluate(LINES))
    read, weights, products = (numbers(made[name]) for name in ("h", "W_U", "products"))
    assert [a * b for a, b in zip(read, weights, strict=True)] == pytest.approx(products, rel=1e-5, abs=1e-7)
    (total,), (value,) = numbers(made["∑"]), numbers(made["= ℓ"])
    assert total == pytest.approx(sum(products), rel=1e-4, abs=1e-5)
    assert total + sum(numbers(made.get("+ b", ""))) == pytest.approx(value, rel=1e-4, abs=1e-4)
    press(seen, "ArrowRight")
    first = numbers(seen.page.evaluate(LINES)[0][1])  # the logit of the likeliest word
    assert first == pytest.approx([value], rel=1e-5)


@pytest.mark.parametrize(
    ("model", "text"),
    [("gpt-captions", "Two dogs are running through the"), ("bert-captions", "a dog runs through the [MASK] .")],
)
def test_the_lens_is_the_apis(visit: Open, model: str, text: str) -> None:
    seen = visit({"text": text, "model": model, "view": "steps", "story": "network", "at": "lens"}, **STILL)
    trace = client.post(f"{seen.server}/api/v1/traces", json={"model": model, "text": text}).json()
    (asked,) = trace["prediction"]["positions"]
    wanted = client.get(
        f"{seen.server}/api/v1/traces/{trace['id']}/lens", params={"position": asked["position"]}
    ).json()
    lines = seen.page.locator(".scene .line:has(.part.token)")
    assert lines.locator(".part.token").all_inner_texts() == [
        guess["top"][0]["token"]["text"].strip() for guess in wanted["guesses"]
    ]
    titles = lines.locator(".part.number .number").evaluate_all("all => all.map(o => o.title.split(': ').pop())")
    shown = numbers(" ".join(titles))
    exact = [guess["of_said"] for guess in wanted["guesses"]]
    assert shown == pytest.approx(exact, rel=1e-5)
    assert shown[-1] == pytest.approx(asked["top"][0]["probability"], rel=1e-4)


def test_a_translator_is_read_where_it_says_a_word(visit: Open) -> None:
    """At the end of its target it only says that it is done: the word in focus is told instead, or the first."""
    french = "Deux chiens courent dans la neige."
    state = {"text": french, "model": "t5-multitask", "view": "steps", "story": "network", "form": "table"}
    state |= {"text": f"translate French to English: {french}", "at": "logit"}
    seen = visit({**state, "stack": "decoder", "block": "cross", "query": 1, "key": 6}, **STILL)
    expect(seen.page.locator(".steps .sentence")).to_contain_text("“Two”")
    expect(seen.page.locator(".steps .sentence")).to_contain_text("“dogs”")
    press(seen, "ArrowRight")
    trace = client.post(f"{seen.server}/api/v1/traces", json={"model": state["model"], "text": state["text"]}).json()
    lens = client.get(f"{seen.server}/api/v1/traces/{trace['id']}/lens", params={"position": 1, "top": 8}).json()
    rows = seen.page.eval_on_selector_all(
        ".stage-room tbody tr", "all => all.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )
    told = [row for row in rows if len(row) > 2]
    assert told[0][0] == "dogs"
    shares = [numbers(row[3])[0] for row in told[:8]]  # after the word, its logit and an arrow
    assert shares == pytest.approx([one["probability"] for one in lens["guesses"][-1]["top"]], rel=1e-4)
    seen = visit({**state, "stack": "encoder", "block": "self"}, **STILL)
    expect(seen.page.locator(".steps .sentence")).to_contain_text("“<s>”")
    expect(seen.page.locator(".steps .sentence")).to_contain_text("“Two”")


@pytest.mark.parametrize(("model", "scale"), [("transformer-fr-en", "256"), ("gpt-captions", "")])
def test_the_formula_of_the_embedding_says_its_scale(visit: Open, model: str, scale: str) -> None:
    at = "encoder-embed" if scale else "embed"
    seen = visit({"text": SOURCE, "model": model, "view": "steps", "story": "network", "at": at}, **STILL)
    assert step(seen) == at
    assert seen.page.locator(".steps math msqrt").all_text_contents() == ([scale] if scale else [])
    assert ("√256" in seen.page.inner_text(".steps")) is bool(scale)


def only(more: dict[str, Any]) -> dict[str, str]:
    """What a trace is of."""
    return {name: more[name] for name in ("text", "target") if name in more}


STATES = {  # Bahdanau's decoder asks with the state before this step, Luong's with this step's, of its last layer
    ("tiny-gru", 0): ("tensors/decoder.0.cell.start.hidden", "s before"),
    ("tiny-gru", 2): ("tensors/decoder.0.cell.hidden?position=1", "s before"),
    ("tiny-concat", 0): ("tensors/decoder.1.cell.hidden?position=0", "s"),
    ("tiny-concat", 2): ("tensors/decoder.1.cell.hidden?position=2", "s"),
}


@pytest.mark.parametrize(("model", "query"), STATES)
def test_additive_attention_shows_the_state_that_w_reads(visit: Open, model: str, query: int) -> None:
    state = {"model": model, "text": SOURCE, "target": TARGET, "query": query, "key": 1, "view": "steps"}
    seen = visit({**state, "at": "matrices", "form": "table"}, **STILL)
    shown = {source: numbers(text) for source, text in seen.page.evaluate(SHOWN)}
    asks, called = STATES[model, query]
    s = shown[asks]
    assert [source for source in shown if "decoder" in source and "cell" in source] == [asks]
    rows = seen.page.locator(".stage-room tr")
    expect(rows.filter(has=seen.page.locator(f'[data-source="{asks}"]')).locator("td").nth(1)).to_have_text(called)
    (learned,) = [values for source, values in shown.items() if source.endswith("alignment.q.weight")]
    (q,) = [values for source, values in shown.items() if source.startswith("tensors/decoder.0.cross.q")]
    matrix = [learned[i : i + len(s)] for i in range(0, len(learned), len(s))]
    made = [sum(w * x for w, x in zip(row, s, strict=True)) for row in matrix]
    assert made == pytest.approx(q, abs=1e-4)


@pytest.mark.parametrize(("model", "wide"), [("tiny-gru", 64), ("tiny-luong", 32), ("tiny-concat", 64)])
def test_what_a_recurrent_decoder_looks_back_at_is_what_was_read(visit: Open, model: str, wide: int) -> None:
    state = {"model": model, "text": SOURCE, "target": TARGET, "view": "steps", "story": "translation"}
    seen = visit({**state, "at": "encode", "form": "table"}, **STILL)
    api = f"{seen.server}/api/v1/traces"
    trace = client.post(api, json={"model": model, "text": SOURCE, "target": TARGET}).json()["id"]
    last = {"tiny-gru": 0}.get(model, 1)
    both = []
    for way in ("cell", "reverse") if wide == 64 else ("cell",):
        answer = client.get(
            f"{api}/{trace}/tensors/encoder.{last}.{way}.hidden", headers={"accept": "application/json"}
        )
        both.append(answer.json()["values"])
    wanted = [[x for part in parts for x in part] for parts in zip(*both, strict=True)]
    shown = [numbers(text) for _, text in seen.page.evaluate(SHOWN)]
    assert {len(row) for row in shown} == {wide}
    assert shown == [pytest.approx(row, abs=1e-6) for row in wanted]


@pytest.mark.parametrize("more", [{}, {"present": "on"}, {"vs_text": "A dog", "compare": "panes"}])
def test_the_name_of_a_column_stands_over_it(visit: Open, more: dict[str, str]) -> None:
    seen = visit({**AT_IT, "at": "pattern", **more}, **STILL)
    places = seen.page.locator("#view .map.across").evaluate(
        """map => {
            const middle = box => box.left + box.width / 2;
            const names = [...map.querySelectorAll('.overhead span')];
            const sheet = map.querySelector('.sheet').getBoundingClientRect();
            return names.map((name, i) => [middle(name.getBoundingClientRect()),
                sheet.left + (i + 0.5) * sheet.width / names.length, name.getBoundingClientRect().height]);
        }"""
    )
    assert len(places) == (8 if "present" in more else 15)
    for name, column, height in places:
        assert name == pytest.approx(column, abs=1)
        assert height > 0


def test_names_of_columns_do_not_cover_one_another_on_a_phone(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "scores"}, size=(390, 844), **STILL)
    maps = seen.page.eval_on_selector_all(
        "#view .map.across",
        """all => all.map(map => {
            const names = [...map.querySelectorAll('.overhead span')];
            const seen = names.filter(name => getComputedStyle(name).visibility === 'visible');
            const places = seen.map(name => name.getBoundingClientRect());
            return {names: names.length, seen: seen.map(name => name.textContent),
                gaps: places.slice(1).map((box, i) => box.left - places[i].left)};
        })""",
    )
    assert [one["names"] for one in maps] == [15, 15]
    narrow, wide = maps
    assert narrow["seen"] == ["animal"], "the chosen one's name stays"
    assert len(wide["seen"]) == 15
    assert min(wide["gaps"]) > 6


def test_keys_are_the_columns_that_queries_are_multiplied_with(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "scores"}, **STILL)
    sizes = seen.page.eval_on_selector_all(".map canvas", "all => all.map(o => [o.height, o.width])")
    assert sizes == [[15, 32], [32, 15], [15, 15]]
    (_, keys, _) = seen.page.locator(".map").all()
    expect(keys.locator(".overhead .now")).to_have_text("animal")
    frame, sheet = keys.locator(".mark").bounding_box(), keys.locator("canvas").bounding_box()
    assert frame is not None
    assert sheet is not None
    assert frame["x"] - sheet["x"] == pytest.approx(2 * sheet["width"] / 15, abs=1)
    assert frame["height"] == pytest.approx(sheet["height"], abs=1)
    trace = client.post(f"{seen.server}/api/v1/traces", json={"model": "minilm", "text": FLAGSHIP}).json()["id"]
    url = f"{seen.server}/api/v1/traces/{trace}/tensors/encoder.5.self.k"
    exact = flat(client.get(url, params={"kv_head": 11}, headers={"accept": "application/json"}).json()["values"])
    keys.locator("canvas").hover(position={"x": 2.5 * sheet["width"] / 15, "y": 7.5 * sheet["height"] / 32})
    said = str(keys.locator("canvas").get_attribute("title"))
    assert numbers(said.split("]: ")[1]) == pytest.approx([exact[2 * 32 + 7]], rel=1e-5)


def test_rows_of_a_wide_matrix_have_their_names(visit: Open) -> None:
    seen = visit({"model": "seq2seq-fr-en", "text": FRENCH, "view": "steps", "story": "time", "at": "states"}, **STILL)
    assert seen.page.eval_on_selector(".map canvas", "canvas => canvas.width") == 256
    words = seen.page.locator(".map .side span").all_inner_texts()
    assert words == ["Un", "chat", "gris", "sur", "un", "banc", "vert", ".", "</s>"]


def test_time_steps_stay_where_they_are(visit: Open) -> None:
    where = {"model": "lstm-captions", "text": "Two dogs run in the", "view": "steps", "story": "time", "at": "time-1"}
    seen = visit(where, **STILL)
    places = []
    for _ in range(3):
        lines = seen.page.eval_on_selector_all(".scene .line", "all => all.map(o => o.getBoundingClientRect().y)")
        places.append([round(y) for y in lines])
        press(seen, "ArrowRight")
    assert len(places[0]) == 7
    assert places[0] == places[1] == places[2]


def test_a_translator_is_shown_from_its_source_to_its_next_word(visit: Open) -> None:
    seen = visit({"model": "tiny-t5", "text": SOURCE, "view": "steps", "story": "network", **CROSS}, **STILL)
    names = steps(seen)
    for part in ("tokens", "embed", "positions", "layer-0-self", "layer-0-mlp", "layer-2", "growth"):
        assert names.index(f"encoder-{part}") < names.index("tokens") <= names.index(part)
    assert names[-1] == "say"
    expect(seen.page.locator(".steps .title")).to_have_text("1 of 20 Cut the text into tokens (encoder)")


def test_what_a_cache_saves_is_what_is_seen(visit: Open) -> None:
    where = {"model": "tiny-gpt2", "text": SOURCE, "view": "steps", "story": "generation"}
    counts = []
    for name in ("again", "keep"):
        seen = visit({**where, "at": name}, **STILL)
        made, kept = (seen.page.locator(f".tally > i.{kind}").count() for kind in ("made", "kept"))
        counts.append((made, made + kept))
    press(seen, "ArrowRight")
    assert step(seen) == "cache"
    shown = seen.page.locator(".scene .line:not(.titles) .part.number:nth-child(2)").all_inner_texts()
    assert [int(text) for text in shown] == [counts[0][0], counts[1][0], counts[0][0] - counts[1][0]]
    assert counts[0][1] == counts[1][1] == counts[0][0]


@pytest.mark.parametrize(
    "where",
    [
        {**AT_IT, "at": "heads"},
        {"model": "lstm-sentiment", "text": "not a good film, but a moving one", "story": "time", "at": "time-10"},
        {"model": "lstm-sentiment", "text": "not a good film, but a moving one", "story": "backwards", "at": "reach"},
        {"model": "tiny-gpt2", "text": SOURCE, "story": "generation", "at": "append-5"},
        {"model": "tiny-gpt2", "text": SOURCE, "story": "generation", "at": "keep"},
    ],
    ids=lambda where: where["at"],
)
def test_projected_nothing_scrolls(visit: Open, where: dict[str, Any]) -> None:
    seen = visit({**where, "view": "steps", "present": "on"}, size=(1280, 720), **STILL)
    assert step(seen) == where["at"]
    over = seen.page.eval_on_selector(
        ".stage-room", "room => [room.scrollHeight - room.clientHeight, room.scrollWidth - room.clientWidth]"
    )
    assert max(over) <= 1
    if where["at"] == "heads":
        assert seen.page.locator(".scene .line:not(.titles)").count() == 8
        expect(seen.page.locator(".scene .line.now")).to_contain_text("head 11")


@pytest.mark.parametrize("present", ["off", "on"])
def test_numbers_above_columns_do_not_touch(visit: Open, present: str) -> None:
    state = {"model": "lstm-sentiment", "text": "not a good film, but a moving one", "present": present}
    seen = visit({**state, "view": "steps", "story": "backwards", "at": "reach"}, size=(1280, 720), **STILL)
    boxes = [one.bounding_box() for one in seen.page.locator(".plot-bars .number").all()]
    places = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
    assert len(places) > 7
    assert all(end <= begin + 0.5 for (_, end), (begin, _) in pairwise(places))


def test_colours_are_explained_where_they_are_seen(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "scale"}, **STILL)
    expect(seen.page.locator(".signs")).to_be_visible()
    press(seen, "ArrowRight")
    assert step(seen) == "softmax"
    expect(seen.page.locator(".signs")).to_be_hidden()


def test_a_learned_matrix_tells_its_numbers_under_the_pointer(visit: Open) -> None:
    seen = visit(AT_IT, **STILL)
    sheet = seen.page.locator(".learned canvas").first
    assert sheet.evaluate("c => [c.height, c.width]") == [32, 384]
    box = sheet.bounding_box()
    assert box is not None
    sheet.hover(position={"x": box["width"] * 100.5 / 384, "y": box["height"] * 7.5 / 32})
    said = str(sheet.get_attribute("title"))
    assert said.startswith("W_Q [7, 100]: ")
    place = {"head": 11, "head_dim": 7, "model": 100}
    url = f"{seen.server}/api/v1/models/minilm/weights/layers.5.attention.q.weight"
    exact = client.get(url, params=place, headers={"accept": "application/json"}).json()["values"]
    assert numbers(said.split(": ")[1]) == pytest.approx(flat(exact), rel=1e-5)


def test_a_step_is_a_link(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "softmax"}, **STILL)
    expect(seen.page.locator(".steps .title")).to_contain_text("softmax")
    expect(seen.page.locator(".step-formula")).to_contain_text("0.647")
    press(seen, "ArrowRight")
    assert "at=weigh" in seen.hash
    again = visit(f"{seen.server}/{seen.hash}", **STILL)
    assert step(again) == "weigh"


def test_networks_beside_one_another(visit: Open) -> None:
    where = {"model": "tiny-rnn", "text": SOURCE, "view": "steps", "story": "backwards", "at": "beside"}
    seen = visit(where, **STILL)
    lines = {("tiny-rnn", "hidden"): "RNN", ("tiny-gru-words", "hidden"): "GRU"}
    lines |= {("tiny-lstm-words", "hidden"): "LSTM h", ("tiny-lstm-words", "cell"): "LSTM c"}
    legend = [text.strip() for text in seen.page.locator(".plot-lines .legend li").all_inner_texts()]
    assert sorted(legend) == sorted(lines.values())
    for name in ("tiny-rnn", "tiny-gru-words", "tiny-lstm-words"):
        expect(seen.page.locator(".steps .note")).to_contain_text(name)
    drawn = seen.page.eval_on_selector_all("polyline", "all => all.map(o => o.getAttribute('points'))")
    heights = [[100 - float(point.split(",")[1]) for point in points.split()] for points in drawn]
    for text, shown in zip(legend, heights, strict=True):
        ((name, part),) = [line for line, said in lines.items() if said == text]
        norms = lengths(seen, name, part)
        assert shown == pytest.approx([100 * norm / max(norms) for norm in norms], abs=0.01)


def lengths(seen: Any, name: str, part: str) -> list[float]:
    """How long the gradient of the last word's loss is at every step before that word, as the API has it."""
    root = f"{seen.server}/api/v1/traces"
    trace = client.post(root, json={"model": name, "text": SOURCE}).json()
    last = max(i for i, token in enumerate(trace["tokens"]["sequence"]) if not token["special"])
    url = f"{root}/{trace['id']}/gradients/sequence.0.cell.{part}"
    rows = client.get(url, params={"of_position": last - 1}, headers={"accept": "application/json"}).json()["values"]
    assert all(value == 0 for row in rows[last:] for value in row)
    return [math.hypot(*row) for row in rows[:last]]


def test_what_is_asked_is_the_last_word_and_every_state_before_it_counts(visit: Open) -> None:
    where = {"model": "tiny-lstm-words", "text": SOURCE, "view": "steps", "story": "backwards"}
    for at, part in (("reach", "hidden"), ("cell", "cell")):
        seen = visit({**where, "at": at}, **STILL)
        norms = lengths(seen, "tiny-lstm-words", part)
        shown = seen.page.eval_on_selector_all(
            ".plot-bars .column", "all => all.map(o => Number(o.title.split(': ').at(-1)))"
        )
        assert shown == pytest.approx(norms, rel=1e-5)
        assert norms[-1] > 0
        expect(seen.page.locator(".steps .note")).to_contain_text(f"{norms[0] / norms[-1]:.3g}")


def test_what_else_a_translation_could_have_said(visit: Open) -> None:
    where = {"model": "tiny-marian", "text": SOURCE, "view": "steps", "story": "translation", "at": "word-1", **CROSS}
    seen = visit(where, **STILL)
    root = f"{seen.server}/api/v1/traces"
    body = {"model": "tiny-marian", "text": SOURCE}
    said = [token["id"] for token in client.post(root, json=body | {"target": TARGET}).json()["tokens"]["decoder"]][1:]
    top = client.post(root, json=body | {"said": said[:1]}).json()["prediction"]["positions"][-1]["top"]
    shown = seen.page.eval_on_selector_all(".ranks li .number", "all => all.map(o => o.title.split(': ')[1])")
    assert numbers(" ".join(shown[:5])) == pytest.approx([one["probability"] for one in top[:5]], rel=1e-5)
    lit = seen.page.locator(".ranks li.now .token").inner_text()
    assert lit in seen.page.locator(".steps .title").inner_text()


def test_each_head_says_what_it_looks_at(visit: Open) -> None:
    seen = visit({**AT_IT, "text": "I kicked the ball", "query": 2, "key": 1, "at": "heads"}, **STILL)
    root = f"{seen.server}/api/v1/traces"
    made = client.post(root, json={"model": "minilm", "text": "I kicked the ball"}).json()
    words = [token["text"] for token in made["tokens"]["encoder"]]
    url = f"{root}/{made['id']}/tensors/encoder.5.self.pattern"
    rows = client.get(url, params={"query": 2}, headers={"accept": "application/json"}).json()["values"]
    said = seen.page.locator(".scene .line .part.phrase:last-child").all_inner_texts()
    assert len(said) == len(rows) == 12
    names = {1: "the token before", 2: "itself", 3: "the token after"}
    for text, (weights,) in zip(said, rows, strict=True):
        order = sorted(range(len(weights)), key=lambda index: -weights[index])
        first, second = (names.get(index, f"“{words[index]}”") for index in order[:2])
        held = [sum(weights[index] for index in order[:count]) for count in range(1, len(order) + 1)]
        count = next(count for count, share in enumerate(held, 1) if share >= 0.5)
        assert text == {1: f"mostly {first}", 2: f"{first} and {second}"}.get(count, f"half of it over {count} words")
    assert any(text.startswith("mostly") for text in said)


def test_a_trace_that_the_server_forgot_is_made_again(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "match"}, **STILL)
    made: list[str] = []
    seen.page.on("request", lambda request: made.append(request.url) if request.method == "POST" else None)

    def forget(route: Any) -> None:
        if made:
            return route.continue_()
        body = {"type": "about:blank", "title": "Unknown trace", "status": 404, "detail": "POST it again."}
        return route.fulfill(status=404, content_type="application/problem+json", body=json.dumps(body))

    seen.page.route("**/tensors/**", forget)
    for _ in range(3):
        press(seen, "ArrowRight")
    assert step(seen) == "weigh"
    expect(seen.page.locator(".scene .line.now .part.number")).to_have_text(["0.647"])
    expect(seen.page.locator(".stage-room .empty")).to_have_count(0)
    assert [url.rpartition("/")[2] for url in made] == ["traces"]


def test_a_trace_that_stays_away_is_told(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "match"}, **STILL)
    body = {"type": "about:blank", "title": "Unknown trace", "status": 404, "detail": "POST it again."}
    made: list[str] = []
    seen.page.on("request", lambda request: made.append(request.url) if request.method == "POST" else None)
    seen.page.route(
        "**/tensors/**",
        lambda route: route.fulfill(status=404, content_type="application/problem+json", body=json.dumps(body)),
    )
    for _ in range(4):
        press(seen, "ArrowRight")
    expect(seen.page.locator(".stage-room .empty")).to_have_text("POST it again.")
    assert len(made) == 1


def test_first_back_last_and_the_scrubber(visit: Open) -> None:
    seen = visit(AT_IT, **STILL)
    for key, name in {"End": "residual", "ArrowLeft": "concat", "PageUp": "heads", "Home": "project"}.items():
        press(seen, key)
        assert step(seen) == name
    seen.page.locator(".step-transport input").focus()
    press(seen, "ArrowRight")
    assert step(seen) == "product"
    seen.page.select_option(".step-transport select >> nth=0", "pattern")
    seen.settle()
    assert "at=pattern" in seen.hash
    assert seen.page.get_attribute(".step-transport input", "aria-valuetext") == "9 of 13: Softmax, row by row"


FRAMES = """() => {
  window.began = [];
  const frame = () => void window.began.push(performance.now()) || requestAnimationFrame(frame);
  requestAnimationFrame(frame);
}"""
DRAWN = """() => performance.getEntriesByName("headlight:steps").map(
  ({ startTime, duration }) => [startTime, startTime + duration],
)"""


def test_a_step_is_made_in_one_frame_and_put_there_in_another(visit: Open) -> None:
    seen = visit(AT_IT, **STILL)
    seen.page.evaluate(FRAMES)
    seen.page.evaluate("() => performance.clearMeasures()")
    for _ in range(3):
        press(seen, "PageDown")
    times = seen.page.evaluate(DRAWN)
    assert len(times) == 6
    began = seen.page.evaluate("() => began")
    for (_, made), (put, _) in zip(times[::2], times[1::2], strict=True):
        assert any(made < frame < put for frame in began)


def test_space_plays_until_the_end(visit: Open) -> None:
    seen = visit({"model": "tiny-rnn", "text": SOURCE, "view": "steps", "story": "backwards"}, **STILL)
    seen.page.select_option(".step-transport select >> nth=1", "4")
    seen.page.locator("body").focus()
    seen.page.evaluate("() => document.activeElement.blur()")
    seen.page.keyboard.press("Space")
    expect(seen.page.get_by_role("button", name="Pause (Space)")).to_be_visible()
    expect(seen.page.locator(".steps .count")).to_have_text("4 of 4")
    expect(seen.page.get_by_role("button", name="Play (Space)")).to_be_visible()


def test_another_head_or_word_keeps_the_step(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "softmax"}, **STILL)
    press(seen, "[")
    expect(seen.page.locator("#focus-title")).to_have_text("Layer 5 · Head 10")
    assert step(seen) == "softmax"
    seen.page.locator(".scene button.token", has_text="tired").click()
    seen.settle()
    assert "query=14" in seen.hash or "query=13" in seen.hash
    assert step(seen) == "softmax"
    expect(seen.page.locator(".line.head span.token")).to_have_text("tired")


def test_writing_is_not_stepping(visit: Open) -> None:
    seen = visit(AT_IT, **STILL)
    seen.page.focus("#text")
    press(seen, "ArrowRight")
    press(seen, "Space")
    assert step(seen) == "project"
    assert seen.page.input_value("#text") != FLAGSHIP


MOVES = """() => {
    window.moves = [];
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (frames, ...rest) {
        moves.push(frames[0].transform ?? "");
        return animate.call(this, frames, ...rest);
    };
}"""


def test_things_travel_unless_motion_is_unwelcome(visit: Open) -> None:
    for still, moved in ((False, True), (True, False)):
        seen = visit({**AT_IT, "at": "match"}, **(STILL if still else {}))
        seen.page.evaluate(MOVES)
        press(seen, "ArrowRight")
        expect(seen.page.locator(".steps .title")).to_contain_text("Divide")
        travelled = [frame for frame in seen.page.evaluate("() => window.moves") if frame.startswith("translate")]
        assert bool(travelled) is moved


def test_predict_first(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "softmax", "predict": "on"}, **STILL)
    weight = seen.page.locator(".line.now:not(.head) .part.number.result .number")
    expect(weight).to_be_hidden()
    assert seen.page.locator(".line.now:not(.head) .part.number:not(.result) .number").first.is_visible()
    seen.page.click("choice-group[data-state=form] button[value=table]")
    expect(seen.page.locator(".stage-room table")).not_to_contain_text("0.6466")
    seen.page.click("choice-group[data-state=form] button[value=picture]")
    seen.page.evaluate("() => document.activeElement.blur()")
    press(seen, "Enter")
    expect(weight).to_be_visible()
    press(seen, "PageDown")
    assert step(seen) == "weigh"
    expect(seen.page.locator(".reveal")).to_be_visible()
    press(seen, "PageDown")  # a clicker has no other key: the first press shows, the second goes on
    assert step(seen) == "weigh"
    expect(seen.page.locator(".reveal")).to_be_hidden()
    press(seen, "PageDown")
    assert step(seen) == "sum"


def test_steps_are_spoken(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "match"}, **STILL)
    press(seen, "ArrowRight")
    expect(seen.page.locator("#live")).to_contain_text("Divide by √d_k. Sums of 32 products")
    for canvas in seen.page.locator(".scene canvas").all():
        assert canvas.get_attribute("aria-label")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "where",
    [
        {"at": "project"},
        {"at": "product"},
        {"at": "softmax"},
        {"at": "scores"},
        {"at": "heads"},
        {"at": "match", "predict": "on"},
        {"at": "sum", "form": "table"},
        {"story": "network", "at": "growth"},
        {"model": "tiny-rnn", "text": SOURCE, "story": "backwards", "at": "beside"},
        {"model": "tiny-marian", "text": SOURCE, "story": "translation", "at": "encode"},
        {"model": "tiny-marian", "text": SOURCE, "story": "translation", "at": "word-1", **CROSS},
    ],
    ids=lambda where: "-".join(value for name, value in where.items() if name != "text"),
)
def test_axe_finds_nothing_serious(visit: Open, where: dict[str, str], theme: str) -> None:
    assert serious(visit({**AT_IT, **where}, theme=theme, **STILL)) == []


# Of every strip of a few numbers: its digits' size, and by how much the widest of them is wider than its cell.
DIGITS = """() => [...document.querySelectorAll('.digits')].map(strip => [...strip.children].map(cell => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    const size = parseFloat(getComputedStyle(cell).fontSize);
    return [size, size ? range.getBoundingClientRect().width - cell.getBoundingClientRect().width : 0];
}))"""


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080), (390, 844)])
def test_digits_are_written_where_all_of_them_fit(visit: Open, size: tuple[int, int]) -> None:
    seen = visit(
        {"model": "tiny-t5", "text": SOURCE, "target": TARGET, "view": "steps", "stack": "encoder", "block": "self"}
        | {"layer": 0, "head": 0, "query": 1, "key": 1},
        size=size,
        **STILL,
    )
    written = 0
    for name in steps(seen):
        assert step(seen) == name
        for cells in seen.page.evaluate(DIGITS):
            sizes = {size for size, _ in cells}
            assert len(sizes) == 1, (name, "all digits of a strip or none")
            assert max(over for _, over in cells) <= 0, name
            written += sizes != {0}
        press(seen, "ArrowRight")
    assert written > 8 or size[0] < 760


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080), (390, 844)])
def test_nothing_jumps_between_steps(visit: Open, size: tuple[int, int]) -> None:
    seen = visit(AT_IT, size=size, **STILL)
    places = []
    for _ in EVERY["attention"]:
        box = seen.page.locator(".step-transport").bounding_box()
        stage = seen.page.locator(".step-stage").bounding_box()
        title = seen.page.locator(".steps .title").bounding_box()
        assert box is not None
        assert stage is not None
        assert title is not None
        places.append((box["y"], stage["y"], stage["height"], title["y"]))
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
        over = seen.page.eval_on_selector(".step-head", "head => head.scrollHeight - head.clientHeight")
        assert over <= 1
        press(seen, "ArrowRight")
    assert len(set(places)) == 1


def test_the_grid_of_heads_is_drawn_again_only_where_it_changes(visit: Open) -> None:
    seen = visit({**AT_IT, "at": "match"}, **STILL)
    drawn = "() => performance.getEntriesByName('headlight:grid').length"
    before = seen.page.evaluate(drawn)
    press(seen, "ArrowRight")
    assert step(seen) == "scale"
    assert seen.page.evaluate(drawn) == before
    press(seen, "[")
    expect(seen.page.locator("#focus-title")).to_have_text("Layer 5 · Head 10")
    assert seen.page.evaluate(drawn) > before


# ---------------------------------------------------------------- of networks that were changed, or are unusual


def test_only_tokens_that_are_asked_with_can_be_gone_through(visit: Open) -> None:
    state = {"model": "tiny-marian", "text": SOURCE, **CROSS, "view": "steps", "story": "network"}
    page = visit({**state, "at": "encoder-tokens"}, **STILL).page
    expect(page.locator(".stage-room .line .token").first).to_be_visible()
    expect(page.locator(".stage-room button.token")).to_have_count(0)
    seen = visit({**state, "at": "tokens"}, **STILL)
    seen.page.locator(".stage-room button.token").nth(2).click()
    seen.settle()
    assert "query=2" in seen.hash


def test_a_generation_under_an_intervention_is_that_of_the_changed_network(visit: Open) -> None:
    state = {"model": "tiny-gpt2", "text": SOURCE}
    seen = visit({**state, "view": "steps", "story": "generation", "patches": "zero decoder.1.self.z"}, **STILL)
    root = f"{seen.server}/api/v1/traces"
    chances = []
    for patches in ([{"operation": "zero", "address": "decoder.1.self.z"}], []):
        made = client.post(root, json={**state, "patches": patches}).json()
        chances.append(made["prediction"]["positions"][-1]["top"][0]["probability"])
    assert chances[0] != pytest.approx(chances[1], rel=1e-2)
    shown = seen.page.locator(".stage-room .part.number[data-key^='p '] .number").first
    assert numbers((shown.get_attribute("title") or "").split(": ")[-1]) == pytest.approx(chances[:1], rel=1e-5)


def test_numbers_that_an_intervention_changed_are_not_explained_by_those_before(visit: Open) -> None:
    cut = "zero encoder.5.self.pattern head.11 key.2 query.10"
    seen = visit({**AT_IT, "model": "minilm", "at": "softmax", "patches": cut}, **STILL)
    expect(seen.page.locator(".step-note .note")).to_contain_text("An intervention changed this block")
    fractions = "math mfrac"
    assert seen.page.locator(f".step-formula {fractions}").count() == 1
    plain = visit({**AT_IT, "model": "minilm", "at": "softmax"}, **STILL)
    expect(plain.page.locator(".step-note .note")).not_to_contain_text("An intervention")
    assert plain.page.locator(f".step-formula {fractions}").count() == 2


def test_a_translators_start_is_no_masked_word(visit: Open) -> None:
    seen = visit({"model": "tiny-t5", "text": SOURCE, "target": TARGET, "view": "steps", "story": "network"}, **STILL)
    press(seen, "End")
    expect(seen.page.locator(".steps .title")).to_contain_text("Say the next word")
    masked = visit({"model": "tiny-bert-mlm", "text": f"{SOURCE} [MASK]", "view": "steps", "story": "network"}, **STILL)
    press(masked, "End")
    expect(masked.page.locator(".steps .title")).to_contain_text("Fill the masked word")


def test_the_key_in_focus_is_among_the_strongest(visit: Open) -> None:
    text = " ".join(["two dogs run in the snow and three dogs sleep"] * 4)
    state = {"model": "tiny-gpt2", "text": text, "view": "steps", "at": "softmax", "query": 36}
    trace = client.post(f"{visit(state).server}/api/v1/traces", json={"model": "tiny-gpt2", "text": text}).json()["id"]
    url = f"{visit(state).server}/api/v1/traces/{trace}/tensors/decoder.0.self.pattern"
    row = client.get(url, params={"head": 0, "query": 36}, headers={"accept": "application/json"}).json()["values"]
    row = np.ravel(row)[:37]
    weakest = int(row.argmin())
    seen = visit({**state, "layer": 0, "head": 0, "key": weakest}, **STILL)
    lit = seen.page.locator(".stage-room .line.now:not(.head) .part.number[data-key^='weight '] .number")
    expect(lit).to_have_count(1)
    assert numbers((lit.get_attribute("title") or "").split(": ")[-1]) == pytest.approx([row[weakest]], rel=1e-4)


@pytest.mark.parametrize(("model", "has"), [("minilm", True), ("tiny-t5", False)])
def test_what_w_o_writes_has_its_bias(visit: Open, model: str, has: bool) -> None:
    page = visit({"model": model, "text": SOURCE, "view": "steps", "at": "concat"}, **STILL).page
    expect(page.locator(".step-note .note")).to_contain_text("of what the block writes")
    assert ("plus a bias" in page.inner_text(".step-note .note")) is has
    assert ("+b" in (page.text_content(".step-formula math") or "")) is has


def test_a_network_of_numbers_reads_numbers(visit: Open) -> None:
    numbered = visit({"model": "fibonacci-rnn-attention", "text": FIBONACCI, "view": "steps", "story": "time"}, **STILL)
    expect(numbered.page.locator(".steps .title")).to_contain_text("Read a number")
    seen = visit(
        {"model": "fibonacci-rnn-attention", "text": FIBONACCI, "view": "steps", "story": "attention"}, **STILL
    )
    assert "match" in steps(seen)
    seen.page.select_option(".step-transport select >> nth=0", "match")
    expect(seen.page.locator(".steps .title")).to_contain_text("One number is the score")


def test_the_table_names_its_columns(visit: Open) -> None:
    seen = visit({**AT_IT, "model": "minilm", "at": "softmax", "form": "table"}, **STILL)
    heads = seen.page.locator(".stage-room thead tr > *").all_inner_texts()
    cells = seen.page.locator(".stage-room tbody tr").nth(1).locator("> *").count()
    assert len(heads) == cells
    assert {"s", "weight α"} <= {*heads}
