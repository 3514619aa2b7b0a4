"""Training on tiny recipes: it learns, goes on exactly after a kill, and writes a model like any other."""

from __future__ import annotations

import gzip
import math
import random
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import engine
from engine.tap import SILENT
from engine.tokens import Token
from engine.train import alignment, recipe, scoring, sources, vocabulary
from engine.train.batches import bucketed, collate
from engine.train.data import DataMissing, documents, lines, parallel
from engine.train.dropout import Dropout
from engine.train.loop import OtherRun, Run, has_bfloat16, initialise, learning_rate, tensorboard, train
from engine.train.objectives import MaskedWords, NextNumber, NextToken, Translate, cross_entropy, gap
from engine.train.recipe import BadRecipe, Recipe, Schedule
from engine.train.start import start

WORDS = {"un": "a", "chien": "dog", "chat": "cat", "homme": "man", "court": "runs", "dort": "sleeps", "noir": "black"}
MODELS: dict[str, dict[str, Any]] = {
    "transformer": {
        "model_type": "transformer",
        "vocabulary": "$vocabulary",
        "width": 32,
        "layers": 1,
        "decoder_layers": 1,
        "heads": 2,
        "hidden": 64,
        "pre_norm": True,
        "start": 2,
        "stop": 3,
    },
    "t5": {
        "model_type": "t5",
        "vocab_size": "$vocabulary",
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 1,
        "num_heads": 2,
        "relative_attention_num_buckets": 8,
        "layer_norm_epsilon": 1e-6,
        "decoder_start_token_id": 2,
        "eos_token_id": 3,
    },
    "seq2seq": {
        "model_type": "seq2seq",
        "vocabulary": "$vocabulary",
        "target_vocabulary": "$vocabulary",
        "embedding": 16,
        "hidden": 16,
        "attention_width": 8,
        "start": 2,
        "stop": 3,
    },
    "plain": {
        "model_type": "seq2seq",
        "vocabulary": "$vocabulary",
        "target_vocabulary": "$vocabulary",
        "embedding": 16,
        "hidden": 16,
        "attention": "$none",
        "start": 2,
        "stop": 3,
    },
    "gpt2": {
        "model_type": "gpt2",
        "vocab_size": "$vocabulary",
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 2,
        "n_positions": 64,
    },
    "recurrent": {
        "model_type": "recurrent",
        "kind": "gru",
        "vocabulary": "$vocabulary",
        "embedding": 16,
        "hidden": 16,
    },
    "bert": {
        "model_type": "bert",
        "architectures": ["BertForPreTraining"],
        "vocab_size": "$vocabulary",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    },
    "classes": {
        "model_type": "recurrent",
        "task": "class",
        "vocabulary": "$vocabulary",
        "embedding": 16,
        "hidden": 16,
        "bidirectional": True,
        "pool": 8,
        "labels": ["cat", "dog"],
    },
}
TEXT = [{"text": "en"}]
PAIRS = [{"source": "fr", "target": "en"}]
LABELLED = [{"labelled": "classes"}]
TOGETHER = [{"together": ["en", "fr", "en"]}]
CASES: dict[str, tuple[str, str, list[dict[str, Any]], dict[str, Any]]] = {
    "transformer": ("translate", "transformer", PAIRS, {"size": 60, "template": "stop", "dropout": 0.1}),
    "t5": ("translate", "t5", PAIRS, {"size": 60, "template": "stop"}),
    "seq2seq": ("translate", "seq2seq", PAIRS, {"size": 60, "template": "stop"}),
    "plain": ("translate", "plain", PAIRS, {"size": 60, "template": "stop"}),
    "gpt2": ("next-token", "gpt2", TEXT, {"size": 60, "template": "start"}),
    "recurrent": ("next-token", "recurrent", TEXT, {"size": 60, "template": "start"}),
    "bert": ("masked-words", "bert", TOGETHER, {"kind": "wordpiece", "size": 60}),
    "classes": ("classify", "classes", LABELLED, {"kind": "wordpiece", "size": 60}),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Such small networks only wait where threads are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language whose words are translated one by one, and whether a text has a cat or a dog in it."""
    folder = tmp_path_factory.mktemp("data")
    nouns, verbs, rest = ("chien", "chat"), ("court", "dort"), ("noir", "court", "dort noir", "noir noir noir", "")
    sources = [f"un {a} {b} {c}".strip() for a in nouns for b in verbs for c in rest]
    targets = [" ".join(WORDS[word] for word in source.split()) for source in sources]
    write(folder / "fr", sources)
    write(folder / "en", targets)
    write(folder / "classes", [f"{int('dog' in target)} {target}" for target in targets])
    return folder


def write(path: Path, texts: list[str]) -> None:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def tiny(case: str = "transformer", **changes: object) -> Recipe:
    objective, model, files, tokenizer = CASES[case]
    schedule = {"steps": 12, "warmup": 2, "peak": 0.01, "tokens": 96, "evaluate": 4, "embedding": 0.2, "mixed": False}
    return Recipe(
        name=case,
        objective=objective,
        model=MODELS[model],
        tokenizer=tokenizer,
        train=tuple(files),
        val=tuple(files),
        test=tuple(files),
        schedule=Schedule(**schedule | changes),  # type: ignore[arg-type]
        dropout={"*.out": 0.1, "*.pattern": 0.1},
    )


def weights(run: Run) -> dict[str, torch.Tensor]:
    average = {f"average.{name}": value for name, value in run.average.network.named_parameters()}
    return {**dict(run.model.network.named_parameters()), **average}


@pytest.mark.parametrize(("case", "options"), [("transformer", {}), ("bert", {}), ("bert", {"short": 2})])
def test_a_run_that_was_killed_goes_on_as_if_nothing_had_been(
    data: Path, tmp_path: Path, case: str, options: dict[str, int]
) -> None:
    made = replace(tiny(case), options=options)
    whole = start(made, data, tmp_path / "whole")
    train(whole, progress=False)

    (tmp_path / "parts").mkdir()  # WordPiece is trained with ties broken at random: a run keeps the one that it has
    shutil.copy(tmp_path / "whole" / "tokenizer.json", tmp_path / "parts")
    first = start(made, data, tmp_path / "parts")
    steps = first.batches()
    for _ in range(7):
        step, examples = next(steps)
        first.take_step(step, examples)
        first.progress.step = step + 1
        if first.progress.step == 4:
            first.look()
    first.save()
    begun = [bool(first.optimizer.state[parameter]) for parameter in first.parameters]
    assert all(begun) is not bool(options)  # there a whole head has seen no gradient yet
    next_step, examples = next(steps)
    first.take_step(next_step, examples)  # lost in the kill
    second = start(made, data, tmp_path / "parts")
    assert second.progress.step == 7
    train(second, progress=False)

    assert second.progress.history == whole.progress.history
    for name, value in weights(whole).items():
        assert torch.equal(weights(second)[name], value), name


def test_a_folder_goes_on_only_with_its_own_recipe(data: Path, tmp_path: Path) -> None:
    train(start(tiny(steps=4), data, tmp_path), progress=False)
    start(replace(tiny(steps=4), look="Look at this.", goals=({"metric": "BLEU, test"},)), data, tmp_path)
    with pytest.raises(OtherRun, match="another recipe"):
        start(tiny(steps=4, peak=0.02), data, tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_a_padded_batch_costs_what_its_examples_cost_one_by_one(data: Path, tmp_path: Path, case: str) -> None:
    run = start(tiny(case), data, tmp_path)
    run.model.network.double()
    examples = list(run.objective.examples(0))[:12]
    assert len({tuple(map(len, example.values())) for example in examples}) > 1  # so that there is padding
    together, count = run.objective.loss(run.model, collate(examples), SILENT, 0.0)
    if case == "bert":  # next sentences are averaged over a batch: leave them out
        examples = [{**example, "follows": [-100]} for example in examples]
        together, count = run.objective.loss(run.model, collate(examples), SILENT, 0.0)
        examples = [example for example in examples if any(id != -100 for id in example["said"])]
    alone = [run.objective.loss(run.model, collate([example]), SILENT, 0.0) for example in examples]
    assert count == sum(some for _, some in alone)
    torch.testing.assert_close(together, torch.stack([loss for loss, _ in alone]).sum(), rtol=1e-6, atol=1e-6)


def test_a_translation_is_learnt_and_its_folder_is_a_model(data: Path, tmp_path: Path) -> None:
    made = tiny(steps=160, evaluate=80, warmup=20, average=0.9, peak=0.005, tokens=400)
    run = start(replace(made, dropout={}, tokenizer={"size": 60, "template": "stop"}), data, tmp_path)
    state = train(run, progress=False)
    assert state.best is not None
    assert state.best > 90  # BLEU on what it was trained on
    model = engine.load(tmp_path)
    trace = engine.trace(model, source="un chat dort noir")
    assert [token.text for token in trace.tokens["decoder"][1:]] == ["a", "cat", "sleeps", "black"]
    found = scoring.measure(run.recipe, model, tmp_path, data)
    assert found["BLEU, test"] == pytest.approx(state.best, abs=5)
    assert "BLEU, test, sources of 1 to 8 words" in found


@pytest.mark.parametrize("case", ["gpt2", "recurrent", "bert", "classes"])
def test_every_objective_gets_better_and_can_be_scored(data: Path, tmp_path: Path, case: str) -> None:
    run = start(tiny(case, steps=120, evaluate=30, warmup=10, average=0.9), data, tmp_path)
    before = run.evaluate()
    state = train(run, progress=False)
    assert state.history[-1]["loss"] < 0.75 * before["loss"]
    found = scoring.measure(run.recipe, engine.load(tmp_path), tmp_path, data)
    assert all(math.isfinite(value) for value in found.values())
    expected = {
        "gpt2": {"perplexity per word, val", "induction head", "previous-token head"},
        "recurrent": {"perplexity per word, val"},
        "bert": {"masked word, top 1, val", "masked word, top 5, val", "next sentence, val"},
        "classes": {"accuracy, test", "precision of cat, test", "recall of dog, test"},
    }
    assert expected[case] <= set(found)
    if case == "classes":
        assert found["accuracy, test"] == 1.0


def test_training_ends_early_once_val_gets_no_better(data: Path, tmp_path: Path) -> None:
    run = start(tiny(steps=400, evaluate=2, patience=3, peak=1e-9), data, tmp_path)
    run.objective.score = lambda _: 1.0  # type: ignore[method-assign]  # never better than the first time
    state = train(run, progress=False)
    assert state.step == 8
    assert len(state.history) == 4


def test_only_the_best_weights_are_kept(data: Path, tmp_path: Path) -> None:
    run = start(tiny(), data, tmp_path)
    scores = iter([1.0, 3.0, 2.0])
    run.objective.score = lambda _: next(scores)  # type: ignore[method-assign]
    kept = []
    for step, examples in run.batches():
        run.take_step(step, examples)
        run.look()
        kept.append((tmp_path / "model.safetensors").read_bytes())
        if step == 2:
            break
    assert kept[0] != kept[1] == kept[2]
    assert run.progress.best == 3.0


def test_events_for_tensorboard(data: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = start(tiny(steps=8), data, tmp_path)
    train(run, progress=False, watch=tensorboard(tmp_path / "events"))
    events = accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [4, 8]


def test_the_learning_rate_climbs_and_falls() -> None:
    schedule = Schedule(steps=110, warmup=10, peak=1.0)
    rates = [learning_rate(schedule, step) for step in range(110)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[60] == pytest.approx(0.5)
    assert 0 < rates[-1] < 1e-3


@pytest.mark.parametrize("restart", [110, [110], [110, 170]])
def test_a_restart_is_the_same_climb_and_fall_once_more(restart: int | list[int]) -> None:
    once, again = Schedule(steps=110, warmup=10, peak=1.0), Schedule(steps=230, warmup=10, peak=1.0, restart=restart)
    assert [learning_rate(again, step) for step in range(110)] == [learning_rate(once, step) for step in range(110)]
    for first, last in pairwise([110, *again.restarts[1:], 230]):
        assert learning_rate(again, first) == 0.1
        assert learning_rate(again, first + 9) == learning_rate(again, first + 10) == 1.0
        assert learning_rate(again, (first + 10 + last) // 2) == pytest.approx(0.5)
        assert 0 < learning_rate(again, last - 1) < 2e-3


@pytest.mark.parametrize("restart", [-1, 110, 200, [20, 20], [50, 20]])
def test_restarts_come_in_order_and_before_the_end(restart: int | list[int]) -> None:
    with pytest.raises(ValueError, match="in order"):
        Schedule(steps=110, restart=restart)


def test_queries_begin_small_where_scores_are_not_scaled(data: Path, tmp_path: Path) -> None:
    network = start(tiny("t5"), data, tmp_path).model.network
    initialise(network, Schedule(steps=1, embedding=1.0))
    attention = network.get_submodule("encoder.layers.0.attention")
    q, k = (attention.get_parameter(f"{name}.weight").detach().std() for name in "qk")
    assert float(q / k) == pytest.approx(8**-0.5, rel=0.15)


def test_positions_may_begin_as_sinusoids_whose_neighbours_are_one_rotation_away(data: Path, tmp_path: Path) -> None:
    network = start(tiny("gpt2"), data, tmp_path).model.network
    initialise(network, Schedule(steps=1, embedding=0.5, positions="sinusoids"))
    positions = network.get_parameter("position.weight").detach().view(64, 16, 2)
    assert float(positions.square().mean().sqrt()) == pytest.approx(2 * 0.5, rel=1e-5)
    turned = torch.view_as_complex(positions[1:].clone()) / torch.view_as_complex(positions[:-1].clone())
    torch.testing.assert_close(turned, turned[:1].expand_as(turned))
    assert not torch.equal(turned[0, 0], turned[0, 1])


def test_embeddings_may_learn_at_a_pace_of_their_own(data: Path, tmp_path: Path) -> None:
    def moved(pace: float) -> dict[str, float]:
        run = start(tiny("t5", embedding_pace=pace), data, tmp_path / str(pace))
        network = run.model.network
        before = {name: value.clone() for name, value in network.state_dict().items()}
        run.take_step(*next(run.batches()))
        return {name: float((after - before[name]).abs().max()) for name, after in network.state_dict().items()}

    usual, faster, still = moved(1.0), moved(8.0), moved(0.0)
    assert faster["token.weight"] == pytest.approx(8 * usual["token.weight"], rel=1e-3)
    assert still["token.weight"] == 0
    head = "encoder.layers.0.attention.q.weight"
    assert still[head] == pytest.approx(usual[head])
    assert usual[head] > 0
    keys = "encoder.layers.0.attention.k.weight"  # Adam's first step is the learning rate, whatever the gradient
    assert usual[head] == pytest.approx(8**-0.5 * usual[keys], rel=1e-2), "small queries learn slowly where T5's do"


def test_an_lstm_may_begin_by_remembering(data: Path, tmp_path: Path) -> None:
    """The bias of its forget gate, the second of four, is larger; those of the other gates do not change."""

    def bias(forget: float) -> torch.Tensor:
        made = tiny("recurrent", forget=forget)
        made = replace(made, model={**made.model, "kind": "lstm"})
        network = start(made, data, tmp_path / str(forget)).model.network
        (found,) = (value for name, value in network.named_parameters() if name.endswith("bias_ih_l0"))
        return found.detach()

    torch.testing.assert_close(bias(1.0) - bias(0.0), torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(16))


def test_bfloat16_is_for_processors_with_units_for_matrices_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda has=has: has)
        assert has_bfloat16(torch.device("cpu")) is has


# ---- dropout


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    tap = Dropout({"encoder.*.out": 0.25}).at("encoder", 0, "self")
    ones = torch.ones(1000, 100)
    dropped = tap("out", ones)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    assert tap("z", ones) is ones
    assert tap.during(3)("z", ones) is ones


def test_dropout_leaves_the_fused_kernel_only_for_weights_that_it_drops() -> None:
    assert not Dropout({"*": 0.5}).at("sequence", 0, "cell").wants("gate.input", "cell", "hidden")
    assert Dropout({"*.pattern": 0.5}).at("encoder", 0, "self").wants("scores", "pattern")
    assert not Dropout({"*.out": 0.5}).at("encoder", 0, "self").wants("scores", "pattern")


# ---- batches, tokenizers, objectives


def test_every_example_is_in_one_batch_that_is_not_too_large() -> None:
    draw = random.Random(0)
    examples = [{"ids": [1] * draw.randint(1, 30), "said": [1] * 5} for _ in range(200)]
    batches = bucketed(examples, 100, "seed")
    assert sorted(at for batch in batches for at in batch) == list(range(200))
    widths = [(len(batch), max(len(examples[at]["ids"]) for at in batch)) for batch in batches]
    assert max(count * width for count, width in widths) <= 100
    assert batches == bucketed(examples, 100, "seed")
    assert batches != bucketed(examples, 100, "another")


def test_words_are_cut_as_the_tokenizer_cuts_them_unless_merges_are_left_out() -> None:
    texts = [text for source, target, _ in alignment.annotated() for text in (source, target)]
    tokenizer = vocabulary.train_bpe(texts, 300, "none")
    whole, dropped = vocabulary.Cuts(tokenizer, 0.0, 1), vocabulary.Cuts(tokenizer, 0.5, 1)
    for text in texts:
        words = whole.words(text)
        assert [id for word in words for id in whole.of(word)[0]] == tokenizer.encode(text).ids
        for word in words:
            assert {tokenizer.decode(cut) for cut in dropped.of(word)} == {tokenizer.decode(whole.of(word)[0])}
    assert any(len(set(map(tuple, dropped.of(word)))) > 1 for text in texts for word in dropped.words(text))


def test_a_tokenizer_gives_back_what_was_written() -> None:
    text = "L'homme (en t-shirt) dit : « Ça va ? », n'est-ce pas ? 12 fois."
    tokenizer = vocabulary.train_bpe([text] * 2, 200, "stop")
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_words_said_twice_are_asked_for_the_second_time_only(data: Path, tmp_path: Path) -> None:
    objective = start(tiny("gpt2"), data, tmp_path).objective
    assert isinstance(objective, NextToken)
    draw, lengths, several = random.Random(0), [], 0
    for _ in range(300):
        example = objective.twice(draw)
        ids, said = example["ids"], example["said"]
        asked = [at for at, id in enumerate(said) if id != -100]
        half = len(ids) // 2
        assert asked == list(range(half + 1, len(ids)))
        assert all(said[at] == ids[at - half + 1] for at in asked)  # what followed the last time
        lengths.append(half)
        several += half > 8 and len({*ids[1 : half + 1]}) < 0.7 * half  # in every second text, some tokens come again
    assert min(lengths) == 2
    assert max(lengths) > objective.longest // 2 - 4
    assert sorted(lengths)[150] < objective.longest / 4  # few as often as many on a logarithmic scale
    assert several > 30


def test_how_many_tokens_are_said_twice_may_change_from_epoch_to_epoch(data: Path, tmp_path: Path) -> None:
    made = replace(tiny("gpt2"), options={"longest": 30, "repeated": [0.0, 0.5]})
    objective = start(made, data, tmp_path).objective
    assert isinstance(objective, NextToken)

    def share(epoch: int) -> float:
        return sum(one["said"][0] == -100 for one in objective.examples(epoch)) / len(objective.texts)

    assert [share(epoch) for epoch in range(4)] == [0.0, 0.5, 0.5, 0.5]


def test_short_sentences_may_come_first_and_sources_come_and_go(data: Path, tmp_path: Path) -> None:
    """Both lists go on with their last number."""
    (source,) = tiny().train
    made = replace(
        tiny(),
        train=({**source, "share": [0, 1, 0.5]}, {**source, "prefix": "chat "}),
        options={"longest": [5, 80]},
    )
    objective = start(made, data, tmp_path).objective
    assert isinstance(objective, Translate)
    epochs = [objective.examples(epoch) for epoch in range(4)]
    longest = [max(len(one[side]) for one in examples for side in ("source", "said")) for examples in epochs]
    assert longest[0] <= 5 < min(longest[1:])
    texts = [objective.tokenizer.decode_batch([one["source"] for one in examples]) for examples in epochs]
    first = [sum(text.startswith("un") for text in some) for some in texts]
    assert first[0] == 0
    assert first[1] == 20
    assert all(3 <= some <= 17 for some in first[2:])
    assert epochs[2] != epochs[3], "drawn anew"


def test_a_source_may_come_more_than_once_and_count_for_more(data: Path, tmp_path: Path) -> None:
    (source,) = tiny().train
    made = replace(tiny(), train=(source, {**source, "prefix": "chat ", "share": [1, 2.5], "weight": [1, 4]}))
    run = start(made, data, tmp_path)
    first, second = (run.objective.examples(epoch) for epoch in (0, 1))
    assert len(first) == 40
    assert all("weight" not in one for one in first)
    heavy = [one for one in second if one["weight"] == [4]]
    assert [one["weight"] for one in second].count([1]) == 20
    assert 2 * 20 < len(heavy) < 3 * 20

    def cost(examples: list[Any]) -> tuple[float, int]:
        loss, count = run.objective.loss(run.model, collate(examples), SILENT, 0.1)
        return float(loss.detach()), count

    light = next(one for one in second if one["weight"] == [1])
    (a, n), (b, m) = cost([light]), cost([{**heavy[0], "weight": [1]}])
    total, count = cost([light, heavy[0]])
    assert count == n + 4 * m
    assert total == pytest.approx(a + 4 * b, rel=1e-5)


def test_masked_words(data: Path, tmp_path: Path) -> None:
    objective = start(tiny("bert"), data, tmp_path).objective
    assert isinstance(objective, MaskedWords)
    words = list(range(10, 50))
    counts = {"asked": 0, "masked": 0, "kept": 0}
    for seed in range(200):
        example = objective.masked(words[:20], words[20:], 0, random.Random(seed))
        plain = objective.masked(words[:20], words[20:], 0, Never())
        assert example["segments"] == [0] * 22 + [1] * 21
        for id, said, true in zip(example["ids"], example["said"], plain["ids"], strict=True):
            assert said in (-100, true)
            counts["asked"] += said != -100
            counts["masked"] += said != -100 and id == objective.hidden
            counts["kept"] += said != -100 and id == true
    assert counts["asked"] / (200 * 40) == pytest.approx(0.15, abs=0.02)
    assert counts["masked"] / counts["asked"] == pytest.approx(0.8, abs=0.04)
    assert counts["kept"] / counts["asked"] == pytest.approx(0.1, abs=0.04)


def test_training_may_hide_more_words_than_val_and_begin_with_single_sentences(data: Path, tmp_path: Path) -> None:
    made = replace(tiny("bert"), options={"share": 0.5, "short": 1}, train=({"together": ["en", "en"]},))
    objective = start(made, data, tmp_path).objective
    assert isinstance(objective, MaskedWords)
    alone, together = objective.examples(0), objective.examples(1)
    assert len(alone) == 2 * len(together) == 2 * len(objective.texts)
    assert {one["follows"][0] for one in alone} == {-100}
    assert {one["follows"][0] for one in together} == {0, 1}
    words = list(range(10, 50))
    examples = [
        objective.masked(words, [], -100, random.Random(seed), always=always)
        for seed in range(200)
        for always in (False, True)
    ]
    trained, judged = (
        sum(said != -100 for one in examples[first::2] for said in one["said"]) / (200 * 40) for first in (0, 1)
    )
    assert trained == pytest.approx(0.5, abs=0.02)
    assert judged == pytest.approx(0.15, abs=0.02)


class Never(random.Random):
    """Chooses no word."""

    def random(self) -> float:
        return 0.99


def test_a_gap_is_cut_and_asked_for() -> None:
    text, word = gap(("fill the gap: a man, sleeping", ""), random.Random(1))
    assert text.startswith("fill the gap: ")
    assert text.removeprefix("fill the gap: ").replace("___", word) == "a man, sleeping"
    assert gap(("a cat", "un chat"), random.Random(1)) == ("a cat", "un chat")


def test_the_fibonacci_windows_are_split_once_and_for_all() -> None:
    made = replace(tiny(), objective="next-number", model={}, options={"terms": 100, "steps": 10})
    objective = NextNumber(made, Path(), None)
    assert [len(part) for part in (objective.train, objective.val, objective.test)] == [63, 13, 14]
    everything = [*objective.train, *objective.val, *objective.test]
    assert len({tuple(one["number"]) for one in everything}) == 90
    last = max(everything, key=lambda one: one["number"][0])
    assert last["number"] == [1.0]
    assert last["values"][-1] + last["values"][-2] == pytest.approx(1.0)


# ---- data and recipes


def test_lines_of_plain_and_packed_files_and_of_columns(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("un\ndeux \n\ntrois\n", encoding="utf-8")
    assert lines(tmp_path, "plain") == ["un", "deux", "", "trois"]
    (tmp_path / "table.tsv.gz").write_bytes(gzip.compress("a\tun\nb\tété\n".encode()))
    assert lines(tmp_path, "table.tsv:2") == ["un", "été"]
    assert parallel(tmp_path, [{"source": "table.tsv:1", "target": "table.tsv:2"}], ("source", "target")) == [
        ("a", "un"),
        ("b", "été"),
    ]
    with pytest.raises(DataMissing, match="belong together"):
        parallel(tmp_path, [{"source": "plain", "target": "table.tsv:2"}], ("source", "target"))
    with pytest.raises(DataMissing, match="headlight data fetch"):
        lines(tmp_path, "nothing")


def test_a_book_is_its_paragraphs_without_the_licence(tmp_path: Path) -> None:
    text = "Licence.\n*** START OF THIS BOOK ***\n\nOnce\nupon a time.\n\n\nThe end.\n*** END OF THIS BOOK ***\nMore."
    (tmp_path / "book").write_text(text)
    assert documents(tmp_path, [{"book": "book"}]) == [["Once upon a time."], ["The end."]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A folder on a local web server."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()
    thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_only_the_pinned_text_is_kept(served: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = served
    (folder / "packed.gz").write_bytes(gzip.compress(b"packed\n"))
    (folder / "plain").write_bytes(b"plain\r\n")
    (folder / "changed").write_bytes(b"changed\n")
    pinned = {name: sources.sha256(f"{name}\n".encode()) for name in ("packed", "plain", "missing")}
    pinned["changed"] = sources.sha256(b"as it was\n")
    heard: dict[str, str] = {}

    def where(name: str) -> str:
        return f"{address}/{name}.gz" if name == "packed" else f"{address}/{name}"

    missing = sources.fetch(tmp_path / "data", pinned, where=where, told=heard.__setitem__)
    assert missing == ["missing", "changed"]
    assert "is not what was pinned" in heard["changed"]
    assert "404" in heard["missing"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["packed.gz", "plain.gz"]
    assert lines(tmp_path / "data", "plain") == ["plain"]
    assert sources.fetch(tmp_path / "data", {"plain": pinned["plain"]}, where=where, told=heard.__setitem__) == []
    assert heard["plain"] == "is here"


def test_every_data_file_has_a_source_and_terms() -> None:
    for name in sources.SHA256:
        assert sources.place(name).startswith("https://")
        assert any(name.startswith(begins) for begins in sources.TERMS), name


@pytest.mark.parametrize("name", recipe.bundled())
def test_the_bundled_recipes_train_on_training_files_only(name: str) -> None:
    read = recipe.read(name)
    assert read.name == name
    for source in read.train:
        for file in named(source):
            stem = file.partition(":")[0]
            assert stem in sources.SHA256
            assert not {"val", "dev", "test"} & set(stem.replace("/", ".").replace("_", ".").split(".")), stem
    assert {file for source in read.val for file in named(source)}.isdisjoint(
        file for source in (*read.train, *read.test) for file in named(source)
    )


def named(source: Mapping[str, Any]) -> list[str]:
    values = [value if isinstance(value, list) else [value] for value in source.values()]
    return [value for those in values for value in those if "/" in str(value)]


def test_recipes_that_can_not_be_followed(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="Did you mean transformer-fr-en"):
        recipe.read("transformer-fr-em")
    path = tmp_path / "wrong.toml"
    path.write_text('objective = "translate"\n')
    with pytest.raises(BadRecipe, match="lacks 'schedule'"):
        recipe.read(path)
    path.write_text('objective = "dream"\n[model]\n[schedule]\nsteps = 1\n')
    with pytest.raises(BadRecipe, match="no objective 'dream'"):
        start(recipe.read(path), tmp_path, tmp_path / "run")


# ---- scores


def test_goals_are_numbers_or_other_models() -> None:
    base = tiny()
    recipes = {
        "a": replace(base, goals=({"metric": "x", "at_least": 0.5}, {"metric": "y", "below": "b"})),
        "b": replace(base, goals=({"metric": "y", "at_most": "a"},)),
    }
    found = {
        (row.model, row.metric): row for row in scoring.rows({"a": {"x": 0.4, "y": 2.0}, "b": {"y": 2.0}}, recipes)
    }
    assert found["a", "x"].reached is False
    assert found["a", "y"].reached is False  # equal is not below
    assert found["b", "y"].reached is True
    alone = scoring.rows({"a": {"x": 0.6, "y": 2.0}}, recipes)
    assert [row.reached for row in alone] == [True, None]  # nothing to compare with
    assert "at least 0.5" in "\n".join(scoring.table(alone))


def test_what_a_training_needs_is_missed_before_it_begins(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadRecipe, match=r"no \[CLS\], \[SEP\], \[MASK\].*wordpiece"):
        start(replace(tiny("bert"), tokenizer=tiny().tokenizer), data, tmp_path)
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(BadRecipe, match="sacrebleu, which is not installed"):
        start(tiny(), data, tmp_path)


def test_translations_are_scored_as_sacrebleu_does(data: Path, tmp_path: Path) -> None:
    run = start(tiny(), data, tmp_path)
    objective = run.objective
    assert isinstance(objective, Translate)
    targets = [target for _, target in objective.pairs]
    objective.said = lambda _, first=None: targets[:first]  # type: ignore[method-assign]
    assert objective.score(run.model) == pytest.approx(100)


class Seen:
    """A trace with patterns that were made up, of a text whose tokens are its words."""

    def __init__(self, patterns: dict[str, torch.Tensor], tokens: dict[str, list[Token]]) -> None:
        self.patterns, self.tokens = patterns, tokens

    def __getitem__(self, address: str) -> torch.Tensor:
        return self.patterns[address]


def words(text: str) -> list[Token]:
    return [Token(0, match[0], match[0], *match.span()) for match in re.finditer(r"\w+|[^\w\s]", text)]


@pytest.mark.parametrize("shift", [0, 1])
def test_an_alignment_is_right_where_the_step_that_says_a_word_looks_at_its_source(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    origins = {target: pairs for _, target, pairs in alignment.annotated()}
    assert len(origins) == 50

    def looks(_: object, source: str, target: str) -> Seen:
        tokens = {"encoder": words(source), "decoder": [Token(2, "<s>", "<s>", None, None), *words(target)]}
        pattern = torch.zeros(1, len(tokens["decoder"]), len(tokens["encoder"]))
        for word, there in origins[target]:
            (at,) = alignment.within(tokens["decoder"], word)
            first, *_ = alignment.within(tokens["encoder"], there[0])
            pattern[0, at - 1 + shift, first] = 1.0
        return Seen({"decoder.0.cross.pattern": pattern}, tokens)

    monkeypatch.setattr("engine.trace", looks)
    model = start(tiny("seq2seq"), data, tmp_path).model
    share = alignment.agreement(model)  # type: ignore[arg-type]
    assert share == 1.0 if shift == 0 else share < 0.5


def test_every_word_of_the_annotated_targets_was_thought_of() -> None:
    for line in (Path(alignment.__file__).parent / "alignments.tsv").read_text(encoding="utf-8").splitlines():
        _, target, links = line.split("\t")
        assert sorted(re.findall(r"\w+", target)) == sorted(link.partition("=")[0] for link in links.split()), target


def test_heads_are_known_by_what_they_look_at(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(start(tiny("gpt2", steps=4), data, tmp_path), progress=False)
    model = engine.load(tmp_path)

    def looks(_: object, ids: dict[str, list[int]]) -> Seen:
        size = len(ids["decoder"])
        half = (size - 1) // 2
        assert ids["decoder"][1 : half + 1] == ids["decoder"][half + 1 :]
        patterns = {f"decoder.{layer}.self.pattern": torch.zeros(2, size, size) for layer in range(2)}
        for query in range(1, size):
            patterns["decoder.0.self.pattern"][1, query, query - 1] = 0.9
            if query > half:
                assert (
                    ids["decoder"][query - half] == ids["decoder"][query]
                )  # the last occurrence, and then what followed
                patterns["decoder.1.self.pattern"][0, query, query - half + 1] = 0.7
        return Seen(patterns, {})

    monkeypatch.setattr("engine.trace", looks)
    found = scoring.heads(model, length=10, texts=3)
    assert found["previous-token head"] == (pytest.approx(0.9), 0, 1)
    assert found["induction head"] == (pytest.approx(0.7), 1, 0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs(smoothing: float) -> None:
    torch.manual_seed(0)
    logits, said = (3 * torch.randn(300, 50)).requires_grad_(), torch.randint(50, (300,))
    loss, count = cross_entropy(logits, said, smoothing)
    (found,) = torch.autograd.grad(loss / count, logits)
    expected = F.cross_entropy(logits, said, label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(expected, logits)
    assert count == 300
    torch.testing.assert_close(loss.detach() / count, expected.detach())
    torch.testing.assert_close(found, gradient)
