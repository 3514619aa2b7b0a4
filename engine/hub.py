"""Models from the Hugging Face hub: a download that goes on where it was cut, and never leaves half a model.

Files land in the hub's own cache, in its layout, so that other programs find them too: `blobs` holds contents under
the hub's hashes, `snapshots/<commit>` points at them by name, `refs` says which commit a branch was. huggingface_hub
finds the server, the token and the proxy; but it lets go of what a broken download had, so the bytes are read here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.checkpoint import CONFIG, SENTENCE_PIECES, TARGET_VOCABULARY, TOKENIZER, WEIGHTS, read_config, sha256
from engine.errors import (
    DamagedDownload,
    DiskFull,
    HubBusy,
    HubOffline,
    HubRefused,
    HubUnreachable,
    UnfitRepository,
    WeightsMissing,
    first_line,
)
from engine.models import family_of

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")

Watch = Callable[[str, int, int], None]
"""Told which file, how many bytes of it are here, and of how many; what it raises ends the download."""

MARGIN = 256 * 2**20
"""Bytes that a download leaves free on the disk."""

TRIES = 4
"""How often in a row a file is asked for without a byte of it arriving."""

PATIENCE = 20
"""Seconds that a busy hub may ask us to wait; more than that is for whoever asked to hear."""

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".ot")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class File:
    """A file of a repository; `blob` is the hash that the hub knows its content by."""

    name: str
    size: int
    blob: str

    def matches(self, path: Path) -> bool:
        """Whether `path` holds this content: large files have a sha256, small ones the hash that git gives them."""
        if len(self.blob) == 64:
            return sha256(path) == self.blob
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == self.blob


def find(repository: str, revision: str) -> Path | None:
    """The folder with the repository's files, if all that a model needs is on this machine; asks nobody."""
    place = Place(repository)
    commit = place.commit(revision)
    if commit is None:
        return None
    snapshot = place.snapshots / commit
    return snapshot if complete(snapshot) else None


def complete(folder: Path) -> bool:
    """Whether a model can be loaded from there: half of a download can't."""

    def has(*names: str) -> bool:
        return all((folder / name).is_file() for name in names)

    return has(CONFIG, WEIGHTS) and (has(TOKENIZER) or has(*SENTENCE_PIECES))


def fetch(repository: str, revision: str, watch: Watch | None = None) -> Path:
    """The folder with the repository's files, downloading what is not here yet.

    A branch or tag stands for the commit that it was when it was first fetched. Raises `HubOffline`, `HubUnreachable`,
    `HubRefused`, `HubBusy`, `UnfitRepository`, `DiskFull` or `DamagedDownload`, all of which are `WeightsMissing`.
    """
    if found := find(repository, revision):
        return found
    with explained(repository):
        commit, files = listing(repository, revision)
        return Download(repository, commit, watch or (lambda *_: None)).run(files, revision)


def listing(repository: str, revision: str) -> tuple[str, tuple[File, ...]]:
    """The commit that `revision` is, and those of its files that a model is loaded from, config.json first."""
    from huggingface_hub import HfApi, constants  # noqa: PLC0415 (slow to import)

    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    info = patiently(
        lambda: HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=timeout), time.sleep
    )
    files = {
        one.rfilename: File(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else one.blob_id or "")
        for one in info.siblings or ()
    }
    if CONFIG not in files:
        raise UnfitRepository(f"{repository} has no {CONFIG}, so it holds no model that can be read here.")
    if WEIGHTS not in files:
        raise UnfitRepository(f"{repository} has no {WEIGHTS}. {_instead(files)}")
    if TOKENIZER in files:
        tokenizer = [TOKENIZER]
    elif all(name in files for name in SENTENCE_PIECES):
        tokenizer = [name for name in (*SENTENCE_PIECES, TARGET_VOCABULARY) if name in files]
    else:
        raise UnfitRepository(
            f"{repository} has no {TOKENIZER}. Save one with AutoTokenizer's save_pretrained, and load the folder."
        )
    assert info.sha is not None
    return info.sha, tuple(files[name] for name in (CONFIG, *tokenizer, WEIGHTS))


def _instead(names: dict[str, File]) -> str:
    """What a repository has instead of one safetensors file, and what to do about it."""
    if f"{WEIGHTS}.index.json" in names:
        return "Its weights are in several files, which are not read yet: save them as one with save_pretrained."
    if pickled := sorted(name for name in names if name.endswith(PICKLED)):
        return (
            f"It has {pickled[0]}, but only safetensors are ever read, since other formats can run code while they are "
            "loaded: choose a revision with safetensors, or convert it."
        )
    return "It holds no weights."


@dataclass(frozen=True)
class Place:
    """A repository's folder in the hub's cache."""

    repository: str

    @property
    def root(self) -> Path:
        from huggingface_hub import constants  # noqa: PLC0415 (read when it is needed: HF_HOME may be set late)

        return Path(constants.HF_HUB_CACHE) / f"models--{self.repository.replace('/', '--')}"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    def refs(self, revision: str) -> tuple[Path, Path]:
        """Where our own word for what a branch was is written, and the hub's, which other programs move on."""
        return self.root / "refs" / "headlight" / revision, self.root / "refs" / revision

    def commit(self, revision: str) -> str | None:
        """The commit that `revision` stands for on this machine."""
        if COMMIT.fullmatch(revision):
            return revision
        return next((ref.read_text().strip() for ref in self.refs(revision) if ref.is_file()), None)

    def partial(self, file: File) -> Path:
        """Where the content of a file grows until it is whole."""
        return self.blobs / f"{file.blob}.incomplete"

    def here(self, file: File) -> int:
        """How many bytes of it there are."""
        whole = self.blobs / file.blob
        return file.size if whole.is_file() else _size(self.partial(file))


@dataclass(frozen=True)
class Download:
    """One commit of a repository on its way here."""

    repository: str
    commit: str
    watch: Watch

    @property
    def place(self) -> Place:
        return Place(self.repository)

    def run(self, files: tuple[File, ...], revision: str) -> Path:
        """Bring the files, and only when all are whole and right make a folder of them."""
        self._make_room(files)
        with self._alone(files):
            for file in files:
                self._tell(file)
            for file in files:
                self._bring(file)
                if file.name == CONFIG:
                    self._judge(self.place.blobs / file.blob)
            folder = self.place.snapshots / self.commit
            for file in reversed(files):  # config.json last: without it, a folder is no model
                _point(folder / file.name, self.place.blobs / file.blob)
            if revision != self.commit:
                ours, theirs = self.place.refs(revision)
                _write(ours, self.commit)
                if not theirs.exists():
                    _write(theirs, self.commit)
        return folder

    def _make_room(self, files: tuple[File, ...]) -> None:
        needed = sum(max(0, file.size - self.place.here(file)) for file in files)
        there = next(folder for folder in (self.place.root, *self.place.root.parents) if folder.is_dir())
        free = shutil.disk_usage(there).free
        if needed + MARGIN > free:
            raise DiskFull(self.repository, needed, MARGIN, free)

    @contextmanager
    def _alone(self, files: tuple[File, ...]) -> Iterator[None]:
        """Another process may be downloading the same: that one is waited for, and its work is not done again."""
        from filelock import FileLock, Timeout  # noqa: PLC0415

        path = self.place.root.parent / ".locks" / self.place.root.name / "headlight.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        while True:
            try:
                lock.acquire(timeout=0.5)
                break
            except Timeout:
                for file in files:
                    self._tell(file)
        try:
            yield
        finally:
            lock.release()

    def _tell(self, file: File) -> None:
        self.watch(file.name, min(self.place.here(file), file.size), file.size)

    def _bring(self, file: File) -> None:
        """One file, over as many connections as it takes, as long as each brings something."""
        from huggingface_hub.utils import httpx  # noqa: PLC0415

        whole, partial = self.place.blobs / file.blob, self.place.partial(file)
        partial.parent.mkdir(parents=True, exist_ok=True)
        tries = 0
        while not whole.is_file():
            before = _size(partial)
            try:
                if before < file.size or not partial.exists():
                    patiently(lambda: self._read(file, partial), self._wait_for(file))
            except httpx.TransportError as error:
                tries = 1 if _size(partial) > before else tries + 1
                if tries == TRIES:
                    raise HubUnreachable(
                        f"The connection broke after {_size(partial):,} of {file.size:,} bytes of {file.name} "
                        f"({first_line(error)}). What came is kept: try again, and it goes on from there."
                    ) from None
                self._wait_for(file)(2 ** (tries - 1) / 2)
                continue
            if _size(partial) != file.size or not file.matches(partial):
                partial.unlink()
                raise DamagedDownload(
                    f"{file.name} of {self.repository} did not arrive as the hub describes it, and was deleted. "
                    "Try again; if it stays so, a proxy on the way changes what it hands on."
                )
            partial.replace(whole)
            self._tell(file)

    def _read(self, file: File, partial: Path) -> None:
        """Append what is missing, as far as the connection lasts."""
        from huggingface_hub import constants, hf_hub_url  # noqa: PLC0415
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # noqa: PLC0415

        start = _size(partial)
        headers = {**build_hf_headers(), "accept-encoding": "identity"}
        if start:
            headers["range"] = f"bytes={start}-"
        url = hf_hub_url(self.repository, file.name, revision=self.commit, endpoint=constants.ENDPOINT)
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            goes_on = response.status_code == 206  # else the server sends all of it again
            done = start if goes_on else 0
            with partial.open("ab" if goes_on else "wb") as out:
                for chunk in response.iter_bytes():
                    out.write(chunk)
                    done += len(chunk)
                    self.watch(file.name, min(done, file.size), file.size)
                    if done > file.size:
                        return

    def _judge(self, config: Path) -> None:
        """Refuse what could not be loaded before its weights are fetched."""
        kind = read_config(config.parent, config.name).get("model_type")
        if family_of(str(kind)) is None:
            raise UnfitRepository(
                f"{self.repository} is a network of type {kind!r}, which is none of those that are read here. "
                "The README lists them."
            )

    def _wait_for(self, file: File) -> Callable[[float], None]:
        """How to wait for a file: whoever watches may end that too."""

        def wait(seconds: float) -> None:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                self._tell(file)
                time.sleep(min(left, 0.25))

        return wait


def patiently(ask: Callable[[], T], wait: Callable[[float], None]) -> T:
    """What `ask` gives, after the pauses that a busy hub wants, if they are short."""
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    for _ in range(TRIES - 1):
        try:
            return ask()
        except HfHubHTTPError as error:
            seconds = pause(error)
            if seconds is None or seconds > PATIENCE:
                raise
        wait(seconds)
    return ask()


def pause(error: HfHubHTTPError) -> int | None:
    """The seconds after which the hub wants to be asked again; None where it does not say."""
    from huggingface_hub.utils import parse_ratelimit_headers  # noqa: PLC0415

    if error.response.status_code not in (429, 503):
        return None
    after = error.response.headers.get("retry-after", "")
    if after.isdecimal():
        return int(after)
    limits = parse_ratelimit_headers(error.response.headers)
    return limits.reset_in_seconds if limits else None


@contextmanager
def explained(repository: str) -> Iterator[None]:
    """What goes wrong between here and the hub, as one sentence that says what to do."""
    from huggingface_hub import constants, errors  # noqa: PLC0415
    from huggingface_hub.utils import httpx  # noqa: PLC0415

    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise HubOffline(repository) from None
    except errors.HFValidationError as error:
        raise HubRefused(f"{repository} is no name that a repository can have: {first_line(error)}.") from None
    except errors.GatedRepoError:
        raise HubRefused(
            f"{repository} is gated: accept its terms on its page on the hub, and set HF_TOKEN to that account's token."
        ) from None
    except errors.RevisionNotFoundError:
        raise HubRefused(f"{repository} has no such revision on the hub. Check what stands after the @.") from None
    except errors.HfHubHTTPError as error:
        raise _answered(repository, error) from None
    except httpx.HTTPError as error:
        raise HubUnreachable(
            f"The hub at {constants.ENDPOINT} can't be reached ({first_line(error)}). Check this machine's connection "
            "and proxy, or HF_ENDPOINT; or copy the model's folder here by other means."
        ) from None
    except OSError as error:
        raise WeightsMissing(
            f"{repository} can't be kept on this machine: {error.strerror or first_line(error)}. HF_HOME says where."
        ) from None


def _answered(repository: str, error: HfHubHTTPError) -> WeightsMissing:
    """What the hub meant by a status."""
    status = error.response.status_code
    if status in (401, 404):  # strangers are not told which
        return HubRefused(
            f"There is no {repository} on the hub, or it is private: check the name, and set HF_TOKEN if it is yours."
        )
    if status == 429:
        return HubBusy(repository, pause(error))
    if status >= 500:
        return HubUnreachable(f"The hub answered {status} for {repository}. That is its own trouble: try again later.")
    return HubRefused(f"The hub answered {status} for {repository}. Check its name and, if it needs one, HF_TOKEN.")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _write(path: Path, text: str) -> None:
    """A file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.tmp")
    draft.write_text(text)
    draft.replace(path)


def _point(name: Path, blob: Path) -> None:
    """Give a blob its name, by a link or, where the system has none, a copy."""
    if name.is_file():
        return
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)  # a link to a blob that is gone
    try:
        name.symlink_to(os.path.relpath(blob, name.parent))
    except OSError:
        draft = name.with_name(f"{name.name}.tmp")
        shutil.copyfile(blob, draft)
        draft.replace(name)
