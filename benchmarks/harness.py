"""Shared functions of the sections."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.test import Client

    from backfill.domain import Job, JobRequest, RateLimits
    from backfill.engine.worker import Worker
    from backfill.service.commands import BackfillService

ROOT = Path(__file__).resolve().parent.parent


NO_DASHBOARD = "http://127.0.0.1:9"
"""The address for services that send no requests."""


@contextmanager
def sample_dashboard(*options: str) -> Iterator[str]:
    """Run a sample dashboard in its own process. Yields its address."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sample_dashboard", "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


def service_for(address: str = NO_DASHBOARD) -> BackfillService:
    """Return the service with the temporary database and the given dashboard."""
    from django.conf import settings

    from backfill.bootstrap import backfill_service

    settings.BACKFILL_DASHBOARD_URL = address
    backfill_service.cache_clear()
    return backfill_service()


def allow_fastest_requests(service: BackfillService) -> None:
    """Set the highest rate, at which the service also reads the calendar."""
    from backfill.domain import Actor, Channel, RateLimits

    limits = RateLimits(max_requests_per_minute=6000, min_delay_ms=0)
    service.change_rate_limits(limits.to_dict(), by=Actor("bench", Channel.CLI))


def operator() -> Client:
    """Return the client of a user who may do everything."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)[0])
    return client


def delete_rows(*models: str) -> None:
    from django.apps import apps

    for name in models:
        apps.get_model("backfill", name).objects.all().delete()


def start_job(service: BackfillService, request: JobRequest, limits: RateLimits) -> tuple[Job, Worker]:
    """Start a job and a worker in this process. `limits` may exceed the bounds of the service."""
    from dataclasses import replace

    from backfill.bootstrap import new_worker
    from backfill.domain import Actor, Channel

    job = service.start(request, by=Actor("bench", Channel.CLI)).job
    service.storage.jobs.update(job.id, lambda job: replace(job, config=replace(job.config, rate_limits=limits)))
    worker = new_worker(service)
    worker.start()
    return job, worker


def run_job(service: BackfillService, request: JobRequest, limits: RateLimits) -> Job:
    """Run a job in this process until it ends. `limits` may exceed the bounds of the service."""
    job, worker = start_job(service, request, limits)
    while service.job(job.id).status.is_active:
        time.sleep(0.5)  # reading a job costs CPU time, which is measured
    worker.stop()
    return service.job(job.id)


def timed(work: Callable[[], object]) -> float:
    """Return the duration of a call in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_seconds(work: Callable[[], object], before: Callable[[], object] = lambda: None, times: int = 15) -> float:
    """Return the median duration of a call in seconds. `before` runs before each call and is not measured."""
    seconds = []
    for _ in range(times):
        before()
        seconds.append(timed(work))
    return median(seconds)


def get(client: Client, path: str) -> int:
    """Return the size of a page in bytes. Raises AssertionError if it is not answered with 200."""
    response = client.get(path)
    assert response.status_code == 200, f"{path}: {response.status_code}"
    return len(response.content)
