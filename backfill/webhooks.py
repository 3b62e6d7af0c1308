"""Tells a receiver outside that a job ended or is held up, beside the work and never in its way.

Messages are signed as https://www.standardwebhooks.com describes, so that a receiver has a library to check them with.
What is to be told is kept with the job: a kill between its end and the delivery loses nothing.
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

from backfill.dashboard.network import Route, reason
from backfill.domain import Job, WebhookEvent
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import CorruptRecord, JobNotFound, StorageUnavailable
from backfill.serializers import values
from backfill.storage import Storage

logger = logging.getLogger(__name__)

_LOOK_EVERY = 5.0
"""Seconds between two looks for what is to be told."""

_TIMEOUTS = (4.0, 10.0)
"""Seconds for the connection and for the answer: together less than the shortest pause between two attempts."""

_STOP_WITHIN = 2.0

_BASE64_MARK = "whsec_"
"""Marks a secret that is bytes in base64; any other is taken as it is written."""

_GONE = 410
"""By this a receiver says that it never wants to hear of it again."""


def key_of(secret: str) -> bytes:
    """ValueError with a sentence where there is none."""
    rest = secret.removeprefix(_BASE64_MARK)
    if not rest:
        raise ValueError(
            "BACKFILL_WEBHOOK_SECRET is empty: nobody could tell a message of this service from a forged one."
        )
    if rest == secret:
        return secret.encode()
    try:
        return base64.b64decode(rest, validate=True)
    except ValueError as exc:
        raise ValueError(f"BACKFILL_WEBHOOK_SECRET has something after {_BASE64_MARK} that is no base64.") from exc


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Of a message, as the header `webhook-signature` has it."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def body_of(job: Job, event: WebhookEvent) -> bytes:
    shape = {
        "event": str(event.event),
        "deliveryId": str(event.id_for(job.id)),
        "occurredAt": values.instant(event.at),
        "message": event.sentence,
        "job": values.listed_job(job),
    }
    return json.dumps(shape).encode()


class WebhookDispatcher:
    """Delivers what is due, in a thread of its own; any number of them, in any process, share the work."""

    def __init__(self, storage: Storage, url: str, key: bytes, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._storage, self._url, self._key, self._now = storage, url, key, clock.now
        self._clock = clock
        self._stop, self._wake = clock.event(), clock.event()
        self._thread: threading.Thread | None = None
        self._unreadable: set[UUID] = set()
        self._unstored: tuple[Job, WebhookEvent] | None = None

    def start(self) -> None:
        self._thread = self._clock.thread(self._run, "backfill-courier")
        self._thread.start()

    def stop(self) -> None:
        """After a last look. An attempt that takes long is left: what it does not bring home is tried again."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_STOP_WITHIN)

    def wake(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    def on_store_outage(self, job: Job, event: WebhookEvent | None) -> None:
        """To be told from memory, for as long as this process lives: the store, which would keep it, is away."""
        self._unstored = (job, event) if event is not None else None

    def _run(self) -> None:
        while True:
            is_last = self._stop.is_set()
            try:
                self.deliver_unstored()
                self.deliver_due()
            except StorageUnavailable:
                pass  # the worker says so already, and this is tried again
            except Exception:
                logger.exception("The courier met an error that it does not know; it goes on.")
            if is_last:
                break
            self._wake.wait(_LOOK_EVERY)
            self._wake.clear()
        self._storage.control.disconnect()

    def deliver_unstored(self) -> None:
        if (unstored := self._unstored) is None:
            return
        job, event = unstored
        if not event.is_due(self._now()):
            return
        after = event.settled() if self._is_taken(job, event) else event.attempted(self._now())
        if self._unstored is unstored:  # else the store is back, or away again
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
            logger.warning("%s Nobody can be told of it.", exc.message, extra={"job": str(job_id), "code": exc.code})

    def _deliver(self, job_id: UUID, event: WebhookEvent) -> None:
        attempt = event.settled() if event.is_old(self._now()) else event.attempted(self._now())
        job = self._replaced(job_id, event, attempt)
        if job is None:
            return  # another courier has it
        if attempt.due_at is None:
            # One that was never tried is of a time when there was nobody to tell.
            level = logging.WARNING if event.attempts else logging.DEBUG
            logger.log(level, "Job %s: given up telling %s.", job_id, event.event, extra=_facts(job_id, event))
        elif self._is_taken(job, event):
            self._replaced(job_id, attempt, attempt.settled())

    def _replaced(self, job_id: UUID, before: WebhookEvent, after: WebhookEvent) -> Job | None:
        """The job with one notice in another's place; None where that is not there any more as it was."""
        was_there = False

        def change(job: Job) -> Job:
            nonlocal was_there
            was_there = job.webhook_events.find(before.event) == before
            return job.with_webhook_events(after) if was_there else job

        try:
            job = self._storage.jobs.update(job_id, change).after
        except JobNotFound:
            return None  # it was removed meanwhile
        return job if was_there else None

    def _is_taken(self, job: Job, event: WebhookEvent) -> bool:
        """Whether the receiver has it, or wants no more of it."""
        message_id, timestamp, body = str(event.id_for(job.id)), int(self._now().timestamp()), body_of(job, event)
        facts = _facts(job.id, event)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, message_id, timestamp, body),
        }
        # Not the address, and not an error's own text, which quotes it: that of a receiver may hold a secret.
        route = Route.to(self._url, setting="BACKFILL_WEBHOOK_URL", host="the receiver")
        if trouble := route.trouble():
            logger.warning("Job %s: %s could not be told. %s", job.id, event.event, trouble, extra=facts)
            return False
        try:
            status = self._posted(body, headers, route)
        except (requests.RequestException, HTTPError, OSError) as exc:
            why = "no answer in time" if isinstance(exc, requests.Timeout) else route.cause(exc).rstrip(".")
            why = why or reason(exc)
            logger.warning("Job %s: %s could not be told: %s.", job.id, event.event, why, extra=facts)
            return False
        if status == _GONE or 200 <= status < 300:
            logger.info("Job %s: the receiver was told %s (%d).", job.id, event.event, status, extra=facts)
            return True
        logger.warning("Job %s: the receiver of %s answered %d.", job.id, event.event, status, extra=facts)
        return False

    def _posted(self, body: bytes, headers: Mapping[str, str], route: Route) -> int:
        """The status of the answer."""
        with requests.Session() as session:
            session.trust_env = False  # else requests would send credentials from ~/.netrc
            with session.post(
                self._url,
                body,
                headers=headers,
                timeout=_TIMEOUTS,
                allow_redirects=False,
                stream=True,
                proxies=dict(route.proxies),
                verify=route.verify,
            ) as answer:
                return answer.status_code


def _facts(job_id: UUID, event: WebhookEvent) -> dict[str, object]:
    """Fields of a log line."""
    return {
        "job": str(job_id),
        "event": str(event.event),
        "delivery": str(event.id_for(job_id)),
        "attempt": event.attempts + 1,
    }
