"""What routes are handed: the app's runner and settings, and a check that nothing was asked for in vain."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, cast

from fastapi import Depends, Request

from app import wire
from app.problems import Elsewhere, Invalid
from app.runner import Runner
from app.settings import Settings
from app.words import cut

FEW = 8  # names that one sentence can bear


def get_runner(request: Request) -> Runner:
    """Whatever runs the models of this app."""
    return cast(Runner, request.app.state.runner)


def get_settings(request: Request) -> Settings:
    """What this app was made with."""
    return cast(Settings, request.app.state.settings)


def no_parameters(request: Request) -> None:
    """For calls without a query string: a parameter that nobody reads is a mistake, not something to pass over."""
    if names := list(request.query_params):
        names = [cut(name) for name in names[:FEW]]
        where = [{"where": f"query.{name}", "what": "This call takes no parameters."} for name in names]
        raise Invalid(f"This call takes no parameters in its address: leave out {', '.join(names)}.", errors=where)


def each_once(request: Request) -> None:
    """For query strings: of a parameter that comes twice only the last would count, and silently."""
    names = Counter(name for name, _ in request.query_params.multi_items())
    if twice := [cut(name) for name, times in names.items() if times > 1][:FEW]:
        where = [{"where": f"query.{name}", "what": "This is given more than once."} for name in twice]
        hint = "Write several places as one list, such as layers=0,1."
        raise Invalid(f"{', '.join(twice)}: this is given more than once. {hint}", errors=where)


def own_page(request: Request) -> None:
    """For calls that do something and take no JSON: browsers send these for any page, and say for which."""
    elsewhere = request.headers.get("sec-fetch-site") == "cross-site"
    if elsewhere and not {request.headers.get("origin"), "*"} & set(get_settings(request).cors_origins):
        raise Elsewhere()


def json_wanted(request: Request) -> None:
    """For calls that answer in JSON only."""
    wire.negotiate(wire.joined(request.headers, "accept"), (wire.JSON,))


RunnerDep = Annotated[Runner, Depends(get_runner)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
