"""Where the page's files are, in a checkout as in an installed wheel, and the addresses they are served at."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_VERSIONED = re.compile(r"^v-[0-9a-f]{12}/")


def folder(name: str) -> Path:
    """`static` or `templates`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    return next((place for place in (package / name, package.parent / name) if place.is_dir()), package / name)


def plotly() -> tuple[str, Path]:
    """The name that plotly.js is served under, and the file inside the installed `plotly` package."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return f"vendor/plotly-{version('plotly')}.min.js", Path(spec.origin).parent / "package_data" / "plotly.min.js"


class Assets:
    """Static files under an address that holds a hash of all of them.

    `/static/v-0123456789ab/js/main.js` may be kept for ever, and so may whatever it imports by a relative path: the
    imports inherit the hash. Under any other address a file is looked up again each time.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plotly_name, self._plotly = plotly()

    @property
    def version(self) -> str:
        """A hash of every static file, taken anew when one of them changes."""
        stats = ((path, path.stat()) for path in sorted(self.root.rglob("*")) if path.is_file())
        return _hash(self.root, tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats))

    def url(self, path: str) -> str:
        """The address of a file under static/, such as `js/main.js`; FileNotFoundError where there is none."""
        if not self._file(path).is_file():
            raise FileNotFoundError(f"static/{path}")
        return f"/static/v-{self.version}/{path}"

    def plotly_url(self) -> str:
        """The address of plotly.js; its own version makes it last."""
        return f"/static/{self.plotly_name}"

    def find(self, path: str) -> tuple[Path, bool] | None:
        """The file behind what follows `/static/`, and whether that address stands for these very bytes."""
        if path == self.plotly_name:
            return self._plotly, True
        plain = _VERSIONED.sub("", path)
        try:
            file = self._file(plain)
            if not file.is_relative_to(self.root.resolve()) or not file.is_file():
                return None
        except (OSError, ValueError):  # longer than names can be, or with a zero byte
            return None
        return file, path.startswith(f"v-{self.version}/")

    def _file(self, path: str) -> Path:
        return (self.root / path).resolve()


@lru_cache(maxsize=1)
def _hash(root: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    content = hashlib.sha256()
    for path, _, size in files:
        content.update(f"{path.relative_to(root).as_posix()} {size}\n".encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:12]
