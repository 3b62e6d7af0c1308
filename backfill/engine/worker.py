"""The thread that finds work and survives everything."""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from backfill.domain import STANDARD_LEASES, AllowedHours, Job, JobType, LeasePolicy, WebhookEvent
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.engine.job_manager import Claim, JobManager
from backfill.engine.runner import Runner
from backfill.errors import CorruptRecord, LeaseLost, StorageUnavailable
from backfill.job_types.base import JobTypeHandler
from backfill.rate_limit import Limiter
from backfill.storage import Storage

logger = logging.getLogger(__name__)

_AFTER_END = 0.02
"""Seconds after the end of a lease at which it is looked whether its runner is dead."""

_AFTER_TROUBLE = 5.0
"""Seconds until the next look after one that failed."""

_PRUNE_EVERY = timedelta(days=1)

_STOP_WITHIN = 5.0
"""Seconds that a process which ends waits for its worker to give the lease back."""


class WorkerExtension:
    """What lives and ends with a worker, in a thread of its own; this one does nothing."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def wake(self) -> None:
        """A job may have ended."""

    def on_store_outage(self, job: Job, event: WebhookEvent | None) -> None:
        """The job is held up because the store is away; None: it is back."""


class Worker:
    """Claims the job that needs a runner, runs it, and looks for the next."""

    def __init__(
        self,
        storage: Storage,
        handlers: Mapping[JobType, JobTypeHandler],
        *,
        prune: Callable[[], int],
        hours: AllowedHours | None = None,
        lease_policy: LeasePolicy = STANDARD_LEASES,
        clock: Clock = SYSTEM_CLOCK,
        extension: WorkerExtension | None = None,
    ) -> None:
        """`prune` removes what is kept no longer, and says how many jobs that were.

        `hours` outside which no job asks the dashboard; None is any.
        """
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._storage, self._handlers, self._prune, self._hours = storage, handlers, prune, hours
        self._clock, self._now = clock, clock.now
        self._policy = lease_policy
        self._manager = JobManager(storage, clock, hours=hours, policy=lease_policy)
        self._extension = extension or WorkerExtension()
        self._stop, self._wake_event = clock.event(), clock.event()
        self._thread: threading.Thread | None = None
        self._last_prune: datetime | None = None
        self._last_report: datetime | None = None

    def start(self) -> None:
        """JobTypeHandler in a thread of its own, which ends with the process."""
        self._thread = self._clock.thread(self.work, "backfill-worker")
        self._thread.start()
        self._extension.start()
        atexit.register(self.stop)

    def stop(self, within: float = _STOP_WITHIN) -> None:
        """Give the lease back and end."""
        self._stop.set()
        self._wake_event.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(within)
        self._extension.stop()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake_event.set()

    def work(self) -> None:
        """Until `stop`."""
        facts = {"worker": self.owner}
        logger.info("Worker %s is looking for jobs.", self.owner, extra=facts)
        trouble = ""
        while not self._stop.is_set():
            try:
                found = self._work_once()
            except StorageUnavailable as exc:
                if exc.message != trouble:
                    logger.warning(
                        "The worker waits: %s It is tried again every %g s.",
                        exc.message,
                        _AFTER_TROUBLE,
                        extra={**facts, "code": exc.code},
                    )
                trouble = exc.message
                self._stop.wait(_AFTER_TROUBLE)
            except CorruptRecord as exc:
                logger.error("%s Its job is failed; other jobs go on.", exc.message)  # noqa: TRY400 - it says it all
            except Exception:
                logger.exception("The worker met an error that it does not know; it goes on.", extra=facts)
                self._stop.wait(_AFTER_TROUBLE)
            else:
                if trouble:
                    logger.info("The job store answers again.", extra=facts)
                    trouble = ""
                if not found:
                    self._wake_event.wait(self._pause())
                self._wake_event.clear()
        self._storage.control.disconnect()

    def _pause(self) -> float:
        """Seconds until the next look: sooner where a lease that is not renewed ends sooner, later where no job is."""
        poll = self._policy.poll_interval.total_seconds()
        left = self._manager.lease_left(self._now())
        if left is not None:
            return min(left.total_seconds() + _AFTER_END, poll)
        return max(poll, self._manager.look_after)

    def _work_once(self) -> bool:
        """Whether there was a job."""
        self._report()
        self._prune_daily()
        try:
            claim = self._manager.claim(self.owner, self._now())
        except LeaseLost:
            return False  # another worker was quicker
        if claim is None:
            return False
        self._run(claim)
        self._extension.wake()
        return True

    def _run(self, claim: Claim) -> None:
        job, control = claim.job, self._storage.control
        work = self._handlers.get(job.job_type)
        if work is None:
            claim.fail(f"This version of the service cannot do {job.job_type} jobs.", self._now())
            return
        limiter = Limiter(
            job.config.rate_limits,
            lambda change: control.update_schedule(change, fence=claim.fence),
            before=job.progress.limiter,
            hours=self._hours,
            clock=self._clock,
        )
        runner = Runner(
            claim,
            work.execute(job, claim.fence, limiter),
            limiter,
            stop=self._stop,
            clock=self._clock,
            disconnect=control.disconnect,
            on_store_outage=self._extension.on_store_outage,
        )
        try:
            runner.run()
        except CorruptRecord as exc:
            claim.fail(exc.message, self._now())
            raise

    def _report(self) -> None:
        """Say now and then that a worker is there. While it runs a job, the lease says so."""
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
                logger.info(
                    "%d ended jobs were older than the retention and were removed.", removed, extra={"jobs": removed}
                )


_here: Worker | None = None
"""The worker of this process, where it has one."""


def start_here(new_worker: Callable[[], Worker]) -> None:
    """Start this process's worker, once."""
    global _here  # noqa: PLW0603 - one a process is the point
    if _here is None:
        _here = new_worker()
        _here.start()


def restart_after_fork(new_worker: Callable[[], Worker]) -> None:
    """In a forked child: threads did not come along, so it gets a worker of its own."""
    global _here  # noqa: PLW0603
    _here = None
    start_here(new_worker)


def wake_here() -> None:
    """Tell this process's worker, if there is one, that there may be something to do."""
    if _here is not None:
        _here.wake()
