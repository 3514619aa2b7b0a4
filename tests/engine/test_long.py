"""Long texts: what is derived in pieces is what the whole map would say, and a trace keeps what it can afford."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import engine
from engine import budget, maps
from engine.errors import UnknownSite

TEXT = "the animal did not cross the street because it was too tired and two dogs run in the snow"


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-llama", "tiny-t5", "tiny-gru", "minilm"])
@pytest.mark.parametrize("stage", ["pattern", "scores"])
def test_an_overview_is_the_explicit_map_pooled(
    folders: dict[str, Path], name: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every family: causal or not, with shared keys, with a bias, additive; in strips of any size."""
    model = engine.load(folders.get(name, name), dtype=torch.float64)  # so that the two paths' rounding is out of sight
    target = {"target": "un chien court dans la neige"} if "encoder" in model.family.stacks[:-1] else {}
    explicit = engine.trace(model, TEXT, **target, capture=engine.Capture(derived=("*",)))
    trace = engine.trace(model, TEXT, **target)
    for block, chunk in itertools.product(trace.blocks, (7, 100, maps.CHUNK)):
        monkeypatch.setattr(maps, "CHUNK", chunk)
        for layer in range(block.layers):
            whole = explicit.tensors[f"{block.stack}.{layer}.{block.name}.{stage}"].float()
            found = engine.attention(trace, stack=block.stack, block=block.name, layers=[layer], stage=stage, size=6)
            rows, columns = (
                edges or tuple(range(length + 1))
                for edges, length in zip((found.query_edges, found.key_edges), whole.shape[1:], strict=True)
            )
            for i, j in itertools.product(range(len(rows) - 1), range(len(columns) - 1)):
                bin = whole[:, rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
                torch.testing.assert_close(found.values[0, :, i, j], bin.amax((-2, -1)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("chunk", [7, 100])
def test_a_tile_is_cut_from_the_whole_map(
    folders: dict[str, Path], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = engine.trace(engine.load(folders["tiny-gpt2"]), TEXT)
    whole = trace["decoder.2.self.pattern"]
    monkeypatch.setattr(maps, "CHUNK", chunk)
    for queries, keys in ((range(3, 9), range(2, 14)), (range(3), range(10, 14)), ([12, 3], [9, 1, 5])):
        tile = engine.attention(trace, layers=[2], queries=list(queries), keys=list(keys))
        torch.testing.assert_close(tile.values[0], whole[:, list(queries)][:, :, list(keys)])
        torch.testing.assert_close(
            trace.slice("decoder.2.self.pattern", query=list(queries), key=list(keys)), tile.values[0]
        )


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-t5", "minilm"])
def test_heads_described_in_strips_are_described_alike(
    folders: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = engine.trace(engine.load(folders.get(name, name)), TEXT)
    for block in trace.blocks:
        monkeypatch.setattr(maps, "CHUNK", 40)
        found = engine.heads(trace, stack=block.stack, block=block.name, layers=[1])
        whole = trace[f"{block.stack}.1.{block.name}.pattern"].double()
        bits = torch.special.entr(whole).sum(-1) / torch.log(torch.tensor(2.0))
        torch.testing.assert_close(found.entropy[0], bits.mean(-1).float(), rtol=1e-4, atol=1e-5)
        seen = (whole > 0).sum(-1)
        rows = torch.stack([(1 - bits / seen.clamp(min=2).log2())[:, i] for i in range(whole.shape[1])], 1)
        telling = seen > 1
        mean = torch.where(telling, rows, 0).sum(-1) / telling.sum(-1)
        torch.testing.assert_close(found.sharpness[0], mean.float(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.peak[0], whole.amax((-2, -1)).float())
        torch.testing.assert_close(found.first[0], whole[..., 0].mean(-1).float())
        if found.previous is not None and found.own is not None:
            previous = torch.stack([whole[:, i, i - 1] for i in range(1, whole.shape[1])]).mean(0)
            torch.testing.assert_close(found.previous[0], previous.float())
            torch.testing.assert_close(found.own[0], whole.diagonal(dim1=1, dim2=2).mean(-1).float())
    assert found.layers == (1,)


def test_a_patched_map_is_read_as_it_was_kept(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over queries puts weight on keys that come later: nothing may be taken for masked then."""
    monkeypatch.setattr(maps, "CHUNK", 20)
    patch = engine.Mean("decoder.1.self.pattern", head=0)
    trace = engine.trace(engine.load(folders["tiny-gpt2"]), TEXT, patches=[patch])
    whole = trace["decoder.1.self.pattern"]
    assert whole[0, 0, 5] > 0
    found = engine.attention(trace, layers=[1])
    torch.testing.assert_close(found.values[0], whole)
    assert engine.heads(trace, layers=[1]).peak[0, 0] == whole[0].max()


def test_step_ends_the_work(folders: dict[str, Path]) -> None:
    trace = engine.trace(engine.load(folders["tiny-gpt2"]), TEXT)

    def stop() -> None:
        raise KeyboardInterrupt

    for work in (engine.attention, engine.heads):
        with pytest.raises(KeyboardInterrupt):
            work(trace, step=stop)


def test_what_cannot_be_afforded_is_left_out_in_order(folders: dict[str, Path]) -> None:
    model = engine.load(folders["tiny-gpt2"])
    inputs = model.inputs(TEXT)
    everything = model.footprint(inputs)
    assert everything == pytest.approx(engine.trace(model, inputs).nbytes, rel=0.05)
    assert model.affordable(inputs) == engine.Capture()
    whole = engine.attention(engine.trace(model, inputs)).values
    capture, left_out = model.affordable(inputs), []
    while (less := model.affordable(inputs, model.footprint(inputs, capture) - 1)) != capture:
        before, trace = engine.trace(model, inputs, capture=capture), engine.trace(model, inputs, capture=less)
        assert trace.nbytes < before.nbytes
        left_out.append({address.split(".", 2)[2] for address in before.tensors.keys() - trace.tensors.keys()})
        torch.testing.assert_close(engine.attention(trace).values, whole)
        capture = less
    assert left_out[0] == {"mlp.pre"}
    assert left_out[-1] == {"self.v", "self.z"}
    assert len(left_out) == 5
    assert {f"decoder.{layer}.self.{name}" for layer in range(4) for name in "qk"} <= trace.tensors.keys()
    with pytest.raises(UnknownSite, match=r"decoder\.0\.mlp\.pre was not captured.*capture="):
        trace["decoder.0.mlp.pre"]


def test_the_default_budget_leaves_a_long_text_something_out(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine.load(folders["tiny-gpt2"])
    short, digest = engine.trace(model, "two dogs"), engine.digest(model, model.inputs("two dogs"))
    assert short.digest == digest
    assert set(short.tensors) >= {"decoder.0.mlp.pre", "decoder.0.self.z"}
    assert budget.affordable(model.sites, dict.fromkeys(short.tensors, 1 << 20), 1 << 30) == engine.Capture()
    assert "*.q" in budget.affordable(model.sites, dict.fromkeys(short.tensors, 1 << 30), 1 << 20).sites


DERIVE = """
import resource, sys, torch
torch.set_num_threads(1)
import engine
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
model = engine.load(sys.argv[1])
ids = [3 + (7 * i * i) % 300 for i in range(8192)]
trace = engine.trace(model, ids={"decoder": ids})
engine.attention(engine.trace(model, ids={"decoder": ids[:64]}), size=16)
before = peak()
row = trace.slice("decoder.1.self.pattern", head=[1], query=[8191])
engine.attention(trace, layers=[1], queries=range(5000, 5256), keys=range(3000, 3256))
engine.attention(trace, layers=[1], heads=[0], size=256)
engine.heads(trace, layers=[1])
print(peak() - before, row.numel())
"""


def test_a_map_of_8192_tokens_is_never_whole(folders: dict[str, Path]) -> None:
    """A whole one is 256 MiB; in a process of its own, whose memory nobody else has grown."""
    command = [sys.executable, "-W", "ignore", "-c", DERIVE, str(folders["tiny-long"])]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, row = map(int, ran.stdout.split())
    assert row == 8192
    assert grown < 64 * 2**20
