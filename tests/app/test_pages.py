"""The pages, their files, and where these are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from jinja2 import Environment, meta

from app import VERSION, files
from app.routes import lessons, pages
from tests.app.conftest import Serve

TEMPLATES = files.folder("templates")
STATIC = files.folder("static")


@pytest.fixture(scope="module")
def html(client: TestClient) -> str:
    return client.get("/").text


def test_the_page_brings_its_first_picture(client: TestClient, html: str, id: str) -> None:
    found = re.search(r'<script type="application/json" id="bootstrap">(.*?)</script>', html, re.S)
    assert found
    bootstrap = json.loads(found[1])
    assert bootstrap["trace"] == client.get(f"/api/v1/traces/{id}").json()
    assert bootstrap["models"] == client.get("/api/v1/models").json()
    assert bootstrap["model"] == client.get("/api/v1/models/minilm").json()
    assert client.get(bootstrap["plotly"]).status_code == 200


PAGES = {
    "explore.html": pages.ExplorePage,
    "docs.html": pages.DocsPage,
    "lessons.html": lessons.LessonsPage,
    "speaker.html": lessons.SpeakerPage,
}


@pytest.mark.parametrize("path", ["/", "/api/docs", "/lesson/which-word/speaker"])
def test_everything_on_a_page_is_this_servers_and_lasts(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    wanted = re.findall(r'(?:src|href)="([^"#]+)"', answer.text)
    wanted = [url for url in wanted if url not in ("./", "api/docs", "lessons", "../which-word")]
    assert len(wanted) >= 3
    for url in wanted:
        assert url.startswith("/static/v-"), url
        file = client.get(url)
        assert file.status_code == 200, url
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert not re.search(r"<script(?![^>]*(src=|application/json))", answer.text), "an inline script"
    assert not re.search(r"\son\w+=|<style|\sstyle=", answer.text), "an inline handler or style"


def test_every_template_context_is_a_dataclass_with_what_is_rendered() -> None:
    environment = Environment()
    for name, page in PAGES.items():
        assert is_dataclass(page)
        sources = [(TEMPLATES / name).read_text()]
        sources += [
            (TEMPLATES / other).read_text() for other in re.findall(r'{% (?:extends|include) "(.+?)"', sources[0])
        ]
        used = set()
        for source in sources:
            used |= set(re.findall(r"\bpage\.(\w+)", source))
            assert meta.find_undeclared_variables(environment.parse(source)) <= {"page"}
        known = {field.name for field in fields(page)}
        assert used <= known
        assert known - {field.name for field in fields(pages.Page)} <= used, f"{name} leaves a field unused"


def test_a_changed_file_gets_a_new_address(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").write_text("1")
    assets = files.Assets(tmp_path)
    before = assets.addresses()("js/main.js")
    assert assets.find(before.removeprefix("/static/")) == (tmp_path / "js" / "main.js", True)
    (tmp_path / "js" / "main.js").write_text("22")
    assert assets.addresses()("js/main.js") != before
    stale = assets.find(before.removeprefix("/static/"))
    assert stale == (tmp_path / "js" / "main.js", False), "an open page still finds its files, but does not keep them"
    with pytest.raises(FileNotFoundError):
        assets.addresses()("js/missing.js")


def test_a_module_s_imports_are_found(tmp_path: Path) -> None:
    (tmp_path / "js" / "parts").mkdir(parents=True)
    texts = {
        "js/main.js": 'import { a } from "./a.js";\nimport {\n  b,\n} from "./parts/b.js";\nimport "./effect.js";\n',
        "js/a.js": '/** {import("./typed.js").T} */\n// import "./no.js";\nconst a = () => import("./later.js");\n',
        "js/parts/b.js": 'import { a } from "../a.js";\nimport { d } from "./d.js";\n',
        "js/parts/d.js": 'import { b } from "./b.js";\n',
        "js/effect.js": "",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assets = files.Assets(tmp_path)
    assert assets.modules("js/main.js") == ("js/a.js", "js/effect.js", "js/parts/b.js", "js/parts/d.js")
    (tmp_path / "js" / "later.js").write_text("")
    (tmp_path / "js" / "effect.js").write_text('import "./later.js";')
    assets.addresses()
    assert "js/later.js" in assets.modules("js/main.js")


def test_an_unchanged_file_costs_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}.js").write_text("1")
    assets = files.Assets(tmp_path)
    walks: list[Path] = []
    real = Path.rglob

    def counted(path: Path, pattern: str) -> Iterator[Path]:
        walks.append(path)
        return real(path, pattern)

    monkeypatch.setattr(Path, "rglob", counted)
    address = assets.addresses()
    urls = [address(f"{number}.js") for number in range(20)]
    assert len(walks) == 1, "a page looks once, however many files it names"
    assert all((assets.find(url.removeprefix("/static/")) or ("", False))[1] for url in urls)
    assert assets.find("3.js") == (tmp_path / "3.js", False)
    assert len(walks) == 1, "and a request for a file looks at that file only"


def test_a_file_at_its_plain_address_is_asked_for_again(client: TestClient) -> None:
    answer = client.get("/static/js/docs.js", headers={"accept-encoding": "identity"})
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"].startswith("text/javascript")
    again = client.get("/static/js/docs.js", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_plotly_is_the_installed_one(client: TestClient) -> None:
    name, file = files.plotly()
    answer = client.get(f"/static/{name}")
    assert answer.content == file.read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")


def test_the_favicon_is_there(client: TestClient) -> None:
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_the_page_works_without_a_preloaded_model(serve: Serve) -> None:
    with serve(preload=False) as client:
        assert 'id="bootstrap"' in client.get("/").text


def test_files_are_found_in_a_wheel_and_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "static").mkdir()
    monkeypatch.setattr(files, "__file__", str(tmp_path / "app" / "files.py"))
    assert files.folder("static") == tmp_path / "static"
    (tmp_path / "app" / "static").mkdir()
    assert files.folder("static") == tmp_path / "app" / "static"


def test_the_version_is_the_packages(client: TestClient) -> None:
    assert client.get("/health/live").json()["version"] == VERSION
    assert client.get("/api/openapi.json").json()["info"]["version"] == VERSION
