"""The benchmark's pieces run and refuse to measure the wrong thing. Nothing here looks at how long anything takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests.benchmarks import answers, forward, memory, peers, readme
from tests.benchmarks.networks import agree, folder
from tests.benchmarks.timing import medians, peak, resident, row, several

TINY = {
    "gpt2": {"n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "bert": {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40},
}


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PEERS", str(tmp_path))


@pytest.mark.parametrize("kind", TINY)
def test_everybody_runs_the_same_network(kind: str) -> None:
    rows = forward.beside(kind, "tiny", folder(kind, **TINY[kind]), (4, 8), rounds=1)
    assert [one[0] for one in rows] == [
        "tiny, nobody watching, 4 / 8 tokens",
        "tiny, every site recorded, 4 / 8 tokens",
        "(tiny, `transformers` eager with attentions and hidden states, 4 / 8 tokens)",
    ]
    # How large a ratio is depends on who else uses the machine, so only its form is looked at.
    assert all(re.fullmatch(r"\d+\.\d\d / \d+\.\d\d", one[3]) for one in rows)


def test_a_network_that_says_something_else_is_not_measured() -> None:
    agree(torch.zeros(3), torch.zeros(3))
    with pytest.raises(RuntimeError, match="disagree"):
        agree(torch.zeros(3), torch.tensor([0, 0, 0.1]))
    with pytest.raises(RuntimeError, match="disagree"):
        agree(torch.zeros(3), torch.zeros(1))


@pytest.mark.usefixtures("no_peers")
def test_absent_peers_are_named() -> None:
    assert peers.lens("gpt2", "tiny", Path("nowhere"), (4,)) == (
        "(tiny, TransformerLens' `run_with_cache`, 4 tokens)",
        "not installed",
        "",
        "",
    )


@pytest.mark.usefixtures("no_peers")
def test_memory_is_that_of_the_pass(tmp_path: Path) -> None:
    rows = memory.beside("gpt2", "tiny", folder("gpt2", **TINY["gpt2"]), 48)
    assert [one[1] == "not installed" for one in rows] == [False, True, False, True]
    kept = float(rows[2][1].split()[0])
    # 48 tokens, 2 layers: q, k, v, z, resid.pre, mid and post (what leaves a layer enters the next), and pre.
    assert 48 * 4 * 2 * (4 * 24 + 2 * 24 + 96) / 2**20 < kept < 48 * 4 * 2 * (4 * 24 + 4 * 24 + 2 * 96) / 2**20


def test_a_peak_is_counted_from_when_it_was_asked() -> None:
    torch.zeros(50_000_000)
    before = resident()
    assert peak() - before < 20
    held = torch.ones(25_000_000)
    assert 90 < peak() - before < 120
    del held


@pytest.mark.usefixtures("no_peers")
def test_answers_are_the_maps_that_transformers_computes() -> None:
    rows = answers.maps("gpt2", "tiny", folder("gpt2", **TINY["gpt2"]), 40, rounds=1)
    assert rows[0][0] == "tiny, all 8 maps of 40 tokens, u8, derived and sent"
    assert 8 * 40 * 40 / 1e6 <= float(rows[1][1].split()[0]) < 8 * 40 * 40 / 1e6 + 0.002
    assert [one[1] for one in rows[3:]] == ["not installed"] * 2


def test_a_picture_of_a_sentence_nobody_traced() -> None:
    assert answers.first_picture(rounds=1)[0].startswith("MiniLM, 16 tokens")


def test_works_are_run_in_turn() -> None:
    order: list[str] = []
    assert len(medians(lambda: order.append("a"), lambda: order.append("b"), rounds=2, warm=1)) == 2
    assert order == ["a", "b"] * 3


def test_rows_have_three_digits_and_a_ratio_each() -> None:
    assert row("x", [1, 123.4], [2, 12.34], "ms") == ("x", "1 / 123 ms", "2 / 12.3 ms", "0.50 / 10.00")
    assert several([0.012345, 1234.5]) == "0.0123 / 1,234"


def test_the_table_stands_between_its_marks(tmp_path: Path) -> None:
    place = tmp_path / "README.md"
    place.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    readme.write(readme.table([("x", "1 ms", "2 ms", "0.50")]), place)
    assert place.read_text() == (
        "before\n<!-- bench -->\n| what | measured | beside | ratio |\n| --- | --- | --- | --- |\n"
        "| x | 1 ms | 2 ms | 0.50 |\n<!-- /bench -->\nafter\n"
    )
    place.write_text("no marks")
    with pytest.raises(RuntimeError, match="no <!-- bench -->"):
        readme.write("", place)


def test_the_readme_has_a_place_for_the_table() -> None:
    text = readme.README.read_text()
    assert text.count(readme.START) == text.count(readme.END) == 1
