"""The worker: a thread that looks for jobs and runs them."""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from multiprocessing.util import Finalize
from typing import Protocol

from backfill.domain import Job, JobType, WebhookEvent
from backfill.domain.runtime_config import DEFAULT_CONFIG, RuntimeConfig
from backfill.engine.claim import Claim
from backfill.engine.job_manager import JobManager
from backfill.engine.runner import Runner
from backfill.errors import CorruptRecord, LeaseLost, StorageUnavailable
from backfill.job_types.base import JobTypeHandler
from backfill.rate_limit import Limiter
from backfill.storage import Storage

logger = logging.getLogger(__name__)

_AFTER_LEASE_END = 0.02
"""Seconds from the end of another runner's lease to the next poll."""

_AFTER_ERROR = 5.0
"""Seconds from a failed poll to the next one."""

_PRUNE_EVERY = timedelta(days=1)

_STOP_WITHIN = 5.0
"""Seconds that an ending process waits for its worker to return the lease."""


class Extension(Protocol):
    """Works in its own thread while the worker runs."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wake(self) -> None:
        """Look for work now: a job may have ended."""


class Dispatcher(Extension, Protocol):
    """Delivers webhook events."""

    def on_store_outage(self, job: Job, event: WebhookEvent | None) -> None:
        """Deliver an event that cannot be stored; None if the store responds again."""


class Worker:
    """Claims the job that needs a runner, runs it, and looks for the next one."""

    def __init__(
        self,
        storage: Storage,
        handlers: Mapping[JobType, JobTypeHandler],
        *,
        prune: Callable[[], int],
        config: RuntimeConfig = DEFAULT_CONFIG,
        dispatcher: Dispatcher | None = None,
        keeper: Extension | None = None,
    ) -> None:
        """`prune` removes expired jobs and returns their number; `keeper` checks the coverage target."""
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._storage, self._handlers, self._prune, self._config = storage, handlers, prune, config
        self._clock, self._now, self._policy = config.clock, config.clock.now, config.lease_policy
        self._manager = JobManager(storage, config)
        self._dispatcher = dispatcher
        self._keeper = keeper
        self._extensions = [extension for extension in (dispatcher, keeper) if extension is not None]
        self._stop, self._wake_event = self._clock.event(), self._clock.event()
        self._thread: threading.Thread | None = None
        self._last_prune: datetime | None = None
        self._last_report: datetime | None = None

    def start(self) -> None:
        """Run `work` in a daemon thread, and `stop` when the process exits."""
        self._thread = self._clock.thread(self.work, "backfill-worker")
        self._thread.start()
        for extension in self._extensions:
            extension.start()
        atexit.register(self.stop)
        # In processes of multiprocessing, such as those of granian, only finalizers run.
        Finalize(None, self.stop, exitpriority=0)

    def stop(self, within: float = _STOP_WITHIN) -> None:
        """Return the lease and end the thread."""
        self._stop.set()
        self._wake_event.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(within)
        for extension in self._extensions:
            extension.stop()

    def wake(self) -> None:
        """Poll for a job now."""
        self._wake_event.set()

    def wake_keeper(self) -> None:
        """Look for a due check of the coverage target now."""
        if self._keeper is not None:
            self._keeper.wake()

    def work(self) -> None:
        """Look for jobs and run them until `stop` is called."""
        fields = {"worker": self.owner}
        logger.info("Worker %s is looking for jobs.", self.owner, extra=fields)
        outage = ""
        while not self._stop.is_set():
            try:
                found = self._work_once()
            except StorageUnavailable as exc:
                if exc.message != outage:
                    logger.warning(
                        "The worker waits: %s It tries again every %g s.",
                        exc.message,
                        _AFTER_ERROR,
                        extra={**fields, "code": exc.code},
                    )
                outage = exc.message
                self._stop.wait(_AFTER_ERROR)
            except CorruptRecord as exc:
                logger.error("%s The job has failed; other jobs can run.", exc.message)  # noqa: TRY400 - not a bug
            except Exception:
                logger.exception("Unexpected error in the worker; it continues.", extra=fields)
                self._stop.wait(_AFTER_ERROR)
            else:
                if outage:
                    logger.info("The job store responds again.", extra=fields)
                    outage = ""
                if not found:
                    self._wake_event.wait(self._pause())
                self._wake_event.clear()
        self._storage.control.disconnect()

    def _pause(self) -> float:
        """Return the seconds until the next poll: fewer if a lease ends sooner, more while no job is active."""
        poll = self._policy.poll_interval.total_seconds()
        left = self._manager.lease_left(self._now())
        if left is not None:
            return min(left.total_seconds() + _AFTER_LEASE_END, poll)
        return max(poll, self._manager.idle_poll_interval)

    def _work_once(self) -> bool:
        """Run the job that needs a runner; return whether there was one."""
        self._report()
        self._prune_daily()
        try:
            claim = self._manager.claim(self.owner, self._now())
        except LeaseLost:
            return False  # another worker claimed the job first
        if claim is None:
            return False
        self._run(claim)
        for extension in self._extensions:
            extension.wake()
        return True

    def _run(self, claim: Claim) -> None:
        job, control = claim.job, self._storage.control
        handler = self._handlers.get(job.job_type)
        if handler is None:
            claim.fail(f"This version of the service cannot run {job.job_type} jobs.", self._now())
            return
        limiter = Limiter(
            job.config.rate_limits,
            lambda change: control.update_schedule(change, fence=claim.fence),
            before=job.progress.limiter,
            hours=self._config.allowed_hours,
            clock=self._clock,
        )
        runner = Runner(
            claim,
            handler.execute(job, claim.fence, limiter),
            limiter,
            stop=self._stop,
            disconnect=control.disconnect,
            on_store_outage=self._dispatcher.on_store_outage if self._dispatcher else lambda *_: None,
        )
        try:
            runner.run()
        except CorruptRecord as exc:
            claim.fail(exc.message, self._now())
            raise

    def _report(self) -> None:
        """Store the heartbeat of an idle worker. While the worker runs a job, it renews the lease instead."""
        now = self._now()
        if self._last_report is None or now - self._last_report >= self._policy.heartbeat:
            self._storage.control.report_worker(now)
            self._last_report = now

    def _prune_daily(self) -> None:
        now = self._now()
        if self._last_prune is None or now - self._last_prune >= _PRUNE_EVERY:
            removed = self._prune()
            self._last_prune = now
            if removed:
                logger.info("Removed %d jobs older than the retention.", removed, extra={"jobs": removed})


_process_worker: Worker | None = None


def start_process_worker(new_worker: Callable[[], Worker]) -> None:
    """Start the worker of this process, if it has none yet."""
    global _process_worker  # noqa: PLW0603 - one worker per process
    if _process_worker is None:
        _process_worker = new_worker()
        _process_worker.start()


def wake_process_worker() -> None:
    """Wake the worker of this process, if it has one."""
    if _process_worker is not None:
        _process_worker.wake()


def wake_process_keeper() -> None:
    """Wake the keeper of this process, if it has one."""
    if _process_worker is not None:
        _process_worker.wake_keeper()
