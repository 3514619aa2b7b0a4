"""What every family declares, so that nothing outside its file needs to know which family it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.nn.cache import Cache
from engine.sites import Block, Site
from engine.tap import Tap

if TYPE_CHECKING:
    from engine.checkpoint import Rules
    from engine.nn.recurrent import Recurrent
    from engine.tokens import Token

Tokens = Mapping[str, tuple["Token", ...]]


@dataclass(frozen=True)
class Shape:
    """The sizes that a model card shows."""

    layers: int
    heads: int
    width: int
    limit: int
    vocabulary: int


def last_position(tokens: tuple[Token, ...]) -> list[int]:
    """A decoder predicts what comes after its last token."""
    return [len(tokens) - 1]


@dataclass(frozen=True)
class Family:
    """An architecture: how to read its configuration, build it, fill it, run it and describe it.

    `run(network, tokens, tap)` is one forward pass over one input, given as tokens per stack; it returns the hidden
    states that go into the head, (1, position, model). `head(network, hidden)` makes logits of them, by the network's
    `unembedding`, and `finish(network, stream)` such states of any residual stream, through the final norm where there
    is one; they are None where the network has no such thing. `part(network, stack, layer, block)` is the module of a
    block, such as its attention or its feed-forward layer, `norm` the norm of one, and `cell` a recurrent layer.
    `asks(tokens)` names the positions whose prediction a trace holds. `pairs` says whether the model reads two texts.
    `predicts(config)` says whether this one has its `head`; `classify(network, config, hidden)` gives labels and their
    logits, of the text or of each token, and `number` the one number that it says. Where `about_pairs(network)`, these
    classes are of two texts together and say nothing of one alone. A network that `reads_numbers` has no vocabulary:
    its text is a list of them. Rows of the token embedding enter `embedding_scale(config)` times as large.

    What continues a text has `resume(network, ids, cache, tap)`, which reads the next tokens of the last stack and
    gives what the head reads; `stops(config)` are the tokens that end a text, `never(config)` those that are not said.
    A decoder beside an encoder also has `encode(network, source, cache, tap)`, which reads the source before that, and
    `start(config)`, its first token.
    """

    name: str
    title: str  # as people call it
    model_types: tuple[str, ...]
    stacks: tuple[str, ...]
    read_config: Callable[[Mapping[str, Any]], Any]
    build: Callable[[Any], nn.Module]
    shape: Callable[[Any], Shape]
    sites: Callable[[Any], Iterable[Site]]
    blocks: Callable[[Any], tuple[Block, ...]]
    rules: Callable[[Any], Rules]
    run: Callable[[nn.Module, Tokens, Tap], Tensor]
    part: Callable[[nn.Module, str, int | None, str], nn.Module | None]
    norm: Callable[[nn.Module, str, int | None, str], nn.Module | None] = lambda *_: None
    cell: Callable[[nn.Module, str, int, str], Recurrent] | None = None
    head: Callable[[nn.Module, Tensor], Tensor] | None = None
    finish: Callable[[nn.Module, Tensor], Tensor] | None = None
    resume: Callable[[nn.Module, Tensor, Cache, Tap], Tensor] | None = None
    encode: Callable[[nn.Module, Tensor, Cache, Tap], None] | None = None
    start: Callable[[Any], int] | None = None
    stops: Callable[[Any], tuple[int, ...]] = lambda _: ()
    never: Callable[[Any], tuple[int, ...]] = lambda _: ()
    pairs: bool = False
    predicts: Callable[[Any], bool] = lambda _: True
    classify: Callable[[nn.Module, Any, Tensor], tuple[tuple[str, ...], Tensor] | None] | None = None
    about_pairs: Callable[[nn.Module], bool] = lambda _: False
    number: Callable[[nn.Module, Any, Tensor], Tensor | None] = lambda *_: None
    reads_numbers: Callable[[Any], bool] = lambda _: False
    asks: Callable[[tuple[Token, ...]], list[int]] = last_position
    embedding_scale: Callable[[Any], float] = lambda _: 1.0


def ids(network: nn.Module, tokens: tuple[Token, ...]) -> Tensor:
    """Token ids as a batch of one, (1, position), where the network is."""
    return torch.tensor([[token.id for token in tokens]], device=next(network.parameters()).device)


def run_one_stack(network: nn.Module, tokens: Tokens, tap: Tap) -> Tensor:
    """One forward pass over one input, of a network that takes token ids and nothing else."""
    (those,) = tokens.values()
    hidden: Tensor = network(ids(network, those), tap=tap)
    return hidden


def run_two_stacks(network: Any, tokens: Tokens, tap: Tap) -> Tensor:
    """One forward pass over one source and one target, of a network that encodes and decodes."""
    memory = network.encode(ids(network, tokens["encoder"]), tap=tap)
    hidden: Tensor = network.decode(ids(network, tokens["decoder"]), memory, tap=tap)
    return hidden


def resume_one_stack(network: nn.Module, ids: Tensor, cache: Cache, tap: Tap) -> Tensor:
    """Hidden states of the next tokens, (batch, position, model), after those that the cache remembers."""
    hidden: Tensor = network(ids, cache=cache, tap=tap)
    return hidden


def encode_source(network: Any, source: Tensor, cache: Cache, tap: Tap) -> None:
    """Read the source and remember its hidden states."""
    cache.keep("memory", (network.encode(source, tap=tap),))


def resume_decoder(network: Any, ids: Tensor, cache: Cache, tap: Tap) -> Tensor:
    """Hidden states of the next tokens of the target, (batch, query, model)."""
    (memory,) = cache.kept("memory") or ()
    hidden: Tensor = network.decode(ids, memory, cache=cache, tap=tap)
    return hidden


def stop_tokens(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The ids that end a text, of a config.json that names one, several or none in `eos_token_id`."""
    named = config.get("eos_token_id")
    return () if named is None else tuple(named) if isinstance(named, list) else (int(named),)


PARTS = {"self": "attention", "cross": "cross", "mlp": "mlp"}
"""What the layers of a Transformer call the module of each block."""


def part(network: nn.Module, stack: str, layer: int | None, block: str) -> nn.Module | None:
    """The module of one block, of a network that has its layers in `layers`, or in one stack each."""
    return None if layer is None else _stack(network, stack).get_submodule(f"layers.{layer}.{PARTS[block]}")


def norm(network: nn.Module, stack: str, layer: int | None, block: str) -> nn.Module | None:
    """The norm of one block, or that of the embedding or after the last layer, of such a network."""
    name = f"{block}_norm" if layer is None else f"layers.{layer}.{PARTS[block]}_norm"
    return _stack(network, stack).get_submodule(name)


def _stack(network: nn.Module, stack: str) -> nn.Module:
    return network if hasattr(network, "layers") else network.get_submodule(stack)


def unchanged(hidden: Tensor) -> Tensor:
    """The hidden states as they are."""
    return hidden


class Unembedding(NamedTuple):
    """How logits are made: `weight` (vocab, model) times what is `read` of hidden states, plus `bias` (vocab)."""

    weight: Tensor
    bias: Tensor | None = None
    read: Callable[[Tensor], Tensor] = unchanged


def head(network: Any, hidden: Tensor) -> Tensor:
    """Logits of the hidden states that a forward pass gave, of a network that has an `unembedding`."""
    weight, bias, read = network.unembedding
    return F.linear(read(hidden), weight, bias)


def finish(network: Any, stream: Tensor) -> Tensor:
    """Hidden states of a residual stream of the last stack: through its final norm, where it has one."""
    last = getattr(network, "decoder", network)
    hidden: Tensor = stream if last.final_norm is None else last.final_norm(stream)
    return hidden
