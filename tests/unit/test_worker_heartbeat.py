"""What a pending job says of the worker that it waits for."""

from __future__ import annotations

from datetime import timedelta

from backfill.domain import STANDARD_LEASES, is_alive, waiting_for_worker
from tests.unit.fakes import NOW


def test_a_worker_that_reported_lately_is_there() -> None:
    assert is_alive(NOW - STANDARD_LEASES.heartbeat, NOW)
    assert not is_alive(NOW - 3 * STANDARD_LEASES.heartbeat, NOW)
    assert not is_alive(None, NOW)
    assert "one is running" in waiting_for_worker(NOW - STANDARD_LEASES.heartbeat, NOW)


def test_where_none_is_there_it_says_since_when() -> None:
    assert waiting_for_worker(NOW, NOW + timedelta(minutes=10)).startswith(
        "Waiting for a worker; none has reported since 09:26 UTC. "
    )
    assert "since 09:26 UTC on 14 Mar 2024." in waiting_for_worker(NOW, NOW + timedelta(days=1))
    assert waiting_for_worker(None, NOW).startswith("Waiting for a worker; none has ever reported.")
