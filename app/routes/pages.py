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
from app.problems import NotFound
from app.runner import opening
from app.words import cut

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Page:
    """What every template may use."""

    title: str
    version: str
    asset: Callable[[str], str]  # "js/main.js" -> the address that may be cached for ever


@dataclass(frozen=True)
class ExplorePage(Page):
    """templates/explore.html."""

    models: list[dict[str, Any]]  # see schemas.Model
    away: tuple[str, ...]  # what the status of a model says whose files are not here
    default_model: str
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


def data_block(body: bytes) -> Markup:
    """JSON that can stand inside a script element: no `</script>`, no `<!--`, and nothing else that starts with `<`."""
    return Markup(body.decode().replace("<", "\\u003c"))


@router.get("/")
async def explore(request: Request, runner: RunnerDep, settings: SettingsDep) -> Response:
    """The visualizer, with the first example of the default model traced."""
    assets, templates = _assets(request), _templates(request)
    model = await runner.model(settings.default_model)
    recipe = opening(model.card)
    trace = await runner.trace(recipe)

    def html() -> str:
        models = [present.model(known) for known in runner.models()]
        bootstrap = {
            "models": models,
            "model": present.detail(runner.known(model.id)),
            "trace": present.trace(recipe, trace),
            "plotly": assets.plotly_url(),
        }
        block = data_block(present.dump(bootstrap))
        page = ExplorePage("Headlight", VERSION, assets.addresses(), models, AWAY, model.id, block)
        return templates.render("explore.html", page)

    return _page(await runner.describe(html))


@router.get("/api/docs")
async def docs(request: Request, runner: RunnerDep) -> Response:
    """Every call of the API, to read and to try."""
    assets, templates = _assets(request), _templates(request)

    def html() -> str:
        page = DocsPage("Headlight API", VERSION, assets.addresses(), str(request.app.openapi_url))
        return templates.render("docs.html", page)

    return _page(await runner.describe(html))


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """Browsers ask for it whatever the page says."""
    return _static(request, "favicon.svg")


@router.get("/static/{path:path}")
async def static(request: Request, path: str) -> Response:
    """The page's own files, and plotly.js from the package that it is installed with."""
    return _static(request, path)


def _page(html: str) -> Response:
    """Checked anew by browsers on every visit."""
    return Response(html, headers={"cache-control": "no-cache"}, media_type="text/html")


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


def _templates(request: Request) -> Templates:
    return cast(Templates, request.app.state.templates)
