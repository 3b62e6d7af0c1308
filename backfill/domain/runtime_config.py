"""The configuration that the service, its planner and its workers share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo

from backfill.domain.allowed_hours import AllowedHours
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.domain.lease import STANDARD_LEASES, LeasePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    allowed_hours: AllowedHours | None = None
    """When jobs may send requests to the dashboard; None allows any time."""
    lease_policy: LeasePolicy = STANDARD_LEASES
    retention: timedelta = timedelta(days=30)
    """Ended jobs younger than this are never removed."""
    audit_retention: timedelta = timedelta(days=365)
    time_zone: tzinfo = UTC
    """The zone of the allowed hours and of the daily check of the coverage target."""
    clock: Clock = SYSTEM_CLOCK


DEFAULT_CONFIG = RuntimeConfig()
