"""A loaded model: its network, and everything needed to turn a text into a trace of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine import checkpoint, registry
from engine.budget import AFFORDABLE, affordable
from engine.checkpoint import Progress
from engine.decoding import LONGEST, Decoding, decode
from engine.errors import (
    BadIndex,
    BadInput,
    CheckpointError,
    TokenizerMissing,
    TooLong,
    UnknownModel,
    UnknownParameter,
    UnknownSite,
    first_line,
)
from engine.learned import Learned
from engine.models import FAMILIES, family_of
from engine.models.family import Family, Tokens, Unembedding
from engine.nn.attention import Attention
from engine.nn.feedforward import FeedForward
from engine.nn.recurrent import GATES, Recurrent
from engine.registry import Folder, ModelCard
from engine.sites import Block, Site
from engine.sites import address as address_of
from engine.tap import Capture, Patch, Recorder
from engine.tokens import FileTokenizer, Numbers, SentencePieces, Token, Tokenizer
from engine.trace import FORMAT, Selection, Trace, cut, pick
from engine.version import VERSION


@dataclass(frozen=True)
class Inputs:
    """What goes into one forward pass: tokens per stack, and the texts that they came from.

    With `decode`, the decoder has only its first token yet, and says the rest itself.
    """

    tokens: Mapping[str, tuple[Token, ...]]
    text: str | None = None
    pair: str | None = None
    target: str | None = None
    decode: bool = False

    @cached_property
    def content(self) -> dict[str, list[list[object]]]:
        """The tokens as plain data, for hashing."""
        return {stack: [list(vars(token).values()) for token in tokens] for stack, tokens in self.tokens.items()}


@dataclass(frozen=True, eq=False)
class Model:
    """A network with its weights, its tokenizer and its card. Immutable, and safe to share between threads."""

    card: ModelCard
    family: Family
    config: Any
    network: nn.Module
    tokenizer: Tokenizer | None
    sha256: str  # of model.safetensors, and of what it lies on where there is a base
    target_tokenizer: Tokenizer | None = None  # where the decoder's differs

    @property
    def id(self) -> str:
        """The name that the model was loaded by."""
        return self.card.id

    @cached_property
    def revision(self) -> str:
        """A hash of the weights and of the configuration, which together make the network."""
        about = json.dumps(asdict(self.config), sort_keys=True)
        return hashlib.sha256(f"{self.family.name} {self.sha256} {about}".encode()).hexdigest()

    @cached_property
    def sites(self) -> dict[str, Site]:
        """Every site of this network, by address."""
        return {site.address: site for site in self.family.sites(self.config)}

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Every kind of attention in it."""
        return self.family.blocks(self.config)

    @property
    def predicts(self) -> bool:
        """Whether it has a head that predicts tokens."""
        return self.family.head is not None and self.family.predicts(self.config)

    @property
    def generates(self) -> bool:
        """Whether it can continue a text, token by token."""
        return self.predicts and self.family.resume is not None

    @property
    def stops(self) -> tuple[int, ...]:
        """The ids of the tokens that end a text."""
        return self.family.stops(self.config)

    @property
    def never(self) -> tuple[int, ...]:
        """The ids of the tokens that it must not say, whatever their logits."""
        return self.family.never(self.config)

    @property
    def limit(self) -> int:
        """The most tokens that it takes."""
        return self.family.shape(self.config).limit

    @cached_property
    def learned(self) -> dict[str, Learned]:
        """Every parameter of the network, by its name in the `state_dict`."""
        found = {}
        names = {id(module): name for name, module in self.network.named_modules()}
        for stack, layer, block in dict.fromkeys((s.stack, s.layer, s.block) for s in self.sites.values() if s.block):
            norm = self.family.norm if address_of(stack, layer, block, "norm.scale") in self.sites else None
            for of in (self.family.part, norm):
                module = of(self.network, stack, layer, str(block)) if of else None
                for part, (letter, sizes) in getattr(module, "letters", dict)().items():
                    gates = GATES[module.kind] if isinstance(module, Recurrent) and "gate" in sizes else ()
                    name = f"{names[id(module)]}.{part}"
                    found[name] = Learned(name, sizes, stack, layer, block, letter, gates)
        if self.predicts:
            weight, bias, _ = self._unembedding
            sizes = dict(zip(("vocab", "model"), weight.shape, strict=True))
            for letter, tensor, axes in (("W_U", weight, sizes), ("b_U", bias, {"vocab": sizes["vocab"]})):
                for name, parameter in self.network.named_parameters():
                    if tensor is not None and parameter.data_ptr() == tensor.data_ptr():
                        found[name] = Learned(name, axes, self.family.stacks[-1], None, "head", letter)
        return {
            name: found.get(name) or Learned(name, dict(zip(("row", "column"), tensor.shape, strict=False)))
            for name, tensor in self.network.state_dict().items()
        }

    def parameter(self, name: str) -> Learned:
        """The parameter of that name; `UnknownParameter` where there is none."""
        if name not in self.learned:
            raise UnknownParameter(name, self.id, self.learned)
        return self.learned[name]

    def weight(self, name: str, **selections: Selection) -> Tensor:
        """Part of the parameter `name`, cut by its named axes; every axis is kept, even at length 1.

        Raises `UnknownParameter`, `BadIndex`, and `BadInput` for an unknown axis.
        """
        sizes = self.parameter(name).sizes
        if unknown := selections.keys() - sizes.keys():
            raise BadInput(f"{name} has no axis {', '.join(sorted(unknown))}: its axes are {', '.join(sizes)}.")
        tensor = self.network.state_dict()[name].view(*sizes.values())
        return cut(tensor, (pick(axis, selections.get(axis), size) for axis, size in sizes.items()))

    def projection(self, stack: str, layer: int, block: str, which: str, head: int) -> tuple[Tensor, Tensor | None]:
        """W_Q, W_K or W_V (`q`, `k`, `v`) of one head, (model, head_dim), and its bias (head_dim) or None.

        Or its part of W_O (`out`), (head_dim, model), and the bias (model) that all heads share. With grouped queries a
        key or value has the number of its kv_head. Raises `UnknownSite` where a block projects with no such matrix.
        """
        weight, bias = self._attention(stack, layer, block).by_head(which)
        if not 0 <= head < len(weight):
            raise BadIndex("head", head, len(weight))
        return weight[head], bias if bias is None or which == "out" else bias[head]

    def output_weight(self, stack: str, layer: int, block: str) -> Tensor:
        """W_O of one attention block, cut by head: (head, head_dim, model)."""
        return self._attention(stack, layer, block).by_head("out")[0]

    def _attention(self, stack: str, layer: int, block: str) -> Attention:
        attention = self.family.part(self.network, stack, layer, block)
        if not isinstance(attention, Attention):
            why = f"The heads of {self.id} write through no matrix of their own."
            raise UnknownSite(f"{stack}.{layer}.{block}.by_head", (), why=why)
        return attention

    @property
    def width(self) -> int:
        """Of the residual stream."""
        return self.family.shape(self.config).width

    def activated(self, place: Site, pre: Tensor, gate: Tensor | None) -> Tensor:
        """Hidden units of a feed-forward block after its activation, from those before it."""
        part = self._part(place)
        assert isinstance(part, FeedForward)
        with torch.inference_mode():
            return part.activated(pre, gate)

    def written(self, place: Site, value: Tensor) -> Tensor:
        """What a block adds to the residual stream, of its weighted sums of values or of its hidden units."""
        with torch.inference_mode():
            return self._part(place).written(value)

    def _part(self, place: Site) -> Attention | FeedForward:
        assert place.block is not None
        part = self.family.part(self.network, place.stack, place.layer, place.block)
        assert isinstance(part, Attention | FeedForward)
        return part

    @cached_property
    def token_weights(self) -> dict[str, int]:
        """Bytes that each recorded address takes for one token; tensors that are one and the same count once."""
        token = Token(0, "0", "0", None, None, value=0.0)
        stacks = {*self.family.stacks, *(block.query_stack for block in self.blocks)}
        recorder = Recorder(self.sites)
        with torch.inference_mode():
            self.family.run(self.network, dict.fromkeys(sorted(stacks), (token,)), recorder)
        weights: dict[str, int] = {}
        seen: set[int] = set()
        for address, tensor in recorder.finish().items():
            storage = tensor.untyped_storage().data_ptr()
            weights[address] = 0 if storage in seen else tensor.nbytes
            seen.add(storage)
        return weights

    def footprint(self, inputs: Inputs, capture: Capture | None = None) -> int:
        """About how many bytes a trace of these inputs keeps: at most as many as if each stack were the longest."""
        capture = capture or Capture()
        longest = max(map(len, inputs.tokens.values()))
        weights = self.token_weights.items()
        return longest * sum(weight for address, weight in weights if capture.keeps(self.sites[address]))

    def affordable(self, inputs: Inputs, budget: int = AFFORDABLE) -> Capture:
        """What to keep of these inputs within `budget` bytes: everything where it fits, else what maps need first."""
        longest = max(map(len, inputs.tokens.values()))
        weights = {address: longest * weight for address, weight in self.token_weights.items()}
        return affordable(self.sites, weights, budget)

    def look_inside(self, place: Site, x: Tensor, hidden: Tensor, start: Tensor, memory: Tensor | None) -> Tensor:
        """A gate, or the cell state, of a recurrent layer at every step: (position, hidden)."""
        assert self.family.cell is not None
        assert place.layer is not None
        assert place.block is not None
        cell = self.family.cell(self.network, place.stack, place.layer, place.block)
        with torch.inference_mode():
            return cell.look_inside(x, hidden, start, memory)[place.name]

    def unembed(self, stream: Tensor) -> Tensor | None:
        """Logits (..., vocab) of a residual stream (..., model); None where the network has no head for one."""
        return self.head(self.finish(stream)) if self.family.finish and self.predicts else None

    def finish(self, stream: Tensor) -> Tensor:
        """Hidden states of a residual stream (..., model), through the final norm where there is one."""
        assert self.family.finish is not None
        with torch.inference_mode():
            return self.family.finish(self.network, stream)

    @property
    def head_width(self) -> int:
        """Of what the head's matrix W_U is multiplied with."""
        return self._unembedding.weight.shape[-1]

    def read_out(self, hidden: Tensor) -> Tensor:
        """What the head's matrix W_U is multiplied with, (..., model), of the hidden states that the head reads."""
        with torch.inference_mode():
            return self._unembedding.read(hidden)

    @property
    def _unembedding(self) -> Unembedding:
        found = getattr(self.network, "unembedding")  # noqa: B009 (mypy takes what a module has for a tensor)
        assert isinstance(found, Unembedding)
        return found

    def head(self, hidden: Tensor) -> Tensor:
        """Logits (..., vocab) of the hidden states that the head reads."""
        assert self.family.head is not None
        with torch.inference_mode():
            return self.family.head(self.network, hidden)

    def inputs(
        self,
        text: str | None = None,
        *,
        pair: str | None = None,
        source: str | None = None,
        target: str | None = None,
        ids: Mapping[str, Sequence[int]] | None = None,
    ) -> Inputs:
        """Tokenize, without running anything.

        Give a `text` (with a `pair` for a model that reads two), or a `source` and perhaps a `target` for an
        encoder-decoder, which decodes greedily where there is no target; or token `ids` per stack, which are taken as
        they are and need no special tokens added. Raises `EmptyText`, `TooLong`, `TokenizerMissing` or `BadInput`.
        """
        first, last = self.family.stacks[0], self.family.stacks[-1]
        text = source if text is None else text
        if (text is None) == (ids is None):
            raise BadInput("Give either a text or token ids.")
        if pair is not None and not self.family.pairs:
            raise BadInput(f"{self.id} reads one text, not two: leave out the pair.")
        if target is not None and first == last:
            raise BadInput(f"{self.id} has no decoder beside an encoder: leave out the target.")
        if ids is not None:
            if pair is not None or target is not None or set(ids) != set(self.family.stacks):
                raise BadInput(f"Give token ids for {' and '.join(self.family.stacks)}, and nothing else.")
            tokens = {name: self.from_ids(ids[name]) for name in ids}
        elif self.tokenizer is None:
            raise TokenizerMissing(f"{self.id} has no tokenizer.json, so it can only trace token ids: ids={{...}}.")
        else:
            assert text is not None
            tokens = {first: self.tokenizer.encode(text, pair, limit=self.limit)}
            if self.family.start is not None:
                said = self.target_tokenizer or self.tokenizer
                given = said.encode(target, limit=self.limit) if target is not None else ()
                # A decoder is given what it should say one step late: a start token first, and no end.
                kept = given[:-1] if given and given[-1].id in self.stops else given
                tokens[last] = (*self.from_ids([self.family.start(self.config)]), *kept)
        for block in self.blocks:  # a pool's one query belongs to no token of the text
            tokens.setdefault(block.query_stack, (Token(0, "the whole", "the whole", None, None, special=True),))
        for those in tokens.values():
            if len(those) > self.limit:
                raise TooLong(len(those), self.limit)
        return Inputs(tokens, text, pair, target, decode=ids is None and target is None and first != last)

    def from_ids(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens that these ids stand for; `BadInput` where the vocabulary has no such id."""
        size = self.family.shape(self.config).vocabulary
        if not ids:
            raise BadInput("There are no token ids to trace. Give at least one.")
        for id in ids:
            if not 0 <= id < size:
                raise BadInput(f"There is no token {id} in the vocabulary: ids go from 0 to {size - 1}.")
        return self.named(ids)

    def named(self, ids: Sequence[int]) -> tuple[Token, ...]:
        """The tokens that these ids stand for; their text is the id where there is no tokenizer."""
        tokenizer = self.target_tokenizer or self.tokenizer
        if tokenizer is None:
            return tuple(Token(id, str(id), str(id), None, None) for id in ids)
        return tokenizer.from_ids(ids)

    def text_of(self, ids: Sequence[int]) -> str:
        """The text that these ids of the last stack make together; the ids themselves where there is no tokenizer."""
        tokenizer = self.target_tokenizer or self.tokenizer
        return " ".join(map(str, ids)) if tokenizer is None else tokenizer.written(ids)


def load(
    name: str | Path | ModelCard,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> Model:
    """Load a model by its card or a card's id, from a folder with config.json and model.safetensors, or from the hub.

    On the hub a model is called `org/name`, or `org/name@revision`; what is not on this machine is downloaded.

    The weights are frozen and in evaluation mode; `progress` is told how far the file has been read. Raises
    `UnknownModel`, `WeightsMissing`, `BadInput` for a device that is not there, or `CheckpointError` where the files
    are not what they should be.
    """
    card = name if isinstance(name, ModelCard) else known(str(name))
    folder = card.folder() if card else Path(str(name))
    path = checkpoint.weights_path(folder)
    family, config, network = built(folder)
    sha256 = checkpoint.verified(path, card.sha256 if card else None, progress)
    base = None
    if (under := checkpoint.read_config(folder).get("base")) is not None:
        base = checkpoint.weights_path(registry.card(str(under)).folder())
        below = checkpoint.verified(base, registry.card(str(under)).sha256)
        sha256 = hashlib.sha256(f"{sha256} on {below}".encode()).hexdigest()
    tokenizer, target_tokenizer = tokenizers_of(folder, family, config, needed=card is not None)
    checkpoint.fill(network, path, family.rules(config), dtype=dtype, device=usable(device), base=base)
    network.eval()
    card = completed(card, card_of(folder, family, config, network))
    return Model(card, family, config, network, tokenizer, sha256, target_tokenizer)


def known(name: str) -> ModelCard | None:
    """The card that `name` stands for, or None where it is a folder; `UnknownModel` where it is neither."""
    cards = {card.id: card for card in registry.cards()}
    if name in cards:
        return cards[name]
    if Path(name).is_dir():
        return None
    card = None if name.startswith((".", "/", "~")) else registry.on_hub(name)
    if card is None:
        raise UnknownModel(name, cards)
    return card


def completed(card: ModelCard | None, found: ModelCard) -> ModelCard:
    """The card, with what was found out by loading where it does not say it."""
    if card is None:
        return found
    if card.layers is not None:
        return card
    return replace(
        card,
        family=found.family,
        parameters=found.parameters,
        layers=found.layers,
        heads=found.heads,
        width=found.width,
        limit=found.limit,
    )


def tokenizers_of(
    folder: Path, family: Family, config: Any, *, needed: bool
) -> tuple[Tokenizer | None, Tokenizer | None]:
    """The folder's tokenizer, and that of the target where it is another one; `TokenizerMissing` where it is needed."""
    if family.reads_numbers(config):
        return Numbers(), None
    source, target, vocabulary = (folder / name for name in checkpoint.SENTENCE_PIECES)
    if source.is_file() and target.is_file() and vocabulary.is_file():
        separate = folder / checkpoint.TARGET_VOCABULARY
        return SentencePieces(source, vocabulary), SentencePieces(target, separate if separate.exists() else vocabulary)
    if needed or (folder / checkpoint.TOKENIZER).exists():
        return FileTokenizer(checkpoint.tokenizer_path(folder)), None
    return None, None


def built(folder: Path) -> tuple[Family, Any, nn.Module]:
    """The folder's network on the meta device, as its config.json describes it; `CheckpointError` where it does not."""
    path = folder / checkpoint.CONFIG
    raw = checkpoint.read_config(folder)
    family = family_of(str(raw.get("model_type")))
    if family is None:
        types = ", ".join(sorted(kind for family in FAMILIES for kind in family.model_types))
        raise CheckpointError(f"{path} says model_type {raw.get('model_type')!r}; known are: {types}.")
    try:
        config = family.read_config(raw)
        with torch.device("meta"):
            return family, config, family.build(config)
    except KeyError as error:
        raise CheckpointError(f"{path} lacks {error}.") from None
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not describe a {family.name}: {first_line(error)}.") from None


def usable(device: torch.device | str) -> torch.device:
    """The device, if this machine and this build of torch have it; `BadInput` where they don't."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise BadInput(f"The device {str(device)!r} can't be used here: {first_line(error)}.") from None


def card_of(folder: Path, family: Family, config: Any, network: nn.Module) -> ModelCard:
    """A card for a model that nobody wrote one for."""
    shape = family.shape(config)
    title = folder.resolve().name
    return ModelCard(
        id=title,
        name=title,
        family=family.name,
        summary=f"{counted(shape.layers, 'layer')} of {counted(shape.heads, 'head')}, from {title}.",
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        layers=shape.layers,
        heads=shape.heads,
        width=shape.width,
        limit=shape.limit,
        sources=(Folder(folder),),
    )


def counted(count: int, thing: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def digest(
    model: Model, inputs: Inputs, *, patches: Sequence[Patch] = (), seed: int = 0, capture: Capture | None = None
) -> str:
    """A hash of everything that determines the trace, known before the forward pass: 32 hexadecimal digits."""
    capture = capture or model.affordable(inputs)
    parameter = next(model.network.parameters())
    content = {
        "format": FORMAT,
        "release": [VERSION, torch.__version__],
        "device": parameter.device.type,
        "model": model.id,
        "revision": model.revision,
        "dtype": str(parameter.dtype),
        "text": [inputs.text, inputs.pair, inputs.target],
        "tokens": inputs.content,
        "decode": inputs.decode,
        "patches": [patch.to_json() for patch in patches],
        "seed": seed,
        "capture": asdict(capture),
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def trace(
    model: Model,
    text: str | Inputs | None = None,
    *,
    pair: str | None = None,
    source: str | None = None,
    target: str | None = None,
    ids: Mapping[str, Sequence[int]] | None = None,
    patches: Sequence[Patch] = (),
    capture: Capture | None = None,
    seed: int = 0,
) -> Trace:
    """Run the network over one input and keep what it computed.

    The forward pass runs on the fused attention kernel; scores and weights are derived from the trace when they are
    looked at. Of a text so long that everything would be over 2 GiB, some sites are left out unless the `capture` names
    them: hidden units of the feed-forward first, queries and keys never. Nothing here is random: `seed` is written down
    for whoever chose the text with it, and is part of the digest. Raises what `Model.inputs` raises, and `BadPatch`.
    """
    if isinstance(text, Inputs) and any(given is not None for given in (pair, source, target, ids)):
        raise BadInput("The inputs are made already: give a text, a pair, a target or ids to Model.inputs.")
    if not isinstance(text, Inputs):
        text = model.inputs(text, pair=pair, source=source, target=target, ids=ids)
    inputs = text
    capture = capture or model.affordable(inputs)
    tokens = decoded(model, inputs.tokens, patches) if inputs.decode else inputs.tokens
    recorder = Recorder(model.sites, capture, patches)
    with torch.inference_mode():
        hidden = model.family.run(model.network, tokens, recorder)
        prediction = predict(model, tokens, hidden[0])
    return Trace(
        model=model.id,
        revision=model.revision,
        tokens=dict(tokens),
        tensors={address: tensor[0] for address, tensor in recorder.finish().items()},
        sites=model.sites,
        blocks=model.blocks,
        digest=digest(model, inputs, patches=patches, seed=seed, capture=capture),
        patches=tuple(patch.to_json() for patch in patches),
        parent=digest(model, inputs, seed=seed, capture=capture) if patches else None,
        seed=seed,
        vocabulary=model.family.shape(model.config).vocabulary if model.predicts else 0,
        prediction=prediction,
        weights=model,
    )


def decoded(model: Model, tokens: Tokens, patches: Sequence[Patch] = ()) -> dict[str, tuple[Token, ...]]:
    """The same tokens with the decoder's completed greedily, under the same patches, up to its stop token."""
    last = model.family.stacks[-1]
    steps, said = decode(model, tokens, Decoding(max_new_tokens=LONGEST, top=1), patches), ()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            said = end.value
            break
    return {**tokens, last: (*tokens[last], *model.named(said))}


TOP = 10
"""How many of the likeliest tokens a prediction names."""


def one_text(tokens: Sequence[Token]) -> bool:
    """Whether these are known to be one text's tokens, and not two texts'; of ids that were given nobody knows."""
    return any(token.start is not None for token in tokens) and not any(token.segment for token in tokens)


def predict(model: Model, tokens: Tokens, hidden: Tensor) -> dict[str, Any] | None:
    """What the network says of this input, from the last hidden states (position, model); None without a head.

    `positions` holds the likeliest tokens wherever the family asks for one, `labels` the classes of the text,
    `token_labels` the likeliest class of each token with its place among them, and `number` the number that it says.
    Whether a text follows another is not said of one alone.
    """
    stack = model.family.stacks[-1]
    said: dict[str, Any] = {}
    if model.predicts:
        assert model.family.head is not None
        positions = model.family.asks(tokens[stack])
        logits = model.family.head(model.network, hidden[positions])
        top = logits.softmax(-1, dtype=torch.float32).topk(min(TOP, logits.shape[-1]))
        said["positions"] = [
            {
                "position": position,
                "top": [
                    {"id": token.id, "text": token.text, "piece": token.piece, "probability": probability}
                    for token, probability in zip(model.named(ids), probabilities, strict=True)
                ],
            }
            for position, ids, probabilities in zip(positions, top.indices.tolist(), top.values.tolist(), strict=True)
        ]
    asked = not (model.family.about_pairs(model.network) and one_text(tokens[stack]))
    classes = model.family.classify(model.network, model.config, hidden) if model.family.classify and asked else None
    if classes is not None:
        labels, logits = classes
        shares = logits.softmax(-1, dtype=torch.float32)
        if shares.dim() == 1:
            said["labels"] = [
                {"label": label, "probability": share} for label, share in zip(labels, shares.tolist(), strict=True)
            ]
        else:
            best = shares.max(-1)
            said["token_labels"] = [
                {"label": labels[index], "class": index, "probability": share}
                for index, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
    number = model.family.number(model.network, model.config, hidden)
    if number is not None:
        said["number"] = number.item()
    return {"stack": stack, **said} if said else None
