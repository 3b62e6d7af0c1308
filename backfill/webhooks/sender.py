"""Sends signed webhook messages, as specified by https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import hmac
import logging
from collections.abc import Mapping
from hashlib import sha256
from uuid import UUID

import requests
from urllib3.exceptions import HTTPError

from backfill.dashboard.interrupts import RunningRequests, TrackingAdapter
from backfill.dashboard.network import Route, reason
from backfill.domain import WebhookEvent
from backfill.domain.clock import Clock

logger = logging.getLogger(__name__)

_DEADLINE = 10.0
"""Seconds for a complete attempt, from the connection to the response; below the shortest delay between attempts."""

_TIMEOUTS = (4.0, _DEADLINE)
"""Connect and read timeout in seconds."""

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


class WebhookSender:
    """Sends messages to one receiver."""

    def __init__(self, url: str, key: bytes, clock: Clock) -> None:
        self._url, self._key, self._now = url, key, clock.now

    def post(
        self, subject: str, subject_id: UUID, event: WebhookEvent, body: bytes, fields: Mapping[str, object]
    ) -> bool:
        """Send an event. Returns True if the receiver accepted it or does not want it any more.

        `subject` is what the event concerns, for the log, and `fields` are the fields of the log lines.
        """
        timestamp, message_id = int(self._now().timestamp()), str(event.id_for(subject_id))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, message_id, timestamp, body),
        }
        # Messages contain neither the URL nor the text of an exception that quotes it: the URL may contain a secret.
        route = Route.to(self._url, setting="BACKFILL_WEBHOOK_URL", host="the receiver")
        if problem := route.problem():
            logger.warning("%s: %s was not delivered. %s", subject, event.event, problem, extra=fields)
            return False
        try:
            status = self._send(body, headers, route)
        except (requests.RequestException, HTTPError, OSError) as exc:
            is_late = isinstance(exc, requests.Timeout | TimeoutError)
            cause = "no response in time" if is_late else route.cause(exc).rstrip(".") or reason(exc)
            logger.warning("%s: %s was not delivered: %s.", subject, event.event, cause, extra=fields)
            return False
        if status == _GONE or 200 <= status < 300:
            logger.info("%s: delivered %s (status %d).", subject, event.event, status, extra=fields)
            return True
        logger.warning("%s: %s was not delivered: status %d.", subject, event.event, status, extra=fields)
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
