"""Ctrl-C, SIGTERM and other signals that end a process end a wait, whenever they come."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from backfill.cli.stop_signals import StopSignals

EACH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])


def test_without_a_signal_the_wait_is_over_when_its_time_is() -> None:
    with StopSignals() as stop:
        began = time.monotonic()
        assert not stop.wait(0.2)
        assert time.monotonic() - began >= 0.2


@EACH
def test_a_signal_before_the_wait_ends_it_and_every_later_one(number: signal.Signals) -> None:
    with StopSignals() as stop:
        signal.raise_signal(number)
        assert stop.wait()
        assert stop.wait(0)


@EACH
def test_a_signal_that_does_not_wake_the_thread_that_waits_ends_the_wait_soon(number: signal.Signals) -> None:
    """As one does that comes between the last look at signals and the wait: here another thread receives it."""
    with StopSignals() as stop:
        other = threading.Timer(0.2, signal.raise_signal, [number])
        other.start()
        began = time.monotonic()
        assert stop.wait(20)
        assert time.monotonic() - began < 10
        other.join()


def test_a_signal_that_the_process_ignores_is_still_ignored() -> None:
    """As after `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.wait(0.6)
    finally:
        signal.signal(signal.SIGHUP, before)
