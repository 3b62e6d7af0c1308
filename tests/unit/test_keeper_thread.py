"""The thread of the keeper: when it looks for a due check, and what interrupts it."""

from __future__ import annotations

import pytest

from backfill.engine.keeper_thread import KeeperThread
from backfill.errors import StorageUnavailable
from tests.unit.virtual_clock import VirtualClock


class Looks:
    """Records when it is called, and raises prepared errors."""

    def __init__(self, clock: VirtualClock, *errors: Exception) -> None:
        self.clock, self.errors, self.times = clock, list(errors), list[float]()
        self.is_stopped = False

    def look(self) -> bool:
        self.times.append(self.clock.monotonic() - 1000)
        if self.errors:
            raise self.errors.pop(0)
        return False

    def stop(self) -> None:
        self.is_stopped = True


def running(looks: Looks, clock: VirtualClock, *, seconds: float, wake_at: float | None = None) -> list[str]:
    """Run the thread for a time; return what was called when it ended."""
    ended: list[str] = []
    thread = KeeperThread(looks, lambda: ended.append("disconnected"), poll=5, clock=clock)
    thread.start()
    waiting = clock.event()
    if wake_at is not None:
        waiting.wait(wake_at)
        thread.wake()
    waiting.wait(seconds - (wake_at or 0))
    thread.stop()
    return ended


def test_it_looks_at_the_start_and_at_each_interval_and_disconnects_at_the_end() -> None:
    clock = VirtualClock.at()
    looks = Looks(clock)
    assert running(looks, clock, seconds=16) == ["disconnected"]
    assert looks.times == pytest.approx([0, 5, 10, 15])
    assert looks.is_stopped


def test_it_looks_when_it_is_woken() -> None:
    clock = VirtualClock.at()
    looks = Looks(clock)
    running(looks, clock, seconds=10, wake_at=7)
    assert looks.times == pytest.approx([0, 5, 7])


def test_an_unavailable_store_is_reported_once_and_the_look_repeated(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock.at()
    looks = Looks(clock, *[StorageUnavailable("The job store does not answer.") for _ in range(3)])
    running(looks, clock, seconds=21)
    assert len(looks.times) == 5
    assert [record.getMessage() for record in caplog.records] == [
        "The check of the coverage target waits: The job store does not answer."
    ]


def test_an_unexpected_error_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock.at()
    looks = Looks(clock, ValueError("a bug"))
    running(looks, clock, seconds=21)
    assert len(looks.times) == 4
    assert "Unexpected error in a check of the coverage target" in caplog.text
