"""The composition root: settings → service, worker and webhook dispatcher."""

from __future__ import annotations

import os
import secrets
import socket
from datetime import timedelta
from functools import cache

from django.conf import settings

from backfill.dashboard.client import DashboardClient
from backfill.domain import AllowedHours
from backfill.domain.allowed_hours import zone_of
from backfill.domain.runtime_config import RuntimeConfig
from backfill.engine.keeper_thread import SHORTEST_POLL, KeeperThread
from backfill.engine.worker import Worker, wake_process_keeper, wake_process_worker
from backfill.job_types.collection.robots import Robots
from backfill.job_types.registry import MAX_WAITING, job_type_handlers
from backfill.service.commands import BackfillService
from backfill.service.keeper import Keeper
from backfill.storage import open_storage
from backfill.webhooks import WebhookDispatcher, key_of

SERVER_THREADS = "BACKFILL_SERVER_THREADS"
"""The environment variable by which gunicorn.conf.py passes the number of threads of the process."""

_KEEPER_POLLS = 6
"""Idle polls of a worker per look at the coverage target, if the store limits polls."""


def runtime_config() -> RuntimeConfig:
    """Raises ValueError if the allowed hours or their time zone are invalid."""
    return RuntimeConfig(
        time_zone=zone_of(settings.BACKFILL_TIME_ZONE),
        allowed_hours=AllowedHours.parse(settings.BACKFILL_ALLOWED_HOURS, settings.BACKFILL_TIME_ZONE),
        lease_policy=settings.BACKFILL_LEASE_POLICY,
        retention=timedelta(days=settings.BACKFILL_RETENTION_DAYS),
        audit_retention=timedelta(days=settings.BACKFILL_AUDIT_DAYS),
    )


@cache
def backfill_service() -> BackfillService:
    """Return the service of this process. Raises ValueError, with a message for the operator, for invalid settings."""
    config, storage = runtime_config(), open_storage(settings.BACKFILL_STORAGE)
    client = DashboardClient(
        settings.BACKFILL_DASHBOARD_URL,
        contact=settings.BACKFILL_CONTACT,
        deadline=settings.BACKFILL_REQUEST_DEADLINE_SECONDS,
    )
    robots = None if settings.BACKFILL_IGNORE_ROBOTS else Robots(client, now=config.clock.now)
    handlers = job_type_handlers(
        storage,
        client,
        executor=settings.BACKFILL_EXECUTOR,
        clock=config.clock,
        robots=robots,
        max_waiting=_max_waiting(),
    )
    return BackfillService(storage, handlers, config, wake=wake_process_worker, wake_keeper=wake_process_keeper)


def _max_waiting() -> int:
    """How many requests of this process may wait for the calendar: half of its threads, so that others stay free.

    One may wait in a process with a single thread, since the calendar would otherwise never be read.
    """
    threads = os.environ.get(SERVER_THREADS, "")
    return max(1, int(threads) // 2) if threads.isdecimal() else MAX_WAITING


def webhook_dispatcher(service: BackfillService) -> WebhookDispatcher | None:
    """Return None if no receiver is configured. Raises ValueError if the secret is missing or invalid."""
    url = settings.BACKFILL_WEBHOOK_URL
    if not url:
        return None
    key = key_of(settings.BACKFILL_WEBHOOK_SECRET)
    return WebhookDispatcher(service.storage, url, key, clock=service.config.clock, targets=service.targets)


def keeper_thread(service: BackfillService) -> KeeperThread:
    """Return the thread that checks the coverage target. Stores that bill each read are polled less often."""
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    poll = max(SHORTEST_POLL, _KEEPER_POLLS * service.storage.jobs.idle_poll_interval)
    control = service.storage.control
    return KeeperThread(Keeper(service, owner), control.disconnect, poll=poll, clock=service.config.clock)


def new_worker(service: BackfillService) -> Worker:
    """Return a worker, not started yet: it runs jobs, delivers webhook events and checks the coverage target."""
    return Worker(
        service.storage,
        service.handlers,
        prune=service.prune,
        config=service.config,
        dispatcher=webhook_dispatcher(service),
        keeper=keeper_thread(service),
    )
