"""Repetitions of a request by a client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

IDEMPOTENCY_WINDOW = timedelta(hours=24)
"""How long a repeated Idempotency-Key returns the job that it created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """The client's key for repetitions of a request, and a digest of the request."""

    key: str
    fingerprint: str
