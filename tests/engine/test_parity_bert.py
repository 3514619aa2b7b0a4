"""Law 1: what the engine shows is what the reference implementation computes, in every layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BertModel

import engine
from engine.nn import attention
from engine.tap import Capture, Recorder

SENTENCES = [
    "The animal didn't cross the street because it was too tired",
    "The animal didn't cross the street because it was too wide",
    "I kicked the ball",
    "The quick brown fox jumps over the lazy dog",
    "Hello, how are you?",
    "Attention is all you need.",
    "A",
    "Time flies like an arrow; fruit flies like a banana.",
    "The trophy doesn't fit in the suitcase because it is too big.",
    "Colourless green ideas sleep furiously",
    "She said that he said that they had left.",
    "1 + 1 = 2, and 2 + 2 = 4.",
    "Buffalo buffalo Buffalo buffalo buffalo buffalo Buffalo buffalo",
    "naïve café, Zürich, Ångström",
    "مرحبا بالعالم",
    "我喜欢学习语言",
    "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
    "👩‍👩‍👧 went to the zoo 🦁",
    "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer",
    " ".join(["word"] * 120),
]
PAIRS = [
    ("The cat sat on the mat.", "It was asleep within a minute."),
    ("How old are you?", "What is your age?"),
    ("A man is eating food.", "A man is eating a piece of bread."),
]


def reference(folder: Path | str, dtype: torch.dtype) -> BertModel:
    return BertModel.from_pretrained(folder, attn_implementation="eager", dtype=dtype, add_pooling_layer=False).eval()


def reference_sites(model: BertModel, ids: Tensor, segments: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Every tensor that the reference can show, under the engine's addresses, with the batch axis."""
    seen: dict[str, Tensor] = {}
    heads = model.config.num_attention_heads

    def keep(address: str, split: bool = False) -> Callable[..., None]:
        def hook(module: object, args: object, output: Tensor | tuple[Tensor, ...]) -> None:
            output = output[0] if isinstance(output, tuple) else output
            seen[address] = output.unflatten(-1, (heads, -1)).transpose(1, 2) if split else output

        return hook

    hooks = []
    for i, layer in enumerate(model.encoder.layer):
        at = f"encoder.{i}"
        projections = layer.attention.self
        for name, module in (("q", projections.query), ("k", projections.key), ("v", projections.value)):
            hooks.append(module.register_forward_hook(keep(f"{at}.self.{name}", split=True)))
        hooks.append(layer.attention.output.dense.register_forward_hook(keep(f"{at}.self.out")))
        hooks.append(layer.attention.register_forward_hook(keep(f"{at}.resid.mid")))
        hooks.append(projections.register_forward_hook(keep(f"{at}.self.z", split=True)))
        hooks.append(layer.intermediate.dense.register_forward_hook(keep(f"{at}.mlp.pre")))
        hooks.append(layer.intermediate.register_forward_hook(keep(f"{at}.mlp.post")))
        hooks.append(layer.output.dense.register_forward_hook(keep(f"{at}.mlp.out")))
    with torch.inference_mode():
        answer = model(ids, mask.long(), segments, output_attentions=True, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    for i, pattern in enumerate(answer.attentions):
        seen[f"encoder.{i}.self.pattern"] = pattern
        seen[f"encoder.{i}.resid.pre"] = answer.hidden_states[i]
        seen[f"encoder.{i}.resid.post"] = answer.hidden_states[i + 1]
    return seen


def ours(model: engine.Model, ids: Tensor, segments: Tensor, mask: Tensor) -> dict[str, Tensor]:
    recorder = Recorder(model.sites, Capture(derived=("*",)))
    with torch.inference_mode():
        model.network(ids, segments, mask, tap=recorder)
    return recorder.tensors


def worst(found: dict[str, Tensor], expected: dict[str, Tensor], mask: Tensor) -> dict[str, float]:
    """The largest absolute difference per address, rows of padding aside: nobody defines what padding sees."""
    errors = {}
    for address, value in expected.items():
        assert found[address].shape == value.shape, address
        axis = 2 if value.dim() == 4 else 1
        real = mask.view([len(mask), *(mask.shape[1] if a == axis else 1 for a in range(1, value.dim()))])
        errors[address] = ((found[address] - value).abs() * real).max().item()
    return errors


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_attention_heads": 1},
        {"num_attention_heads": 24, "num_hidden_layers": 1},
        {"hidden_act": "relu", "type_vocab_size": 3, "layer_norm_eps": 1e-5},
        {"hidden_act": "gelu_new", "hidden_size": 32, "intermediate_size": 8},
    ],
)
def test_tiny_random_berts_agree_in_every_layer_to_1e_10(
    tiny_bert: Callable[..., Path], changes: dict[str, object]
) -> None:
    folder = tiny_bert(seed=1, **changes)
    model = engine.load(folder, dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    batch, length = 5, 17
    ids = torch.randint(model.config.vocabulary, (batch, length), generator=generator)
    segments = torch.randint(model.config.segments, (batch, length), generator=generator)
    mask = torch.arange(length) < torch.tensor([17, 1, 9, 16, 5])[:, None]
    expected = reference_sites(reference(folder, torch.float64), ids, segments, mask)
    errors = worst(ours(model, ids, segments, mask), expected, mask)
    assert len(errors) == 12 * model.config.layers
    assert max(errors.values()) < 1e-10, errors


@pytest.mark.parametrize(("text", "pair"), [*((text, None) for text in SENTENCES), *PAIRS])
def test_minilm_agrees_with_the_reference_on_real_sentences(
    minilm: engine.Model, minilm_reference: BertModel, text: str, pair: str | None
) -> None:
    trace = engine.trace(minilm, text, pair=pair)
    tokens = trace.tokens["encoder"]
    ids, segments = (torch.tensor([[getattr(t, name) for t in tokens]]) for name in ("id", "segment"))
    mask = torch.ones_like(ids, dtype=torch.bool)
    expected = reference_sites(minilm_reference, ids, segments, mask)
    errors = worst({address: trace[address][None] for address in expected}, expected, mask)
    assert max(errors.values()) < 1e-4, errors


def test_minilm_agrees_with_the_reference_on_a_padded_batch(minilm: engine.Model, minilm_reference: BertModel) -> None:
    rows = [minilm.inputs(text).tokens["encoder"] for text in SENTENCES]
    length = max(len(row) for row in rows)
    ids = torch.tensor([[t.id for t in row] + [0] * (length - len(row)) for row in rows])
    mask = torch.arange(length) < torch.tensor([len(row) for row in rows])[:, None]
    segments = torch.zeros_like(ids)
    expected = reference_sites(minilm_reference, ids, segments, mask)
    errors = worst(ours(minilm, ids, segments, mask), expected, mask)
    assert max(errors.values()) < 1e-4, errors


@pytest.fixture(scope="module")
def minilm_reference(minilm: engine.Model) -> BertModel:
    return reference(minilm.card.folder(), torch.float32)


def test_token_ids_and_segments_are_those_of_the_reference_tokenizer(minilm: engine.Model) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm.card.folder())
    for text, pair in [*((text, None) for text in SENTENCES), *PAIRS]:
        expected = tokenizer(text, pair)
        tokens = minilm.inputs(text, pair=pair).tokens["encoder"]
        assert [t.id for t in tokens] == expected["input_ids"], text
        assert [t.segment for t in tokens] == expected["token_type_ids"], text


def test_our_attention_is_the_code_that_ran(tiny: engine.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard for this file: break `attend`, and the engine must break with it."""

    def broken(*args: object, **kwargs: object) -> Tensor:
        raise RuntimeError("the engine's own attention")

    monkeypatch.setattr(attention, "attend", broken)
    with pytest.raises(RuntimeError, match="the engine's own attention"):
        engine.trace(tiny, "the cat")
    assert not any("transformers" in type(module).__module__ for module in tiny.network.modules())


def test_the_famous_heads_send_it_to_the_animal(flagship: engine.Trace) -> None:
    texts = [token.text for token in flagship.tokens["encoder"]]
    it, animal = texts.index("it"), texts.index("animal")
    assert flagship["encoder.5.self.pattern"][11, it, animal].item() == pytest.approx(0.647, abs=0.0005)
    assert flagship["encoder.3.self.pattern"][1, it, animal].item() == pytest.approx(0.640, abs=0.0005)
