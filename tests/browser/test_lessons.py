"""Lessons played from start to end with a clicker's keys, and the speaker's window in step with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.browser.conftest import Open, Visit
from tests.browser.test_access import STILL, serious
from tests.browser.test_present import LEAST, READ, ROOM, SPY
from tests.serving import client, served

OWN = """
title: Of my own
language: en
summary: A slide whose model is not here.
slides:
  - text: Here
    show: {model: tiny-gpt2, text: Two dogs ran}
  - text: Away
    show: {model: gpt2, text: Two dogs ran}
  - text: Misspelt
    show: {model: tiny-gpt2, text: Two dogs ran, layr: 1, view: hetmap}
"""


@pytest.fixture(scope="module")
def server(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with a folder of lessons beside ours."""
    lessons = tmp_path_factory.mktemp("lessons")
    (lessons / "own.yaml").write_text(OWN)
    with served(Settings(models=(str(folders["tiny-gpt2"]),), lessons=(str(lessons),), downloads=("gpt2",))) as url:
        yield url


class Lecture:
    """A lesson that is being played, and what the server says of it."""

    def __init__(self, seen: Visit, name: str) -> None:
        self.seen = seen
        self.page = seen.page
        self.name = name
        self.root = f"{seen.server}/api/v1"
        self.slides = client.get(f"{self.root}/lessons/{name}").json()["slides"]
        self.traces: dict[str, str] = {}

    def places(self) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
        """Every place: what the address says, the slide, the state."""
        return [
            (f"#{number}" + (f".{step + 1}" if step else ""), slide, dict(parse_qsl(state)))
            for number, slide in enumerate(self.slides, 1)
            for step, state in enumerate(slide["states"])
        ]

    def weights(self, state: dict[str, str]) -> tuple[Any, list[float]]:
        """The trace behind a slide, and the weights of the row that it holds."""
        what = {name: state[name] for name in ("model", "text", "pair", "target") if name in state}
        trace = client.post(f"{self.root}/traces", json=what).json()
        where = {name: state[name] for name in ("stack", "block") if name in state}
        head = (
            {"reduce": state["head"], "over": "all"}
            if state.get("layer") == "all"
            else {"layers": state.get("layer", "0"), "heads": state.get("head", "0")}
        )
        query = where | head | {"queries": state["query"]}
        answer = client.get(
            f"{self.root}/traces/{trace['id']}/attention", params=query, headers={"accept": "application/json"}
        )
        return trace, answer.json()["values"][0][0][0]

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.seen.settle()

    @property
    def place(self) -> str:
        return str(self.page.evaluate("() => location.hash"))


def lecture(visit: Open, name: str, place: str = "", **options: Any) -> Lecture:
    """The lesson in a projection; what canvases are told to write is noted."""
    seen = visit(f"/lesson/{name}{place}", size=ROOM, script=SPY, **STILL, **options).settle()
    return Lecture(seen, name)


def shown(text: str, value: float) -> bool:
    """Whether a number on screen is that number, to three digits."""
    return abs(float(text.replace("−", "-")) - value) <= 0.005 * abs(value)


@pytest.mark.parametrize("name", ["which-word", "six-steps", "bottleneck"])
def test_a_lesson_plays_from_start_to_end(visit: Open, name: str) -> None:
    """At every place: the slide's words, the state that it names, and numbers that the server confirms."""
    on = lecture(visit, name)
    page = on.page
    boxes, titles, compared = set(), [], 0
    for number, (place, slide, state) in enumerate(on.places()):
        if number:
            on.press("PageDown")
            if page.locator(".reveal").is_visible():  # a hidden result takes one press more
                before = on.place
                on.press("PageDown")
                assert on.place == before
        assert on.place == (place if number else "")
        expect(page.locator(".slide-room [role=alert]")).to_be_hidden()
        words = page.inner_text(".slide")
        assert words
        if state.get("view") != "steps" and not {"present", "compare"} & state.keys():
            expect(page.locator("#focus-title")).to_be_visible()
        assert "…" not in words.removesuffix("…").removeprefix("…"), "a number is missing"
        small = [one["text"] for one in page.evaluate(READ) if one["size"] < LEAST or one["contrast"] < 4.5]
        assert small == []
        alone = state.get("view") != "steps" and "compare" not in state
        boxes.add(str(page.locator("#view").bounding_box()) if alone else "")
        if state.get("view") == "steps":
            assert page.eval_on_selector(".step-transport select", "names => names.value") == state["at"]
            titles.append(page.inner_text(".steps .title"))
            assert page.locator(".stage-room :is(.number, canvas)").count() > 0
            assert page.eval_on_selector(".stage-room", "room => room.scrollHeight - room.clientHeight") <= 1
        elif state.get("view") == "states":
            trace = client.post(f"{on.root}/traces", json={name: state[name] for name in ("model", "text")}).json()
            url = f"{on.root}/traces/{trace['id']}/tensors/{state['site']}"
            values = client.get(url, headers={"accept": "application/json"}).json()["values"]
            assert shown(page.inner_text("#readout b"), values[int(state["time"])][int(state["unit"])])
            compared += 1
        elif state.get("query"):
            trace, row = on.weights(state)
            key = int(state.get("key") or max(range(len(row)), key=row.__getitem__))
            if "compare" in state:
                _, other = on.weights(state | {"text": state["vs_text"]})
                left, right, change = (one.inner_text() for one in page.locator("#readout b").all())
                assert shown(left, row[key])
                assert shown(right, other[key])
                assert abs(float(change.replace("−", "-").replace("+", "")) - (other[key] - row[key])) < 0.0006
            elif "present" not in state:
                assert shown(page.inner_text("#readout b"), row[key])
            claims = {
                str(one.get_attribute("data-value")): one.inner_text()
                for one in page.locator(".slide [data-value]").all()
            }
            tokens = trace["tokens"][next(iter(trace["tokens"]))]
            if "weight" in claims:
                assert shown(claims["weight"], row[key])
            if "percent" in claims:
                assert claims["percent"] == ("over 99 %" if row[key] > 0.99 else f"{round(100 * row[key])} %")
            if "query" in claims:
                asking = trace["tokens"][state.get("stack", next(iter(trace["tokens"])))]
                assert claims["query"] == asking[int(state["query"])]["text"].strip()
            if "key" in claims:
                assert claims["key"] == tokens[key]["text"].strip()
            compared += 1
        assert slide["text"]
    assert compared or name == "six-steps"
    assert len(set(titles)) == len(titles), "every storyboard step is one of its own"
    assert len(boxes - {""}) == 1, "the picture stays where it is"
    last = on.place
    on.press("PageDown")
    assert on.place == last
    for place, _, _ in reversed(on.places()[:-1]):
        on.press("PageUp")
        assert on.place == place
    on.press("End")
    assert on.place == last
    on.press("Home")
    assert on.place == "#1"


def test_the_story_of_one_word_holds(visit: Open) -> None:
    """What the first lesson says in words of its own: the order of a few weights."""
    on = lecture(visit, "which-word")
    states = {place: state for place, _, state in on.places()}
    assert on.weights(states["#1"])[1][0] == max(on.weights(states["#1"])[1])

    def column(place: str) -> list[float]:
        return [on.weights(states[place] | {"query": str(query)})[1][2] for query in range(15)]

    first, witness = column("#3"), column("#5")
    assert sum(weight > 0.2 for weight in first) > 12, "the first head looks at animal from nearly everywhere"
    assert (round(first[11], 2), round(first[0], 2)) == (0.53, 0.55)
    assert [query for query, weight in enumerate(witness) if weight > 0.3] == [1, 10], "the second from The and it"

    _, tired = on.weights(states["#6"])
    _, wide = on.weights(states["#6"] | {"text": states["#6"]["vs_text"]})
    assert max(tired) == tired[2], "it looks at animal most"
    assert wide[2] < tired[2], "less where it was too wide"
    assert wide[8] > 2 * tired[8], "and more at street"
    assert wide[8] < wide[2] < wide[0] == max(wide), "but most at [CLS]"
    _, still = on.weights(states["#3"] | {"text": states["#6"]["vs_text"]})
    assert (round(still[2], 3), max(still)) == (0.503, still[2]), "the first head hardly minds"


def test_most_heads_lean_on_the_first_token(visit: Open) -> None:
    """41 of 72, as the last slide's notes say, and one looks at the token before."""
    on = lecture(visit, "which-word")
    trace, _ = on.weights(next(state for _, _, state in on.places()))
    url = f"{on.root}/traces/{trace['id']}/attention"
    maps = client.get(url, params={"layers": "0-5", "heads": "0-11"}, headers={"accept": "application/json"}).json()
    heads = [rows for layer in maps["values"] for rows in layer]
    assert len(heads) == 72
    count = len(heads[0])
    assert sum(sum(row[0] for row in rows) / count > 0.4 for rows in heads) == 41
    assert sum(sum(rows[at][at - 1] for at in range(1, count)) / count > 0.4 for rows in heads) == 1


def test_what_the_second_lesson_says_of_the_division_holds(visit: Open) -> None:
    on = lecture(visit, "six-steps")
    _, _, state = on.places()[0]
    trace, row = on.weights(state)
    where = {"layers": "5", "heads": "11", "queries": "10", "stage": "scores"}
    url = f"{on.root}/traces/{trace['id']}/attention"
    answer = client.get(url, params=where, headers={"accept": "application/json"}).json()
    undivided = [math.sqrt(32) * score for score in answer["values"][0][0][0]]
    shares = [math.exp(score - max(undivided)) for score in undivided]
    assert round(max(shares) / sum(shares), 4) == 0.9997
    assert round(row[2], 3) == 0.647


def test_what_the_third_lesson_says_holds(visit: Open) -> None:
    on = lecture(visit, "bottleneck")
    said: dict[str, list[str]] = {"#4": [], "#6": []}
    pairs = []
    for place, _, state in on.places():
        number = place.split(".")[0]
        if number == "#7":
            trace, row = on.weights(state)
            assert row[int(state["key"])] == max(row) > 0.4, place
            pairs.append([trace["tokens"]["encoder"][int(state[side])]["text"].strip() for side in ("query", "key")])
        if number in said:
            trace, row = on.weights(state)
            assert row[int(state["key"])] == max(row) > 0.5, place
            said[number].append(trace["tokens"]["decoder"][int(state["query"]) + 1]["text"].strip())
    plain = {"model": "seq2seq-plain-fr-en", "text": "Un chat gris sur un banc vert."}
    words = client.post(f"{on.root}/traces", json=plain).json()["tokens"]["decoder"]
    assert [word["text"].strip() for word in words] == "<s> A brown dog on a blue bench .".split()
    assert said == {"#4": ["gray", "cat", "green", "bench"], "#6": ["gray", "cat"]}
    assert pairs == [["chat", "gris"], ["gris", "chat"], ["banc", "vert"]]


def test_names_of_narrow_columns_do_not_overlap(visit: Open) -> None:
    on = lecture(visit, "six-steps", "#8")
    for _ in range(3):
        names = on.page.locator(".overhead").evaluate_all(
            """all => all.map(row => [...row.children].flatMap(name => {
                const { left, width } = name.getBoundingClientRect();
                const size = parseFloat(getComputedStyle(name).fontSize);
                return size && name.innerText.trim() ? [[left + width / 2, size]] : [];
            }))"""
        )
        assert names
        for row in names:
            assert len(row) > 2
            assert all(size >= LEAST for _, size in row)
            for (one, size), (other, _) in pairwise(row):
                assert other - one > 0.85 * size, "letters over letters"
        on.press("PageDown")


def speaking(on: Lecture, place: str = "") -> Page:
    page = on.page.context.new_page()
    page.on("pageerror", lambda error: on.seen.complaints.append(str(error)))
    page.goto(f"{on.seen.server}/lesson/{on.name}/speaker{place}")
    return page


def test_the_speaker_leads_and_follows(visit: Open) -> None:
    on = lecture(visit, "which-word")
    notes = speaking(on)
    expect(notes.locator("#count")).to_have_text("Slide 1 of 9")
    expect(notes.locator("#notes strong")).to_have_text("how do you know?")
    expect(notes.locator("#link")).to_be_hidden()
    on.press("PageDown")
    expect(notes.locator("#count")).to_have_text("Slide 2 of 9")
    expect(notes.locator("#now")).to_have_text("One head: 65 % of what it looks at is animal.")
    expect(notes.locator("#next")).to_have_text("A row says where one word looks. It sums to 1.")
    notes.click("#forward")
    expect(notes.locator("#count")).to_have_text("Slide 3 of 9, step 1 of 3")
    expect(notes.locator("#next-place")).to_have_text("The same slide, step 2 of 3")
    notes.keyboard.press("PageDown")
    expect(notes.locator("#count")).to_have_text("Slide 3 of 9, step 2 of 3")
    on.seen.settle()
    assert on.place == "#3.2"
    expect(on.page.locator("#readout")).to_contain_text("animal")
    notes.click("#back")
    expect(notes.locator("#count")).to_have_text("Slide 3 of 9, step 1 of 3")
    assert on.place == "#3"


def test_the_speaker_sees_what_comes_next(visit: Open) -> None:
    """Where it is, its title, its words for the class with their numbers, and what is to be seen in the picture."""
    on = lecture(visit, "which-word", "#3")
    notes = speaking(on)
    states = {place: state for place, _, state in on.places()}
    expect(notes.locator("#next-place")).to_have_text("The same slide, step 2 of 3")
    expect(notes.locator("#next-title")).to_be_hidden()
    expect(notes.locator("#next")).to_have_text("A row says where one word looks. It sums to 1.")
    expect(notes.locator("#next-picture")).to_have_text("Heat map · Layer 5 · Head 11")
    share = round(100 * on.weights(states["#3.2"])[1][2])
    expect(notes.locator("#next-sentence")).to_have_text(f"Layer 5 · Head 11: animal attends to animal, {share} %.")
    expect(notes.locator("#next-read")).to_have_text(states["#3.2"]["text"])
    for _ in range(2):
        on.press("PageDown")
    expect(notes.locator("#next-place")).to_have_text("Slide 4 of 9")
    expect(notes.locator("#next-title")).to_have_text("Careful: other words look there too")
    expect(notes.locator("#next")).to_have_text("Careful: was looks at animal too, 53 %.")
    on.press("End")
    expect(notes.locator("#next-place")).to_have_text("The end")
    for part in ("title", "picture", "sentence", "read"):
        expect(notes.locator(f"#next-{part}")).to_be_hidden()
    expect(notes.locator("#next")).to_be_empty()


def test_the_speaker_sees_the_next_step_of_a_storyboard(visit: Open) -> None:
    on = lecture(visit, "six-steps", "#3")
    notes = speaking(on)
    expect(notes.locator("#next")).to_have_text("3. Kept small, or one word would get it all")
    expect(notes.locator("#next-title")).to_be_hidden()  # it says the same
    picture, sentence = notes.locator("#next-picture"), notes.locator("#next-sentence")
    for _ in range(2):
        expect(picture).not_to_be_empty()
        title, said = str(picture.text_content()), sentence.inner_text()
        on.press("PageDown")
        expect(on.page.locator("#step-title")).to_contain_text(title)
        expect(on.page.locator(".steps .sentence")).to_have_text(said)
        expect(picture).not_to_have_text(title)


def test_what_comes_next_and_is_not_here_is_asked_for_once(visit: Open) -> None:
    on = lecture(visit, "own")
    asked: list[str] = []
    on.page.on("request", lambda sent: asked.append(sent.url) if sent.url.endswith("/traces") else None)
    on.page.reload()
    on.seen.ready()
    notes = speaking(on)
    expect(notes.locator("#next-place")).to_have_text("Slide 2 of 3")
    expect(notes.locator("#next")).to_have_text("Away")
    expect(notes.locator("#next-picture")).to_be_hidden()
    on.page.wait_for_timeout(500)
    assert len(asked) == 2, "this picture, and the next"


def test_either_window_may_be_opened_again(visit: Open) -> None:
    on = lecture(visit, "which-word", "#3.2")
    notes = speaking(on)
    expect(notes.locator("#count")).to_have_text("Slide 3 of 9, step 2 of 3")
    notes.reload()
    expect(notes.locator("#count")).to_have_text("Slide 3 of 9, step 2 of 3")
    on.page.reload()
    on.seen.settle()
    assert on.place == "#3.2"
    notes.click("#forward")
    expect(notes.locator("#count")).to_have_text("Slide 3 of 9, step 3 of 3")
    # A window that is opened without a place takes the speaker's.
    on.page.goto(f"{on.seen.server}/lessons")
    notes.click("#forward")
    expect(notes.locator("#count")).to_have_text("Slide 4 of 9, step 1 of 2")
    on.page.click('a[href="lesson/which-word"]')
    expect(on.page.locator(".slide")).to_have_text("Careful: was looks at animal too, 53 %.")
    assert on.place == "#4"


def test_a_hidden_result_is_shown_from_either_window(visit: Open) -> None:
    on = lecture(visit, "six-steps", "#5")
    notes = speaking(on)
    expect(notes.locator("#link")).to_be_hidden()
    expect(on.page.locator(".reveal")).to_be_visible()
    notes.click("#forward")
    expect(on.page.locator(".reveal")).to_be_hidden()
    assert on.place == "#5"
    notes.click("#forward")
    expect(notes.locator("#count")).to_have_text("Slide 6 of 9")


def test_both_windows_know_that_the_screen_is_black(visit: Open) -> None:
    on = lecture(visit, "which-word")
    notes = speaking(on)
    expect(notes.locator("#link")).to_be_hidden()
    notes.click("#black")
    expect(on.page.locator(".black")).to_be_visible()
    expect(notes.locator("#black")).to_have_attribute("aria-pressed", "true")
    on.press("b")
    expect(notes.locator("#black")).to_have_attribute("aria-pressed", "false")


def test_s_opens_the_speakers_window_and_time_runs_there(visit: Open) -> None:
    on = lecture(visit, "six-steps", "#2")
    with on.page.expect_popup() as opened:
        on.page.keyboard.press("s")
    notes = opened.value
    expect(notes.locator("#count")).to_have_text("Slide 2 of 9")
    notes.close()
    page = on.page.context.new_page()
    page.clock.install(time="2030-01-01T09:58:00")
    page.goto(f"{on.seen.server}/lesson/six-steps/speaker")
    page.clock.fast_forward("02:05")
    expect(page.locator("#elapsed")).to_have_text("02:05")
    expect(page.locator("#clock")).to_have_text("10:00")
    page.reload()
    expect(page.locator("#elapsed")).to_have_text("02:05")
    page.click("#reset")
    expect(page.locator("#elapsed")).to_have_text("00:00")


def test_a_slide_without_its_model_says_so_and_the_lesson_goes_on(visit: Open) -> None:
    on = lecture(visit, "own")
    on.page.keyboard.press("PageDown")
    message = on.page.locator(".slide-room [role=alert]")
    expect(message).to_contain_text("This slide shows gpt2, which is not on this server.")
    expect(on.page.locator("#view canvas").first).to_be_hidden()
    on.page.keyboard.press("PageUp")
    expect(message).to_be_hidden()
    expect(on.page.locator("#view canvas").first).to_be_visible()
    on.seen.settle()
    on.page.keyboard.press("End")
    expect(message).to_have_text("Slide 3 says layr=1, view=hetmap, which the page does not know.")
    expect(on.page.locator("#view canvas").first).to_be_visible()


def test_leaving_shows_the_page_and_p_comes_back(visit: Open) -> None:
    on = lecture(visit, "which-word", "#2")
    on.press("Escape")
    expect(on.page.locator(".top")).to_be_visible()
    assert on.page.input_value("#text") == "The animal didn't cross the street because it was too tired"
    assert on.place == "#2", "what is looked at meanwhile is no part of the address"
    on.press("1")
    expect(on.page.locator("canvas.cells")).to_be_visible()
    assert on.place == "#2"
    on.press("p")
    expect(on.page.locator(".top")).to_be_hidden()
    on.press("PageDown")
    assert on.place == "#3"


def test_an_address_is_a_place(visit: Open) -> None:
    on = lecture(visit, "which-word", "#7")
    expect(on.page.locator(".slide")).to_contain_text("street grows from 0.0520")
    on.page.evaluate("() => { location.hash = '#3.2' }")
    expect(on.page.locator(".slide")).to_contain_text("It sums to 1")
    for nonsense in ("#0", "#99.99", "#x"):
        on.page.goto("about:blank")
        on.page.goto(f"{on.seen.server}/lesson/which-word{nonsense}")
        on.seen.settle()
        assert on.page.inner_text(".slide")


def test_who_listens_hears_the_slide(visit: Open) -> None:
    on = lecture(visit, "which-word")
    on.press("PageDown")
    expect(on.page.locator("#live")).to_contain_text("One head: 65 % of what it looks at is animal.")
    expect(on.page.locator("#live")).to_contain_text("it attends to animal")


@pytest.mark.parametrize(("width", "columns"), [(1920, 3), (1366, 3), (390, 1)])
def test_the_list_fills_its_page_and_leads_to_a_step(visit: Open, width: int, columns: int) -> None:
    seen = visit(size=(width, 1080))
    page = seen.page
    page.goto(f"{seen.server}/lessons")
    assert page.evaluate("() => document.documentElement.scrollWidth") == width
    left = page.locator(".shelf h3").evaluate_all("all => all.map(e => Math.round(e.getBoundingClientRect().left))")
    assert len(set(left)) == min(columns, len(left))
    small = page.locator(".shelf a").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().height < 24).length"
    )
    assert small == 0, "large enough for a finger"
    page.get_by_role("link", name="Start Which word does “it” mean?").focus()
    for _ in range(5):
        page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_accessible_name("Slide 3 of 9, step 2 of 3")
    page.keyboard.press("Enter")
    page.wait_for_url("**/lesson/which-word#3.2")
    seen.ready()
    expect(page.locator("#readout")).to_contain_text("animal")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious(visit: Open, theme: str) -> None:
    seen = visit(theme=theme, **STILL)
    for path in ("/lessons", "/lesson/which-word/speaker#2"):
        seen.page.goto(seen.server + path)
        seen.page.locator("h2").first.wait_for()
        assert serious(seen) == []
    for path in ("/lesson/which-word#2", "/lesson/six-steps#4"):
        seen.page.goto(seen.server + path)
        seen.ready()
        assert serious(seen) == []


def test_the_speakers_window_fits_a_phone(visit: Open) -> None:
    seen = visit(size=(390, 844))
    seen.page.goto(f"{seen.server}/lesson/which-word/speaker#2")
    expect(seen.page.locator("#count")).to_have_text("Slide 2 of 9")
    assert seen.page.evaluate("() => document.documentElement.scrollWidth") == 390
    expect(seen.page.locator("#forward")).to_be_in_viewport()


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("size", [(480, 400), (640, 320), (360, 640), (800, 600)])
def test_in_a_small_window_the_notes_scroll_and_the_controls_stay(
    visit: Open, size: tuple[int, int], language: str
) -> None:
    seen = visit(size=size, locale=language)
    seen.page.goto(f"{seen.server}/lesson/which-word/speaker#1")
    notes = seen.page.locator("#notes")
    notes.evaluate("e => e.append(...Array.from({ length: 9 }, () => e.firstElementChild.cloneNode(true)))")
    notes.evaluate("e => e.scrollTo(0, e.scrollHeight)")
    expect(notes.locator("p").last).to_be_in_viewport()
    for name in ("elapsed", "clock", "black", "back", "forward"):
        expect(seen.page.locator(f"#{name}")).to_be_in_viewport(ratio=1)
    page = (
        "() => { const { scrollHeight, scrollWidth } = document.documentElement; return [scrollWidth, scrollHeight] }"
    )
    assert seen.page.evaluate(page) == list(size), "only the notes scroll"
    room = notes.bounding_box()
    assert room is not None
    assert room["height"] > 90
    buttons = ".go button, .times > *"
    assert (
        seen.page.locator(buttons).evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth).length"
        )
        == 0
    )


def test_the_speaker_stays_while_a_result_is_unveiled(visit: Open) -> None:
    on = lecture(visit, "six-steps")
    hiding = next(place for place, _, state in on.places() if state.get("predict") == "on")
    on = lecture(visit, "six-steps", hiding)
    notes = speaking(on, hiding)
    expect(notes.locator("#next")).not_to_be_empty()
    before = notes.inner_text("#count")
    notes.click("#forward")
    expect(on.page.locator(".steps.predicting")).to_have_count(0)
    notes.wait_for_timeout(1000)  # longer than the speaker waits for somebody who leads
    expect(notes.locator("#count")).to_have_text(before)
    assert on.place == hiding
