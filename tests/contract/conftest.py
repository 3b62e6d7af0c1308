"""What the contract needs besides a storage: processes that race for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.concurrent_processes import Racers


@pytest.fixture(scope="session")
def racers() -> Iterator[Racers]:
    """Eight processes; to start them takes seconds, so they race in every test that needs some."""
    racers = Racers(8)
    yield racers
    racers.close()
