"""What the keeper stores between checks: its lease, the result of the last check, and the failed attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from backfill.domain.failed_attempts import NO_ATTEMPTS, FailedAttempts
from backfill.domain.target_events import NO_EVENTS, TargetEvents
from backfill.errors import LeaseLost

KEEPER = "keeper"
"""The operator of automatic jobs and checks in jobs and the audit log."""

LEASE = timedelta(minutes=2)
"""A keeper that does not renew its lease for this long is dead."""


class MissingReason(StrEnum):
    """Why an item of the target is missing. A failed item has the code of its error instead."""

    NOT_COLLECTED = "not-collected"
    """It is published and was not tried yet."""
    OUTDATED = "outdated"
    """A newer state of its month's closing is published."""
    NOT_PUBLISHED = "not-published"
    """The calendar lists it, but the dashboard had no figures when it was tried."""
    NOT_COMPUTED = "not-computed"
    """Its snapshot is stored, but not a result of its current content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The result of a check."""

    missing: Mapping[str, int] = field(default_factory=dict)
    """The number of missing items by MissingReason or error code."""
    complete_until: date | None = None
    """The newest date up to which every published item is stored; None if there is none."""
    failed_since: date | None = None
    """The local date of the first attempt of the failed items; None without any."""
    next_attempt: date | None = None
    """The local date of the next attempt of a failed or unpublished item; None without any."""

    is_over_budget: bool = False
    """Whether items wait because the monthly budget of requests is used up."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that is published is stored and computed."""
        return not self.open_items

    @property
    def open_items(self) -> int:
        """Missing items, without those that are not published."""
        return sum(count for reason, count in self.missing.items() if reason != MissingReason.NOT_PUBLISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperState:
    """Changes with a lease check its token, so that a keeper that lost its lease changes nothing."""

    token: int = 0
    """Grows with each lease."""
    owner: str = ""
    lease_until: datetime | None = None
    requested_at: datetime | None = None
    """When an operator requested a check that has not taken place yet."""
    requested_by: str = ""
    checked_at: datetime | None = None
    """When the last check began."""
    postponed_at: datetime | None = None
    """When a daily check last began to wait for a job."""
    checked_version: int = 0
    """The version of the target at the last check."""
    findings: Findings | None = None
    incomplete_since: datetime | None = None
    """When a check first found the target incomplete; None while it is complete."""
    job_id: UUID | None = None
    """The newest automatic job."""
    has_open_job: bool = False
    """Whether the check that started it waits for its end, to compute results and to count failures."""
    accounted_until: datetime | None = None
    """Automatic jobs created until then are accounted for in the attempts and requests."""
    retry_at: datetime | None = None
    """When a check that the dashboard prevented is repeated."""
    attempts: FailedAttempts = NO_ATTEMPTS
    month: str = ""
    """The calendar month (UTC) of `month_requests`, such as 2026-11."""
    month_requests: int = 0
    """Requests of automatic jobs of the month that have ended."""
    events: TargetEvents = NO_EVENTS
    """What was reported to the webhook receiver."""

    def was_seen_since(self, due: datetime) -> bool:
        """Whether the check that was due at a time was made, or was noted to wait."""
        return any(at is not None and at >= due for at in (self.checked_at, self.postponed_at))

    def is_held(self, now: datetime) -> bool:
        """Whether another keeper may be at work.

        The clocks of two servers may differ by up to LEASE. A longer lease was made before a clock was set back.
        """
        return self.lease_until is not None and now < self.lease_until <= now + 2 * LEASE

    def claimed(self, owner: str, now: datetime) -> KeeperState:
        """With a lease for `owner`. Raises LeaseLost if a live keeper holds it."""
        if self.is_held(now):
            raise LeaseLost(f"The check is held by {self.owner}.")
        return replace(self, token=self.token + 1, owner=owner, lease_until=now + LEASE)

    def renewed(self, token: int, now: datetime) -> KeeperState:
        """Raises LeaseLost."""
        self.check_token(token)
        return replace(self, lease_until=now + LEASE)

    def released(self, token: int) -> KeeperState:
        """Raises LeaseLost."""
        self.check_token(token)
        return replace(self, owner="", lease_until=None)

    def check_token(self, token: int) -> None:
        """Raise LeaseLost unless the token belongs to the current lease."""
        if token != self.token or self.lease_until is None:
            raise LeaseLost(f"The check has been taken over (token {token}, now {self.token}).")

    def requested(self, operator: str, now: datetime) -> KeeperState:
        """With the request of a check; an earlier request that waits remains."""
        return self if self.requested_at else replace(self, requested_at=now, requested_by=operator)
