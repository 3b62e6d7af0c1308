"""The thread in which the checks of the coverage target take place, next to the worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import StorageUnavailable

logger = logging.getLogger(__name__)

SHORTEST_POLL = 5.0
"""Seconds between two looks at the target."""

_STOP_TIMEOUT = 2.0


class Keeping(Protocol):
    """What the thread calls."""

    def look(self) -> bool:
        """Make the check that is due, if any. Raises StorageUnavailable."""

    def stop(self) -> None:
        """End a check that waits."""


class KeeperThread:
    """Looks for a due check at an interval, and when it is woken."""

    def __init__(
        self,
        keeper: Keeping,
        disconnect: Callable[[], None],
        *,
        poll: float = SHORTEST_POLL,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`disconnect` closes the thread's connection to the store; `poll` is in seconds."""
        self._keeper, self._disconnect, self._poll, self._clock = keeper, disconnect, poll, clock
        self._stop, self._wake = clock.event(), clock.event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = self._clock.thread(self._run, "backfill-keeper")
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        self._keeper.stop()
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT)

    def wake(self) -> None:
        """Look for a due check now."""
        self._wake.set()

    def _run(self) -> None:
        outage = ""
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self._keeper.look()
                outage = ""
            except StorageUnavailable as exc:
                if exc.message != outage:
                    logger.warning("The check of the coverage target waits: %s", exc.message, extra={"code": exc.code})
                outage = exc.message
            except Exception:
                logger.exception("Unexpected error in a check of the coverage target; it is repeated.")
                self._stop.wait(self._poll)
            if not self._stop.is_set():
                self._wake.wait(self._poll)
        self._disconnect()
