"""What goes in and out as JSON, with the examples that the API page runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

import engine
from app.selection import AnySelection, Selection
from app.wire import Dtype
from app.words import cut
from engine.errors import nearest
from engine.learned import AXES as LEARNED_AXES
from engine.sites import VOCABULARY

FLAGSHIP = "The animal didn't cross the street because it was too tired"

Stage = Literal["pattern", "scores", "scores.scaled", "scores.raw"]
Status = Literal["loaded", "loading", "ready", "downloading", "absent"]
Table = list[list[float]]
AXES = tuple(dict.fromkeys(axis for site in VOCABULARY.values() for axis in site.axes if axis != "batch"))


class Strict(BaseModel):
    """A request, in which an unknown name is a mistake and not something to pass over."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _names(cls, data: Any) -> Any:
        for name in data if isinstance(data, dict) else ():
            if name not in cls.model_fields:
                short = cut(str(name))
                hint = nearest(short, cls.model_fields) or f" Known here: {', '.join(cls.model_fields)}."
                raise PydanticCustomError(
                    "unknown_name", "There is no {name} here.{hint}", {"name": repr(short), "hint": hint}
                )
        return data


# Requests ---------------------------------------------------------------------------------------------------------


Place = Annotated[int, Field(ge=0, le=999_999_999)]


class Patch(Strict):
    """An intervention: what is changed, where, and into what. Axes that `where` leaves out are changed whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: Literal["zero", "mean", "scale", "knockout", "copy"] = Field(
        description="`zero`, `mean` over positions, `scale` by a factor, `knockout` of edges at the scores (the row is "
        "shared out anew; `zero` at the pattern does not), or `copy` from another trace."
    )
    address: str = Field(max_length=200, description="The site.", examples=["encoder.5.self.scores"])
    where: dict[str, Annotated[list[Place], Field(max_length=4096)]] = Field(
        default_factory=dict, max_length=8, description="Places along each axis.", examples=[{"head": [11]}]
    )
    factor: float | None = Field(None, allow_inf_nan=False, description="Of `scale`.")
    source: str | None = Field(None, max_length=200, description="Of `copy`: the other trace's id.")
    positions: list[tuple[Place, Place]] | None = Field(
        None, max_length=4096, description="Of `copy`: pairs of a position here and one there; all where left out."
    )

    @model_validator(mode="after")
    def _complete(self) -> Patch:
        for name, operation in (("factor", "scale"), ("source", "copy")):
            if (getattr(self, name) is not None) != (self.operation == operation):
                said = "needs" if self.operation == operation else "has no"
                raise PydanticCustomError(
                    "patch", "{operation} {said} {name}.", {"operation": self.operation, "said": said, "name": name}
                )
        for axis in self.where:
            if axis not in AXES:
                short = cut(axis)
                hint = nearest(short, AXES) or f" Known here: {', '.join(AXES)}."
                raise PydanticCustomError(
                    "patch", "There is no axis {axis}.{hint}", {"axis": repr(short), "hint": hint}
                )
        if self.positions is not None and self.operation != "copy":
            raise PydanticCustomError("patch", "{operation} has no positions.", {"operation": self.operation})
        return self


class Decoding(Strict):
    """How a text is continued."""

    max_new_tokens: int = Field(20, ge=1, le=4096, description="The most tokens to add.")
    temperature: float = Field(
        0.0, ge=0, le=100, description="0 takes the likeliest token; below 1 is surer, above 1 more varied."
    )
    top_k: int | None = Field(None, ge=1, le=1_000_000, description="Draw among that many of the likeliest.")
    top_p: float | None = Field(None, gt=0, le=1, description="Draw among the fewest with this probability together.")
    repetition_penalty: float = Field(1.0, ge=0.01, le=100, description="Above 1, what was said becomes less likely.")
    beams: int = Field(1, ge=1, le=16, description="Texts continued side by side, of which the best is kept.")
    length_penalty: float = Field(1.0, ge=-10, le=10, description="Of beams: above 1 prefers longer texts.")
    stop: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default_factory=list, max_length=8, description="Texts that end it, besides the model's own stop token."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="The same seed gives the same text.")
    top: int = Field(
        10, ge=1, le=100, description="How many of the likeliest tokens each step names, besides the chosen one."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Decoding:
        if self.beams > 1 and self.temperature > 0:
            raise PydanticCustomError(
                "decoding", "Beam search draws nothing: leave out the temperature, or use one beam."
            )
        return self

    def settings(self) -> engine.Decoding:
        """As the engine takes them."""
        given = {name: getattr(self, name) for name in Decoding.model_fields}
        return engine.Decoding(**given | {"stop": tuple(self.stop)})


class TraceRequest(Strict):
    """A text, or two, to run a model over."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "minilm", "text": FLAGSHIP},
                {"model": "minilm", "text": "The cat sat on the mat.", "pair": "It was asleep within a minute."},
            ]
        }
    )

    model: str = Field("minilm", max_length=200, description="A model's id, from GET /models.")
    text: str = Field(
        description="The sentence, in any language and script; at most as many tokens as the model takes. An "
        "encoder-decoder's source."
    )
    pair: str | None = Field(None, description="A second text, for models that read two.")
    target: str | None = Field(
        None, description="What an encoder-decoder says; it decodes greedily where this is left out."
    )
    patches: list[Patch] = Field(default_factory=list, max_length=64, description="Interventions, in this order.")
    generate: Decoding | None = Field(
        None, description="Continue the text first, and trace all of it. POST /generate sends it token by token."
    )
    said: list[Annotated[int, Field(ge=0)]] | None = Field(
        None,
        max_length=65_536,
        description="Token ids that stand after the text, as a generation's last event has them.",
    )

    @model_validator(mode="after")
    def _continued(self) -> TraceRequest:
        if self.pair is not None and (self.generate is not None or self.said is not None):
            raise PydanticCustomError("pair", "A text that is continued has no pair: leave one of them out.")
        return self

    @model_validator(mode="before")
    @classmethod
    def _source(cls, data: Any) -> Any:
        """`source` is another word for `text`, as one would say of an encoder-decoder."""
        if isinstance(data, dict) and "source" in data and "text" not in data:
            return {("text" if name == "source" else name): value for name, value in data.items()}
        return data


class GenerateRequest(Decoding):
    """A text to continue, and how."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "gpt-captions", "text": "Two dogs", "max_new_tokens": 12},
                {"model": "transformer-fr-en", "text": "Deux chiens courent dans la neige.", "beams": 4},
            ]
        }
    )

    model: str = Field(max_length=200, description="A model's id, from GET /models: one that generates.")
    text: str = Field(description="What is continued; an encoder-decoder's source.")
    target: str | None = Field(None, description="How an encoder-decoder's answer begins.")
    said: list[Annotated[int, Field(ge=0)]] = Field(
        default_factory=list, max_length=65_536, description="Token ids to go on from, after the text or the target."
    )
    patches: list[Patch] = Field(default_factory=list, max_length=64, description="Interventions, in this order.")


def _chosen(what: str, **more: Any) -> Any:
    return Field(None, description=f"{what}: `3`, `0,2,5`, `4-7` (both included) or a mix; all where left out.", **more)


def _number(value: object) -> object:
    """What pydantic would take for 1 or 0 is neither."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "This is a number, not true or false.")
    return value


class BlockQuery(Strict):
    """Which attention block."""

    stack: str | None = Field(None, max_length=64, description="The first where left out.", examples=["encoder"])
    block: str | None = Field(None, max_length=64, description="The first where left out.", examples=["self"])


class Region(BlockQuery):
    """Which part of a block's attention, and how much of it to fold together."""

    layers: Selection | None = _chosen("Layers", examples=["5"])
    heads: Selection | None = _chosen("Heads", examples=["11"])
    queries: Selection | None = _chosen("Tokens that look")
    keys: Selection | None = _chosen("Tokens that are looked at")
    stage: Stage = Field("pattern", description="Weights, or scores: q·k, times the scale, then with mask and bias.")
    size: Annotated[int | None, BeforeValidator(_number)] = Field(
        None, ge=1, le=65_536, description="Max-pool every map to at most size × size."
    )
    reduce: Literal["mean", "max"] | None = Field(None, description="Fold the chosen heads into one map.")
    over: Literal["heads", "all"] = Field("heads", description="What `reduce` folds: heads, or layers and heads.")

    @model_validator(mode="after")
    def _folds(self) -> Region:
        if "over" in self.model_fields_set and self.reduce is None:
            raise PydanticCustomError("over", "over says what reduce folds: give reduce=mean or reduce=max as well.")
        return self


class AttentionQuery(Region):
    """The query string of GET /traces/{id}/attention."""

    dtype: Dtype = Field("f32", description="Numbers in safetensors; u8 is 255 steps from `low` to `high`.")


class AttentionRequest(Region, TraceRequest):
    """A text and the part of its attention to send back, in one call."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": FLAGSHIP, "layers": "5", "heads": "11"}]})

    layers: AnySelection | None = _chosen("Layers", examples=["5"])
    heads: AnySelection | None = _chosen("Heads", examples=["11"])
    queries: AnySelection | None = _chosen("Tokens that look")
    keys: AnySelection | None = _chosen("Tokens that are looked at")


class HeadsQuery(BlockQuery):
    """Which block, and which of its layers."""

    layers: Selection | None = _chosen("Layers", examples=["5"])


class WeightQuery(BlockQuery):
    """Which single weight."""

    layer: int = Field(ge=0, le=999_999_999, examples=[5])
    head: int = Field(ge=0, le=999_999_999, examples=[11])
    query: int = Field(ge=0, le=999_999_999, description="The token that looks.", examples=[10])
    key: int = Field(ge=0, le=999_999_999, description="The token that is looked at.", examples=[2])


class LensQuery(Strict):
    """Where the logit lens looks."""

    position: int | None = Field(
        None, ge=0, le=999_999_999, description="Of a token of the last stack; the last one where left out."
    )
    top: int = Field(5, ge=1, le=50, description="So many of the likeliest tokens.")


class _TensorQuery(Strict):
    """Which part of a tensor, by the names of its axes: `3`, `0,2,5`, `4-7`; the whole axis where left out."""

    dtype: Dtype = Field("f32", description="Numbers of a safetensors answer.")


if TYPE_CHECKING:
    TensorQuery = _TensorQuery
else:  # one parameter for every axis in the engine's vocabulary, so that a new site needs no change here
    TensorQuery = create_model(
        "TensorQuery",
        __base__=_TensorQuery,
        __doc__=_TensorQuery.__doc__,
        **{axis: (Selection | None, _chosen(f"Places along {axis}")) for axis in AXES},
    )


if TYPE_CHECKING:
    ParameterQuery = _TensorQuery
else:
    ParameterQuery = create_model(
        "ParameterQuery",
        __base__=_TensorQuery,
        __doc__=_TensorQuery.__doc__,
        **{axis: (Selection | None, _chosen(f"Places along {axis}")) for axis in LEARNED_AXES},
    )


class _GradientQuery(_TensorQuery):
    """Of what, with respect to which part of a tensor."""

    of: Literal["loss", "logit", "number"] = Field(
        "loss",
        description="The loss of the text's own next tokens, of one or their mean; a logit; or the number it says.",
    )
    of_token: int | None = Field(None, ge=0, le=999_999_999, description="The token's id, or the number of a class.")
    of_position: int | None = Field(
        None,
        ge=0,
        le=999_999_999,
        description="After which token; or the token that has a class. Null for the text's class, and the mean loss.",
    )

    @model_validator(mode="after")
    def _complete(self) -> _GradientQuery:
        placed = self.of == "number" and self.of_position is not None
        if placed or (self.of == "logit") != (self.of_token is not None):
            raise PydanticCustomError(
                "of", "Give of_token with of=logit and only there; of_position with of=logit or of=loss, if at all."
            )
        return self

    def asked(self) -> engine.Logit | engine.Loss | engine.Number:
        """As the engine takes it."""
        if self.of == "number":
            return engine.Number()
        return engine.Loss(self.of_position) if self.of_token is None else engine.Logit(self.of_token, self.of_position)


if TYPE_CHECKING:
    GradientQuery = _GradientQuery
else:
    GradientQuery = create_model(
        "GradientQuery",
        __base__=_GradientQuery,
        __doc__=_GradientQuery.__doc__,
        **{axis: (Selection | None, _chosen(f"Places along {axis}")) for axis in AXES},
    )


# Answers ----------------------------------------------------------------------------------------------------------


class Example(BaseModel):
    """An input that shows something."""

    text: str
    pair: str | None
    note: str
    look: list[int | None] | None = Field(description="Layer, head, query and key to look at first.")
    state: list[str | int] | None = Field(description="Or a recurrent state: its address, time step and unit.")


class LessonRow(BaseModel):
    """What a lesson is about; a file that cannot be played has a `problem` and no slides."""

    name: str = Field(examples=["which-word"])
    title: str
    language: str = Field(examples=["en"])
    summary: str
    slides: int
    steps: int = Field(description="Pictures in all: what each slide shows at first, and after each further press.")
    models: list[str] = Field(description="Ids of the models it shows.")
    problem: str | None = Field(description="What is wrong with the file, and at which line.")


class LessonSlide(BaseModel):
    """One slide."""

    title: str = Field(description="What lists call it, Markdown: the file's, else the text without its numbers.")
    title_html: str
    text: str = Field(description="For the class, Markdown. `{weight}` and the like stand for numbers of the picture.")
    text_html: str
    notes: str = Field(description="For whoever speaks, Markdown.")
    notes_html: str
    states: list[str] = Field(
        description="What a permalink to the page has behind its `#`: at first, and after each further press of a key."
    )


class Lesson(BaseModel):
    """A lesson, whole."""

    name: str = Field(examples=["which-word"])
    title: str
    language: str
    summary: str
    slides: list[LessonSlide]


class Model(BaseModel):
    """A model's card."""

    id: str = Field(examples=["minilm"])
    name: str
    family: str = Field(examples=["bert"])
    summary: str
    parameters: int | None = Field(description="This and the sizes below are null where only loading will tell.")
    layers: int | None
    heads: int | None
    width: int | None = Field(description="Size of the residual stream.")
    limit: int | None = Field(description="The most tokens it takes.")
    licence: str
    homepage: str
    source: str = Field(description="Where the files are, or would come from.")
    revision: str | None = Field(description="sha256 of the weights; null where it is known only after loading.")
    status: Status = Field(description="`ready`: its files are here; `absent`: they are not.")
    downloadable: bool = Field(description="Whether POST /models/{id}/download may bring the files here.")
    size: int | None = Field(description="Bytes of the weights to download; null where the hub will tell.")
    pairs: bool | None = Field(description="Whether it reads two texts; null while its family is not known.")
    targets: bool | None = Field(
        description="Whether it says a target to a source; null while its family is not known."
    )
    generates: bool | None = Field(description="Whether it continues texts; null until it is loaded.")
    scores: dict[str, float]
    examples: list[Example]


class Arrived(BaseModel):
    """How much of one file is here."""

    name: str
    done: int = Field(description="Bytes that are here.")
    total: int


class Progress(BaseModel):
    """How far a download is: the data of a `progress` event."""

    done: int = Field(description="Bytes that are here, of all files.")
    total: int
    files: list[Arrived]


class Block(BaseModel):
    """One kind of attention in a stack, the same in each of its layers."""

    name: str = Field(examples=["self"])
    kind: str = Field(examples=["dot"])
    heads: int
    kv_heads: int
    head_dim: int
    query_stack: str
    key_stack: str
    causal: bool
    scale: float


class Stack(BaseModel):
    """Layers over one sequence of tokens."""

    name: str = Field(examples=["encoder"])
    layers: int
    heads: int
    blocks: list[Block]


class Site(BaseModel):
    """A place in the network where a tensor can be looked at."""

    address: str = Field(description="Write a layer's number for `{layer}`.", examples=["encoder.{layer}.self.q"])
    layers: int | None = Field(description="How many layers have it; null where it belongs to none.")
    axes: list[str]
    meaning: str
    derived: bool = Field(description="Computed from recorded tensors when somebody looks.")


class ModelDetail(Model):
    """A model's card, with what can be looked at in it."""

    stacks: list[Stack] | None = Field(description="null while the model's files are absent.")
    sites: list[Site] | None = Field(description="null while the model's files are absent.")
    embedding_scale: float | None = Field(
        description="What rows of the token embedding are multiplied by before they enter: √d_model in the original "
        "Transformer, 1 elsewhere; null while the model's files are absent."
    )


class Parameter(BaseModel):
    """What a network has learned, one tensor of it."""

    name: str = Field(examples=["layers.5.attention.q.weight"])
    axes: list[str] = Field(description="Their names, in order; a weight's last ones run over what it reads.")
    shape: list[int] = Field(description="The length of each axis.")
    dtype: str = Field(examples=["float32"])
    stack: str | None = Field(description="Which block it belongs to, as in the addresses of sites.")
    layer: int | None
    block: str | None
    letter: str | None = Field(
        description="As papers write it: W_Q, b_Q, W_O, W, U, v, gain, W_U; null where it has none."
    )
    gates: list[str] = Field(description="The places along the axis `gate`, in order.")


class Token(BaseModel):
    """A token of the input."""

    index: int
    id: int
    text: str = Field(description="As a person would write it.")
    piece: str = Field(description="As the vocabulary has it.")
    start: int | None = Field(description="First character in its sentence; null for special tokens.")
    end: int | None
    special: bool
    continues: bool = Field(description="Goes on with the word of the token before it.")
    segment: int = Field(description="0 in the first text, 1 in the second.")
    value: float | None = Field(description="The number itself, where the network reads numbers.")


class Trace(BaseModel):
    """What a model was run over, and what it consists of; its tensors have calls of their own."""

    id: str
    model: str
    revision: str
    text: str
    pair: str | None
    tokens: dict[str, list[Token]]
    stacks: list[Stack]
    prediction: dict[str, Any] | None = Field(description="null for an encoder without a head.")
    target: str | None = Field(description="What the decoder was given to say; null where it decoded by itself.")
    said: list[int] | None = Field(description="Ids of the tokens that continue the text; null where it was not.")
    patches: list[dict[str, Any]]
    parent: str | None = Field(description="The id of the same trace without patches; null where there are none.")
    seed: int


class Written(BaseModel):
    """A token that belongs to no place in a text that someone sent."""

    id: int
    text: str
    piece: str
    special: bool
    continues: bool


class Candidate(BaseModel):
    """A token that could come next."""

    token: Written
    probability: float = Field(description="As the network gives it.")
    chance: float = Field(description="What it is drawn with, after temperature, penalty and cuts.")


class Beam(BaseModel):
    """A node of the beam tree; nodes are numbered in the order in which they come."""

    parent: int | None = Field(description="The node before it; null at the root.")
    token: Written
    log_probability: float = Field(description="Of the whole text up to here.")
    kept: bool = Field(description="Whether it is continued.")
    ended: bool = Field(description="Whether it is a whole text.")


class Step(BaseModel):
    """The data of a `token` event."""

    position: int = Field(description="Its place in the last stack.")
    token: Written
    probability: float
    top: list[Candidate]
    seconds: float = Field(description="What this step took.")
    ended: Literal["token", "text", "length"] | None = Field(
        description="Why the text ends here: a stop token, a stop text, or no room; null where it goes on."
    )
    beams: list[Beam] = Field(description="Nodes that this step added to the beam tree.")


class Generated(BaseModel):
    """The data of the `done` event."""

    id: str = Field(description="Of the trace of all of it, for GET /traces/{id}.")
    location: str
    text: str = Field(description="What was said after the prompt.")
    said: list[int] = Field(description="The same as token ids, what was forced included; a stop token is not.")
    ended: Literal["token", "text", "length"]
    seconds: float


class Attention(BaseModel):
    """Attention maps as JSON; masked scores are null."""

    trace: str
    model: str
    stack: str
    block: str
    stage: str
    axes: list[str]
    layers: list[int]
    heads: list[int]
    queries: list[int]
    keys: list[int]
    query_edges: list[int] | None = Field(description="Where each pooled bin begins among `queries`, and the end.")
    key_edges: list[int] | None
    tokens: dict[str, list[str]] = Field(description="Texts along the query and key axes.")
    values: list[list[list[list[float | None]]]] = Field(description="(layer, head, query, key).")


class OneShotAttention(Attention):
    """The same, with the trace's id and every token of the input."""

    id: str
    all_tokens: dict[str, list[Token]]


class Heads(BaseModel):
    """What each head is like on this input; every table is (layer, head)."""

    stack: str
    block: str
    layers: list[int] = Field(description="The layers that the tables run over.")
    sharpness: Table = Field(description="1: looks at one key; 0: at all alike.")
    entropy: Table = Field(description="Bits, averaged over the queries.")
    peak: Table = Field(description="The largest weight.")
    previous: Table | None = Field(description="Mean weight on the token before.")
    first: Table = Field(description="Mean weight on the first token.")
    own: Table | None = Field(description="Mean weight on the token itself.")


class Likely(BaseModel):
    """A token, and how likely it is."""

    token: Written
    probability: float


class Guess(BaseModel):
    """What the head makes of the residual stream at one place."""

    site: str = Field(examples=["decoder.2.resid.pre"])
    layers: int = Field(description="So many layers have been gone through.")
    top: list[Likely]
    of_said: float = Field(description="The probability of the token that is likeliest in the end.")


class Lens(BaseModel):
    """The logit lens: what would be said at one position if the network stopped after any of its layers."""

    stack: str
    position: int
    said: Written = Field(description="The likeliest token in the end.")
    guesses: list[Guess] = Field(description="Before the first layer, and after each.")


class Arithmetic(BaseModel):
    """How one weight came about, in the order in which it is computed."""

    stack: str
    block: str
    layer: int
    head: int
    query: int
    key: int
    query_token: str
    key_token: str
    q: list[float]
    k: list[float]
    products: list[float] = Field(description="q ∘ k.")
    raw: float = Field(description="Their sum, q·k.")
    scale: float
    scaled: float
    bias: float
    masked: bool
    score: float | None = Field(description="scaled + bias; null where masked.")
    row_max: float
    numerator: float = Field(description="exp(score - row_max).")
    denominator: float = Field(description="The sum of these over the row.")
    weight: float
    v: list[float]
    weighted_v: list[float]
    z: list[float] = Field(description="The head's whole weighted sum of values.")
    written_norm: float | None = Field(description="Length of weighted_v after W_O; null where there is no W_O.")
    head_written_norm: float | None = Field(description="Length of z after W_O; null where there is no W_O.")
    patched: bool = Field(
        description="A patch changed this block's scores or weights: the numbers above them do not lead to the weight."
    )


class Found(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(examples=["query.layers"])
    what: str


class ProblemBody(BaseModel):
    """RFC 9457; some problems add members of their own, such as `limit`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="What went wrong here, and what to do.")
    instance: str
    errors: list[Found] | None = None


class Health(BaseModel):
    """Whether the server is up."""

    status: Literal["ok", "starting"]
    version: str
