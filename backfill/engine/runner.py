"""Runs one claimed job: starts items, stores their outcomes and renews the lease."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence

from backfill.domain import (
    Job,
    LimiterState,
    Outcome,
    OutcomeKind,
    Status,
    WebhookEvent,
    WorkItem,
    hold_event,
)
from backfill.engine.claim import Claim
from backfill.engine.work_queue import Bundle, WorkQueue
from backfill.errors import LeaseLost, Stopped, StorageUnavailable
from backfill.job_types.base import Execution, unexpected
from backfill.rate_limit import Limiter

logger = logging.getLogger(__name__)

_RETRY_STORE = 1.0
"""Seconds between two attempts to end a job while the store does not respond."""

_LOOK_AFTER = 0.4
"""Seconds between two reads of the job for requests of the operator."""

_STOP_WITHIN = 1.0
"""Seconds that a clean stop waits for requests in flight; the next runner processes the remaining items."""

_ABORT_AFTER = 3.0
"""Seconds after a cancel or pause until items in flight are aborted."""

_UNWRITTEN_LIMIT = 20_000
"""Outcomes that may wait to be written; no item starts while there are more."""

_DRAINING = frozenset({Status.CANCELLING, Status.PAUSING})

_Result = tuple[Bundle, Sequence[Outcome] | BaseException]


class Runner:
    """One run of one claimed job, in the thread that calls `run` and one thread for each bundle in flight."""

    def __init__(
        self,
        claim: Claim,
        execution: Execution,
        limiter: Limiter,
        *,
        stop: threading.Event,
        disconnect: Callable[[], None],
        on_store_outage: Callable[[Job, WebhookEvent | None], None] = lambda *_: None,
    ) -> None:
        """`stop` is set when the process ends; `disconnect` closes the store connection of the calling thread.

        `on_store_outage` is called with the webhook event to send if the outage lasts, since the event cannot be
        stored meanwhile, and with None when the store responds again.
        """
        self._claim, self._execution, self._limiter = claim, execution, limiter
        self._stop, self._disconnect, self._on_store_outage = stop, disconnect, on_store_outage
        clock = claim.config.clock
        self._clock, self._now, self._monotonic = clock, clock.now, clock.monotonic
        self._policy = claim.config.lease_policy
        self._work_queue = WorkQueue(claim, execution)
        self._limits = claim.job.config.rate_limits
        self._hold_ended_at = claim.job.webhook_events.hold_ended_at
        self._tasks: queue.SimpleQueue[Bundle | None] = clock.queue()
        self._results: queue.SimpleQueue[_Result] = clock.queue()
        self._in_flight: list[Bundle] = []
        self._threads = 0
        self._last_record = self._last_look = 0.0
        self._draining_since: float | None = None
        careful_for = self._policy.careful_for.total_seconds()
        self._isolate_until = self._monotonic() + careful_for if claim.job.crash_isolation.deaths else 0.0
        self._suspect_items = {WorkItem.of(key) for key in claim.job.crash_isolation.nearly_quarantined}
        self._recorded_limiter: tuple[int, LimiterState] | None = None
        self._is_storing = True
        self._fields = {"job": str(claim.job.id), "token": claim.job.token}  # of every log line

    def run(self) -> None:
        """Run until the job ends, is released, or another runner has claimed it."""
        job = self._claim.job
        logger.info(
            "Job %s: runner starts (token %d, %s).",
            job.id,
            job.token,
            job.status,
            extra={**self._fields, "status": str(job.status), "resumes": job.resume_count, "takeovers": job.takeovers},
        )
        try:
            if self._hold_ended_at is not None:
                self._limiter.end_earlier_hold(self._hold_ended_at)
            if self._work():
                ended = self._retry_until_stored(self._finish)
                if ended is not None:
                    logger.info("Job %s: %s.", job.id, ended.status, extra={**self._fields, **self._claim.counts()})
            else:
                self._release()
        except LeaseLost as exc:
            logger.info("Job %s: this runner ends without a further write. %s", job.id, exc.message, extra=self._fields)
        finally:
            self._limiter.stop()
            for _ in range(self._threads):
                self._tasks.put(None)
            self._execution.close()
            if not self._is_storing:
                self._on_store_outage(job, None)

    def _work(self) -> bool:
        """Return whether the job is done; False if the process stops."""
        while not self._stop.is_set():
            self._record_or_look()
            status = self._claim.job.status
            self._limiter.drain(on=status in _DRAINING)
            self._abort_overdue(status)
            if status not in _DRAINING:
                self._apply_requests()
                self._start_items()
            is_done = not self._in_flight and (status in _DRAINING or self._work_queue.is_empty)
            if is_done and self._is_storing:
                if not self._claim.unwritten:
                    return True
                self._record()  # no item follows whose outcome could be written with these
            else:
                self._take_results()
        return False

    def _abort_overdue(self, status: Status) -> None:
        if status not in _DRAINING:
            self._draining_since = None
        elif self._draining_since is None:
            self._draining_since = self._monotonic()
        elif self._in_flight and self._monotonic() - self._draining_since >= _ABORT_AFTER:
            self._execution.abort()  # at each iteration: an item may just have sent its next request

    # Items.

    def _apply_requests(self) -> None:
        """An operator may lower the limits of a running job, and end its waits."""
        limits, hold_ended_at = self._claim.job.config.rate_limits, self._claim.job.webhook_events.hold_ended_at
        if hold_ended_at != self._hold_ended_at:
            self._hold_ended_at = hold_ended_at
            self._limiter.end_hold()
        if limits != self._limits:
            self._limits = limits
            self._limiter.lower(limits)

    def _start_items(self) -> None:
        isolate_items = self._isolate_items()
        limit = 1 if isolate_items else self._execution.concurrency(self._limits)
        until = self._monotonic() + _LOOK_AFTER  # many days may need no work
        while (
            self._is_storing
            and len(self._in_flight) < limit
            and not self._work_queue.is_empty
            and self._claim.unwritten < _UNWRITTEN_LIMIT
            and self._monotonic() < until
        ):
            try:
                bundle = self._work_queue.next()
            except StorageUnavailable as exc:
                self._pause_for_outage(exc)
                return
            if bundle is None:
                continue
            if isolate_items and not (bundle := self._record_first(bundle)):
                return
            self._in_flight.append(bundle)
            self._tasks.put(bundle)
            if self._threads < len(self._in_flight):
                self._threads += 1
                self._clock.thread(self._do_items, f"backfill-item-{self._threads}").start()

    def _isolate_items(self) -> bool:
        """Return whether items run one at a time, because the next one may kill the process.

        Items that the dead runner started without a record follow the end of the ledger within a second of work;
        `careful_for` is long enough to pass them.
        """
        self._suspect_items = {item for item in self._suspect_items if item not in self._claim.settled}
        return bool(self._suspect_items) or self._monotonic() < self._isolate_until

    def _record_first(self, bundle: Bundle) -> Bundle | None:
        """Record the first item of a bundle as in flight and return it; None if the store does not respond."""
        day, (first, *rest) = bundle
        if rest:
            self._work_queue.put_back((day, tuple(rest)))
        single = (day, (first,))
        if not self._record([first]):
            self._work_queue.put_back(single)
            return None
        return single

    def _do_items(self) -> None:
        """Process bundles until the runner ends; the target of an item thread."""
        try:
            while (bundle := self._tasks.get()) is not None:
                try:
                    result: Sequence[Outcome] | BaseException = self._execution.process(*bundle)
                except BaseException as exc:  # noqa: BLE001 - the runner's thread handles it
                    result = exc
                self._results.put((bundle, result))
        finally:
            self._disconnect()

    def _take_results(self) -> None:
        """Wait for one result, at most until the next record or look; then take all results that have arrived."""
        can_go_on = self._is_storing and not self._in_flight and not self._work_queue.is_empty
        is_full = self._claim.unwritten >= _UNWRITTEN_LIMIT or self._claim.job.status in _DRAINING
        try:
            if is_full or not can_go_on:
                self._take(self._results.get(timeout=self._idle_seconds()))
            while True:
                self._take(self._results.get_nowait())
        except queue.Empty:
            return

    def _take(self, result: _Result) -> None:
        bundle, outcomes = result
        self._in_flight.remove(bundle)
        if not isinstance(outcomes, BaseException):
            self._claim.note(outcomes)
            self._log_failures(outcomes)
        elif isinstance(outcomes, Stopped | StorageUnavailable):
            self._work_queue.put_back(bundle)
        elif isinstance(outcomes, LeaseLost):
            raise outcomes
        else:
            self._claim.note([unexpected(item, outcomes, self._now()) for item in bundle[1]])

    def _log_failures(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.kind is OutcomeKind.FAILED:
                logger.warning(
                    "Item %s of job %s failed (%s): %s",
                    outcome.item.key,
                    self._claim.job.id,
                    outcome.reason,
                    outcome.message,
                    extra={
                        **self._fields,
                        "item": outcome.item.key,
                        "code": outcome.reason,
                        "attempts": outcome.attempts,
                    },
                )

    # Store and lease.

    def _idle_seconds(self) -> float:
        last = max(self._last_look, self._last_record)
        return max(min(last + _LOOK_AFTER - self._monotonic(), _LOOK_AFTER), 0.01)

    def _is_due(self, seconds: float) -> bool:
        return self._monotonic() - self._last_record >= seconds

    def _record_or_look(self) -> None:
        """Record progress if that is due, else read the job for requests of the operator."""
        is_look_due = self._monotonic() - max(self._last_look, self._last_record) >= _LOOK_AFTER
        if not is_look_due and not self._is_due(self._claim.record_interval):
            return  # an item has ended; there may be hundreds a second
        report = self._limiter.report()
        has_news = self._claim.unwritten > 0 or (report.requests_made, report.state) != self._recorded_limiter
        is_renewal_due = self._is_due(self._policy.renew_after.total_seconds())
        if (has_news and self._is_due(self._claim.record_interval)) or is_renewal_due:
            self._record()
        elif is_look_due:
            self._last_look = self._monotonic()
            self._try_storing(self._claim.look)

    def _record(self, begins: Sequence[WorkItem] = ()) -> bool:
        """Store progress and outcomes; `begins` are the items that start next. Return whether they are stored."""
        report, is_holding = self._limiter.report(), self._limiter.is_holding
        self._last_record = self._monotonic()
        items = [*(item for _, items in self._in_flight for item in items), *begins]
        is_stored = self._try_storing(lambda: self._claim.record(items, report, self._now(), is_holding=is_holding))
        if is_stored:
            self._recorded_limiter = report.requests_made, report.state
        return is_stored

    def _try_storing(self, write: Callable[[], Job]) -> bool:
        try:
            write()
        except StorageUnavailable as exc:
            self._pause_for_outage(exc)
            return False
        if not self._is_storing:
            logger.info(
                "Job %s: the job store responds again; the job continues.", self._claim.job.id, extra=self._fields
            )
            self._is_storing = True
            self._on_store_outage(self._claim.job, None)
        return True

    def _pause_for_outage(self, exc: StorageUnavailable) -> None:
        """Start no item until the store responds, since an item counts only when its outcome is stored."""
        if self._is_storing:
            logger.warning(
                "Job %s waits: %s The write is repeated every second.",
                self._claim.job.id,
                exc.message,
                extra={**self._fields, "code": exc.code},
            )
            self._on_store_outage(self._claim.job, hold_event(exc.message, self._now()))
        self._is_storing = False

    def _retry_until_stored(self, write: Callable[[], Job]) -> Job | None:
        """Repeat a write until it succeeds and return the job; None if the process stops before."""
        while not self._try_storing(write):
            if self._stop.wait(_RETRY_STORE):
                return None
        return self._claim.job

    def _finish(self) -> Job:
        # Before the job ends, since only the holder of the lease may return its reservation.
        self._limiter.give_back()
        return self._claim.finish(self._now())

    def _release(self) -> None:
        """Stop cleanly: record outcomes and return the lease."""
        self._limiter.stop()
        deadline = self._monotonic() + _STOP_WITHIN
        while self._in_flight and (left := deadline - self._monotonic()) > 0:
            try:
                self._take(self._results.get(timeout=left))
            except queue.Empty:
                break
        self._in_flight.clear()
        try:
            self._claim.record((), self._limiter.report(), self._now())
            self._limiter.give_back()
            job = self._claim.release(self._now())
        except StorageUnavailable as exc:
            logger.warning(
                "Job %s could not be released and waits for its lease to expire. %s",
                self._claim.job.id,
                exc.message,
                extra={**self._fields, "code": exc.code},
            )
        else:
            logger.info("Job %s: released (%s).", job.id, job.status, extra={**self._fields, **self._claim.counts()})
