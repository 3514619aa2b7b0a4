"""What a network remembers of the positions that it has read, so that one more token costs one token's work."""

from __future__ import annotations

from typing import Self

from torch import Tensor


class Cache:
    """Keys and values of self-attention, those of a source, or a recurrent state; `at` extends the address like a tap.

    Keys and values lie in tensors made once for `capacity` positions. `length` counts the positions read before the
    forward pass that is running; `advance` ends that pass. It belongs to one text, or to the beams of one.
    """

    def __init__(self, capacity: int) -> None:
        self._grown: dict[str, Tensor] = {}
        self._kept: dict[str, tuple[Tensor, ...]] = {}
        self._read = [0]  # shared by everything that `at` gives
        self._prefix = ""
        self.capacity = capacity

    @property
    def length(self) -> int:
        """How many positions were read before this forward pass."""
        return self._read[0]

    def advance(self, positions: int) -> None:
        """So many more positions have been read, by every layer."""
        self._read[0] += positions

    def at(self, *parts: str | int) -> Self:
        """The same memory, one or more address parts further in."""
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__)
        child._prefix = self._prefix + "".join(f"{part}." for part in parts)
        return child

    def extend(self, name: str, new: Tensor) -> Tensor:
        """Put `new` (batch, head, position, d) after what was read before; gives all of it, as a view."""
        address, end = self._prefix + name, self.length + new.shape[2]
        if address not in self._grown:
            self._grown[address] = new.new_empty(*new.shape[:2], self.capacity, new.shape[3])
        everything = self._grown[address]
        everything[:, :, self.length : end] = new
        return everything[:, :, :end]

    def keep(self, name: str, values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Remember these under that name, instead of what was there."""
        self._kept[self._prefix + name] = values
        return values

    def kept(self, name: str) -> tuple[Tensor, ...] | None:
        """What was remembered under that name; None at first."""
        return self._kept.get(self._prefix + name)

    def choose(self, rows: Tensor) -> None:
        """Go on with these rows of the batch, in this order: what the beams of a search do after every step."""
        for address, value in self._grown.items():
            self._grown[address] = value.index_select(0, rows)
        for address, values in self._kept.items():
            self._kept[address] = tuple(value.index_select(0, rows) for value in values)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        kept = [value for values in self._kept.values() for value in values]
        return sum(tensor.numel() * tensor.element_size() for tensor in [*self._grown.values(), *kept])


def read_before(cache: Cache | None) -> int:
    """The position that a forward pass starts at: how many were read before it."""
    return 0 if cache is None else cache.length


def further(cache: Cache | None, *parts: str | int) -> Cache | None:
    """The cache of a part of the network; None where nothing is remembered."""
    return None if cache is None else cache.at(*parts)
