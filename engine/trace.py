"""A Trace: one input, the tensors its forward pass made, and everything that can be derived from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from engine import derive
from engine.derive import ALL, Pick
from engine.errors import BadIndex, BadInput, UnknownSite
from engine.nn.additive import energies
from engine.nn.attention import softmax
from engine.nn.positions import by_distance
from engine.nn.recurrent import GATES
from engine.sites import Block, Site, site
from engine.sites import address as address_of
from engine.tokens import Token

FORMAT = 2
"""Raised whenever the same request would give other bytes; part of every digest."""

Selection = int | slice | range | Sequence[int]


class Weights(Protocol):
    """What a trace needs of the model that made it, to derive what its tensors alone don't tell."""

    @property
    def revision(self) -> str:
        """A hash of weights and configuration."""
        ...

    def output_weight(self, stack: str, layer: int, block: str) -> Tensor:
        """W_O of one attention block, cut by head: (head, head_dim, model)."""
        ...

    def unembed(self, stream: Tensor) -> Tensor | None:
        """Logits (..., vocab) of a residual stream (..., model); None where the model has no head for one."""
        ...

    def finish(self, stream: Tensor) -> Tensor:
        """Hidden states of a residual stream (..., model), through the final norm where there is one."""
        ...

    @property
    def head_width(self) -> int:
        """Of what the head's matrix is multiplied with."""
        ...

    def read_out(self, hidden: Tensor) -> Tensor:
        """What the head's matrix is multiplied with, of the hidden states that the head reads."""
        ...

    def head(self, hidden: Tensor) -> Tensor:
        """Logits (..., vocab) of the hidden states that the head reads."""
        ...

    @property
    def width(self) -> int:
        """Of the residual stream."""
        ...

    def named(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens that these ids of the last stack stand for."""
        ...

    def activated(self, place: Site, pre: Tensor, gate: Tensor | None) -> Tensor:
        """Hidden units of a feed-forward block after its activation, from those before it."""
        ...

    def written(self, place: Site, value: Tensor) -> Tensor:
        """What a block adds to the residual stream, of its weighted sums of values or of its hidden units."""
        ...

    def look_inside(self, place: Site, x: Tensor, hidden: Tensor, start: Tensor, memory: Tensor | None) -> Tensor:
        """A gate, or the cell state, of a recurrent layer at every step: (position, hidden)."""
        ...


@dataclass(frozen=True, eq=False)
class Trace:
    """What one forward pass over one input left behind.

    `tensors` holds what was recorded, by address and without a batch axis. `trace[address]` and `trace.slice(...)` also
    derive what was not: scores, attention weights and what each head writes. `digest` is a hash of everything that
    determines the result, and so the trace's id.
    """

    model: str
    revision: str
    tokens: Mapping[str, tuple[Token, ...]]
    tensors: Mapping[str, Tensor]
    sites: Mapping[str, Site]
    blocks: tuple[Block, ...]
    digest: str
    patches: tuple[Mapping[str, Any], ...] = ()
    parent: str | None = None  # the digest of the same trace without patches
    seed: int = 0
    vocabulary: int = 0  # entries, where the model predicts tokens
    prediction: Mapping[str, Any] | None = None  # None for an encoder without a head
    weights: Weights | None = field(default=None, repr=False)

    @cached_property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The named axes of every address."""
        return {address: site.axes[1:] for address, site in self.sites.items()}

    def addresses(self) -> tuple[str, ...]:
        """Every address that can be looked at, recorded or derived."""
        return tuple(self.sites)

    def site(self, address: str) -> Site:
        """The site at `address`; `UnknownSite` where the model has none."""
        try:
            return self.sites[address]
        except KeyError:
            raise UnknownSite(address, self.sites) from None

    def block(self, stack: str, name: str) -> Block:
        """The attention block `name` of `stack`; `UnknownSite` where there is none."""
        for block in self.blocks:
            if (block.stack, block.name) == (stack, name):
                return block
        known = [f"{block.stack}.{block.name}" for block in self.blocks]
        has = f"it has {', '.join(known)}" if known else "the network has no attention at all"
        why = f"There is no attention block {stack}.{name} in this trace: {has}."
        raise UnknownSite(f"{stack}.{name}", known, why=why)

    def sizes(self, address: str) -> dict[str, int]:
        """The length of each axis, without deriving anything."""
        place = self.site(address)
        axes = self.axes[address]
        if address in self.tensors:
            return dict(zip(axes, self.tensors[address].shape, strict=True))
        if not place.derived:
            why = f"{address} was not captured. Trace again with it: capture=Capture(sites=({address!r},))."
            raise UnknownSite(address, (), why=why)
        if place.name == "logits":
            return {"position": len(self.tokens[place.stack]), "vocab": self.vocabulary}
        if place.name in ("out", "head.input"):
            weights = self._model(address)
            width = weights.width if place.name == "out" else weights.head_width
            return {"position": len(self.tokens[place.stack]), "model": width}
        if "position" in axes:
            like = "pre" if place.name == "post" else "hidden"
            return dict(zip(axes, self._recorded(place, like).shape, strict=True))
        assert place.block is not None
        block = self.block(place.stack, place.block)
        lengths = {
            "head": block.heads,
            "query": len(self.tokens[block.query_stack]),
            "key": len(self.tokens[block.key_stack]),
        }
        if place.name == "energy":
            lengths["attn_dim"] = block.head_dim
        if place.name == "by_head":
            lengths["model"] = self._weight(place).shape[-1]
        return {axis: lengths[axis] for axis in axes}

    def __getitem__(self, address: str) -> Tensor:
        """The whole tensor at `address`."""
        return self.slice(address)

    def slice(self, address: str, **selections: Selection) -> Tensor:
        """Part of the tensor at `address`, cut by the names of its axes; every axis is kept, even at length 1.

        Only what is asked for is derived. Raises `UnknownSite`, `BadIndex`, and `BadInput` for an unknown axis.
        """
        place = self.site(address)
        sizes = self.sizes(address)
        if unknown := selections.keys() - sizes.keys():
            raise BadInput(f"{address} has no axis {', '.join(sorted(unknown))}: its axes are {', '.join(sizes)}.")
        picks = {axis: pick(axis, selections.get(axis), size) for axis, size in sizes.items()}
        if address in self.tensors:
            return cut(self.tensors[address], picks.values())
        return self._derivations.get(place.name, self._map)(place, picks)

    @property
    def _derivations(self) -> dict[str, Callable[[Site, dict[str, Pick]], Tensor]]:
        return {
            "pattern": self._pattern,
            "by_head": self._by_head,
            "bias": self._bias,
            "energy": self._energy,
            "head.input": self._head_input,
            "logits": self._logits,
            "post": self._post,
            "out": self._out,
            "cell": self._inside,
            **dict.fromkeys(chain(*GATES.values()), self._inside),
        }

    def _map(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        assert place.block is not None
        return derive.attention(
            place.name,
            self._recorded(place, "q"),
            self._recorded(place, "k"),
            self.block(place.stack, place.block),
            head=picks["head"],
            query=picks["query"],
            key=picks["key"],
            bias=self.tensors.get(address_of(place.stack, None, place.block, "bias.by_distance")),
            weight=self.tensors.get(place.sibling("score.weight")),
        )

    def _pattern(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        edited = self.tensors.get(place.sibling("scores"))  # where a patch changed them, q and k no longer tell
        if edited is None:
            return self._map(place, picks)
        return softmax(cut(edited, [picks["head"], picks["query"]]))[:, :, picks["key"]]

    def _by_head(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        z = cut(self._recorded(place, "z"), [picks["head"], picks["query"]])
        return derive.by_head(z, self._weight(place)[picks["head"]][:, :, picks["model"]])

    def _post(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        rows = [picks["position"]]
        gate = self.tensors.get(place.sibling("gate"))
        gate = None if gate is None else cut(gate, rows)
        post = self._model(place.address).activated(place, cut(self._recorded(place, "pre"), rows), gate)
        return post[:, picks["hidden"]]

    def _out(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        rows = picks["position"]
        post = self.sites.get(place.sibling("post"))
        if post is None:
            value = cut(self._recorded(place, "z"), [ALL, rows])
        elif post.address in self.tensors:  # a patch changed it
            value = cut(self.tensors[post.address], [rows])
        else:
            value = self._post(post, {"position": rows, "hidden": ALL})
        return self._model(place.address).written(place, value)[:, picks["model"]]

    def _bias(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        table = self._recorded(place, "bias.by_distance")
        return cut(by_distance(table, self.sizes(place.address)["query"]), picks.values())

    def _energy(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        q, k = self._recorded(place, "q")[0], self._recorded(place, "k")[0]
        return energies(cut(q, [picks["query"]]), cut(k, [picks["key"]]))[..., picks["attn_dim"]]

    def _inside(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        x, hidden, start = (self._recorded(place, name) for name in ("input", "hidden", "start.hidden"))
        memory = self.tensors.get(place.sibling("start.cell"))
        return cut(self._model(place.address).look_inside(place, x, hidden, start, memory), picks.values())

    def _head_input(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        return self._model(place.address).read_out(self._states(place, picks["position"]))[..., picks["model"]]

    def _logits(self, place: Site, picks: dict[str, Pick]) -> Tensor:
        return self._model(place.address).head(self._states(place, picks["position"]))[..., picks["vocab"]]

    def _states(self, place: Site, rows: Pick) -> Tensor:
        """What the head reads at these positions."""
        last = max(s.layer for s in self.sites.values() if s.stack == place.stack and s.layer is not None)
        for read in (place.sibling("readout"), site("hidden", place.stack, last, "cell").address):
            if read in self.sites:  # a recurrent network: there is no residual stream, and no norm before the head
                return cut(self._recorded(self.site(read), self.site(read).name), [rows])
        stream = self._recorded(site("resid.post", place.stack, last), "resid.post")
        return self._model(place.address).finish(cut(stream, [rows]))

    def _recorded(self, place: Site, name: str) -> Tensor:
        address = place.sibling(name)
        try:
            return self.tensors[address]
        except KeyError:
            why = f"{place.address} is derived from {address}, which was not captured. Trace again with it."
            raise UnknownSite(place.address, (), why=why) from None

    def output_weights(self, stack: str, layer: int, block: str) -> Tensor:
        """W_O of one attention block, cut by head: (head, head_dim, model); `UnknownSite` without the model."""
        return self._model(f"{stack}.{layer}.{block}.by_head").output_weight(stack, layer, block)

    def lens(self, stream: Tensor) -> Tensor:
        """What the network would predict from a residual stream (..., model) if it stopped there: logits (..., vocab).

        The logit lens: the stream goes through the final norm and the head (nostalgebraist 2020).
        """
        logits = self._model("The logit lens").unembed(stream)
        if logits is None:
            raise UnknownSite("logits", (), why=f"{self.model} has no head that predicts tokens, so it has no logits.")
        return logits

    def named(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens that these ids of the last stack stand for; `UnknownSite` without the model."""
        return self._model("A token's text").named(ids)

    def _model(self, what: str) -> Weights:
        if self.weights is None:
            why = f"{what} needs the model's weights. Read the trace with Trace.from_bytes(data, model)."
            raise UnknownSite(what, (), why=why)
        return self.weights

    def _weight(self, place: Site) -> Tensor:
        assert place.layer is not None
        assert place.block is not None
        return self.output_weights(place.stack, place.layer, place.block)

    @property
    def nbytes(self) -> int:
        """Bytes held by the recorded tensors, each storage counted once."""
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in self.tensors.values()}
        return sum(storages.values())

    def to_bytes(self) -> bytes:
        """The trace as a safetensors file: recorded tensors, and everything else as JSON in its metadata.

        Tensors that are one and the same (what leaves a layer enters the next) are written once.
        """
        written: dict[tuple[int, tuple[int, ...], tuple[int, ...]], str] = {}
        tensors: dict[str, Tensor] = {}
        aliases: dict[str, str] = {}
        for address, tensor in self.tensors.items():
            same = written.setdefault((tensor.data_ptr(), tuple(tensor.shape), tensor.stride()), address)
            if same == address:
                # A copy of its own: safetensors refuses two tensors on one storage.
                tensors[address] = tensor.cpu().clone(memory_format=torch.contiguous_format)
            else:
                aliases[address] = same
        about = {
            "format": FORMAT,
            "model": self.model,
            "revision": self.revision,
            "digest": self.digest,
            "tokens": {stack: [asdict(token) for token in tokens] for stack, tokens in self.tokens.items()},
            "sites": [[s.name, s.stack, s.layer, s.block] for s in self.sites.values()],
            "blocks": [asdict(block) for block in self.blocks],
            "patches": list(self.patches),
            "parent": self.parent,
            "seed": self.seed,
            "vocabulary": self.vocabulary,
            "prediction": self.prediction,
            "aliases": aliases,
        }
        # One key only: safetensors writes its metadata in no particular order, and equal traces have equal bytes.
        return safetensors.torch.save(tensors, {"headlight": json.dumps(about, ensure_ascii=False, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes, model: Weights | None = None) -> Trace:
        """Read what `to_bytes` wrote; `BadInput` for other bytes, another format, or a `model` with other weights.

        With the `model` that made it, what needs its weights can be derived as well: `by_head`, `post`, `out`, gates
        and cell states, `head.input`, `logits` and the logit lens.
        """
        try:
            tensors = safetensors.torch.load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            about = json.loads(header["__metadata__"]["headlight"])
            written = about["format"]
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"These bytes are not a Headlight trace ({error}).") from None
        if written != FORMAT:
            raise BadInput(f"The trace has format {written}, this version reads {FORMAT}. Trace the text again.")
        places = [site(*parts) for parts in about["sites"]]
        tensors |= {address: tensors[same] for address, same in about["aliases"].items()}
        trace = cls(
            model=about["model"],
            revision=about["revision"],
            tokens={stack: tuple(Token(**token) for token in tokens) for stack, tokens in about["tokens"].items()},
            tensors={place.address: tensors[place.address] for place in places if place.address in tensors},
            sites={place.address: place for place in places},
            blocks=tuple(Block(**block) for block in about["blocks"]),
            digest=about["digest"],
            patches=tuple(about["patches"]),
            parent=about["parent"],
            seed=about["seed"],
            vocabulary=about["vocabulary"],
            prediction=about["prediction"],
        )
        if model is None:
            return trace
        if model.revision != trace.revision:
            raise BadInput(f"The trace is of {trace.model} at {trace.revision[:12]}, not of these weights.")
        return replace(trace, weights=model)


def pick(axis: str, selection: Selection | None, size: int) -> Pick:
    """A selection as indices that are known to be valid; `BadIndex` where one is not."""
    if selection is None:
        return ALL
    if isinstance(selection, slice):
        selection = range(*selection.indices(size))  # torch knows no negative step
    indices = [selection] if isinstance(selection, int) else list(selection)
    for index in indices:
        if not -size <= index < size:
            raise BadIndex(axis, index, size)
    indices = [index % size for index in indices]
    first = indices[0] if indices else 0
    if indices == list(range(first, first + len(indices))):
        return slice(first, first + len(indices))  # a view instead of a copy
    return indices


def cut(tensor: Tensor, picks: Iterable[Pick]) -> Tensor:
    """Index the leading axes one after another, so that each pick works on its own axis."""
    for axis, chosen in enumerate(picks):
        if chosen != ALL:
            tensor = tensor[(ALL,) * axis + (chosen,)]
    return tensor
