"""Links as codes, and who may show the picture in a frame."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw
from pydantic import ValidationError
from zxingcpp import read_barcodes

from app.settings import Settings
from tests.app.conftest import Serve, problem

SVG = "{http://www.w3.org/2000/svg}"
PIXELS = 4  # of a module


def decoded(svg: bytes) -> str:
    """What a reader makes of the code, drawn from the strokes of its one path: M x y, m dx dy, h length."""
    root = ET.fromstring(svg)
    side = int(root.attrib["viewBox"].split()[2])
    picture = Image.new("L", (side * PIXELS, side * PIXELS), 255)
    pen = ImageDraw.Draw(picture)
    path = next(path for path in root.iter(f"{SVG}path") if path.get("stroke") == "#000")
    x = y = 0.0
    for part in path.attrib["d"].replace("M", "|M").replace("m", "|m").replace("h", "|h").split("|")[1:]:
        numbers = [float(number) for number in part[1:].replace("-", " -").split()]
        if part[0] == "h":
            pen.rectangle((x * PIXELS, (y - 0.5) * PIXELS, (x + numbers[0]) * PIXELS - 1, (y + 0.5) * PIXELS - 1), 0)
            x += numbers[0]
        else:
            x, y = (numbers[0], numbers[1]) if part[0] == "M" else (x + numbers[0], y + numbers[1])
    (found,) = read_barcodes(picture)
    return found.text


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8000/#model=minilm&text=I+kicked+the+ball&layer=5", "x", "é 雪 😀", "a" * 1732]
)
def test_a_code_says_what_it_was_made_of(client: TestClient, text: str) -> None:
    answer = client.get("/qr.svg", params={"text": text})
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "public, no-cache"
    assert b"style" not in answer.content
    assert decoded(answer.content) == text
    again = client.get("/qr.svg", params={"text": text}, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_link_that_no_phone_could_read_is_refused_in_words(client: TestClient) -> None:
    detail = problem(client.get("/qr.svg", params={"text": "é" * 867}), 422)["detail"]
    assert "1,734" in detail
    assert "Shorten the text" in detail
    problem(client.get("/qr.svg"), 422)
    problem(client.get("/qr.svg", params={"text": ""}), 422)
    problem(client.get("/qr.svg?text=a&text=b"), 422)


def ancestors(client: TestClient, path: str) -> str:
    policy = client.get(path).headers["content-security-policy"]
    (found,) = (part for part in policy.split("; ") if part.startswith("frame-ancestors "))
    assert policy.replace(found, "frame-ancestors 'none'") == client.get("/").headers["content-security-policy"]
    return found.removeprefix("frame-ancestors ")


def test_only_embed_is_framed_and_only_where_it_was_allowed(client: TestClient, serve: Serve) -> None:
    assert ancestors(client, "/embed") == "'none'"
    assert client.get("/embed").headers["cross-origin-resource-policy"] == "same-origin"
    with serve(embed="https://example.org, http://127.0.0.1:8001", preload=False) as open_to_some:
        assert ancestors(open_to_some, "/embed") == "https://example.org http://127.0.0.1:8001"
        assert open_to_some.get("/embed").headers["cross-origin-resource-policy"] == "cross-origin"
        for path in ("/", "/api/docs", "/api/v1/models", "/nope"):
            assert ancestors(open_to_some, path) == "'none'"


@pytest.mark.parametrize(
    "name", ["example.org", "https://a.org; script-src *", "https://a.org/path", "'self'", "https://a.org b.org"]
)
def test_what_is_no_origin_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(embed=(name,))


@pytest.mark.parametrize("name", ["*", "http://localhost:8001", "https://*.example.org", "http://[::1]:80"])
def test_origins_as_browsers_write_them(name: str) -> None:
    assert Settings(embed=(name,)).embed == (name,)


def test_the_picture_alone_brings_what_the_page_brings(client: TestClient) -> None:
    page, alone = client.get("/").text, client.get("/embed").text
    assert 'id="whole-page"' in alone
    assert 'id="whole-page"' not in page
    block = '<script type="application/json" id="bootstrap">'
    assert alone.split(block)[1] == page.split(block)[1]
