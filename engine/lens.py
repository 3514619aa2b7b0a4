"""The logit lens: what a network would say if it stopped after any of its layers (nostalgebraist 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine.errors import UnknownSite
from engine.sites import Site
from engine.tokens import Token
from engine.trace import Trace


@dataclass(frozen=True)
class Guess:
    """What the head makes of the residual stream at one `site`.

    `top` holds the likeliest tokens with their probabilities, and `of_said` the probability of the token that the
    network says in the end.
    """

    site: Site
    top: tuple[tuple[Token, float], ...]
    of_said: float


def guesses(trace: Trace, position: int = -1, *, top: int = 5) -> tuple[Guess, ...]:
    """What would be said at a position of the last stack before the first layer, and after each.

    The stream goes through the final norm and the head as it is there; the last guess is what the network says. Raises
    `BadIndex` where there is no such position, and `UnknownSite` where no head reads a residual stream.
    """
    heads = {site.stack for site in trace.sites.values() if site.name == "logits"}
    streams = [site for site in trace.sites.values() if site.stack in heads and site.name == "resid.pre"]
    if not streams:
        why = f"{trace.model} has no head that reads a residual stream, so there is nothing to guess from."
        raise UnknownSite("resid.pre", (), why=why)
    streams.append(trace.site(streams[-1].sibling("resid.post")))
    logits = torch.cat([trace.lens(trace.slice(site.address, position=position)) for site in streams])
    shares = logits.softmax(-1, dtype=torch.float32)
    likeliest = shares.topk(min(top, shares.shape[-1]))
    said = int(likeliest.indices[-1, 0])
    return tuple(
        Guess(site, tuple(zip(trace.named(ids), probabilities, strict=True)), of_said)
        for site, ids, probabilities, of_said in zip(
            streams, likeliest.indices.tolist(), likeliest.values.tolist(), shares[:, said].tolist(), strict=True
        )
    )
