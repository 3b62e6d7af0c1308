"""The status of the workers, and the message of a pending job about them."""

from __future__ import annotations

from datetime import timedelta

from backfill.domain import STANDARD_LEASES, is_alive, waiting_for_worker
from tests.unit.fakes import NOW


def test_a_worker_is_alive_until_it_has_missed_three_heartbeats() -> None:
    assert is_alive(NOW - STANDARD_LEASES.heartbeat, NOW)
    assert not is_alive(NOW - 3 * STANDARD_LEASES.heartbeat, NOW)
    assert not is_alive(None, NOW)
    assert "one is running" in waiting_for_worker(NOW - STANDARD_LEASES.heartbeat, NOW)


def test_the_message_states_since_when_no_worker_has_reported() -> None:
    assert waiting_for_worker(NOW, NOW + timedelta(minutes=10)).startswith(
        "Waiting for a worker; none has reported since 09:26 UTC. "
    )
    assert "since 09:26 UTC on 14 Mar 2024." in waiting_for_worker(NOW, NOW + timedelta(days=1))
    assert waiting_for_worker(None, NOW).startswith("Waiting for a worker; none has ever reported.")
