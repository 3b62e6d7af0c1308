"""The virtual clock, with which tests of threads do not wait for real time."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

import pytest

from tests.unit.virtual_clock import VirtualClock


def test_time_jumps_to_the_earliest_moment_at_which_a_waiting_thread_continues() -> None:
    clock, began, woke = VirtualClock.at(), time.monotonic(), list[tuple[str, float]]()
    start = clock.monotonic()

    def sleeper(name: str, seconds: float) -> Callable[[], None]:
        def sleep() -> None:
            clock.sleep(seconds)
            woke.append((name, clock.monotonic() - start))

        return sleep

    threads = [clock.thread(sleeper(name, seconds), name) for name, seconds in (("b", 3600), ("a", 60), ("c", 86400))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(name, round(at)) for name, at in woke] == [("a", 60), ("b", 3600), ("c", 86400)]
    assert time.monotonic() - began < 30


def test_time_does_not_pass_while_a_thread_computes() -> None:
    clock = VirtualClock.at()
    before, durations = clock.monotonic(), list[float]()

    def compute() -> None:
        began = clock.monotonic()
        time.sleep(0.05)
        durations.append(clock.monotonic() - began)

    thread = clock.thread(compute, "computes")
    thread.start()
    clock.sleep(5)
    assert durations == [0]
    assert clock.monotonic() - before == pytest.approx(5, abs=0.001)
    assert (clock.now() - VirtualClock.at().now()).total_seconds() == pytest.approx(5, abs=0.001)


def test_events_conditions_and_queues_wake_waiting_threads_without_delay() -> None:
    clock, results = VirtualClock.at(), list[object]()
    event, condition, items, ends = clock.event(), clock.condition(), clock.queue(), clock.monotonic()

    def on_condition() -> None:
        with condition:
            results.append(condition.wait(50))

    threads = [
        clock.thread(lambda: results.append(event.wait(50)), "event"),
        clock.thread(on_condition, "condition"),
        clock.thread(lambda: results.append(items.get(timeout=50)), "queue"),
    ]
    for thread in threads:
        thread.start()
    clock.sleep(1)
    assert results == []
    event.set()
    with condition:
        condition.notify_all()
    items.put("an item")
    for thread in threads:
        thread.join()
        assert not thread.is_alive()
    assert set(results) == {True, "an item"}
    assert clock.monotonic() - ends < 1.1


def test_a_wait_ends_after_its_timeout() -> None:
    clock = VirtualClock.at()
    condition = clock.condition()
    assert not clock.event().wait(3)
    with condition:
        assert not condition.wait(3)
    with pytest.raises(queue.Empty):
        clock.queue().get(timeout=3)
    with pytest.raises(queue.Empty):
        clock.queue().get_nowait()
    assert not clock.eventually(lambda: False, within=3)
    assert clock.eventually(lambda: True)


def test_a_deadlock_of_waiting_threads_is_reported() -> None:
    clock = VirtualClock.at()
    with pytest.raises(AssertionError, match="none of them for a time"):
        clock.event().wait()
