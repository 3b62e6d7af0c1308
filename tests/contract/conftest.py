"""The processes that write to a storage concurrently."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.concurrent_processes import ConcurrentProcesses


@pytest.fixture(scope="session")
def processes() -> Iterator[ConcurrentProcesses]:
    """Eight processes. Their start takes seconds, so the tests share them."""
    processes = ConcurrentProcesses(8)
    yield processes
    processes.close()
