"""The README's picture of the page: `python -m tests.browser.screenshot`."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from app import logs
from app.settings import Settings
from tests.browser.chromium import ARGUMENTS, chromium
from tests.serving import served

PICTURE = Path(__file__).with_name("headlight.png")


def main() -> None:
    """Draws the page as it opens, with a palette of 256 colours: a fraction of the bytes, and nobody sees it."""
    logs.configure(Settings(log_level="warning"))
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(playwright), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1366, "height": 768}, color_scheme="dark")
        page.goto(url)
        page.locator("html[data-ready=true]").wait_for(state="attached")
        page.wait_for_timeout(300)
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
