"""Checkpoints: declarative name rules, strict both ways, read at one times the memory.

A network is built on the meta device, so it costs nothing until each parameter is replaced by the file's own tensor.
Only safetensors files are read: nothing here ever unpickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.errors import (
    CheckpointError,
    MissingKeys,
    TokenizerMissing,
    UnexpectedKeys,
    WeightsMissing,
    WrongHash,
    WrongShape,
)

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
FILES = (CONFIG, WEIGHTS, TOKENIZER)
SENTENCE_PIECES = ("source.spm", "target.spm", "vocab.json")
"""Marian's tokenizer files, instead of a tokenizer.json."""
TARGET_VOCABULARY = "target_vocab.json"
"""What Marian has besides where source and target share no vocabulary."""


@dataclass(frozen=True)
class Step:
    """How a tensor of the file becomes parameters of ours, and back: turned round, cut in equal parts, or as it is."""

    transposed: bool = False
    parts: int = 1

    def read(self, theirs: Tensor) -> tuple[Tensor, ...]:
        """Our parameters, of the file's tensor."""
        return (theirs.T if self.transposed else theirs).contiguous().chunk(self.parts)

    def write(self, ours: Sequence[Tensor]) -> Tensor:
        """The file's tensor, of our parameters."""
        joined = ours[0] if len(ours) == 1 else torch.cat(list(ours))
        return joined.T if self.transposed else joined


AS_IT_IS = Step()


@dataclass(frozen=True)
class Rule:
    """One tensor of the file is one parameter of ours, or several."""

    theirs: str
    ours: str | tuple[str, ...]
    step: Step = AS_IT_IS

    @property
    def names(self) -> tuple[str, ...]:
        """Our parameters' names."""
        return (self.ours,) if isinstance(self.ours, str) else self.ours


@dataclass(frozen=True)
class Rules:
    """How a family's checkpoint files are read.

    `ignored` are patterns of keys that are known and not needed; `same` names keys that may be absent and must
    otherwise repeat another one, such as a tied head; `prefixes` may stand before every key or not; `spellings` are
    older words for the last part of a key.
    """

    rules: tuple[Rule, ...]
    ignored: tuple[str, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)

    def plain(self, key: str) -> str:
        """The key as the rules spell it."""
        for prefix in self.prefixes:
            key = key.removeprefix(prefix)
        stem, _, last = key.rpartition(".")
        return f"{stem}.{self.spellings[last]}" if last in self.spellings else key

    def ignores(self, key: str) -> bool:
        """Whether this (plain) key is known and not needed."""
        return key in self.same or any(fnmatchcase(key, pattern) for pattern in self.ignored)


def own_names(build: Callable[[Any], nn.Module], config: Any) -> Rules:
    """Rules for a checkpoint whose keys are our own parameters' names."""
    with torch.device("meta"):
        return Rules(tuple(Rule(name, name) for name, _ in build(config).named_parameters()))


def read_config(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """The folder's config.json; `WeightsMissing` or `CheckpointError` where there is none or it is damaged."""
    path = folder / name
    if not path.is_file():
        raise WeightsMissing(f"{folder} has no {CONFIG}. A model folder holds {', '.join(FILES)}.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}). Fetch it again.") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} holds no JSON object. Fetch it again.")
    return config


def weights_path(folder: Path) -> Path:
    """The folder's model.safetensors; `WeightsMissing` where there is none."""
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = any((folder / name).exists() for name in ("pytorch_model.bin", "model.bin", "model.pt"))
        raise WeightsMissing(
            f"{folder} has no {WEIGHTS}."
            + (" Pickled weights are never loaded, since they can run code: convert them to safetensors." * pickled)
        )
    return path


def tokenizer_path(folder: Path) -> Path:
    """The folder's tokenizer.json; `TokenizerMissing` where there is none."""
    path = folder / TOKENIZER
    if not path.is_file():
        raise TokenizerMissing(
            f"{folder} has no {TOKENIZER}. Save it there with the tokenizers library, or with AutoTokenizer's "
            "save_pretrained; without it, token ids can still be traced (ids=...)."
        )
    return path


Progress = Callable[[int, int], None]
"""Told how many bytes are done, and of how many."""


def sha256(path: Path, progress: Progress | None = None) -> str:
    """The file's sha256 as hexadecimal digits."""
    content, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            content.update(block)
            if progress is not None:
                progress(file.tell(), size)
    return content.hexdigest()


def verified(path: Path, expected: str | None, progress: Progress | None = None) -> str:
    """The file's sha256; `WrongHash` where another one is pinned."""
    found = sha256(path, progress)
    if expected is not None and found != expected:
        raise WrongHash(str(path), found, expected)
    return found


def fill(
    network: nn.Module,
    path: Path,
    rules: Rules,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    base: Path | None = None,
) -> None:
    """Replace every parameter of `network`, built on the meta device, by the file's tensor.

    What a fine-tuned model's file does not hold comes from the file of its `base`. Raises `UnexpectedKeys`,
    `MissingKeys` or `WrongShape`, and `CheckpointError` where a file is damaged.
    """
    by_name = {rule.theirs: rule for rule in rules.rules}
    wanted = dict(network.named_parameters())
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(safe_open(each, framework="pt")) for each in (base, path) if each is not None]
            keys: dict[str, str] = {}
            holder: dict[str, Any] = {}
            for file in files:
                those = {rules.plain(key): key for key in file.keys()}  # noqa: SIM118 (not a mapping)
                if len(those) < len(file.keys()):  # the same tensor under two spellings
                    raise UnexpectedKeys(set(file.keys()) - set(those.values()))
                keys |= those
                holder |= dict.fromkeys(those, file)
            if unexpected := [key for plain, key in keys.items() if plain not in by_name and not rules.ignores(plain)]:
                raise UnexpectedKeys(unexpected)
            if missing := [theirs for theirs in by_name if theirs not in keys]:
                raise MissingKeys(missing)
            for key, first in rules.same.items():
                if key in keys and not torch.equal(
                    holder[key].get_tensor(keys[key]), holder[first].get_tensor(keys[first])
                ):
                    raise CheckpointError(
                        f"config.json ties {keys[key]} to {keys[first]}, but in the file they differ."
                    )
            for theirs, rule in by_name.items():
                expected = rule.step.write([wanted.pop(name) for name in rule.names]).shape
                found = holder[theirs].get_slice(keys[theirs]).get_shape()
                if tuple(found) != tuple(expected):
                    raise WrongShape(keys[theirs], found, expected)
                value = holder[theirs].get_tensor(keys[theirs]).to(device=device, dtype=dtype)
                for name, part in zip(rule.names, rule.step.read(value), strict=True):
                    place(network, name, part)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or cut short ({error}). Delete it and fetch it again.") from None
    if wanted:
        raise MissingKeys(wanted)  # parameters that no rule names


def place(network: nn.Module, name: str, value: Tensor) -> None:
    """Put `value` where the parameter `name` is, frozen."""
    owner, _, last = name.rpartition(".")
    setattr(network.get_submodule(owner), last, nn.Parameter(value, requires_grad=False))


def export(network: nn.Module, rules: Rules) -> dict[str, Tensor]:
    """The network's parameters under the file's names: the way back from `fill`."""
    ours = dict(network.named_parameters())
    return {rule.theirs: rule.step.write([ours[name].detach() for name in rule.names]) for rule in rules.rules}


def save(network: nn.Module, rules: Rules, path: Path) -> None:
    """Write the network as a safetensors file with the family's public names."""
    save_file({key: value.contiguous() for key, value in export(network, rules).items()}, path, {"format": "pt"})
