"""What a network has learned: every parameter has its letter, and the letters make what the trace holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import engine
from engine.errors import BadIndex, BadInput, UnknownParameter, UnknownSite
from engine.nn.recurrent import GATES
from engine.tap import SILENT

TEXT = "two dogs run in the snow"
NUMBERS = "1 1 2 3 5"

Load = Callable[[str], engine.Model]


@pytest.fixture(scope="module")
def load(folders: dict[str, Path]) -> Load:
    return lambda name: engine.load(folders.get(name, Path(name)) if name in folders else name)


def letters(model: engine.Model, *place: str | int | None) -> dict[str, Tensor]:
    """The parameters of a block by their letters, with the axes that they have."""
    found = model.learned.values()
    return {str(p.letter): model.weight(p.name) for p in found if (p.stack, p.layer, p.block) == place}


def normed(x: Tensor, model: engine.Model, trace: engine.Trace, *place: str | int | None) -> Tensor:
    """What a block's norm makes of a stream, with the statistics that the trace holds."""
    at = ".".join(str(part) for part in place if part is not None)
    found = letters(model, *place)
    mean = trace[f"{at}.norm.mean"][:, None] if f"{at}.norm.mean" in trace.sites else 0
    return (x - mean) * trace[f"{at}.norm.scale"][:, None] * found["gain"] + found.get("bias", torch.zeros(()))


@pytest.mark.parametrize(
    ("name", "pre"),
    [
        *(("tiny-bert-mlm", False), ("tiny-roberta", False), ("tiny-marian", False), ("minilm", False)),
        *(("tiny-gpt2", True), ("tiny-llama", True), ("tiny-t5", True)),
    ],
)
def test_x_times_w_is_q_k_and_v_in_every_layer_and_head(load: Load, name: str, pre: bool) -> None:
    model = load(name)
    trace = engine.trace(model, TEXT)
    compared = 0
    for block in model.blocks:
        reads = {"self": "resid.pre", "cross": "resid.mid"}[block.name]
        for layer in range(block.layers):
            place = (block.stack, layer, block.name)
            x = trace[f"{block.stack}.{layer}.{reads}"]
            x = normed(x, model, trace, *place) if pre else x
            memory = x
            if block.key_stack != block.query_stack:
                last = max(s.layer for s in model.sites.values() if s.stack == block.key_stack and s.layer is not None)
                memory = trace[f"{block.key_stack}.{last}.resid.post"]
                memory = normed(memory, model, trace, block.key_stack, None, "final") if pre else memory
            for which, source, heads in (
                ("q", x, block.heads),
                ("k", memory, block.kv_heads),
                ("v", memory, block.kv_heads),
            ):
                raw = f"{block.stack}.{layer}.{block.name}.{which}.raw"
                made = trace[raw if raw in trace.sites else raw.removesuffix(".raw")]
                for head in range(heads):
                    weight, bias = model.projection(*place, which, head)
                    expected = source @ weight + (0 if bias is None else bias)
                    torch.testing.assert_close(expected, made[head], rtol=1e-4, atol=1e-4)
                    own = letters(model, *place)[f"W_{which.upper()}"][head]
                    assert torch.equal(own.T, weight)
                    compared += 1
            out = sum(
                trace[f"{block.stack}.{layer}.{block.name}.z"][head] @ model.projection(*place, "out", head)[0]
                for head in range(block.heads)
            )
            bias = model.projection(*place, "out", 0)[1]
            out = out + (0 if bias is None else bias)
            torch.testing.assert_close(out, trace[f"{block.stack}.{layer}.{block.name}.out"], rtol=1e-4, atol=1e-4)
    assert compared


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("tiny-rnn", TEXT, [("sequence", 0, "cell")]),
        ("tiny-numbers", NUMBERS, [("sequence", 0, "cell")]),
        ("tiny-lstm-tagger", TEXT, [("sequence", 1, "cell"), ("sequence", 0, "reverse")]),
        ("tiny-gru", TEXT, [("encoder", 0, "cell"), ("encoder", 0, "reverse"), ("decoder", 0, "cell")]),
        ("tiny-lstm", TEXT, [("encoder", 0, "reverse"), ("decoder", 0, "cell")]),
    ],
)
def test_w_and_u_make_every_gate(load: Load, name: str, text: str, places: list[tuple[str, int, str]]) -> None:
    model = load(name)
    trace = engine.trace(model, text)
    for stack, layer, block in places:
        at = f"{stack}.{layer}.{block}"
        found = letters(model, stack, layer, block)
        hidden, start = trace[f"{at}.hidden"], trace[f"{at}.start.hidden"][None]
        before = torch.cat([hidden[1:], start] if block == "reverse" else [start, hidden[:-1]])
        reads = trace[f"{at}.input"] @ found["W"].mT + found["b"][..., None, :]
        carried = before @ found["U"].mT + found["c"][..., None, :]
        gates = next(p.gates for p in model.learned.values() if (p.stack, p.layer, p.block) == (stack, layer, block))
        if not gates:
            torch.testing.assert_close((reads + carried).tanh(), hidden)
        for index, gate in enumerate(gates):
            squash = torch.tanh if gate == "gate.candidate" else torch.sigmoid
            held = 1.0
            if gate == "gate.candidate" and "gate.reset" in gates:
                held = trace[f"{at}.gate.reset"]
            torch.testing.assert_close(squash(reads[index] + held * carried[index]), trace[f"{at}.{gate}"])
        assert gates in GATES.values()


def test_the_letters_of_additive_attention_make_its_keys_and_scores(load: Load) -> None:
    for name, text, place in (
        ("tiny-gru", TEXT, ("decoder", 0, "cross")),
        ("tiny-sentiment", TEXT, ("sequence", 0, "pool")),
        ("tiny-numbers", NUMBERS, ("sequence", 0, "pool")),
    ):
        model = load(name)
        trace = engine.trace(model, text)
        at = ".".join(map(str, place))
        found = letters(model, *place)
        keys = trace[f"{at}.v"][0] @ found["U"].T
        bias = found.get("b", torch.zeros(1))
        by_step = name == "tiny-numbers"  # a bias for each position
        torch.testing.assert_close(keys + (bias[: len(keys)] if by_step else bias), trace[f"{at}.k"][0])
        v = found.get("v", torch.ones(1))
        torch.testing.assert_close(trace[f"{at}.energy"] @ v, trace[f"{at}.scores.raw"][0])
    model = load("tiny-luong")
    trace = engine.trace(model, TEXT)
    assert torch.allclose(
        trace["decoder.0.cross.v"][0] @ letters(model, "decoder", 0, "cross")["W"].T, trace["decoder.0.cross.k"][0]
    )


HEADS = (
    *("tiny-gpt2", "tiny-llama", "tiny-bert-mlm", "tiny-roberta", "tiny-t5", "tiny-marian", "tiny-rnn"),
    *("tiny-gru", "tiny-luong", "transformer-fr-en", "seq2seq-fr-en", "bert-captions"),
)


@pytest.mark.parametrize("name", HEADS)
def test_w_u_times_what_the_head_reads_is_every_logit(load: Load, name: str) -> None:
    model = load(name)
    trace = engine.trace(model, TEXT)
    stack = model.family.stacks[-1]
    found = letters(model, stack, None, "head")
    read = trace[f"{stack}.head.input"]
    assert dict(zip(("position", "model"), read.shape, strict=True)) == trace.sizes(f"{stack}.head.input")
    assert set(found) - {"b_U"} == {"W_U"}
    logits = read @ found["W_U"].T + found.get("b_U", torch.zeros(()))
    torch.testing.assert_close(logits, trace[f"{stack}.logits"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(trace.slice(f"{stack}.head.input", position=[-1], model=[3, 5]), read[-1:, [3, 5]])
    with torch.inference_mode():
        hidden = model.family.run(model.network, trace.tokens, SILENT)
        assert model.family.head is not None
        own = model.family.head(model.network, hidden)[0]
    torch.testing.assert_close(logits, own, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "stack", "table"),
    [
        ("transformer-fr-en", "encoder", "token.weight"),
        ("transformer-fr-en", "decoder", "token.weight"),
        ("tiny-gpt2", "decoder", "token.weight"),
        ("tiny-t5", "encoder", "token.weight"),
    ],
)
def test_rows_of_the_embedding_enter_at_their_scale(load: Load, name: str, stack: str, table: str) -> None:
    model = load(name)
    trace = engine.trace(model, TEXT)
    rows = model.weight(table).flatten(1)[[token.id for token in trace.tokens[stack]]]
    scale = model.family.embedding_scale(model.config)
    assert scale == (16 if name == "transformer-fr-en" else 1)
    torch.testing.assert_close(trace[f"{stack}.embed.token"], rows * scale)


@pytest.mark.parametrize("name", ["minilm", "tiny-llama", "tiny-t5", "tiny-marian", "tiny-gru", "tiny-lstm-tagger"])
def test_every_parameter_is_named_once_with_axes_that_are_its_shape(load: Load, name: str) -> None:
    model = load(name)
    state = model.network.state_dict()
    assert list(model.learned) == list(state)
    for parameter in model.learned.values():
        assert tuple(model.weight(parameter.name).shape) == tuple(parameter.sizes.values())
        assert torch.equal(model.weight(parameter.name).flatten(), state[parameter.name].flatten())
    lettered = [(p.stack, p.layer, p.block, p.letter) for p in model.learned.values() if p.letter]
    assert len(set(lettered)) == len(lettered)
    sites = [s for s in model.sites.values() if s.block and not s.name.startswith("bias")]
    heads = {(model.family.stacks[-1], None, "head")} if model.predicts else set()
    assert {(s.stack, s.layer, s.block) for s in sites} | heads == {place[:3] for place in lettered}


def test_a_part_is_the_part_of_the_whole(load: Load) -> None:
    model = load("minilm")
    whole = model.weight("layers.5.attention.q.weight")
    assert torch.equal(model.weight("layers.5.attention.q.weight", head=11, model=[3, 5]), whole[[11]][:, :, [3, 5]])


def test_what_was_not_learned_says_so(load: Load) -> None:
    model = load("minilm")
    with pytest.raises(UnknownParameter, match=r"Did you mean .*layers\.5\.attention\.q"):
        model.weight("layers.5.attention.p.weight")
    with pytest.raises(BadIndex, match="head"):
        model.weight("layers.5.attention.q.weight", head=12)
    with pytest.raises(BadInput, match="has no axis row"):
        model.weight("layers.5.attention.q.weight", row=0)
    with pytest.raises(BadIndex, match="head"):
        model.projection("encoder", 5, "self", "q", 12)
    with pytest.raises(UnknownSite, match="no matrix"):
        load("tiny-gru").projection("decoder", 0, "cross", "q", 0)
