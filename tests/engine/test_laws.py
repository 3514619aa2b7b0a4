"""Laws 2 to 6 of the architecture: what must hold for every input, held against inputs that nobody chose."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import engine
from engine.tap import SILENT, Capture, Recorder

laws = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ids = st.lists(st.integers(5, 70), min_size=1, max_size=36)


def traced(model: engine.Model, ids: list[int], **options: object) -> engine.Trace:
    return engine.trace(model, ids={"encoder": ids}, **options)  # type: ignore[arg-type]


@laws
@given(ids)
def test_derived_maps_equal_those_of_the_explicit_path(tiny: engine.Model, ids: list[int]) -> None:
    fused, explicit = traced(tiny, ids), traced(tiny, ids, capture=Capture(derived=("*",)))
    for layer in range(tiny.config.layers):
        for name in ("scores", "pattern"):
            address = f"encoder.{layer}.self.{name}"
            assert address not in fused.tensors
            torch.testing.assert_close(fused[address], explicit.tensors[address], rtol=1e-10, atol=1e-12)


@laws
@given(ids)
def test_rows_sum_to_one_and_the_parts_make_up_the_whole(tiny: engine.Model, ids: list[int]) -> None:
    trace = traced(tiny, ids)
    for layer in range(tiny.config.layers):
        at = f"encoder.{layer}.self"
        pattern = trace[f"{at}.pattern"]
        torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern[..., 0]))
        torch.testing.assert_close(pattern @ trace[f"{at}.v"], trace[f"{at}.z"])
        bias = tiny.network.get_parameter(f"layers.{layer}.attention.out.bias")
        torch.testing.assert_close(trace[f"{at}.by_head"].sum(0) + bias, trace[f"{at}.out"])
        raw = trace[f"{at}.scores.raw"]
        torch.testing.assert_close(raw * tiny.blocks[0].scale, trace[f"{at}.scores.scaled"])
        torch.testing.assert_close(trace[f"{at}.scores.scaled"].softmax(-1), pattern)


@laws
@given(ids, st.integers(1, 10))
def test_nothing_attends_to_padding(tiny: engine.Model, ids: list[int], padding: int) -> None:
    padded = torch.tensor([ids + [0] * padding])
    mask = torch.arange(padded.shape[1])[None] < len(ids)
    recorder = Recorder(tiny.sites, Capture(derived=("*.pattern",)))
    with torch.inference_mode():
        padded_out = tiny.network(padded, mask=mask, tap=recorder)
        alone = tiny.network(torch.tensor([ids]))
    for layer in range(tiny.config.layers):
        assert (recorder.tensors[f"encoder.{layer}.self.pattern"][..., len(ids) :] == 0).all()
    torch.testing.assert_close(padded_out[:, : len(ids)], alone)


@laws
@given(ids)
def test_watching_changes_nothing(tiny: engine.Model, ids: list[int]) -> None:
    batch = torch.tensor([ids])
    with torch.inference_mode():
        silent = tiny.network(batch, tap=SILENT)
        watched = tiny.network(batch, tap=Recorder(tiny.sites))
    assert torch.equal(silent, watched)


@laws
@given(ids, st.data())
def test_a_slice_is_the_part_of_the_whole(tiny: engine.Model, ids: list[int], data: st.DataObject) -> None:
    trace = traced(tiny, ids)
    address = data.draw(st.sampled_from(trace.addresses()))
    whole = trace[address]
    chosen = {}
    for axis, size in trace.sizes(address).items():
        chosen[axis] = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4), label=axis)
        whole = whole.index_select(list(trace.sizes(address)).index(axis), torch.tensor(chosen[axis]))
    torch.testing.assert_close(trace.slice(address, **chosen), whole)


@laws
@given(ids)
def test_saving_and_loading_gives_identical_bytes(tiny: engine.Model, ids: list[int]) -> None:
    data = traced(tiny, ids).to_bytes()
    again = engine.Trace.from_bytes(data, tiny)
    assert again.to_bytes() == data
    assert traced(tiny, ids).to_bytes() == data
    for address in again.addresses():
        assert again[address].shape == tuple(again.sizes(address).values())


def test_the_recorded_sites_are_the_declared_ones_with_the_declared_axes(tiny: engine.Model) -> None:
    recorder = Recorder(tiny.sites, Capture(derived=("*",)))
    batch, length = 2, 7
    with torch.inference_mode():
        tiny.network(torch.zeros(batch, length, dtype=torch.long), tap=recorder)
    assert recorder.tensors.keys() == {address for address, site in tiny.sites.items() if site.observable}
    config = tiny.config
    lengths = {
        "batch": batch,
        "position": length,
        "query": length,
        "key": length,
        "head": config.heads,
        "kv_head": config.heads,
        "head_dim": config.width // config.heads,
        "model": config.width,
        "hidden": config.hidden,
    }
    for address, tensor in recorder.tensors.items():
        assert tensor.shape == tuple(lengths[axis] for axis in tiny.sites[address].axes), address


def test_the_sizes_of_every_site_are_known_before_it_is_derived(tiny: engine.Model) -> None:
    trace = engine.trace(tiny, "the cat sat on the mat")
    for address in trace.addresses():
        assert tuple(trace.sizes(address).values()) == trace[address].shape, address


def test_nothing_of_size_t_by_t_is_kept_unless_asked_for(tiny: engine.Model) -> None:
    length = 41  # no other axis has this length
    plain = traced(tiny, [5] * length)
    assert not [a for a, t in plain.tensors.items() if list(t.shape).count(length) > 1]
    asked = traced(tiny, [5] * length, capture=Capture(derived=("encoder.1.self.pattern",)))
    assert [a for a, t in asked.tensors.items() if list(t.shape).count(length) > 1] == ["encoder.1.self.pattern"]


def test_eight_threads_on_one_model_never_mix(minilm: engine.Model) -> None:
    texts = [f"Thread {n} counts {' '.join(str(n * i) for i in range(1, 3 + 4 * n))} and stops." for n in range(8)]
    patches = [[engine.Zero("encoder.2.self.z", head=n)] if n % 2 else [] for n in range(8)]
    expected = [engine.trace(minilm, t, patches=p).to_bytes() for t, p in zip(texts, patches, strict=True)]
    start, wrong, parts = threading.Barrier(8), [], torch.get_num_threads()

    def work(n: int) -> None:
        torch.set_num_threads(parts)  # torch counts them per thread, and rounds otherwise in other parts
        start.wait()
        wrong.extend(
            n for _ in range(6) if engine.trace(minilm, texts[n], patches=patches[n]).to_bytes() != expected[n]
        )

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_softmax_is_never_taken_in_less_than_float32(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = torch.softmax
    monkeypatch.setattr(torch, "softmax", lambda *a, dtype, **k: asked.append(dtype) or real(*a, dtype=dtype, **k))
    weights = engine.nn.attention.softmax(torch.linspace(-9, 9, 64).to(dtype))
    assert asked == [torch.float32]
    assert weights.dtype == dtype
