"""A download from the hub: right, pinned, resumed where it was cut, refused in words, and never half a model."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from huggingface_hub import scan_cache_dir, snapshot_download

import engine
from engine import hub as downloads
from engine.errors import (
    DamagedDownload,
    DiskFull,
    HubBusy,
    HubOffline,
    HubRefused,
    HubUnreachable,
    UnfitRepository,
    WeightsMissing,
)
from tests.hub import COMMIT, Hub

NAME = "someone/tiny"


class Left(Exception):
    """Whoever watched the download has gone."""


def incomplete(cache: Path) -> list[Path]:
    return list(cache.rglob("*.incomplete"))


def no_model_is_there(cache: Path, name: str = NAME) -> bool:
    """Neither we nor huggingface_hub would take what is there for a model."""
    snapshots = cache / f"models--{name.replace('/', '--')}" / "snapshots"
    return downloads.find(name, "main") is None and downloads.find(name, COMMIT) is None and not snapshots.exists()


@pytest.fixture
def cache(hub: Hub, published: Path, tmp_path: Path) -> Path:
    """The empty cache, with a model on the hub."""
    hub.add(NAME, published)
    return tmp_path / "cache"


def test_a_model_is_fetched_once_and_is_what_was_published(hub: Hub, cache: Path, published: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = downloads.fetch(NAME, "main", lambda *one: told.append(one))
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (folder / name).read_bytes() == (published / name).read_bytes()
        sizes = [size for one, _, size in told if one == name]
        steps = [done for one, done, _ in told if one == name]
        assert steps == sorted(steps)
        assert steps[-1] == sizes[0] == (published / name).stat().st_size
    assert len({one for one, _, _ in told[:3]}) == 3  # the total is known before anything is fetched
    model = engine.load(NAME)
    assert (model.card.id, model.card.layers, model.card.family) == ("tiny", 4, "gpt2")
    assert engine.trace(model, "two dogs").addresses()
    asked = len(hub.asked)
    assert downloads.fetch(NAME, "main") == folder
    assert len(hub.asked) == asked
    assert incomplete(cache) == []


def test_other_programs_find_it_too(hub: Hub, cache: Path) -> None:
    folder = downloads.fetch(NAME, "main")
    hub.asked.clear()
    files = ["config.json", "model.safetensors", "tokenizer.json"]
    assert snapshot_download(NAME, cache_dir=cache, local_files_only=True, allow_patterns=files) == str(folder)
    (repository,) = scan_cache_dir(cache).repos
    assert (repository.repo_id, repository.nb_files) == (NAME, 3)
    assert hub.asked == []


def test_what_huggingface_hub_itself_fetched_is_taken(hub: Hub, cache: Path) -> None:
    there = snapshot_download(NAME, cache_dir=cache, allow_patterns=["*.json", "*.safetensors"])
    assert downloads.find(NAME, "main") == Path(there)


def test_a_branch_stays_at_the_commit_that_was_fetched(hub: Hub, cache: Path, published: Path) -> None:
    folder = downloads.fetch(NAME, "main")
    hub.add(NAME, published, commit="f" * 40)
    snapshot_download(NAME, cache_dir=cache, allow_patterns=["config.json"])  # another program moves on
    assert downloads.find(NAME, "main") == downloads.fetch(NAME, "main") == folder


def test_a_commit_is_asked_for_by_its_name(hub: Hub, cache: Path) -> None:
    assert downloads.fetch(NAME, COMMIT).name == COMMIT
    assert f"/api/models/{NAME}/revision/{COMMIT}" in hub.asked[0].path
    assert downloads.find(NAME, "main") is None
    assert not list(cache.rglob("refs"))


@pytest.mark.parametrize("abrupt", [False, True])
def test_a_cut_connection_is_taken_up_where_it_broke(hub: Hub, cache: Path, published: Path, abrupt: bool) -> None:
    size = (published / "model.safetensors").stat().st_size
    hub.cuts, hub.abrupt = [200_000, 150_000], abrupt
    folder = downloads.fetch(NAME, "main")
    assert (folder / "model.safetensors").read_bytes() == (published / "model.safetensors").read_bytes()
    weights = [one.range for one in hub.bodies]
    assert weights[0] is None
    starts = [int(str(one).removeprefix("bytes=").removesuffix("-")) for one in weights[1:]]
    assert 0 < starts[0] <= 200_000 < size
    assert starts[0] < starts[1] <= 350_000
    if not abrupt:
        assert starts == [200_000, 350_000]  # not a byte is fetched twice


def test_a_download_that_was_left_goes_on_later(hub: Hub, cache: Path, published: Path) -> None:
    def leave(name: str, done: int, size: int) -> None:
        if name == "model.safetensors" and done > size // 2:
            raise Left

    with pytest.raises(Left):
        downloads.fetch(NAME, "main", leave)
    (partial,) = incomplete(cache)
    kept = partial.stat().st_size
    assert kept > (published / "model.safetensors").stat().st_size // 2
    assert no_model_is_there(cache)
    told: list[tuple[str, int, int]] = []
    hub.asked.clear()
    folder = downloads.fetch(NAME, "main", lambda *one: told.append(one))
    assert [one.range for one in hub.bodies] == [f"bytes={kept}-"]
    assert ("model.safetensors", kept) in [one[:2] for one in told[:3]]
    assert (folder / "model.safetensors").read_bytes() == (published / "model.safetensors").read_bytes()


def test_a_server_without_ranges_sends_it_again(hub: Hub, cache: Path, published: Path) -> None:
    hub.cuts, hub.ranges = [200_000], False
    folder = downloads.fetch(NAME, "main")
    assert (folder / "model.safetensors").read_bytes() == (published / "model.safetensors").read_bytes()


def test_a_connection_that_keeps_breaking_is_given_up_and_can_go_on(
    hub: Hub, cache: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.hub.TRIES", 2)
    hub.cuts = [200_000, 0, 0]
    with pytest.raises(HubUnreachable, match=r"200,000 of 548,064 bytes of model\.safetensors.*goes on"):
        downloads.fetch(NAME, "main")
    assert no_model_is_there(cache)
    hub.cuts.clear()
    assert downloads.fetch(NAME, "main").is_dir()
    assert hub.bodies[-1].range == "bytes=200000-"


def test_bytes_that_changed_on_their_way_are_thrown_away(hub: Hub, cache: Path) -> None:
    hub.damaged = True
    with pytest.raises(DamagedDownload, match="deleted"):
        downloads.fetch(NAME, "main")
    assert incomplete(cache) == []
    assert no_model_is_there(cache)
    hub.damaged = False
    assert downloads.fetch(NAME, "main").is_dir()


def test_a_partial_file_that_was_tampered_with_is_found_out(hub: Hub, cache: Path, published: Path) -> None:
    weights = hub.repositories[NAME].files["model.safetensors"]
    partial = cache / "models--someone--tiny" / "blobs" / f"{weights.sha256}.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 1000)
    with pytest.raises(DamagedDownload):
        downloads.fetch(NAME, "main")
    assert not partial.exists()


class Case(NamedTuple):
    set_up: Callable[[Hub], Any]
    error: type[WeightsMissing]
    words: str


def refuse(status: int, **headers: str) -> Callable[[Hub], Any]:
    return lambda hub: hub.refusals.extend([(status, {k.replace("_", "-"): v for k, v in headers.items()})] * 4)


CASES = {
    "unknown": Case(lambda hub: hub.repositories.clear(), HubRefused, "There is no someone/tiny on the hub"),
    "gated": Case(lambda hub: setattr(hub.repositories[NAME], "gated", True), HubRefused, "gated.*HF_TOKEN"),
    "revision": Case(lambda hub: hub.repositories[NAME].branches.clear(), HubRefused, "no such revision.*after the @"),
    "forbidden": Case(refuse(403), HubRefused, "answered 403"),
    "busy": Case(refuse(429, Retry_After="300"), HubBusy, "in 300 seconds"),
    "busy, no time": Case(refuse(429), HubBusy, "in some minutes"),
    "broken": Case(refuse(500), HubUnreachable, "answered 500.*later"),
    "away": Case(refuse(503, Retry_After="3600"), HubUnreachable, "answered 503"),
    "pickles": Case(
        lambda hub: hub.repositories[NAME].files.update(
            {"pytorch_model.bin": hub.repositories[NAME].files.pop("model.safetensors")}
        ),
        UnfitRepository,
        r"no model\.safetensors.*pytorch_model\.bin.*can run code",
    ),
    "shards": Case(
        lambda hub: hub.repositories[NAME].files.update(
            {"model.safetensors.index.json": hub.repositories[NAME].files.pop("model.safetensors")}
        ),
        UnfitRepository,
        "several files",
    ),
    "no weights": Case(
        lambda hub: hub.repositories[NAME].files.pop("model.safetensors"), UnfitRepository, "holds no weights"
    ),
    "no config": Case(lambda hub: hub.repositories[NAME].files.pop("config.json"), UnfitRepository, r"no config\.json"),
    "no tokenizer": Case(
        lambda hub: hub.repositories[NAME].files.pop("tokenizer.json"), UnfitRepository, r"no tokenizer\.json"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_refusal_is_one_clear_sentence_and_leaves_nothing(hub: Hub, cache: Path, case: Case) -> None:
    case.set_up(hub)
    with pytest.raises(case.error, match=case.words) as caught:
        downloads.fetch(NAME, "main")
    assert "\n" not in caught.value.detail
    assert caught.value.detail.endswith(".")
    assert no_model_is_there(cache)
    assert incomplete(cache) == []


def test_an_architecture_that_is_not_known_is_refused_before_its_weights(
    hub: Hub, cache: Path, published: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "mamba"))
    (folder / "config.json").write_text('{"model_type": "mamba"}')
    hub.add(NAME, folder)
    with pytest.raises(UnfitRepository, match="'mamba'"):
        downloads.fetch(NAME, "main")
    assert not any(one.path.endswith("model.safetensors") for one in hub.asked)
    assert no_model_is_there(cache)


def test_a_short_pause_is_kept(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("engine.hub.time.sleep", waited.append)
    hub.refusals.append((429, {"Retry-After": "7"}))
    assert downloads.fetch(NAME, "main").is_dir()
    assert waited == [7]


def test_a_pause_between_two_files_is_kept_and_can_be_left(hub: Hub, cache: Path) -> None:
    told: list[str] = []

    def watch(name: str, done: int, size: int) -> None:
        told.append(name)
        if len(told) == 3:  # every file has been named, and none is here
            hub.refusals.append((429, {"Retry-After": "1"}))
        if told.count("config.json") == 3 and patience == 0:
            raise Left

    patience = 0
    with pytest.raises(Left):
        downloads.fetch(NAME, "main", watch)
    told.clear()
    patience = 1
    assert downloads.fetch(NAME, "main", watch).is_dir()
    assert len([one for one in hub.asked if one.path.endswith("resolve/" + COMMIT + "/config.json")]) == 3


def test_a_token_stays_with_the_hub(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.repositories[NAME].gated = True
    assert downloads.fetch(NAME, "main").is_dir()
    assert {one.token for one in hub.asked if not one.large} == {"Bearer hf_secret"}
    assert {one.token for one in hub.bodies} == {None}  # the storage is somebody else


def test_a_hub_that_is_not_there_is_named(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(HubUnreachable, match=r"http://127\.0\.0\.1:1 can't be reached.*HF_ENDPOINT"):
        downloads.fetch(NAME, "main")
    assert not cache.exists()


def test_offline_asks_nobody_but_takes_what_is_here(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubOffline, match="HF_HUB_OFFLINE"):
        downloads.fetch(NAME, "main")
    assert hub.asked == []
    assert not cache.exists()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    folder = downloads.fetch(NAME, "main")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert downloads.fetch(NAME, "main") == folder


def test_a_disk_without_room_is_noticed_first(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(cache.parent)
    needed = sum(
        len(hub.repositories[NAME].files[name].data) for name in ("config.json", "tokenizer.json", "model.safetensors")
    )

    def with_free(free: int) -> None:
        monkeypatch.setattr("engine.hub.shutil.disk_usage", lambda _: usage._replace(free=free))

    with_free(needed + downloads.MARGIN - 1)
    with pytest.raises(DiskFull, match=r"1 MB, and 268 MB should stay free, but the disk has 269 MB\. .*HF_HOME"):
        downloads.fetch(NAME, "main")
    assert hub.bodies == []
    assert not cache.exists()
    with_free(needed + downloads.MARGIN)
    assert downloads.fetch(NAME, "main").is_dir()


def test_a_cache_that_can_not_be_written_to_is_one_sentence(hub: Hub, cache: Path) -> None:
    cache.write_text("not a folder")
    with pytest.raises(WeightsMissing, match="HF_HOME says where"):
        downloads.fetch(NAME, "main")


def test_two_processes_share_one_download(hub: Hub, cache: Path) -> None:
    """Threads that know nothing of each other stand for them: locks of files keep these apart as well."""
    hub.hold()
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(downloads.fetch(NAME, "main"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert hub.half.wait(20)
    hub.release()
    for thread in threads:
        thread.join(20)
    assert len(found) == 2
    assert len(set(found)) == 1
    assert len(hub.bodies) == len({one.path for one in hub.bodies})


def test_where_links_can_not_be_made_files_are_copied(
    hub: Hub, cache: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("a privilege is missing")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    folder = downloads.fetch(NAME, "main")
    assert not (folder / "model.safetensors").is_symlink()
    assert (folder / "model.safetensors").read_bytes() == (published / "model.safetensors").read_bytes()
