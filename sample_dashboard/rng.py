"""Random numbers that depend on a seed and a key only, so that runs are reproducible without stored state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rng:
    """Each number depends on its key, not on the order of calls."""

    seed: str

    def between(self, low: int, high: int, *key: object) -> int:
        """Return an integer from `low` to `high`, both included."""
        text = "|".join([self.seed, *map(str, key)])
        return low + int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % (high - low + 1)

    def happens(self, percent: int, *key: object) -> bool:
        return self.between(1, 100, *key) <= percent

    def one_of(self, choices: Sequence[T], *key: object) -> T:
        return choices[self.between(0, len(choices) - 1, *key)]
