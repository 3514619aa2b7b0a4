"""The pages: server-rendered, with everything the first picture needs inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import FileResponse

from app import VERSION, files, present
from app.caching import FOREVER, held
from app.deps import RunnerDep, SettingsDep
from app.files import Assets
from app.languages import VARY, Language, Languages, data_block
from app.lessons import Lesson
from app.middleware import policy
from app.problems import NotFound
from app.runner import Runner, opening
from app.settings import Settings
from app.words import cut
from engine.models import FAMILIES

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Page:
    """What every template may use."""

    title: str
    version: str
    asset: Callable[[str], str]  # "js/main.js" -> the address that may be cached for ever
    lang: str  # for <html lang>
    t: Callable[..., str]  # "explore.run" -> the word in the visitor's language
    words_json: Markup  # the same words for the page's scripts: a data block like the bootstrap


@dataclass(frozen=True)
class ExplorePage(Page):
    """templates/explore.html."""

    languages: tuple[Language, ...]  # to choose from
    models: list[dict[str, Any]]  # see schemas.Model
    families: dict[str, str]  # what people call them
    away: tuple[str, ...]  # what the status of a model says whose files are not here
    default_model: str
    alone: bool  # the picture without the page around it, for a frame
    modules: tuple[str, ...]  # every ES module that js/main.js needs
    root: str  # the way from this address to the front page: "" or "../"
    bootstrap_json: Markup  # JSON for <script type="application/json" id="bootstrap">: a data block, never executed


AWAY = ("absent", "downloading")


@dataclass(frozen=True)
class DocsPage(Page):
    """templates/docs.html."""

    openapi: str


class Templates:
    """Renders one dataclass per template, as `page`; a name that it lacks is an error, not an empty string."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(files.folder("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, name: str, page: Page) -> str:
        """The page as HTML."""
        return self._environment.get_template(name).render(page=page)


def shared(request: Request, title: str) -> tuple[str, str, Callable[[str], str], str, Callable[..., str], Markup]:
    """The fields of `Page`, in their order, for whoever sent this request; looks at all static files."""
    language = languages(request).of(request)
    return title, VERSION, _assets(request).addresses(), language.tag, language.t, language.block


@router.get("/")
async def explore(request: Request, runner: RunnerDep, settings: SettingsDep) -> Response:
    """The visualizer, with the first example of the default model traced."""
    return await visualizer(request, runner, settings)


@router.get("/embed")
async def embed(request: Request, runner: RunnerDep, settings: SettingsDep) -> Response:
    """The picture alone, for a frame on the sites that `HEADLIGHT_EMBED` lists."""
    page = await visualizer(request, runner, settings, alone=True)
    page.headers["content-security-policy"] = policy(settings.embed)
    if settings.embed:  # also for pages that take from elsewhere only what says that it may be taken
        page.headers["cross-origin-resource-policy"] = "cross-origin"
    return page


async def visualizer(
    request: Request, runner: Runner, settings: Settings, lesson: Lesson | None = None, *, alone: bool = False
) -> Response:
    """The one page that draws; with a lesson, its slides instead of the first example."""
    assets = _assets(request)
    model = await runner.model(settings.default_model)
    recipe = opening(model.card)
    trace = None if lesson else await runner.trace(recipe)

    def html() -> str:
        models = [present.model(known) for known in runner.models()]
        families = {family.name: family.title for family in FAMILIES}
        bootstrap = {
            "models": models,
            "families": families,
            "model": present.detail(runner.known(model.id)),
            "trace": present.trace(recipe, trace) if trace else None,
            "lesson": present.lesson(lesson) if lesson else None,
            "plotly": assets.plotly_url(),
            "embed": settings.embed,
        }
        block = data_block(present.dump(bootstrap))
        known = tuple(languages(request).values())
        title, root = (lesson.title, "../") if lesson else ("Headlight", "")
        modules = _assets(request).modules("js/main.js")
        page = ExplorePage(
            *shared(request, title), known, models, families, AWAY, model.id, alone, modules, root, block
        )
        return templates(request).render("explore.html", page)

    return answer(request, await runner.describe(html))


@router.get("/api/docs")
async def docs(request: Request, runner: RunnerDep) -> Response:
    """Every call of the API, to read and to try."""

    def html() -> str:
        page = DocsPage(*shared(request, "Headlight API"), str(request.app.openapi_url))
        return templates(request).render("docs.html", page)

    return answer(request, await runner.describe(html))


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """Browsers ask for it whatever the page says."""
    return _static(request, "favicon.svg")


@router.get("/static/{path:path}")
async def static(request: Request, path: str) -> Response:
    """The page's own files, and plotly.js from the package that it is installed with."""
    return _static(request, path)


def answer(request: Request, html: str) -> Response:
    """A page, checked anew by browsers on every visit: another language is another page at the same address."""
    language = languages(request).of(request).tag
    headers = {"cache-control": "no-cache", "vary": VARY, "content-language": language}
    return Response(html, headers=headers, media_type="text/html")


def _static(request: Request, path: str) -> Response:
    found = _assets(request).find(path)
    if found is None:
        raise NotFound(f"There is no file {cut(path)} here.")
    file, lasting = found
    headers = {"cache-control": FOREVER if lasting else "no-cache", "vary": "Accept-Encoding"}
    response = FileResponse(file, stat_result=file.stat(), headers=headers)
    if tag := held(request, response.headers["etag"]):
        return Response(status_code=304, headers={**headers, "etag": tag})
    return response


def _assets(request: Request) -> Assets:
    return cast(Assets, request.app.state.assets)


def languages(request: Request) -> Languages:
    """Every language that this app's pages are written in."""
    return cast(Languages, request.app.state.languages)


def templates(request: Request) -> Templates:
    """What this app's pages are rendered with."""
    return cast(Templates, request.app.state.templates)
