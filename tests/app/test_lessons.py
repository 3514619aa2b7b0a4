"""Lessons as files, JSON and pages: what is written is what is played, and what is wrong is said with its line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from app import files, schemas
from app.lessons import LARGEST, Lessons, read
from app.problems import LessonBroken, UnknownLesson
from app.settings import BadSetting
from tests.app.conftest import Serve, problem

OURS = files.folder("templates") / "lessons"
SHOW = "show: {model: minilm, text: Two dogs, layer: 2}"
HEAD = "title: One\nlanguage: en\nsummary: Two.\nslides:\n"
SLIDE = f"  - text: Here\n    {SHOW}\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def make(text: str | bytes, name: str = "mine") -> Path:
        file = tmp_path / f"{name}.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return make


def test_three_lessons_come_along(client: TestClient) -> None:
    listed = TypeAdapter(list[schemas.LessonRow]).validate_python(client.get("/api/v1/lessons").json(), strict=True)
    assert [one.name for one in listed] == ["bottleneck", "six-steps", "which-word"]
    ready = {model["id"] for model in client.get("/api/v1/models").json() if model["status"] in ("ready", "loaded")}
    for row in listed:
        assert row.problem is None
        assert set(row.models) <= ready, "they play where nothing was downloaded"
        body = client.get(f"/api/v1/lessons/{row.name}").json()
        lesson = schemas.Lesson.model_validate(body, strict=True)
        assert lesson.model_dump(mode="json") == body
        assert (lesson.title, lesson.summary, len(lesson.slides)) == (row.title, row.summary, row.slides)
        assert sum(len(slide.states) for slide in lesson.slides) == row.steps
        assert all(slide.text and slide.states for slide in lesson.slides)


def test_a_slide_is_a_permalink_and_what_changes_of_it(write: Any) -> None:
    changes = ("{query: 2, text: Two cats}", "softmax", "{predict: on, threshold: 0.1, pair: }")
    steps = "".join(f"      - {change}\n" for change in changes)
    (slide,) = read(write(f"{HEAD}{SLIDE}    steps:\n{steps}")).slides
    shown = [parse_qs(state, keep_blank_values=True) for state in slide.states]
    assert shown[0] == {"model": ["minilm"], "text": ["Two dogs"], "layer": ["2"]}
    assert shown[1] == shown[0] | {"query": ["2"], "text": ["Two cats"]}
    assert shown[2] == shown[1] | {"at": ["softmax"]}
    assert shown[3] == shown[2] | {"predict": ["on"], "threshold": ["0.1"], "pair": [""]}


def test_a_link_from_the_address_bar_is_a_slide(write: Any) -> None:
    link = "http://localhost:8000/#model=minilm&text=It%27s+a+%26+b&layer=5&query="
    (slide,) = read(write(f"{HEAD}  - text: Here\n    show: {link}\n")).slides
    assert parse_qs(slide.states[0], keep_blank_values=True)["text"] == ["It's a & b"]
    assert unquote_plus(slide.states[0]).endswith("layer=5&query=")


def test_a_slide_is_called_by_its_title_or_its_words_without_numbers(write: Any) -> None:
    first = f"  - title: '*it* <b>'\n    text: Here\n    {SHOW}\n"
    second = f"  - text: '*{{query}}* looks at {{key}}, {{percent}}, {{other}}'\n    {SHOW}\n"
    one, two = read(write(HEAD + first + second)).slides
    assert one.title_html == "<em>it</em> &lt;b&gt;"
    assert two.title_html == "<em>…</em> looks at …, …, {other}"


def test_the_list_leads_to_every_slide_and_step(client: TestClient) -> None:
    page = client.get("/lessons").text
    for row in client.get("/api/v1/lessons").json():
        name = row["name"]
        body = client.get(f"/api/v1/lessons/{name}").json()
        found = [link for link in re.findall(r'href="([^"]+)"', page) if link.startswith(f"lesson/{name}")]
        places = [
            f"lesson/{name}#{number}" + (f".{step}" if step > 1 else "")
            for number, slide in enumerate(body["slides"], 1)
            for step in range(1, len(slide["states"]) + 1)
        ]
        assert found == [f"lesson/{name}", f"lesson/{name}/speaker", *places]
        for slide in body["slides"]:
            assert f">{slide['title_html']}</a>" in page
            assert "{" not in slide["title"]


def test_words_are_markdown_and_nothing_else(write: Any) -> None:
    text = "**a** *b* <script>alert(1)</script> ![c](http://example.org/x.png) <b onclick=x>d</b>"
    notes = f"- one\n      - two\n\n      {text} [e](javascript:alert(1))"
    file = write(f"{HEAD}  - text: '{text}'\n    {SHOW}\n    notes: |\n      {notes}\n")
    (slide,) = read(file).slides
    for html in (slide.text_html, slide.notes_html):
        assert "<strong>a</strong> <em>b</em>" in html
        for bad in ("<script", "<img", "<b ", 'href="javascript'):
            assert bad not in html
    assert "<li>one</li>" in slide.notes_html


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("title: [", 1, "not YAML"),
        (f"{HEAD}{SLIDE}    notes: : :\n", 7, "not YAML"),
        ("", 1, "valid dictionary"),
        ("- a", 1, "valid dictionary"),
        (f"titel: x\n{HEAD}{SLIDE}", 1, "There is no 'titel' here. Did you mean title?"),
        (f"{HEAD}{SLIDE}    note: x\n", 7, "slides.1: There is no 'note' here. Did you mean notes?"),
        (f"{HEAD}{SLIDE}  - text: x\n    show: {{model: minilm}}\n", 8, "slides.2.show: Say which text it shows."),
        (f"{HEAD}{SLIDE}  - text: x\n    show:\n      model: minilm\n", 8, "slides.2.show: Say which text it shows."),
        (f"{HEAD}{SLIDE}  - {SHOW}\n", 7, "slides.2.text: This is required."),
        (f"{HEAD}{SLIDE}    steps: [[1]]\n", 7, "slides.1.steps.1: "),
        (f"{HEAD}  - text: x\n    show: {{model: minilm, text: a, layer: [1]}}\n", 6, "slides.1.show.layer: "),
        ("title: One\nlanguage: en\nsummary: Two.\nslides: []\n", 4, "slides: "),
        ("title: One\nlanguage: 12\nsummary: Two.\nslides: []\n", 2, "language: "),
        (f"a: !!python/object/apply:os.system [ls]\n{HEAD}{SLIDE}", 1, "not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(write: Any, text: str, line: int, said: str) -> None:
    with pytest.raises(LessonBroken) as caught:
        read(write(text))
    assert str(caught.value.detail).startswith(f"mine.yaml, line {line}: ")
    assert said in str(caught.value.detail)


def test_files_that_are_no_text_or_too_long(write: Any) -> None:
    with pytest.raises(LessonBroken, match=r"mine\.yaml: the file is not UTF-8"):
        read(write(b"title: \xff"))
    with pytest.raises(LessonBroken, match=rf"mine\.yaml: the file is larger than {LARGEST}"):
        read(write("# " + "x" * LARGEST))


def test_the_list_says_in_which_language_a_lesson_is(serve: Serve, write: Any, tmp_path: Path) -> None:
    for name, tag in (("deles", "pt"), ("leur", "fr")):
        write(HEAD.replace("language: en", f"language: {tag}") + SLIDE, name)
    with serve(lessons=(str(tmp_path),), preload=False) as client:
        page = client.get("/lessons", headers={"accept-language": "ko"}).text
    assert page.count('<span lang="en">English</span>') == 3
    assert '<span lang="pt">Português (Brasil)</span>' in page
    assert '<span lang="fr">fr</span>' in page, "there are no words in French here"


def test_a_broken_file_leaves_the_others_alone(serve: Serve, write: Any, tmp_path: Path) -> None:
    write(HEAD + SLIDE, "good")
    write("title: [", "bad")
    with serve(lessons=(str(tmp_path),), preload=False) as client:
        rows = {row["name"]: row for row in client.get("/api/v1/lessons").json()}
        assert rows.keys() == {"bad", "bottleneck", "good", "six-steps", "which-word"}
        assert rows["good"]["problem"] is None
        assert rows["bad"]["problem"].startswith("bad.yaml, line 1: ")
        body = problem(client.get("/api/v1/lessons/bad"), 500)
        assert body["detail"] == rows["bad"]["problem"]
        assert problem(client.get("/lesson/bad/speaker"), 500)["detail"] == rows["bad"]["problem"]
        page = client.get("/lessons").text
        assert "bad.yaml, line 1: " in page
        assert 'href="lesson/good"' in page
        assert 'href="lesson/bad"' not in page


def test_a_lesson_of_ones_own_takes_the_place_of_ours(tmp_path: Path, write: Any) -> None:
    write(HEAD + SLIDE, "six-steps")
    assert Lessons(OURS, tmp_path).find("six-steps").title == "One"
    assert len(Lessons(OURS).find("six-steps").slides) > 1


def test_a_changed_file_is_read_again(tmp_path: Path, write: Any) -> None:
    file = write(HEAD + SLIDE)
    lessons = Lessons(tmp_path)
    assert lessons.find("mine") is lessons.find("mine")
    write((HEAD + SLIDE).replace("One", "Two"))
    os.utime(file, ns=(1, 1))
    assert lessons.find("mine").title == "Two"
    file.unlink()
    with pytest.raises(UnknownLesson):
        lessons.find("mine")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="HEADLIGHT_LESSONS: there is no folder"):
        Lessons(OURS, tmp_path / "none")


@pytest.mark.parametrize("path", ["/api/v1/lessons/which-wrd", "/lesson/which-wrd", "/lesson/which-wrd/speaker"])
def test_an_unknown_lesson_gets_the_nearest_name(client: TestClient, path: str) -> None:
    assert "Did you mean which-word?" in problem(client.get(path), 404)["detail"]


@pytest.mark.parametrize("name", ["..%2Fwhich-word", "%2Fetc%2Fpasswd", "which-word.yaml", "x" * 150])
def test_only_names_in_the_folders_are_lessons(client: TestClient, name: str) -> None:
    problem(client.get(f"/api/v1/lessons/{name}"), 404)


def test_pages_of_a_lesson(client: TestClient) -> None:
    page = client.get("/lesson/six-steps")
    assert "<title>Self-attention in six steps</title>" in page.text
    assert 'href=".././"' in page.text
    speaker = client.get("/lesson/six-steps/speaker")
    assert 'id="lesson"' in speaker.text
    for answer in (page, speaker, client.get("/lessons")):
        assert answer.headers["cache-control"] == "no-cache"
        assert "'unsafe-inline'" not in answer.headers["content-security-policy"]


def test_the_readmes_lesson_is_one(write: Any) -> None:
    printed = (files.folder("templates").parent / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    one, two = read(write(printed)).slides
    assert [len(one.states), len(two.states)] == [3, 3]
    assert "layer=0&head=5&query=2&view=lines" in one.states[-1]
    assert two.states[-1].endswith("at=softmax")


def test_a_broken_lesson_is_a_new_problem_each_time(write: Any) -> None:
    lessons = Lessons(write("slides: 7").parent)
    seen = []
    for _ in range(2):
        with pytest.raises(LessonBroken) as caught:
            lessons.find("mine")
        seen.append(caught.value)
    assert seen[0] is not seen[1]
