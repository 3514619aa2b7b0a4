"""What can go wrong, once each: every error has a title and a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EngineError(Exception):
    """Base of everything the engine raises on purpose; `detail` is fit to be shown to whoever asked."""

    title = "The request could not be carried out"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def first_line(error: BaseException) -> str:
    """The first line of an error's text, for errors that bring a page along."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """`" Did you mean a, b or c?"`, or nothing where no known name is close."""
    close = get_close_matches(name, list(known), n=most, cutoff=0.6)
    if not close:
        return ""
    return f" Did you mean {' or '.join([', '.join(close[:-1]), close[-1]] if len(close) > 1 else close)}?"


class BadInput(EngineError):
    """The input as a whole makes no sense to this model."""

    title = "The input does not fit the model"


class EmptyText(BadInput):
    """There is nothing to look at: no text, or only characters that the tokenizer drops."""

    title = "The text is empty"

    def __init__(self, detail: str = "There is no text to trace. Send at least one word.") -> None:
        super().__init__(detail)


class TooLong(BadInput):
    """More tokens than the model has positions."""

    title = "The text is too long for the model"

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(
            f"The text has {tokens} tokens and this model takes at most {limit}. "
            f"Shorten it by {tokens - limit} tokens or more, or choose a model with a higher limit."
        )
        self.tokens = tokens
        self.limit = limit


class BadIndex(EngineError):
    """An index that lies outside its axis."""

    title = "An index is out of range"

    def __init__(self, axis: str, index: int, size: int) -> None:
        valid = f"{axis} goes from 0 to {size - 1}" if size else f"the {axis} axis is empty"
        super().__init__(f"There is no {axis} {index}: {valid}.")
        self.axis = axis
        self.index = index
        self.size = size


class UnknownParameter(EngineError):
    """A name that no learned parameter of the model has."""

    title = "There is no such parameter"

    def __init__(self, name: str, model: str, known: Iterable[str]) -> None:
        super().__init__(f"{model} has learned no {name!r}.{nearest(name, known)}")


class BadPatch(EngineError):
    """An intervention that names no site of the model, or does not fit it."""

    title = "The patch does not fit the model"


class UnknownModel(EngineError):
    """Neither a card's id, nor a folder with a checkpoint, nor a hub id."""

    title = "There is no such model"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = list(known)
        super().__init__(
            f"There is no model {name!r}.{nearest(name, known)} Known here: {', '.join(known) or 'none'}. From Python, "
            "a folder with config.json, model.safetensors and tokenizer.json also works."
        )
        self.name = name


class UnknownSite(EngineError):
    """An address that this model or trace does not have."""

    title = "There is no such site"

    def __init__(self, address: str, known: Iterable[str], *, why: str = "") -> None:
        super().__init__(why or f"There is no site {address!r} in this trace.{nearest(address, known)}")
        self.address = address


class WeightsMissing(EngineError):
    """The model's files are neither on this machine nor to be had."""

    title = "The model's files are not to be had"


class HubOffline(WeightsMissing):
    """HF_HUB_OFFLINE is set."""

    title = "Downloads are switched off"

    def __init__(self, repository: str) -> None:
        super().__init__(
            f"{repository} can't be fetched: HF_HUB_OFFLINE is set. Unset it where a download is wanted, or copy the "
            "model's folder to this machine."
        )


class HubUnreachable(WeightsMissing):
    """No answer, a broken connection, or a hub that has trouble of its own."""

    title = "The connection to the hub failed"


class HubRefused(WeightsMissing):
    """The hub answered, and did not give the files."""

    title = "The hub does not give the files"


class HubBusy(WeightsMissing):
    """The hub has had too many requests from here; `retry_after` are the seconds that it wants to be left alone."""

    title = "The hub wants a pause"

    def __init__(self, repository: str, retry_after: int | None) -> None:
        when = f"in {retry_after} seconds" if retry_after else "in some minutes"
        super().__init__(
            f"The hub has had too many requests from here and does not give {repository} now. Try again {when}: "
            "what came is kept."
        )
        self.retry_after = retry_after


class UnfitRepository(WeightsMissing):
    """A repository without something that is needed, such as safetensors."""

    title = "The repository holds no model that can be read here"


class DiskFull(WeightsMissing):
    """Less room than the download needs; `needed`, `spare` and `free` are bytes."""

    title = "There is no room for the download"

    def __init__(self, repository: str, needed: int, spare: int, free: int) -> None:
        super().__init__(
            f"{repository} needs {needed / 1e6:,.0f} MB, and {spare / 1e6:,.0f} MB should stay free, but the disk has "
            f"{free / 1e6:,.0f} MB. Make room there, or set HF_HOME to a folder on another disk."
        )
        self.needed = needed
        self.free = free


class DamagedDownload(WeightsMissing):
    """What arrived is not what the hub describes."""

    title = "The download was damaged on its way"


class TokenizerMissing(WeightsMissing):
    """The checkpoint has no tokenizer.json."""

    title = "The checkpoint has no tokenizer"


class CheckpointError(EngineError):
    """A checkpoint that can't be loaded as what it claims to be."""

    title = "The checkpoint can not be loaded"


class WrongHash(CheckpointError):
    """The file is not the one that was pinned."""

    title = "The file is not the one that was pinned"

    def __init__(self, path: str, found: str, expected: str) -> None:
        super().__init__(
            f"{path} has sha256 {found}, but {expected} is pinned. The file is damaged or was replaced: "
            "delete it and fetch it again."
        )
        self.found = found
        self.expected = expected


class WrongShape(CheckpointError):
    """A tensor whose shape is not the parameter's."""

    def __init__(self, key: str, found: Iterable[int], expected: Iterable[int]) -> None:
        self.key = key
        self.found = tuple(found)
        self.expected = tuple(expected)
        super().__init__(
            f"{key} has shape {self.found} in the file, but config.json asks for {self.expected}. "
            "The weights and the configuration do not belong together."
        )


class MissingKeys(CheckpointError):
    """Parameters that the file does not fill."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = tuple(sorted(keys))
        super().__init__(f"The file lacks {len(self.keys)} tensors that the model needs: {some(self.keys)}.")


class UnexpectedKeys(CheckpointError):
    """Tensors in the file that no rule consumes or ignores by name."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = tuple(sorted(keys))
        super().__init__(
            f"The file holds {len(self.keys)} tensors that this family does not know: {some(self.keys)}. "
            "Loading it anyway would show a network that is not the one in the file."
        )


def some(names: tuple[str, ...], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
