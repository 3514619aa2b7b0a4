"""What routes are handed: the app's runner and settings, and a check that nothing was asked for in vain."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from app import wire
from app.problems import Invalid
from app.runner import Runner
from app.settings import Settings


def get_runner(request: Request) -> Runner:
    """Whatever runs the models of this app."""
    return cast(Runner, request.app.state.runner)


def get_settings(request: Request) -> Settings:
    """What this app was made with."""
    return cast(Settings, request.app.state.settings)


def no_parameters(request: Request) -> None:
    """For calls without a query string: a parameter that nobody reads is a mistake, not something to pass over."""
    if names := list(request.query_params):
        where = [{"where": f"query.{name}", "what": "This call takes no parameters."} for name in names]
        raise Invalid(f"This call takes no parameters in its address: leave out {', '.join(names)}.", errors=where)


def json_wanted(request: Request) -> None:
    """For calls that answer in JSON only."""
    wire.negotiate(request.headers.get("accept"), (wire.JSON,))


RunnerDep = Annotated[Runner, Depends(get_runner)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
