"""Where the page's files are, in a checkout as in an installed wheel, and the addresses they are served at."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

Stats = dict[Path, tuple[int, int]]  # when a file was changed, and its size

_VERSIONED = re.compile(r"^v-[0-9a-f]{12}/")
_IMPORT = re.compile(r"""^import\b(?:[^"';(]*\bfrom)?\s*["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)


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
        self.root = root.resolve()
        self.plotly_name, self._plotly = plotly()
        self._hashed: tuple[Stats, str] | None = None
        self._modules: dict[str, tuple[str, tuple[str, ...]]] = {}  # by entry: the version they were read at

    def version(self) -> str:
        """A hash of every static file, taken anew when one of them has changed; looks at all of them."""
        found = {path: _stat(path) for path in sorted(self.root.rglob("*")) if path.is_file()}
        if self._hashed is None or self._hashed[0] != found:
            self._hashed = (found, _hash(self.root, found))
        return self._hashed[1]

    def addresses(self) -> Callable[[str], str]:
        """For one page: the address of a file, such as `js/main.js`; FileNotFoundError where there is none."""
        version = self.version()

        def url(path: str) -> str:
            if not self._file(path).is_file():
                raise FileNotFoundError(f"static/{path}")
            return f"/static/v-{version}/{path}"

        return url

    def modules(self, entry: str) -> tuple[str, ...]:
        """What an ES module imports, and what that imports, and so on, by name and without the module itself.

        Of the version that addresses were given for last: one page looks at the files once.
        """
        version = self._hashed[1] if self._hashed else self.version()
        if self._modules.get(entry, ("", ()))[0] != version:
            found, waiting = {entry: None}, [entry]
            while waiting:
                name = waiting.pop()
                for target in _IMPORT.findall(self._file(name).read_text(encoding="utf-8")):
                    other = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
                    if other not in found:
                        found[other] = None
                        waiting.append(other)
            self._modules[entry] = (version, tuple(sorted(found.keys() - {entry})))
        return self._modules[entry][1]

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
            if not file.is_relative_to(self.root) or not file.is_file():
                return None
        except (OSError, ValueError):  # longer than names can be, or with a zero byte
            return None
        return file, plain != path and self._stands_for(path[2:14], file)

    def _stands_for(self, version: str, file: Path) -> bool:
        """Whether `file` is as it was when that version was taken: one look at one file, where nothing has changed."""
        known = self._hashed
        if known and known[1] == version and known[0].get(file) == _stat(file):
            return True
        return self.version() == version

    def _file(self, path: str) -> Path:
        return (self.root / path).resolve()


def _stat(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _hash(root: Path, files: Stats) -> str:
    content = hashlib.sha256()
    for path, (_, size) in files.items():
        content.update(f"{path.relative_to(root).as_posix()} {size}\n".encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:12]
