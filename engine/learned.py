"""What a network has learned: every parameter by its name, with named axes and the letter that papers write for it.

Modules say themselves what their parameters are called: a `Letters` for each, by the name within the module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Letters = Mapping[str, tuple[str, Mapping[str, int]]]
"""By parameter: its letter, and the length of each of its axes by name, in order."""

AXES = (
    *("head", "kv_head", "head_dim", "model", "hidden", "gate", "input", "state", "memory", "attn_dim", "position"),
    *("vocab", "row", "column"),
)
"""The axes that parameters have. Those that nobody named are the rows and columns of a matrix."""


@dataclass(frozen=True)
class Learned:
    """One parameter: `name` is its key in the network's `state_dict`, and `sizes` its shape by named axes.

    Where it belongs to a block, `stack`, `layer` and `block` say to which, as in the addresses of sites, and `letter`
    which of its parameters it is: W_Q, W_K, W_V and W_O of attention with their biases b_Q to b_O, W and U of a
    recurrent cell with b and c, W, U and v of additive attention, W_1, W_2 and W_g of a feed-forward block, the gain
    and bias of a norm, and W_U and b_U of the head, which makes logits. A weight times what it reads is one axis less:
    the last axes are what it reads. `gates` names the places along the axis `gate`, in order.
    """

    name: str
    sizes: Mapping[str, int]
    stack: str | None = None
    layer: int | None = None
    block: str | None = None
    letter: str | None = None
    gates: tuple[str, ...] = ()
