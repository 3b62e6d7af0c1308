"""Signals that end a process end a wait, whenever they arrive."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from backfill.cli.stop_signals import StopSignals

EACH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])


def test_without_a_signal_a_wait_ends_after_its_duration() -> None:
    with StopSignals() as stop:
        began = time.monotonic()
        assert not stop.wait(0.2)
        assert time.monotonic() - began >= 0.2


@EACH
def test_a_signal_before_a_wait_ends_it_and_every_later_wait(number: signal.Signals) -> None:
    with StopSignals() as stop:
        signal.raise_signal(number)
        assert stop.wait(20)
        assert stop.wait(0)


@EACH
def test_a_signal_that_does_not_interrupt_the_waiting_thread_still_ends_the_wait(number: signal.Signals) -> None:
    """This covers a signal between the last signal check and the wait. Here another thread receives the signal."""
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
