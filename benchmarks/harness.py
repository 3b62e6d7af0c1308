"""Shared functions of the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backfill.domain import Job, JobRequest, RateLimits
    from backfill.service.commands import BackfillService

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def environment() -> Iterator[None]:
    """Set up Django with a temporary database."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DJANGO_DEBUG="false",  # in debug mode Django stores each query
            DJANGO_SECRET_KEY="of-a-benchmark-" + "0" * 50,
            DATABASE_URL=f"sqlite:///{folder}/bench.sqlite3",
            BACKFILL_WORKER="off",
            DJANGO_SETTINGS_MODULE="backfill_site.settings",
            BACKFILL_ENV_FILE=os.devnull,
            BACKFILL_LOG_LEVEL="ERROR",
        )
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield


def print_figure(name: str, figure: str, target: str = "") -> None:
    print(f"  {name:<58} {figure:>18}   {f'target: {target}' if target else ''}", flush=True)


def sample_dashboard(*options: str) -> tuple[subprocess.Popen[str], str]:
    """Start a sample dashboard in its own process. Returns process and address."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sample_dashboard", "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    return process, line.split()[-1]


def service_for(address: str) -> BackfillService:
    """Return the service with the temporary database and the given dashboard."""
    from django.conf import settings

    from backfill.bootstrap import backfill_service

    settings.BACKFILL_DASHBOARD_URL = address
    backfill_service.cache_clear()
    return backfill_service()


def delete_rows(*models: str) -> None:
    from django.apps import apps

    for name in models:
        apps.get_model("backfill", name).objects.all().delete()


def run_job(service: BackfillService, request: JobRequest, limits: RateLimits) -> Job:
    """Run a job in this process. `limits` may exceed the bounds of the service."""
    from dataclasses import replace

    from backfill.bootstrap import new_worker
    from backfill.domain import Actor, Channel

    job = service.start(request, by=Actor("bench", Channel.CLI)).job
    service.storage.jobs.update(job.id, lambda job: replace(job, config=replace(job.config, rate_limits=limits)))
    worker = new_worker(service)
    worker.start()
    while service.job(job.id).status.is_active:
        time.sleep(0.1)
    worker.stop()
    return service.job(job.id)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
