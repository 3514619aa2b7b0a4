"""The families: one architecture per file, each to be read from top to bottom."""

from __future__ import annotations

from engine.models import bert, gpt2, llama, recurrent, seq2seq, t5, transformer
from engine.models.family import Family

FAMILIES: tuple[Family, ...] = (
    bert.FAMILY,
    gpt2.FAMILY,
    llama.FAMILY,
    t5.FAMILY,
    transformer.FAMILY,
    seq2seq.FAMILY,
    recurrent.FAMILY,
)


def family_of(model_type: str) -> Family | None:
    """The family that reads checkpoints whose config.json says `model_type`, or None."""
    return next((family for family in FAMILIES if model_type in family.model_types), None)
