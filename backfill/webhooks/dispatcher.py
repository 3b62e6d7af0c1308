"""Delivers webhook events: a job has ended, or is held up; the coverage target is incomplete, or complete again.

Deliveries do not delay jobs. Events are stored with their job or with the state of the target, so that a kill before
the delivery loses nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from uuid import UUID

from backfill.domain import Job, WebhookEvent
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import CorruptRecord, JobNotFound, StorageUnavailable
from backfill.service.targets import TargetService
from backfill.storage import Storage
from backfill.webhooks.sender import WebhookSender
from backfill.webhooks.target_delivery import TargetDelivery

logger = logging.getLogger(__name__)

_POLL_SECONDS = 5.0

_STOP_TIMEOUT = 2.0


def message_body(job: Job, event: WebhookEvent) -> bytes:
    from backfill.serializers.webhooks import WebhookMessage, WebhookMessageSerializer

    return json.dumps(WebhookMessageSerializer.render(WebhookMessage(job, event))).encode()


class WebhookDispatcher:
    """Delivers due events in its own thread. Dispatchers of any number of processes share the events."""

    def __init__(
        self,
        storage: Storage,
        url: str,
        key: bytes,
        *,
        clock: Clock = SYSTEM_CLOCK,
        targets: TargetService | None = None,
    ) -> None:
        """Without `targets`, only events of jobs are delivered."""
        self._storage, self._now, self._clock = storage, clock.now, clock
        self._sender = WebhookSender(url, key, clock)
        self._targets = TargetDelivery(targets, self._sender, clock) if targets else None
        self._stop, self._wake = clock.event(), clock.event()
        self._thread: threading.Thread | None = None
        self._unreadable: set[UUID] = set()
        self._unstored: tuple[Job, WebhookEvent] | None = None

    def start(self) -> None:
        self._thread = self._clock.thread(self._run, "backfill-webhooks")
        self._thread.start()

    def stop(self) -> None:
        """Deliver due events a last time. Does not wait for a slow receiver: an incomplete attempt is repeated."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT)

    def wake(self) -> None:
        """Check for due events now."""
        self._wake.set()

    def on_store_outage(self, job: Job, event: WebhookEvent | None) -> None:
        """Keep an event in memory while the store, which should keep it, is unavailable; None discards it."""
        self._unstored = (job, event) if event is not None else None

    def _run(self) -> None:
        while True:
            is_stopping = self._stop.is_set()
            try:
                self.deliver_unstored()
                self.deliver_due()
                if self._targets:
                    self._targets.deliver_due()
            except StorageUnavailable:
                pass  # the worker reports it; the next iteration tries again
            except Exception:
                logger.exception("Unexpected error while delivering webhook events; the dispatcher continues.")
            if is_stopping:
                break
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()
        self._storage.control.disconnect()

    def deliver_unstored(self) -> None:
        if (unstored := self._unstored) is None:
            return
        job, event = unstored
        if not event.is_due(self._now()):
            return
        after = event.settled() if self._post(job, event) else event.attempted(self._now())
        if self._unstored is unstored:  # on_store_outage may have been called meanwhile
            self._unstored = (job, after)

    def deliver_due(self) -> None:
        for job_id in self._storage.jobs.with_webhook_event_due(self._now()):
            try:
                job = self._storage.jobs.get(job_id)
            except CorruptRecord as exc:
                self._note_unreadable(job_id, exc)
                continue
            for event in job.webhook_events.all() if job else ():
                if event.is_due(self._now()):
                    self._deliver(job_id, event)

    def _note_unreadable(self, job_id: UUID, exc: CorruptRecord) -> None:
        if job_id not in self._unreadable:
            self._unreadable.add(job_id)
            extra = {"job": str(job_id), "code": exc.code}
            logger.warning("%s Its webhook events cannot be delivered.", exc.message, extra=extra)

    def _deliver(self, job_id: UUID, event: WebhookEvent) -> None:
        attempt = event.settled() if event.is_old(self._now()) else event.attempted(self._now())
        job = self._replace(job_id, event, attempt)
        if job is None:
            return  # another dispatcher delivers it
        if attempt.due_at is None:
            # An event without attempts was created while no receiver was configured.
            level = logging.WARNING if event.attempts else logging.DEBUG
            logger.log(level, "Job %s: gave up delivering %s.", job_id, event.event, extra=_log_fields(job_id, event))
        elif self._post(job, event):
            self._replace(job_id, attempt, attempt.settled())

    def _replace(self, job_id: UUID, before: WebhookEvent, after: WebhookEvent) -> Job | None:
        """Replace an event of a job. Returns the job, or None if the stored event is not `before`."""
        is_unchanged = False

        def change(job: Job) -> Job:
            nonlocal is_unchanged
            is_unchanged = job.webhook_events.find(before.event) == before
            return job.with_webhook_events(after) if is_unchanged else job

        try:
            job = self._storage.jobs.update(job_id, change).after
        except JobNotFound:
            return None  # the job was removed
        return job if is_unchanged else None

    def _post(self, job: Job, event: WebhookEvent) -> bool:
        """Send an event. Returns True if the receiver accepted it or does not want it any more."""
        return self._sender.post(f"Job {job.id}", job.id, event, message_body(job, event), _log_fields(job.id, event))


def _log_fields(job_id: UUID, event: WebhookEvent) -> dict[str, object]:
    return {
        "job": str(job_id),
        "event": str(event.event),
        "delivery": str(event.id_for(job_id)),
        "attempt": event.attempts + 1,
    }
