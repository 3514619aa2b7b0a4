"""Laws of generation: step by step equals the replay, greedy and beams equal the reference's, a seed is a promise."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import engine
from engine import Decoding, Knockout, Mean, Scale, Zero, checkpoint, decoding
from engine.errors import BadIndex, BadInput, BadPatch, TooLong
from engine.models import recurrent, seq2seq
from tests.engine import parity

SOURCE, PROMPT = [5, 9, 31, 22, 8, 47], [12, 40, 7]
REFERENCES = ["gpt2", "llama", "llama 3", "qwen2", "t5", "t5 1.1", "marian", "marian, two vocabularies"]
OWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "rnn": (recurrent, {"kind": "rnn"}),
    "gru, 2 layers": (recurrent, {"kind": "gru", "layers": 2}),
    "lstm": (recurrent, {"kind": "lstm"}),
    "seq2seq, no attention": (seq2seq, {"kind": "gru", "attention": None}),
    "seq2seq, additive": (seq2seq, {"kind": "lstm", "attention": "additive", "layers": 2}),
    "seq2seq, dot": (seq2seq, {"kind": "rnn", "attention": "dot", "bidirectional": False}),
    "seq2seq, concat": (seq2seq, {"kind": "gru", "attention": "concat"}),
}


def own(folder: Path, module: Any, **sizes: Any) -> engine.Model:
    """A tiny random network of one of the families that have only their own checkpoints."""
    vocabularies = {"vocabulary": parity.VOCABULARY}
    if module is seq2seq:
        vocabularies |= {"target_vocabulary": parity.VOCABULARY, "attention_width": 5, "start": 0, "stop": 1}
    config = module.Config(**{"embedding": 6, "hidden": 8, **vocabularies, **sizes})
    torch.manual_seed(2)
    network = module.FAMILY.build(config).double()
    for parameter in network.parameters():
        parameter.data = 0.7 * torch.randn_like(parameter)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": module.FAMILY.name, **vars(config)}))
    checkpoint.save(network, module.rules(config), folder / "model.safetensors")
    return engine.load(folder, dtype=torch.float64)


@pytest.fixture(scope="module", params=[*REFERENCES, *OWN])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> engine.Model:
    folder = tmp_path_factory.mktemp("model")
    if request.param in OWN:
        module, sizes = OWN[request.param]
        return own(folder, module, **sizes)
    parity.saved(request.param, folder)
    return engine.load(folder, dtype=torch.float64)


def unstoppable(model: engine.Model) -> engine.Model:
    """The same network, which no token ends: random ones may say theirs at once."""
    return replace(model, family=replace(model.family, stops=lambda _: ()))


def given(model: engine.Model, prompt: list[int] = PROMPT) -> dict[str, list[int]]:
    """A prompt as token ids; with a source where there is an encoder."""
    *first, last = model.family.stacks
    start = [] if model.family.start is None else [model.family.start(model.config)]
    return dict.fromkeys(first, SOURCE) | {last: start + prompt}


def run(model: engine.Model, patches: list[Any] | None = None, **settings: Any) -> tuple[list[engine.Step], list[int]]:
    """The steps of a decoding, and what was said."""
    inputs = engine.prompt(model, ids=given(model))
    steps, found = engine.decode(model, inputs.tokens, Decoding(**settings), patches or []), []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            return found, list(end.value)


def assert_steps_equal_replay(model: engine.Model, patches: list[Any]) -> None:
    steps, said = run(model, patches, max_new_tokens=9, top=parity.VOCABULARY)
    trace = engine.generate(model, ids=given(model), max_new_tokens=9, patches=patches)
    last = model.family.stacks[-1]
    assert [token.id for token in trace.tokens[last]] == given(model)[last] + said
    assert len(said) == 9
    replayed = trace[f"{last}.logits"].softmax(-1)
    for step in steps:
        stepwise = torch.zeros(parity.VOCABULARY, dtype=torch.float64)
        for candidate in step.top:
            stepwise[candidate.token.id] = candidate.probability
        torch.testing.assert_close(stepwise, replayed[step.position - 1], rtol=1e-10, atol=1e-12)


def test_step_by_step_equals_the_replay(model: engine.Model) -> None:
    assert_steps_equal_replay(unstoppable(model), [])


def test_step_by_step_equals_the_replay_under_patches(model: engine.Model) -> None:
    last = model.family.stacks[-1]
    patches: list[Any] = []
    for address, site in model.sites.items():
        if not site.observable or site.stack != last:
            continue
        if site.name in ("hidden", "z", "mlp.out", "q", "gate.update") and site.layer == 0:
            time = next(axis for axis in ("position", "query") if axis in site.axes)
            patches.append(Scale(address, 0.5, **{time: [1, 5, 8]}))  # 8 is not there when it begins
        if site.name in ("k", "start.hidden"):
            patches.append(Scale(address, 1.7))
        if site.name == "scores" and site.layer == 0:
            patches.append(Knockout(address, query=[4, 6], key=[1, 3]))
    assert patches
    before = engine.generate(unstoppable(model), ids=given(model), max_new_tokens=9)
    assert_steps_equal_replay(unstoppable(model), patches)
    after = engine.generate(unstoppable(model), ids=given(model), max_new_tokens=9, patches=patches)
    assert not torch.allclose(before[f"{last}.logits"][:4], after[f"{last}.logits"][:4])


def generated(theirs: nn.Module, ours: engine.Model, **settings: Any) -> list[int]:
    """What the reference says after the prompt, up to its stop token."""
    asked = given(ours, [])
    last = ours.family.stacks[-1]
    ids = torch.tensor([SOURCE if len(asked) == 2 else PROMPT])
    theirs.generation_config.forced_eos_token_id = None  # Marian's would end every text at the limit
    answer = theirs.generate(  # type: ignore[operator]
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=20,
        pad_token_id=0,
        use_cache=False,  # its own fails where encoder and decoder differ in depth
        **settings,
    )[0].tolist()
    said: list[int] = answer[len(asked[last]) if len(asked) == 2 else len(PROMPT) :]
    stops = [said.index(stop) for stop in ours.stops if stop in said]
    return said[: min(stops)] if stops else said


def ours_says(model: engine.Model, **settings: Any) -> list[int]:
    prompt = given(model, [] if len(model.family.stacks) == 2 else PROMPT)
    trace = engine.generate(model, ids=prompt, max_new_tokens=20, **settings)
    last = model.family.stacks[-1]
    return [token.id for token in trace.tokens[last]][len(prompt[last]) :]


@pytest.mark.parametrize("settings", [{}, {"repetition_penalty": 1.4}], ids=["plain", "penalty"])
@pytest.mark.parametrize("name", REFERENCES)
def test_greedy_equals_the_reference_for_20_tokens(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    theirs = parity.saved(name, tmp_path)
    ours = engine.load(tmp_path, dtype=torch.float64)
    with parity.double_precision():
        expected = generated(theirs, ours, num_beams=1, **settings)
    assert ours_says(ours, **settings) == expected
    assert expected


@pytest.mark.parametrize("length_penalty", [1.0, 0.0, 2.0])
@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "marian"])
def test_beam_search_finds_what_the_reference_finds(name: str, length_penalty: float, tmp_path: Path) -> None:
    theirs = parity.saved(name, tmp_path)
    ours = engine.load(tmp_path, dtype=torch.float64)
    with parity.double_precision():
        expected = generated(theirs, ours, num_beams=4, length_penalty=length_penalty, early_stopping=False)
    assert ours_says(ours, beams=4, length_penalty=length_penalty) == expected


def test_the_beam_tree_adds_up(model: engine.Model) -> None:
    steps, said = run(unstoppable(model), beams=3, max_new_tokens=5)
    nodes = [beam for step in steps for beam in step.beams]
    assert all(len([beam for beam in step.beams if beam.kept]) == 3 for step in steps)
    for index, node in enumerate(nodes):
        if node.parent is not None:
            assert node.parent < index
            assert nodes[node.parent].kept
            assert node.log_probability < nodes[node.parent].log_probability
    best = max((node for node in steps[-1].beams if node.kept), key=lambda node: node.log_probability)
    path = [best]
    while path[0].parent is not None:
        path.insert(0, nodes[path[0].parent])
    assert [node.token.id for node in path] == said
    trace = engine.generate(unstoppable(model), ids=given(model), beams=3, max_new_tokens=5)
    last = model.family.stacks[-1]
    start = len(given(model)[last]) - 1
    logits = trace[f"{last}.logits"].log_softmax(-1)
    total = sum(float(logits[start + at, id]) for at, id in enumerate(said))
    assert total == pytest.approx(best.log_probability, abs=1e-10)


def test_the_same_seed_gives_the_same_text_and_another_another(model: engine.Model) -> None:
    settings: dict[str, Any] = {"max_new_tokens": 12, "temperature": 1.5}
    steps, once = run(unstoppable(model), seed=7, **settings)
    again, twice = run(unstoppable(model), seed=7, **settings)
    assert once == twice
    assert [s.top for s in steps] == [s.top for s in again]
    assert once != run(unstoppable(model), seed=8, **settings)[1]


def test_the_chosen_token_is_named_however_unlikely(model: engine.Model) -> None:
    steps, _ = run(unstoppable(model), max_new_tokens=12, temperature=3.0, top=1)
    assert {len(step.top) for step in steps} <= {1, 2}
    for step in steps:
        (chosen,) = (candidate for candidate in step.top if candidate.token.id == step.token.id)
        assert chosen.probability == step.probability
        assert chosen.chance > 0


def test_cuts_leave_what_they_promise(model: engine.Model) -> None:
    one = unstoppable(model)
    for step in run(one, max_new_tokens=6, temperature=0.8, top_k=3, top=parity.VOCABULARY)[0]:
        assert sum(candidate.chance > 0 for candidate in step.top) == 3
        assert sum(candidate.chance for candidate in step.top) == pytest.approx(1)
    for step in run(one, max_new_tokens=6, temperature=1.0, top_p=0.6, top=parity.VOCABULARY)[0]:
        kept = [candidate for candidate in step.top if candidate.chance > 0]
        assert sum(candidate.probability for candidate in kept) >= 0.6
        assert sum(candidate.probability for candidate in kept[:-1]) < 0.6
        assert step.token.id in {candidate.token.id for candidate in kept}


def test_what_is_drawn_follows_the_chances(tmp_path: Path) -> None:
    ours = unstoppable(own(tmp_path, recurrent, kind="gru"))
    inputs = engine.prompt(ours, ids=given(ours))
    drawn: Counter[int] = Counter()
    for seed in range(400):
        step = next(engine.decode(ours, inputs.tokens, Decoding(temperature=0.5, seed=seed)))
        drawn[step.token.id] += 1
    for candidate in step.top[:3]:
        spread = 4 * (candidate.chance * (1 - candidate.chance) / 400) ** 0.5
        assert drawn[candidate.token.id] / 400 == pytest.approx(candidate.chance, abs=spread)


def test_it_ends_with_a_stop_token_a_stop_text_or_the_limit(tmp_path: Path) -> None:
    ours = unstoppable(own(tmp_path, recurrent, kind="lstm", positions=12))
    steps, said = run(ours, max_new_tokens=5)
    assert [step.ended for step in steps] == [None] * 4 + ["length"]
    stopping = replace(ours, family=replace(ours.family, stops=lambda _: (said[2],)))
    steps, stopped = run(stopping, max_new_tokens=5)
    before = said.index(said[2])
    assert stopped == said[:before]
    assert (steps[-1].ended, steps[-1].token.id) == ("token", said[2])
    steps, stopped = run(ours, max_new_tokens=5, stop=(str(said[1]),))
    assert stopped == said[: next(at for at in range(5) if str(said[1]) in " ".join(map(str, said[: at + 1]))) + 1]
    assert steps[-1].ended == "text"
    steps, said = run(ours, max_new_tokens=500)
    assert len(PROMPT) + len(said) == 12
    with pytest.raises(TooLong):
        engine.generate(ours, ids={"sequence": list(range(12))})


def test_a_forced_beginning_is_gone_on_from(model: engine.Model) -> None:
    one = unstoppable(model)
    whole = run(one, max_new_tokens=8)[1]
    trace = engine.generate(one, ids=given(one), said=whole[:3], max_new_tokens=5)
    last = one.family.stacks[-1]
    assert [token.id for token in trace.tokens[last]] == given(one)[last] + whole
    other = (whole[0] + 1) % parity.VOCABULARY
    forced = engine.generate(one, ids=given(one), said=[other], max_new_tokens=2)
    assert forced.tokens[last][len(given(one)[last])].id == other
    with pytest.raises(BadInput, match="no token 67"):
        engine.generate(one, ids=given(one), said=[67])


def test_a_token_that_must_not_be_said_is_not(tmp_path: Path) -> None:
    theirs = parity.random_model("Marian", "MarianMTModel", tmp_path, {"encoder_layers": 1, "decoder_layers": 1})
    said = ours_says(engine.load(tmp_path, dtype=torch.float64))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"bad_words_ids": [[said[0]]]}))
    ours = engine.load(tmp_path, dtype=torch.float64)
    assert said[0] not in ours_says(ours)
    assert ours_says(ours) == generated(theirs, ours, bad_words_ids=[[said[0]]])
    assert said[0] not in ours_says(ours, beams=3)


def test_a_penalty_makes_every_logit_smaller_whatever_its_sign() -> None:
    logits = torch.tensor([2.0, -2.0, 1.0, -1.0], dtype=torch.float64)
    assert decoding.penalised(logits, [0, 1, 1], 2.0).tolist() == [1.0, -4.0, 1.0, -1.0]


def test_one_token_in_and_many_out(tmp_path: Path) -> None:
    """One-to-many: a single input, whose state is carried along while each word is read back in."""
    ours = unstoppable(own(tmp_path, recurrent, kind="gru"))
    trace = engine.generate(ours, ids={"sequence": [4]}, max_new_tokens=6)
    assert len(trace.tokens["sequence"]) == 7
    hidden, state = trace["sequence.0.cell.hidden"], torch.zeros(8, dtype=torch.float64)
    cell = torch.nn.GRU(6, 8, batch_first=True).double()
    cell.load_state_dict(ours.network.get_submodule("forwards.0.cell").state_dict())
    for at, token in enumerate(trace.tokens["sequence"]):
        vector = ours.network.get_parameter("token.weight")[token.id]
        state = cell(vector[None, None], state[None, None])[0][0, 0]
        torch.testing.assert_close(hidden[at], state)


def test_patches_that_can_not_be_applied_step_by_step_say_so(tmp_path: Path) -> None:
    parity.saved("t5", tmp_path)
    ours = unstoppable(engine.load(tmp_path, dtype=torch.float64))
    with pytest.raises(BadPatch, match="step by step"):
        run(ours, [Mean("decoder.0.mlp.out")])
    with pytest.raises(BadPatch, match="while a text grows"):
        run(ours, [Zero("decoder.self.bias.by_distance", distance=3)])
    run(ours, [Mean("encoder.0.mlp.out")])
    with pytest.raises(BadIndex):
        engine.generate(ours, ids=given(ours), patches=[Zero("decoder.0.mlp.out", position=99)], max_new_tokens=3)


def test_what_makes_no_sense_is_refused(tiny: engine.Model, tmp_path: Path) -> None:
    for settings in (
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_k": 0},
        {"top_p": 0},
        {"top_p": 1.5},
        {"repetition_penalty": 0},
        {"max_new_tokens": 0},
        {"beams": 0},
        {"beams": 2, "temperature": 0.5},
        {"stop": ("",)},
        {"seed": -1},
        {"length_penalty": float("inf")},
    ):
        with pytest.raises(BadInput):
            Decoding(**settings)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="predicts no next token"):
        engine.generate(tiny, ids={"encoder": [5, 6]})


def test_no_tensor_of_the_cache_grows_with_a_step(tmp_path: Path) -> None:
    """One more token costs one token's work: keys and values lie where they were put."""
    from engine.decoding import Reading

    parity.saved("gpt2", tmp_path)
    ours = engine.load(tmp_path)
    reading = Reading(ours, engine.prompt(ours, ids=given(ours)).tokens, 20)
    reading.read([PROMPT])
    size, places = reading.cache.nbytes, [value.data_ptr() for value in reading.cache._grown.values()]
    reading.read([[3]])
    assert reading.cache.nbytes == size == 3 * 2 * 24 * 20 * 4
    assert [value.data_ptr() for value in reading.cache._grown.values()] == places


@pytest.mark.parametrize("name", ["gpt-captions", "llama-captions", "t5-multitask", "lstm-captions"])
def test_what_was_said_has_to_fit_as_well(name: str) -> None:
    model = engine.load(name)
    with pytest.raises(TooLong, match=str(model.limit)):
        engine.trace(model, engine.prompt(model, "two dogs", said=[5] * (model.limit + 1)))


def test_beams_that_all_end_at_once_end_the_text() -> None:
    model = engine.load("gpt-captions")
    how = Decoding(beams=2, stop=("a", "e", "i", "o", "u", "n", "t"), max_new_tokens=8)
    *_, last = decoding.decode(model, engine.prompt(model, "Two dogs").tokens, how)
    assert last.ended == "text"
    assert any(letter in last.token.text for letter in how.stop)


def test_however_cold_a_token_can_be_drawn() -> None:
    model = engine.load("gpt-captions")
    tokens = engine.prompt(model, "Two dogs").tokens
    coldest = decoding.decode(model, tokens, Decoding(temperature=1e-308, max_new_tokens=3))
    assert [step.token for step in coldest] == [
        step.token for step in decoding.decode(model, tokens, Decoding(max_new_tokens=3))
    ]
    with pytest.raises(BadInput, match="repetition_penalty is 1e-320"):
        Decoding(repetition_penalty=1e-320)


def test_a_network_that_computes_no_numbers_any_more_says_so() -> None:
    model = engine.load("gpt-captions")
    patches = [Scale("decoder.0.self.z", factor=1e300)]
    with pytest.raises(BadInput, match="no numbers any more"):
        list(decoding.decode(model, engine.prompt(model, "Two dogs").tokens, Decoding(), patches))
