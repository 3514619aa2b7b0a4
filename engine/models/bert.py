"""BERT: a bidirectional Transformer encoder (Devlin et al. 2019), post-norm like the original Transformer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.checkpoint import Rule, Rules
from engine.errors import CheckpointError
from engine.models.family import Family, Shape, Tokens, Unembedding, head, ids, norm, part
from engine.nn.attention import Attention
from engine.nn.feedforward import ACTIVATIONS, FeedForward
from engine.nn.norms import LayerNorm
from engine.sites import ATTENTION, MLP, NORM, Block, Site, site, sites_of
from engine.tap import SILENT, Tap
from engine.tokens import Token


@dataclass(frozen=True)
class Config:
    """Sizes of one BERT. `hidden` is the width of the feed-forward layer, `positions` the longest input.

    `head` is None, or what the checkpoint was made for: `masked` words, `pretraining` (masked words and the next
    sentence), or `sequence` or `token` classification into `labels`. `names` is whose names the file uses; RoBERTa's
    positions begin at `first_position`, and DistilBERT has no segments.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    positions: int = 512
    segments: int = 2
    activation: str = "gelu"
    eps: float = 1e-12
    head: str | None = None
    labels: tuple[str, ...] = ()
    names: str = "bert"
    first_position: int = 0

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> Config:
        """Read a config.json as `transformers` writes it; `CheckpointError` where it asks for what is not BERT."""
        names = config["model_type"]
        distil, roberta = names == "distilbert", names == "roberta"
        positions = config.get("position_embedding_type", "absolute")
        if positions != "absolute":
            raise CheckpointError(f"position_embedding_type {positions!r} is not supported: only 'absolute' is.")
        if config.get("is_decoder"):
            raise CheckpointError("is_decoder is set, but this is an encoder: a causal BERT can not be loaded.")
        activation = config["activation" if distil else "hidden_act"]
        if activation not in ACTIVATIONS:
            raise CheckpointError(f"The activation {activation!r} is not one of {', '.join(ACTIVATIONS)}.")
        architecture = next(iter(config.get("architectures") or ()), "")
        head = next((head for ending, head in HEADS.items() if architecture.endswith(ending)), None)
        numbered = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
        first = config.get("pad_token_id", 1) + 1 if roberta else 0
        return cls(
            vocabulary=config["vocab_size"],
            width=config["dim" if distil else "hidden_size"],
            layers=config["n_layers" if distil else "num_hidden_layers"],
            heads=config["n_heads" if distil else "num_attention_heads"],
            hidden=config["hidden_dim" if distil else "intermediate_size"],
            positions=config["max_position_embeddings"] - first,
            segments=0 if distil else config["type_vocab_size"],
            activation=activation,
            eps=1e-12 if distil else float(config["layer_norm_eps"]),
            head=head,
            labels=tuple(numbered[key] for key in sorted(numbered, key=int)) if head in ("sequence", "token") else (),
            names=names,
            first_position=first,
        )

    @property
    def predicts_words(self) -> bool:
        """Whether it fills masks."""
        return self.head in ("masked", "pretraining")


HEADS = {
    "ForMaskedLM": "masked",
    "ForPreTraining": "pretraining",
    "ForSequenceClassification": "sequence",
    "ForTokenClassification": "token",
}


class Layer(nn.Module):
    """Attention, add & norm, feed-forward, add & norm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config.width, config.heads)
        self.attention_norm = LayerNorm(config.width, config.eps)
        self.mlp = FeedForward(config.width, config.hidden, config.activation)
        self.mlp_norm = LayerNorm(config.width, config.eps)

    def forward(self, x: Tensor, mask: Tensor | None, *, tap: Tap) -> Tensor:
        x = tap("resid.pre", x)  # (batch, position, model)
        at_self, at_mlp = tap.at("self"), tap.at("mlp")
        x = self.attention_norm(x + self.attention(x, mask=mask, tap=at_self), tap=at_self)
        x = tap("resid.mid", x)
        x = self.mlp_norm(x + self.mlp(x, tap=at_mlp), tap=at_mlp)
        return tap("resid.post", x)


class MaskedWords(nn.Module):
    """The head that fills masks: a layer, a norm, the token embedding once more (Devlin et al. 2019, section 3.1)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)
        self.norm = LayerNorm(config.width, config.eps)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))
        self.activation = ACTIVATIONS["gelu" if config.names != "bert" else config.activation]

    def forward(self, hidden: Tensor) -> Tensor:
        """What is held against every embedding, (..., model)."""
        return self.norm(self.activation(self.dense(hidden)))  # type: ignore[no-any-return]


class Classifier(nn.Module):
    """A class for the text, of its first token through one more layer, or for each token."""

    def __init__(self, config: Config, labels: int, *, text: bool) -> None:
        super().__init__()
        self.text = text
        self.pooler = nn.Linear(config.width, config.width) if text else None
        self.squash = F.relu if config.names == "distilbert" else torch.tanh
        self.out = nn.Linear(config.width, labels)

    def forward(self, hidden: Tensor) -> Tensor:
        """(position, model) to (label,) or (position, label)."""
        if self.pooler is None:
            return self.out(hidden)  # type: ignore[no-any-return]
        return self.out(self.squash(self.pooler(hidden[..., 0, :])))  # type: ignore[no-any-return]


class Bert(nn.Module):
    """The encoder: token ids in, hidden states out; and the heads that its checkpoint has."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.first_position = config.first_position
        self.position = nn.Embedding(config.first_position + config.positions, config.width)
        self.segment = nn.Embedding(config.segments, config.width) if config.segments else None
        self.embed_norm = LayerNorm(config.width, config.eps)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.masked = MaskedWords(config) if config.predicts_words else None
        self.next_sentence = Classifier(config, 2, text=True) if config.head == "pretraining" else None
        labels = len(config.labels)
        self.classifier = Classifier(config, labels, text=config.head == "sequence") if labels else None

    def forward(
        self, ids: Tensor, segments: Tensor | None = None, mask: Tensor | None = None, *, tap: Tap = SILENT
    ) -> Tensor:
        """Hidden states (batch, position, model) of `ids` (batch, position).

        `segments` says for each token which sentence it belongs to (all 0 without it); `mask` is True for real tokens
        and False for padding, which nothing attends to.
        """
        tap = tap.at("encoder")
        segments = torch.zeros_like(ids) if segments is None else segments
        places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids) + self.first_position
        x: Tensor = tap("embed.token", self.token(ids))
        if self.segment is not None:
            x = x + tap("embed.segment", self.segment(segments))
        x = x + tap("embed.position", self.position(places))
        x = self.embed_norm(x, tap=tap.at("embed"))
        keys = None if mask is None else mask[:, None, None, :]  # (batch, 1, 1, key)
        for index, layer in enumerate(self.layers):
            x = layer(x, keys, tap=tap.at(index))
        return x

    @property
    def unembedding(self) -> Unembedding:
        """The head that fills masks."""
        assert self.masked is not None
        return Unembedding(self.token.weight, self.masked.bias, self.masked)


def sites(config: Config) -> Iterator[Site]:
    """Every site of this network, recorded and derived."""
    segments = ("embed.segment",) if config.segments else ()
    yield from sites_of(("embed.token", *segments, "embed.position"), "encoder")
    yield from sites_of(NORM, "encoder", None, "embed")
    for layer in range(config.layers):
        yield site("resid.pre", "encoder", layer)
        yield from sites_of((*ATTENTION, *NORM), "encoder", layer, "self")
        yield site("resid.mid", "encoder", layer)
        yield from sites_of((*MLP, *NORM), "encoder", layer, "mlp")
        yield site("resid.post", "encoder", layer)
    if config.predicts_words:
        yield from sites_of(("head.input", "logits"), "encoder")


def blocks(config: Config) -> tuple[Block, ...]:
    """BERT has one kind of attention: every token looks at every token."""
    head_dim = config.width // config.heads
    return (
        Block(
            "encoder",
            "self",
            layers=config.layers,
            heads=config.heads,
            kv_heads=config.heads,
            head_dim=head_dim,
            query_stack="encoder",
            key_stack="encoder",
            causal=False,
            scale=head_dim**-0.5,
        ),
    )


EMBEDDINGS = {
    "embeddings.word_embeddings": "token",
    "embeddings.position_embeddings": "position",
    "embeddings.token_type_embeddings": "segment",
    "embeddings.LayerNorm": "embed_norm",
}
BERT_LAYER = {
    "attention.self.query": "attention.q",
    "attention.self.key": "attention.k",
    "attention.self.value": "attention.v",
    "attention.output.dense": "attention.out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "mlp.up",
    "output.dense": "mlp.down",
    "output.LayerNorm": "mlp_norm",
}
DISTIL_LAYER = {
    "attention.q_lin": "attention.q",
    "attention.k_lin": "attention.k",
    "attention.v_lin": "attention.v",
    "attention.out_lin": "attention.out",
    "sa_layer_norm": "attention_norm",
    "ffn.lin1": "mlp.up",
    "ffn.lin2": "mlp.down",
    "output_layer_norm": "mlp_norm",
}
LAYERS = {
    "bert": ("encoder.layer", BERT_LAYER),
    "roberta": ("encoder.layer", BERT_LAYER),
    "distilbert": ("transformer.layer", DISTIL_LAYER),
}
MASKED = {  # dense, norm, bias, and what repeats the embedding and the bias
    "bert": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions"),
    "roberta": ("lm_head.dense", "lm_head.layer_norm", "lm_head"),
    "distilbert": ("vocab_transform", "vocab_layer_norm", "vocab_projector"),
}
CLASSIFIERS = {  # of a text: the layer over the first token, and the classes
    "bert": ("pooler.dense", "classifier"),
    "roberta": ("classifier.dense", "classifier.out_proj"),
    "distilbert": ("pre_classifier", "classifier"),
}


def rules(config: Config) -> Rules:
    """How the names in a checkpoint map to ours."""
    names = {theirs: ours for theirs, ours in EMBEDDINGS.items() if config.segments or ours != "segment"}
    prefix, parts = LAYERS[config.names]
    for i in range(config.layers):
        names |= {f"{prefix}.{i}.{theirs}": f"layers.{i}.{ours}" for theirs, ours in parts.items()}
    found, same = [], {}
    if config.predicts_words:
        dense, norm, last = MASKED[config.names]
        names |= {dense: "masked.dense", norm: "masked.norm"}
        found.append(Rule(f"{last}.bias", "masked.bias"))
        same = {
            f"{last}.decoder.weight": "embeddings.word_embeddings.weight",
            f"{last}.decoder.bias": f"{last}.bias",
            f"{last}.weight": "embeddings.word_embeddings.weight",
        }
    if config.head == "pretraining":
        names |= {"pooler.dense": "next_sentence.pooler", "cls.seq_relationship": "next_sentence.out"}
    if config.head == "sequence":
        pooler, classes = CLASSIFIERS[config.names]
        names |= {pooler: "classifier.pooler", classes: "classifier.out"}
    if config.head == "token":
        names["classifier"] = "classifier.out"
    return Rules(
        rules=(
            *found,
            *(
                Rule(f"{theirs}.{part}", f"{ours}.{part}")
                for theirs, ours in names.items()
                for part in (("weight",) if ours in ("token", "position", "segment") else ("weight", "bias"))
            ),
        ),
        # A buffer, and heads that the file has beside the one that its config.json names.
        ignored=("embeddings.position_ids", "pooler.*", "cls.*"),
        same=same,
        prefixes=("bert.", "roberta.", "distilbert."),
        spellings={"gamma": "weight", "beta": "bias"},  # files from the TensorFlow days
    )


def run(network: nn.Module, tokens: Tokens, tap: Tap) -> Tensor:
    """One forward pass over one input."""
    words = ids(network, tokens["encoder"])
    segments = torch.tensor([[token.segment for token in tokens["encoder"]]], device=words.device)
    hidden: Tensor = network(words, segments, tap=tap)
    return hidden


def masks(tokens: tuple[Token, ...]) -> list[int]:
    """A masked-word model is asked for a word wherever there is a mask."""
    return [index for index, token in enumerate(tokens) if token.special and token.piece in ("[MASK]", "<mask>")]


def classify(network: nn.Module, config: Config, hidden: Tensor) -> tuple[tuple[str, ...], Tensor] | None:
    """Labels and their logits, (label,) of a text or (position, label) of each token; None without a classifier."""
    assert isinstance(network, Bert)
    if network.classifier is not None:
        return config.labels, network.classifier(hidden)
    if network.next_sentence is not None:
        return ("follows", "does not follow"), network.next_sentence(hidden)
    return None


def about_pairs(network: nn.Module) -> bool:
    """Whether its classes say if one text follows another (Devlin et al. 2019, section 3.1, task 2)."""
    assert isinstance(network, Bert)
    return network.classifier is None and network.next_sentence is not None


FAMILY = Family(
    name="bert",
    title="BERT",
    model_types=("bert", "roberta", "distilbert"),
    stacks=("encoder",),
    read_config=Config.from_hf,
    build=Bert,
    shape=lambda c: Shape(c.layers, c.heads, c.width, c.positions, c.vocabulary),
    sites=sites,
    blocks=blocks,
    rules=rules,
    run=run,
    part=part,
    norm=norm,
    head=head,
    finish=lambda _, stream: stream,
    predicts=lambda c: c.predicts_words,
    asks=masks,
    classify=classify,
    about_pairs=about_pairs,
    pairs=True,
)
