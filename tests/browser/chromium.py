"""Finds a Chromium, or brings one: on this machine, else Playwright's own, else Debian's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ON_THE_MACHINE = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser")


def chromium(playwright: Playwright) -> str:
    """The path of a browser; RuntimeError where none can be had."""
    if found := _on_the_machine():
        return found
    own = playwright.chromium.executable_path
    if not Path(own).exists():
        _run(sys.executable, "-m", "playwright", "install", "chromium")
    if Path(own).exists():
        return own
    if shutil.which("apt-get"):
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    if found := _on_the_machine():
        return found
    raise RuntimeError(
        "Browser tests need Chromium: none is on this machine, and neither `playwright install chromium` nor "
        "`apt-get install chromium` could bring one. Install Chromium or Chrome and run again."
    )


def _on_the_machine() -> str | None:
    return next((found for name in ON_THE_MACHINE if (found := shutil.which(name))), None)


def _run(*command: str) -> None:
    """Best effort: what counts is whether a browser is there afterwards."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(command, check=False, timeout=240, capture_output=True, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
