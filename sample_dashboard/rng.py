"""Draws that follow from a seed and a key alone, so that any two runs agree and nothing has to be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rng:
    """Every draw is named by its key; the order of draws does not matter."""

    seed: str

    def between(self, low: int, high: int, *key: object) -> int:
        """A whole number from `low` to `high`, both included."""
        text = "|".join([self.seed, *map(str, key)])
        return low + int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % (high - low + 1)

    def happens(self, percent: int, *key: object) -> bool:
        return self.between(1, 100, *key) <= percent

    def one_of(self, choices: Sequence[T], *key: object) -> T:
        return choices[self.between(0, len(choices) - 1, *key)]
