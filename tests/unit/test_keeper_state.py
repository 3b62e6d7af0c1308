"""The lease of the keeper between servers whose clocks differ."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from backfill.domain import KeeperState
from backfill.domain.keeper_state import LEASE
from backfill.errors import LeaseLost
from tests.unit.fakes import NOW

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("behind", [timedelta(milliseconds=1), SECOND, LEASE])
def test_a_server_whose_clock_is_behind_respects_the_lease_of_another_one(behind: timedelta) -> None:
    held = KeeperState().claimed("one", NOW)
    assert held.is_held(NOW - behind)
    with pytest.raises(LeaseLost, match="held by one"):
        held.claimed("two", NOW - behind)


@pytest.mark.parametrize("at", [NOW + LEASE, NOW - LEASE - SECOND, NOW - timedelta(days=400)])
def test_an_expired_lease_and_one_of_a_wrong_clock_can_be_claimed(at: datetime) -> None:
    held = KeeperState().claimed("one", NOW)
    assert not held.is_held(at)
    assert held.claimed("two", at).owner == "two"
