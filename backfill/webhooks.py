"""Delivers webhook events: a job has ended, or is held up. Deliveries do not delay jobs.

Messages are signed as specified by https://www.standardwebhooks.com. Webhook events are stored with their job, so that
a kill before the delivery loses nothing.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import threading
from collections.abc import Mapping
from hashlib import sha256
from uuid import UUID

import requests
from urllib3.exceptions import HTTPError

from backfill.dashboard.interrupts import RunningRequests, TrackingAdapter
from backfill.dashboard.network import Route, reason
from backfill.domain import Job, WebhookEvent
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import CorruptRecord, JobNotFound, StorageUnavailable
from backfill.serializers.webhooks import WebhookMessage, WebhookMessageSerializer
from backfill.storage import Storage

logger = logging.getLogger(__name__)

_POLL_SECONDS = 5.0

_DEADLINE = 10.0
"""Seconds for a complete attempt, from the connection to the response; below the shortest delay between attempts."""

_TIMEOUTS = (4.0, _DEADLINE)
"""Connect and read timeout in seconds."""

_STOP_TIMEOUT = 2.0

_BASE64_PREFIX = "whsec_"
"""Prefix of a secret in base64; other secrets are used as text."""

_GONE = 410
"""The receiver does not want this event any more."""


def key_of(secret: str) -> bytes:
    """Raises ValueError for a secret that is empty or not valid base64."""
    encoded = secret.removeprefix(_BASE64_PREFIX)
    if not encoded:
        raise ValueError(
            "BACKFILL_WEBHOOK_SECRET is empty. Receivers need it to tell messages of this service from forged ones."
        )
    if encoded == secret:
        return secret.encode()
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as exc:
        raise ValueError(f"BACKFILL_WEBHOOK_SECRET is not valid base64 after {_BASE64_PREFIX}.") from exc


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header `webhook-signature`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def message_body(job: Job, event: WebhookEvent) -> bytes:
    return json.dumps(WebhookMessageSerializer.render(WebhookMessage(job, event))).encode()


class WebhookDispatcher:
    """Delivers due events in its own thread. Dispatchers of any number of processes share the events."""

    def __init__(self, storage: Storage, url: str, key: bytes, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._storage, self._url, self._key, self._now = storage, url, key, clock.now
        self._clock = clock
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
        message_id, timestamp, body = str(event.id_for(job.id)), int(self._now().timestamp()), message_body(job, event)
        extra = _log_fields(job.id, event)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, message_id, timestamp, body),
        }
        # Messages contain neither the URL nor the text of an exception that quotes it: the URL may contain a secret.
        route = Route.to(self._url, setting="BACKFILL_WEBHOOK_URL", host="the receiver")
        if problem := route.problem():
            logger.warning("Job %s: %s was not delivered. %s", job.id, event.event, problem, extra=extra)
            return False
        try:
            status = self._send(body, headers, route)
        except (requests.RequestException, HTTPError, OSError) as exc:
            is_late = isinstance(exc, requests.Timeout | TimeoutError)
            cause = "no response in time" if is_late else route.cause(exc).rstrip(".") or reason(exc)
            logger.warning("Job %s: %s was not delivered: %s.", job.id, event.event, cause, extra=extra)
            return False
        if status == _GONE or 200 <= status < 300:
            logger.info("Job %s: delivered %s (status %d).", job.id, event.event, status, extra=extra)
            return True
        logger.warning("Job %s: %s was not delivered: status %d.", job.id, event.event, status, extra=extra)
        return False

    def _send(self, body: bytes, headers: Mapping[str, str], route: Route) -> int:
        """Return the status code. Raises TimeoutError at the deadline, whatever the receiver sends until then."""
        with requests.Session() as session, RunningRequests().request(_DEADLINE) as running:
            session.trust_env = False  # do not send credentials from ~/.netrc
            session.mount("http://", TrackingAdapter())
            session.mount("https://", TrackingAdapter())
            try:
                with session.post(
                    self._url,
                    body,
                    headers=headers,
                    timeout=_TIMEOUTS,
                    allow_redirects=False,
                    stream=True,
                    proxies=dict(route.proxies),
                    verify=route.verify,
                ) as response:
                    status = response.status_code
            except Exception as exc:
                if running.interruption is not None:
                    raise TimeoutError from exc
                raise
            if running.interruption is not None:  # the end of the connection may be the end of the headers
                raise TimeoutError
            return status


def _log_fields(job_id: UUID, event: WebhookEvent) -> dict[str, object]:
    return {
        "job": str(job_id),
        "event": str(event.event),
        "delivery": str(event.id_for(job_id)),
        "attempt": event.attempts + 1,
    }
