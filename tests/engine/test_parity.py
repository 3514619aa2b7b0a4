"""Law 1 for every family: tiny random models saved by `transformers`, loaded by our rules, compared in every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

import engine
from engine.tap import Capture, Recorder

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 48}),
    "gpt2-relu": ("GPT2", {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 48, "activation_function": "relu"}),
    "llama": ("Llama", {"num_key_value_heads": 2}),
    "llama-biased": ("Llama", {"num_key_value_heads": 4, "attention_bias": True, "mlp_bias": True, "head_dim": 10}),
    "llama-tied": ("Llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "llama-3": (
        "Llama",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            }
        },
    ),
    "qwen2": ("Qwen2", {"num_key_value_heads": 2}),
    "t5": ("T5", {"num_layers": 2, "num_decoder_layers": 3}),
    "t5-gated": ("T5", {"num_layers": 2, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "t5-buckets": ("T5", {"num_layers": 1, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 11}),
    "marian": ("Marian", {"encoder_layers": 2, "decoder_layers": 3}),
    "marian-scaled": ("Marian", {"encoder_layers": 1, "decoder_layers": 1, "scale_embedding": True}),
    "marian-separate": (
        "Marian",
        {"encoder_layers": 1, "decoder_layers": 1, "share_encoder_decoder_embeddings": False},
    ),
}
SIZES: dict[str, dict[str, Any]] = {
    "GPT2": {},
    "Llama": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40},
    "Qwen2": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40},
    "T5": {"d_model": 24, "d_kv": 7, "d_ff": 40, "num_heads": 4, "decoder_start_token_id": 0},
}
SIZES["Marian"] = {
    "d_model": 24,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "max_position_embeddings": 48,
    "decoder_start_token_id": 66,
    "pad_token_id": 66,
}
VOCABULARY = 67


def saved(name: str, folder: Path) -> nn.Module:
    """A tiny random model in float64, saved to `folder` in float64 as well."""
    kind, changes = CASES[name]
    torch.manual_seed(3)
    config = getattr(transformers, f"{kind}Config")(vocab_size=VOCABULARY, **(SIZES[kind] | changes))
    config._attn_implementation = "eager"
    kinds = {"GPT2": "GPT2LMHeadModel", "Marian": "MarianMTModel", "T5": "T5ForConditionalGeneration"}
    model = getattr(transformers, kinds.get(kind, f"{kind}ForCausalLM"))(config).double().eval()
    for part, parameter in model.named_parameters():  # far from the start, where biases are 0 and attention is even
        if "embed_positions" not in part:
            parameter.data += 0.2 * torch.randn_like(parameter)
    for part, buffer in model.named_buffers():
        if part == "final_logits_bias":
            buffer.copy_(torch.randn_like(buffer))
    model.save_pretrained(folder)
    return model


def double_norm(module: Any, x: Tensor) -> Tensor:
    """RMSNorm without the rounding to float32."""
    return module.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + module.variance_epsilon))


@pytest.fixture(autouse=True)
def a_reference_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference rounds to float32 in its RMSNorm and softmax whatever the model's precision; here it must not."""
    for kind in (
        transformers.models.llama.modeling_llama.LlamaRMSNorm,
        transformers.models.qwen2.modeling_qwen2.Qwen2RMSNorm,
        transformers.models.t5.modeling_t5.T5LayerNorm,
    ):
        monkeypatch.setattr(kind, "forward", double_norm)
    monkeypatch.setattr(nn.functional, "softmax", lambda scores, dim, **_: torch.softmax(scores, dim))


@pytest.mark.parametrize("name", CASES)
def test_every_layer_agrees_with_the_reference_to_1e_10(name: str, tmp_path: Path) -> None:
    theirs = saved(name, tmp_path)
    ours = engine.load(tmp_path, dtype=torch.float64)
    batch, length = 3, 19
    generator = torch.Generator().manual_seed(4)
    ids = torch.randint(VOCABULARY, (batch, length), generator=generator)
    mask = torch.arange(length) < torch.tensor([19, 7, 12])[:, None]
    compare = two_stacks if len(ours.family.stacks) == 2 else one_stack
    errors = compare(theirs, ours, ids, mask)
    assert max(errors.values()) < 1e-10, errors
    assert len(errors) == sum(2 * block.layers for block in ours.blocks) + 1 + sum(
        {block.stack: block.layers for block in ours.blocks}.values()
    )


def one_stack(theirs: nn.Module, ours: engine.Model, ids: Tensor, mask: Tensor) -> dict[str, float]:
    seen = Seen(theirs)
    recorder = Recorder(ours.sites, Capture(derived=("*",)))
    with torch.inference_mode():
        expected = theirs(ids, attention_mask=mask.long(), output_attentions=True, output_hidden_states=True)
        logits = ours.network.head(ours.network(ids, mask, tap=recorder))
    errors = {"logits": far(logits, expected.logits, mask)}
    for i, pattern in enumerate(expected.attentions):
        errors[f"decoder.{i}.self.pattern"] = far(recorder.tensors[f"decoder.{i}.self.pattern"], pattern, mask)
        errors[f"decoder.{i}.self.out"] = far(recorder.tensors[f"decoder.{i}.self.out"], seen.attention[i], mask)
        errors[f"decoder.{i}.resid.pre"] = far(
            recorder.tensors[f"decoder.{i}.resid.pre"], expected.hidden_states[i], mask
        )
    return errors


def two_stacks(theirs: nn.Module, ours: engine.Model, ids: Tensor, mask: Tensor) -> dict[str, float]:
    seen = Seen(theirs)
    recorder = Recorder(ours.sites, Capture(derived=("*",)))
    target = ids.flip(0)[:, :11]
    whole = torch.ones_like(target, dtype=torch.bool)
    with torch.inference_mode():
        expected = theirs(
            ids,
            attention_mask=mask.long(),
            decoder_input_ids=target,
            output_attentions=True,
            output_hidden_states=True,
        )
        memory = ours.network.encode(ids, mask, tap=recorder)
        logits = ours.network.head(ours.network.decode(target, memory, mask, tap=recorder))
    errors = {"logits": far(logits, expected.logits, whole)}
    blocks = {
        ("encoder", "self"): (expected.encoder_attentions, mask),
        ("decoder", "self"): (expected.decoder_attentions, whole),
        ("decoder", "cross"): (expected.cross_attentions, whole),
    }
    outs = iter(seen.attention)
    for (stack, block), (patterns, real) in blocks.items():
        for i, pattern in enumerate(patterns):
            errors[f"{stack}.{i}.{block}.pattern"] = far(
                recorder.tensors[f"{stack}.{i}.{block}.pattern"], pattern, real
            )
    order = [("encoder", i, "self") for i in range(len(expected.encoder_attentions))]
    order += [("decoder", i, block) for i in range(len(expected.decoder_attentions)) for block in ("self", "cross")]
    for stack, i, block in order:
        real = mask if stack == "encoder" else whole
        errors[f"{stack}.{i}.{block}.out"] = far(recorder.tensors[f"{stack}.{i}.{block}.out"], next(outs), real)
    for stack, states, real in (
        ("encoder", expected.encoder_hidden_states, mask),
        ("decoder", expected.decoder_hidden_states, whole),
    ):
        for i in range(len(states) - 1):
            errors[f"{stack}.{i}.resid.pre"] = far(recorder.tensors[f"{stack}.{i}.resid.pre"], states[i], real)
    return errors


class Seen:
    """What the reference's attention modules give, in the order in which they run."""

    def __init__(self, model: nn.Module) -> None:
        self.attention: list[Tensor] = []
        kinds = ("GPT2Attention", "LlamaAttention", "Qwen2Attention", "T5Attention", "MarianAttention")
        for module in model.modules():
            if type(module).__name__ in kinds:
                module.register_forward_hook(lambda _, __, output: self.attention.append(output[0]))


def far(found: Tensor, expected: Tensor, real: Tensor) -> float:
    """The largest difference, rows of padding aside."""
    assert found.shape == expected.shape
    axis = 2 if found.dim() == 4 and found.shape[2] == real.shape[1] else 1
    real = real.view([len(real), *(real.shape[1] if a == axis else 1 for a in range(1, found.dim()))])
    return ((found - expected).abs() * real).max().item()


@pytest.mark.parametrize("name", CASES)
def test_derived_maps_equal_those_of_the_explicit_path(name: str, tmp_path: Path) -> None:
    """Law 2, in every family, with its mask and its bias."""
    saved(name, tmp_path)
    model = engine.load(tmp_path, dtype=torch.float64)
    ids = {stack: [3 + (7 * i + n) % 60 for i in range(13 - 4 * n)] for n, stack in enumerate(model.family.stacks)}
    fused, explicit = engine.trace(model, ids=ids), engine.trace(model, ids=ids, capture=Capture(derived=("*",)))
    for block in model.blocks:
        for layer in range(block.layers):
            for site in ("scores", "pattern"):
                address = f"{block.stack}.{layer}.{block.name}.{site}"
                assert address not in fused.tensors
                torch.testing.assert_close(fused[address], explicit.tensors[address], rtol=1e-10, atol=1e-12)
            at = f"{block.stack}.{layer}.{block.name}"
            pattern = fused[f"{at}.pattern"]
            torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern[..., 0]))
            rows = fused.slice(f"{at}.pattern", head=[1], query=[2, 5], key=[0, 3])
            torch.testing.assert_close(rows, pattern[[1]][:, [2, 5]][:, :, [0, 3]])
            values = engine.nn.attention.spread(fused[f"{at}.v"], block.heads)
            torch.testing.assert_close(pattern @ values, fused[f"{at}.z"])
            if block.causal:
                assert (pattern.triu(1) == 0).all()
    assert explicit.tensors.keys() == {address for address, site in model.sites.items() if site.observable}
    for address in fused.addresses():
        assert fused[address].shape == tuple(fused.sizes(address).values()), address


@pytest.mark.parametrize("name", CASES)
def test_the_way_back_gives_the_same_file(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from engine import checkpoint

    saved(name, tmp_path)
    model = engine.load(tmp_path, dtype=torch.float64)
    rules = model.family.rules(model.config)
    before = {k: v for k, v in load_file(tmp_path / "model.safetensors").items() if not rules.ignores(rules.plain(k))}
    after = checkpoint.export(model.network, rules)
    assert {rules.plain(key) for key in before} == after.keys()
    assert all(torch.equal(value, after[rules.plain(key)]) for key, value in before.items())


@pytest.mark.parametrize("name", CASES)
def test_predictions_and_the_logit_lens_come_from_the_head(name: str, tmp_path: Path) -> None:
    theirs = saved(name, tmp_path)
    model = engine.load(tmp_path, dtype=torch.float64)
    ids = {stack: [3, 1, 4, 1, 5, 9, 2, 6] for stack in model.family.stacks}
    trace = engine.trace(model, ids=ids)
    given: dict[str, Any] = {"input_ids": torch.tensor([ids[model.family.stacks[0]]])}
    if len(ids) == 2:
        given["decoder_input_ids"] = torch.tensor([ids["decoder"]])
    with torch.inference_mode():
        logits = theirs(**given).logits[0]
    torch.testing.assert_close(trace["decoder.logits"], logits)
    assert trace.prediction is not None
    (answer,) = trace.prediction["positions"]
    assert answer["position"] == 7
    best = logits[-1].softmax(-1).topk(3)
    assert [entry["id"] for entry in answer["top"][:3]] == best.indices.tolist()
    assert [entry["probability"] for entry in answer["top"][:3]] == pytest.approx(best.values.tolist(), rel=1e-5)
    last = max(block.layers for block in model.blocks if block.stack == "decoder") - 1
    torch.testing.assert_close(trace.lens(trace[f"decoder.{last}.resid.post"]), logits)


def test_tied_heads_that_differ_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    saved("gpt2", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"] + 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(engine.errors.CheckpointError, match="in the file they differ"):
        engine.load(tmp_path)
