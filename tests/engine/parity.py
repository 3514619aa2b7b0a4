"""Tiny random models saved by `transformers`, and how far the engine is from each of them, site by site.

The tests hold the differences under 1e-10; `python -m tests.engine.parity` writes the worst of them into the README.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

import engine
from engine.tap import Capture, Recorder

README = Path(__file__).parent.parent.parent / "README.md"
VOCABULARY = 67

SIZES: dict[str, dict[str, Any]] = {
    "Bert": {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "max_position_embeddings": 48,
    },
    "GPT2": {"n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 48},
    "Llama": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40},
    "Qwen2": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40},
    "T5": {"d_model": 24, "d_kv": 7, "d_ff": 40, "num_heads": 4, "decoder_start_token_id": 0},
    "Marian": {
        "d_model": 24,
        "encoder_ffn_dim": 40,
        "decoder_ffn_dim": 40,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "max_position_embeddings": 48,
        "decoder_start_token_id": 66,
        "pad_token_id": 66,
    },
}
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
SIZES["Roberta"] = SIZES["Bert"] | {"max_position_embeddings": 50, "pad_token_id": 1, "type_vocab_size": 1}
SIZES["DistilBert"] = {"dim": 24, "n_layers": 3, "n_heads": 4, "hidden_dim": 40, "max_position_embeddings": 48}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", {}),
    "bert, one head": ("Bert", {"num_attention_heads": 1}),
    "bert, ReLU": ("Bert", {"hidden_act": "relu", "type_vocab_size": 3, "layer_norm_eps": 1e-5}),
    "bert, masked words": ("Bert", {"architectures": ["BertForMaskedLM"]}),
    "roberta, masked words": ("Roberta", {"architectures": ["RobertaForMaskedLM"]}),
    "distilbert, masked words": ("DistilBert", {"architectures": ["DistilBertForMaskedLM"]}),
    "gpt2": ("GPT2", {}),
    "gpt2, ReLU": ("GPT2", {"n_head": 3, "activation_function": "relu"}),
    "llama": ("Llama", {"num_key_value_heads": 2}),
    "llama, biases": ("Llama", {"attention_bias": True, "mlp_bias": True, "head_dim": 10}),
    "llama, tied": ("Llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "llama 3": ("Llama", {"rope_parameters": LLAMA_3}),
    "qwen2": ("Qwen2", {"num_key_value_heads": 2}),
    "t5": ("T5", {"num_layers": 2, "num_decoder_layers": 3}),
    "t5 1.1": ("T5", {"num_layers": 2, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "t5, few buckets": (
        "T5",
        {"num_layers": 1, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 11},
    ),
    "marian": ("Marian", {"encoder_layers": 2, "decoder_layers": 3}),
    "marian, scaled": ("Marian", {"encoder_layers": 1, "decoder_layers": 1, "scale_embedding": True}),
    "marian, two vocabularies": (
        "Marian",
        {"encoder_layers": 1, "decoder_layers": 1, "share_encoder_decoder_embeddings": False},
    ),
}
CLASSES = {
    "Bert": "BertModel",
    "GPT2": "GPT2LMHeadModel",
    "T5": "T5ForConditionalGeneration",
    "Marian": "MarianMTModel",
    "Llama": "LlamaForCausalLM",
    "Qwen2": "Qwen2ForCausalLM",
}
ATTENTIONS = {f"{name}Attention" for name in ("GPT2", "Llama", "Qwen2", "T5", "Marian")} | {
    "BertSelfAttention",
    "RobertaSelfAttention",
    "DistilBertSelfAttention",
}
PROJECTIONS = {  # in the reference, and here: rotary families turn q and k after their projection
    "BertSelfAttention": {"query": "q", "key": "k", "value": "v"},
    "RobertaSelfAttention": {"query": "q", "key": "k", "value": "v"},
    "DistilBertSelfAttention": {"q_lin": "q", "k_lin": "k", "v_lin": "v"},
    "LlamaAttention": {"q_proj": "q.raw", "k_proj": "k.raw", "v_proj": "v"},
    "Qwen2Attention": {"q_proj": "q.raw", "k_proj": "k.raw", "v_proj": "v"},
    "T5Attention": {"q": "q", "k": "k", "v": "v"},
    "MarianAttention": {"q_proj": "q", "k_proj": "k", "v_proj": "v"},
}
SITES = ("q", "k", "v", "z", "pattern", "out", "resid", "logits")


def saved(name: str, folder: Path) -> nn.Module:
    """A tiny random model in float64, saved to `folder` in float64 as well."""
    kind, changes = CASES[name]
    return random_model(kind, changes.get("architectures", [CLASSES.get(kind)])[0], folder, changes)


def random_model(kind: str, architecture: str, folder: Path, changes: dict[str, Any]) -> nn.Module:
    """A tiny model of one of the reference's classes."""
    torch.manual_seed(3)
    config = getattr(transformers, f"{kind}Config")(**({"vocab_size": VOCABULARY} | SIZES[kind] | changes))
    config._attn_implementation = "eager"
    model: nn.Module = getattr(transformers, architecture)(config).double().eval()
    with torch.no_grad():  # far from the start, where biases are 0 and attention is even
        for part, value in [*model.named_parameters(), *model.named_buffers()]:
            if part == "final_logits_bias" or (isinstance(value, nn.Parameter) and "embed_positions" not in part):
                value.add_(0.2 * torch.randn_like(value))
    model.save_pretrained(folder)  # type: ignore[operator]
    return model


def _double_norm(module: Any, x: Tensor) -> Tensor:
    weighted: Tensor = module.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + module.variance_epsilon))
    return weighted


@contextmanager
def double_precision() -> Iterator[None]:
    """The reference rounds to float32 in its RMSNorm and softmax whatever the model's precision; here it must not."""
    norms = ("llama.modeling_llama.LlamaRMSNorm", "qwen2.modeling_qwen2.Qwen2RMSNorm", "t5.modeling_t5.T5LayerNorm")
    with pytest.MonkeyPatch.context() as patch:
        for norm in norms:
            patch.setattr(f"transformers.models.{norm}.forward", _double_norm)
        patch.setattr(nn.functional, "softmax", lambda scores, dim, **_: torch.softmax(scores, dim))
        yield


def differences(theirs: nn.Module, ours: engine.Model) -> dict[str, float]:
    """The largest absolute difference by address, on a padded batch; rows of padding aside: nobody defines those."""
    ids = torch.randint(3, VOCABULARY, (3, 19), generator=torch.Generator().manual_seed(4))
    mask = torch.arange(19) < torch.tensor([19, 7, 12])[:, None]
    recorder = Recorder(ours.sites, Capture(derived=("*",)))
    with torch.inference_mode(), double_precision():
        if len(ours.family.stacks) == 2:
            expected = _two_stacks(theirs, ours, ids, mask, recorder)
        else:
            expected = _one_stack(theirs, ours, ids, mask, recorder)
    found = recorder.finish()
    return {address: _far(found[address], value, real) for address, (value, real) in expected.items()}


Expected = dict[str, tuple[Tensor, Tensor]]


def _one_stack(theirs: nn.Module, ours: engine.Model, ids: Tensor, mask: Tensor, recorder: Recorder) -> Expected:
    (stack,) = ours.family.stacks
    with watched(theirs, ours) as seen:
        answer = theirs(ids, attention_mask=mask.long(), output_attentions=True, output_hidden_states=True)
    hidden = ours.network(ids, mask=mask, tap=recorder)
    expected: Expected = {address: (value, mask) for address, value in seen.items()}
    expected |= {f"{stack}.{i}.self.pattern": (pattern, mask) for i, pattern in enumerate(answer.attentions)}
    expected |= {f"{stack}.{i}.resid.pre": (x, mask) for i, x in enumerate(answer.hidden_states[:-1])}
    if ours.predicts:
        assert ours.family.head is not None
        recorder.tensors["logits"] = ours.family.head(ours.network, hidden)
        expected["logits"] = answer.logits, mask
    return expected


def _two_stacks(theirs: nn.Module, ours: engine.Model, ids: Tensor, mask: Tensor, recorder: Recorder) -> Expected:
    target = ids.flip(0)[:, :11]
    whole = torch.ones_like(target, dtype=torch.bool)
    kept = {"output_attentions": True, "output_hidden_states": True}
    with watched(theirs, ours) as seen:
        answer = theirs(ids, attention_mask=mask.long(), decoder_input_ids=target, **kept)
    memory = ours.network.encode(ids, mask, tap=recorder)  # type: ignore[operator]
    hidden = ours.network.decode(target, memory, mask, tap=recorder)  # type: ignore[operator]
    recorder.tensors["logits"] = ours.family.head(ours.network, hidden)  # type: ignore[misc]
    expected: Expected = {"logits": (answer.logits, whole)}
    for address, value in seen.items():
        source = address.startswith("encoder") or address.endswith(("cross.k", "cross.v"))
        expected[address] = value, mask if source else whole
    for at, patterns, states, real in (
        ("encoder.{}.self", answer.encoder_attentions, answer.encoder_hidden_states, mask),
        ("decoder.{}.self", answer.decoder_attentions, answer.decoder_hidden_states, whole),
        ("decoder.{}.cross", answer.cross_attentions, (), whole),
    ):
        expected |= {f"{at.format(i)}.pattern": (pattern, real) for i, pattern in enumerate(patterns)}
        stack = at.split(".", maxsplit=1)[0]
        expected |= {f"{stack}.{i}.resid.pre": (x, real) for i, x in enumerate(states[:-1])}
    return expected


@contextmanager
def watched(theirs: nn.Module, ours: engine.Model) -> Iterator[dict[str, Tensor]]:
    """What the reference's attention modules compute, under our addresses."""
    seen: dict[str, Tensor] = {}
    hooks = []

    def keep(address: str, heads: int | None = None) -> Any:
        def hook(_: object, __: object, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) else output
            seen[address] = value if heads is None else value.unflatten(-1, (heads, -1)).transpose(1, 2)

        return hook

    def keep_input(address: str, heads: int) -> Any:
        def hook(_: object, given: tuple[Tensor, ...]) -> None:
            seen[address] = given[0].unflatten(-1, (heads, -1)).transpose(1, 2)

        return hook

    def thirds(at: str, heads: int) -> Any:
        def hook(_: object, __: object, output: Tensor) -> None:
            for name, part in zip("qkv", output.chunk(3, -1), strict=True):
                seen[f"{at}.{name}"] = part.unflatten(-1, (heads, -1)).transpose(1, 2)

        return hook

    attentions = [module for module in theirs.modules() if type(module).__name__ in ATTENTIONS]
    places = [
        (f"{stack}.{layer}.{block.name}", block)
        for stack in ours.family.stacks
        for layer in range(next(b.layers for b in ours.blocks if b.stack == stack))
        for block in ours.blocks
        if block.stack == stack
    ]
    outputs = [m.output.dense for m in theirs.modules() if type(m).__name__ in ("BertAttention", "RobertaAttention")]
    for index, (module, (at, block)) in enumerate(zip(attentions, places, strict=True)):
        parts = PROJECTIONS.get(type(module).__name__)
        if parts is None:
            hooks.append(module.c_attn.register_forward_hook(thirds(at, block.heads)))
        for name, site in (parts or {}).items():
            heads = block.heads if site.startswith("q") else block.kv_heads
            hooks.append(module.get_submodule(name).register_forward_hook(keep(f"{at}.{site}", heads)))
        out = outputs[index] if outputs else next(getattr(module, n) for n in OUT if hasattr(module, n))
        hooks.append(out.register_forward_pre_hook(keep_input(f"{at}.z", block.heads)))
        hooks.append(out.register_forward_hook(keep(f"{at}.out")))
    yield seen
    for hook in hooks:
        hook.remove()


OUT = ("c_proj", "o_proj", "out_proj", "out_lin", "o")


def _far(found: Tensor, expected: Tensor, real: Tensor) -> float:
    assert found.shape == expected.shape
    axis = 2 if found.dim() == 4 else 1
    real = real.view([len(real), *(real.shape[1] if a == axis else 1 for a in range(1, found.dim()))])
    return float(((found - expected).abs() * real).max())


def group(address: str) -> str:
    """The column of the table that a site belongs to."""
    return "resid" if ".resid." in address else address.removesuffix(".raw").rpartition(".")[2]


def row(name: str) -> dict[str, float]:
    """The worst difference of one model, by column."""
    with tempfile.TemporaryDirectory() as folder:
        errors = differences(saved(name, Path(folder)), engine.load(folder, dtype=torch.float64))
    worst: dict[str, float] = {}
    for address, error in errors.items():
        worst[group(address)] = max(worst.get(group(address), 0.0), error)
    return worst


def shown(error: float | None) -> str:
    """As the table writes it: rounded up to a power of ten, so that another machine's rounding changes nothing."""
    return "" if error is None else f"10^{max(-15, math.ceil(math.log10(error)))}" if error else "0"


def table() -> str:
    """Every model's worst difference by site."""
    lines = ["| model | " + " | ".join(SITES) + " |", "|---" * (len(SITES) + 1) + "|"]
    for name in CASES:
        worst = row(name)
        assert set(worst) <= set(SITES), worst.keys()
        lines.append(f"| {name} | " + " | ".join(shown(worst.get(site)) for site in SITES) + " |")
    return "\n".join(lines)


START, END = "<!-- parity -->", "<!-- /parity -->"


def written() -> str:
    """The table that the README holds."""
    return README.read_text().partition(START)[2].partition(END)[0].strip()


if __name__ == "__main__":
    before, _, rest = README.read_text().partition(START)
    README.write_text(f"{before}{START}\n{table()}\n{END}{rest.partition(END)[2]}")
