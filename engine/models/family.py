"""What every family declares, so that nothing outside its file needs to know which family it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

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
    states that go into the head, (1, position, model). `head(network, hidden)` makes logits of them, and
    `unembed(network, stream)` of any residual stream, through the final norm where there is one; they are None where
    the network has no such thing. `output_weight(network, stack, layer, block)` is W_O by head:
    (head, head_dim, model), and `cell(network, stack, layer, block)` a recurrent layer. `asks(tokens)` names the
    positions whose prediction a trace holds. `decodes(config)` gives the start and the stop token of a decoder that has
    an encoder beside it; `pairs` says whether the model reads two texts. `predicts(config)` says whether this one has
    its `head`; `classify(network, config, hidden)` gives labels and their logits, of the text or of each token, and
    `number` the one number that it says. A network that `reads_numbers` has no vocabulary: its text is a list of them.
    """

    name: str
    model_types: tuple[str, ...]
    stacks: tuple[str, ...]
    read_config: Callable[[Mapping[str, Any]], Any]
    build: Callable[[Any], nn.Module]
    shape: Callable[[Any], Shape]
    sites: Callable[[Any], Iterable[Site]]
    blocks: Callable[[Any], tuple[Block, ...]]
    rules: Callable[[Any], Rules]
    run: Callable[[nn.Module, Tokens, Tap], Tensor]
    output_weight: Callable[[nn.Module, str, int, str], Tensor] | None = None
    cell: Callable[[nn.Module, str, int, str], Recurrent] | None = None
    head: Callable[[nn.Module, Tensor], Tensor] | None = None
    unembed: Callable[[nn.Module, Tensor], Tensor] | None = None
    decodes: Callable[[Any], tuple[int, int]] | None = None
    pairs: bool = False
    predicts: Callable[[Any], bool] = lambda _: True
    classify: Callable[[nn.Module, Any, Tensor], tuple[tuple[str, ...], Tensor] | None] | None = None
    number: Callable[[nn.Module, Any, Tensor], Tensor | None] = lambda *_: None
    reads_numbers: Callable[[Any], bool] = lambda _: False
    asks: Callable[[tuple[Token, ...]], list[int]] = last_position
