"""Lessons: files that play one picture after the other, with words for the class and notes for whoever speaks.

A lesson is a YAML file in a folder; its name is the file's. Each slide says what to show, as the fields of a permalink
or as the permalink itself, and what further presses of a clicker change about it before the next slide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import yaml
from markdown_it import MarkdownIt
from pydantic import Field, ValidationError, field_validator

from app.problems import LessonBroken, UnknownLesson, sentence
from app.schemas import Strict
from app.settings import BadSetting
from app.words import cut
from engine.errors import nearest

LARGEST = 256 * 1024  # bytes; notes for a whole term stay below it

HOLE = re.compile(r"\{(weight|percent|query|key|number|class|certainty)\}")
"""What stands in a text for a number of the picture; static/js/present/places.js fills it."""

Fields = Mapping[str, str]


class SlideFile(Strict):
    """A slide as it is written."""

    title: str = Field(default="", max_length=200)
    text: str = Field(min_length=1, max_length=400)
    show: dict[str, str]
    steps: list[dict[str, str]] = Field(default_factory=list, max_length=100)
    notes: str = ""

    @field_validator("show", mode="before")
    @classmethod
    def _fields(cls, value: object) -> object:
        return _state(value)

    @field_validator("show")
    @classmethod
    def _whole(cls, value: Fields) -> Fields:
        if missing := [name for name in ("model", "text") if not value.get(name)]:
            raise ValueError(f"Say which {' and '.join(missing)} it shows")
        return value

    @field_validator("steps", mode="before")
    @classmethod
    def _changes(cls, value: object) -> object:
        # A word alone is the name of a storyboard's step.
        return (
            [{"at": step} if isinstance(step, str) else _state(step) for step in value]
            if isinstance(value, list)
            else value
        )


class LessonFile(Strict):
    """A lesson as it is written."""

    title: str = Field(min_length=1, max_length=200)
    language: str = Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$")
    summary: str = Field(min_length=1, max_length=400)
    slides: list[SlideFile] = Field(min_length=1, max_length=200)


@dataclass(frozen=True)
class Slide:
    """`title` is what lists call it; `states` are the addresses, without `#`, of what each press of a key shows."""

    title: str
    text: str
    notes: str
    states: tuple[str, ...]
    model: str

    @cached_property
    def title_html(self) -> str:
        """What lists call it as HTML, without elements of its own."""
        return str(_markdown().renderInline(self.title))

    @cached_property
    def text_html(self) -> str:
        """The words for the class as HTML, without elements of their own."""
        return str(_markdown().renderInline(self.text.strip()))

    @cached_property
    def notes_html(self) -> str:
        """The speaker's notes as HTML."""
        return str(_markdown().render(self.notes))


@dataclass(frozen=True)
class Lesson:
    """A lesson that can be played."""

    name: str
    title: str
    language: str
    summary: str
    slides: tuple[Slide, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of every model it shows, each once."""
        return tuple(dict.fromkeys(slide.model for slide in self.slides))

    @property
    def steps(self) -> int:
        """How many pictures it shows, one after the other."""
        return sum(len(slide.states) for slide in self.slides)


class Lessons:
    """Every lesson of some folders; where two have the same name, the later folder's counts.

    Files are read again when they have changed, so that a lesson can be written beside the page that plays it.
    Raises `BadSetting` where a folder is not there.
    """

    def __init__(self, *folders: Path) -> None:
        if missing := [folder for folder in folders if not folder.is_dir()]:
            raise BadSetting(f"HEADLIGHT_LESSONS: there is no folder {missing[0]}.")
        self._folders = folders
        self._read: dict[Path, tuple[tuple[int, int], Lesson | LessonBroken]] = {}

    def all(self) -> dict[str, Lesson | LessonBroken]:
        """By name; a file that can't be played is a problem that names it, and its line."""
        return {name: self._lesson(file) for name, file in sorted(self._files().items())}

    def find(self, name: str) -> Lesson:
        """One lesson; `UnknownLesson`, or `LessonBroken` with the file and the line."""
        files = self._files()
        if name not in files:
            known = f" Known here: {', '.join(sorted(files))}." if files else ""
            raise UnknownLesson(f"There is no lesson {cut(name)!r}.{nearest(cut(name), files) or known}")
        lesson = self._lesson(files[name])
        if isinstance(lesson, LessonBroken):
            raise LessonBroken(lesson.detail)  # one of its own: an exception that is raised again grows
        return lesson

    def _files(self) -> dict[str, Path]:
        return {file.stem: file for folder in self._folders for file in folder.glob("*.yaml")}

    def _lesson(self, file: Path) -> Lesson | LessonBroken:
        stat = file.stat()
        now = (stat.st_mtime_ns, stat.st_size)
        kept = self._read.get(file)
        if kept is None or kept[0] != now:
            try:
                kept = (now, read(file))
            except LessonBroken as problem:
                kept = (now, problem)
            self._read[file] = kept
        return kept[1]


def read(file: Path) -> Lesson:
    """The lesson in a file; `LessonBroken` with the file's name and the line where it is wrong."""
    if file.stat().st_size > LARGEST:
        raise LessonBroken(f"{file.name}: the file is larger than {LARGEST} bytes. Split the lesson.")
    try:
        text = file.read_text("utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        written = LessonFile.model_validate(yaml.safe_load(text))
    except UnicodeDecodeError as error:
        raise LessonBroken(f"{file.name}: the file is not UTF-8 text. Save it as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file.name}, line {mark.line + 1}" if mark else file.name
        raise LessonBroken(f"{where}: this is not YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise LessonBroken(f"{file.name}: this is not YAML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        line = _line(tree, (*first["loc"], str(first.get("ctx", {}).get("name", "")).strip("'")))
        said = sentence(first)
        raise LessonBroken(f"{file.name}, line {line}: {f'{path}: ' if path else ''}{said}") from error
    return Lesson(file.stem, written.title, written.language, written.summary, tuple(map(_slide, written.slides)))


def _slide(written: SlideFile) -> Slide:
    states = [dict(written.show)]
    for change in written.steps:
        states.append(states[-1] | change)
    title = written.title or HOLE.sub("…", written.text.strip())
    return Slide(title, written.text, written.notes, tuple(map(urlencode, states)), written.show["model"])


def _state(value: object) -> object:
    """A permalink's fields as text, from a mapping or from the link itself."""
    if isinstance(value, str):
        return dict(parse_qsl(value.rpartition("#")[2], keep_blank_values=True))
    if not isinstance(value, dict):
        return value
    return {str(name): _text(field) for name, field in value.items()}


def _text(field: object) -> object:
    if field is None:
        return ""
    if isinstance(field, bool):  # YAML reads a plain `on` as a truth
        return "on" if field else "off"
    return str(field) if isinstance(field, int | float) else field


def _line(tree: Any, path: tuple[int | str, ...]) -> int:
    """The line, from 1, of what stands at a path; of what should hold it, where it is not there."""
    node = named = tree
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = named = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            named, node = next((pair for pair in node.value if pair[0].value == part), (named, node))
    return int(named.start_mark.line) + 1 if named is not None else 1


def _markdown() -> MarkdownIt:
    """Markdown without HTML, and without pictures: those would come from elsewhere."""
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).disable("image")
