"""The composition root: it builds the service from the settings."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

from backfill.domain import AllowedHours
from backfill.domain.clock import utc_now
from backfill.service.commands import BackfillService
from backfill.storage import open_storage


@cache
def backfill_service() -> BackfillService:
    """The service as the settings say, one a process."""
    from django.conf import settings

    from backfill.dashboard.client import DashboardClient
    from backfill.job_types.collection.robots import Robots
    from backfill.job_types.registry import job_type_handlers

    storage = open_storage(settings.BACKFILL_STORAGE)
    client = DashboardClient(settings.BACKFILL_DASHBOARD_URL, contact=settings.BACKFILL_CONTACT)
    robots = None if settings.BACKFILL_IGNORE_ROBOTS else Robots(client, now=utc_now)
    return BackfillService(
        storage=storage,
        handlers=job_type_handlers(storage, client, executor=settings.BACKFILL_EXECUTOR, now=utc_now, robots=robots),
        retention=timedelta(days=settings.BACKFILL_RETENTION_DAYS),
        audit_retention=timedelta(days=settings.BACKFILL_AUDIT_DAYS),
        hours=AllowedHours.parse(settings.BACKFILL_ALLOWED_HOURS, settings.BACKFILL_TIME_ZONE),
        lease_policy=settings.BACKFILL_LEASE_POLICY,
    )
