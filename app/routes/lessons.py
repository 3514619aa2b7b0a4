"""Lessons: which there are, what is in them, the page that plays one, and the speaker's window beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Path, Request, Response
from markupsafe import Markup

from app import present, schemas, wire
from app.deps import RunnerDep, SettingsDep, json_wanted, no_parameters
from app.languages import data_block
from app.lessons import Lessons
from app.problems import Invalid, LessonBroken, NotAcceptable, UnknownLesson, openapi
from app.routes import pages
from app.routes.pages import Page

router = APIRouter(prefix="/api/v1/lessons", tags=["lessons"], dependencies=[Depends(no_parameters)])
shown = APIRouter(include_in_schema=False)

# A file may be edited while the server runs.
HEADERS = {"cache-control": "no-cache"}

Name = Annotated[str, Path(max_length=200, description="The file's name, without its ending.", examples=["which-word"])]


@dataclass(frozen=True)
class LessonsPage(Page):
    """templates/lessons.html."""

    lessons: list[dict[str, Any]]  # see schemas.LessonRow, and `contents`
    called: Callable[[str], str]  # a lesson's language -> its own name for itself


@dataclass(frozen=True)
class SpeakerPage(Page):
    """templates/speaker.html."""

    name: str
    language: str  # the lesson's own
    lesson_json: Markup  # see schemas.Lesson


def get_lessons(request: Request) -> Lessons:
    """Every lesson of this app."""
    return cast(Lessons, request.app.state.lessons)


LessonsDep = Annotated[Lessons, Depends(get_lessons)]


@router.get(
    "",
    response_model=list[schemas.LessonRow],
    responses=openapi(NotAcceptable, Invalid),
    dependencies=[Depends(json_wanted)],
)
async def list_lessons(runner: RunnerDep, lessons: LessonsDep) -> Response:
    """Every lesson, and every file that was meant to be one."""
    body = await runner.describe(lambda: present.dump(rows(lessons)))
    return Response(body, headers=HEADERS, media_type=wire.JSON)


@router.get(
    "/{name}",
    response_model=schemas.Lesson,
    responses=openapi(UnknownLesson, NotAcceptable, Invalid, LessonBroken),
    dependencies=[Depends(json_wanted)],
)
async def read_lesson(name: Name, runner: RunnerDep, lessons: LessonsDep) -> Response:
    """One lesson: its slides, each with the words for the class, notes, and the pictures as permalinks."""
    body = await runner.describe(lambda: present.dump(present.lesson(lessons.find(name))))
    return Response(body, headers=HEADERS, media_type=wire.JSON)


@shown.get("/lessons")
async def choose(request: Request, runner: RunnerDep, lessons: LessonsDep) -> Response:
    """Every lesson, to be opened."""

    def html() -> str:
        page = LessonsPage(*pages.shared(request, "Headlight"), listed(lessons), pages.languages(request).called)
        return pages.templates(request).render("lessons.html", page)

    return pages.answer(request, await runner.describe(html))


@shown.get("/lesson/{name}")
async def play(name: str, request: Request, runner: RunnerDep, settings: SettingsDep, lessons: LessonsDep) -> Response:
    """The visualizer, projected, with the slides of a lesson to walk through."""
    lesson = await runner.describe(lambda: lessons.find(name))
    return await pages.visualizer(request, runner, settings, lesson)


@shown.get("/lesson/{name}/speaker")
async def speak(name: str, request: Request, runner: RunnerDep, lessons: LessonsDep) -> Response:
    """Notes, what comes next and the time, for a window that the class does not see."""

    def html() -> str:
        lesson = lessons.find(name)
        block = data_block(present.dump(present.lesson(lesson)))
        page = SpeakerPage(*pages.shared(request, lesson.title), name, lesson.language, block)
        return pages.templates(request).render("speaker.html", page)

    return pages.answer(request, await runner.describe(html))


def listed(lessons: Lessons) -> list[dict[str, Any]]:
    """Rows with their `contents`: of every slide the title as HTML, and how many pictures it shows."""
    return [
        present.lesson_row(name, found)
        | {
            "contents": []
            if isinstance(found, LessonBroken)
            else [(Markup(s.title_html), len(s.states)) for s in found.slides]
        }
        for name, found in lessons.all().items()
    ]


def rows(lessons: Lessons) -> list[dict[str, Any]]:
    """See `schemas.LessonRow`."""
    return [present.lesson_row(name, found) for name, found in lessons.all().items()]
