"""Gradients on request: how much a logit, or the loss, would change with any tensor on the way to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import BadIndex, BadInput
from engine.model import Inputs, Model
from engine.nn.recurrent import GATES
from engine.sites import Site
from engine.tap import Capture, Patch, Recorder


@dataclass(frozen=True)
class Logit:
    """One logit: of the `token` (an id) that could come at a `position`, or of a class.

    A class of the whole text has no position; one of a single token has that token's.
    """

    token: int
    position: int | None = None


@dataclass(frozen=True)
class Loss:
    """The cross-entropy, in nats, of the text's own next tokens: of the one after a `position`, or the mean of all."""

    position: int | None = None


@dataclass(frozen=True)
class Number:
    """The number that a network over numbers says."""


class _Differentiator(Recorder):
    """Makes every site that passes a place where gradients are kept.

    Recurrent layers are taken step by step, so that the gradient of a state counts everything that came of it later.
    """

    def __init__(self, sites: Mapping[str, Site], capture: Capture, patches: Sequence[Patch]) -> None:
        super().__init__(sites, capture, patches)
        inside = {"cell", "hidden", *(gate for gates in GATES.values() for gate in gates)}
        self._explicit |= {address for address, site in sites.items() if site.name in inside}

    def _shown(self, value: Tensor) -> Tensor:
        if value.requires_grad:
            value.retain_grad()
        else:  # the first on its way: weights are frozen, so the graph begins here
            value = value.detach().requires_grad_()
        return value

    def gradients(self) -> dict[str, Tensor]:
        """By address, with the batch axis; zero where nothing of the value reached what was asked about."""
        found = {address: _gradient(value) for address, value in self.tensors.items()}
        self.tensors = {}
        for steps in self._steps.values():
            steps.update({step: _gradient(value) for step, value in steps.items()})
        return found | self.finish()


def _gradient(value: Tensor) -> Tensor:
    return torch.zeros_like(value) if value.grad is None else value.grad


def gradients(
    model: Model,
    text: str | Inputs,
    *,
    of: Logit | Loss | Number,
    sites: Sequence[str] = ("*",),
    target: str | None = None,
    patches: Sequence[Patch] = (),
) -> dict[str, Tensor]:
    """d(of) / d(site) for every site whose address fits one of the patterns, shaped like the site in a trace.

    For recurrent networks the gradient of `hidden` is the whole of it, through all later steps: its norm over the
    positions shows how far learning reaches back from one late token (Bengio et al. 1994). Under `patches` it is that
    of the values as they were changed. Raises what `Model.inputs` raises, `BadInput` where the model has no such logit
    or loss, `BadPatch` and `BadIndex`.
    """
    inputs = text if isinstance(text, Inputs) else model.inputs(text, target=target)
    if inputs.decode:
        raise BadInput("A gradient needs to know what the decoder should say: give a target.")
    tap = _Differentiator(model.sites, Capture(tuple(sites), tuple(sites)), patches)
    with torch.enable_grad():
        hidden = model.family.run(model.network, inputs.tokens, tap)[0]
        torch.autograd.backward(_objective(model, inputs, hidden, of))
    return {address: gradient[0] for address, gradient in tap.gradients().items()}


def _objective(model: Model, inputs: Inputs, hidden: Tensor, of: Logit | Loss | Number) -> Tensor:
    if isinstance(of, Number):
        number = model.family.number(model.network, model.config, hidden)
        if number is None:
            raise BadInput(f"{model.id} says no number: ask for a logit or for the loss.")
        return number.sum()
    classes = model.family.classify(model.network, model.config, hidden) if model.family.classify else None
    if isinstance(of, Logit) and classes is not None and classes[1].dim() == 2 and of.position is not None:
        return _one(_one(classes[1], "position", of.position), "class", of.token)
    if isinstance(of, Logit) and of.position is None:
        if classes is None or classes[1].dim() != 1:
            raise BadInput(f"{model.id} gives the text no class: name the position whose logit is meant.")
        return _one(classes[1], "class", of.token)
    if not model.predicts:
        raise BadInput(f"{model.id} has no head that predicts tokens, so it has neither such a logit nor a loss.")
    assert model.family.head is not None
    logits = model.family.head(model.network, hidden)
    if isinstance(of, Logit):
        return _one(_one(logits, "position", of.position or 0), "token", of.token)
    ids = torch.tensor([token.id for token in inputs.tokens[model.family.stacks[-1]]], device=logits.device)
    if len(ids) < 2:
        raise BadInput("A loss needs at least two tokens: one to read and one to predict.")
    if model.family.asks is not type(model.family).asks:
        raise BadInput(f"{model.id} does not predict the next token, so a text has no loss under it.")
    if of.position is None:
        return F.cross_entropy(logits[:-1], ids[1:])
    return F.cross_entropy(_one(logits[:-1], "position", of.position), ids[of.position + 1])


def _one(values: Tensor, axis: str, index: int) -> Tensor:
    if not 0 <= index < len(values):
        raise BadIndex(axis, index, len(values))
    return values[index]
