"""What every benchmark needs: a dashboard, a service, a job from start to end, and a line for a figure."""

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
def staged() -> Iterator[None]:
    """Over a database of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DJANGO_DEBUG="false",  # which would keep every query
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


def say(what: str, figure: str, aim: str = "") -> None:
    print(f"  {what:<58} {figure:>18}   {f'aim: {aim}' if aim else ''}", flush=True)


def sample_dashboard(*options: str) -> tuple[subprocess.Popen[str], str]:
    """A sample dashboard in a process of its own, and its address."""
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
    """The service over the database of this run, pointed at that dashboard."""
    from django.conf import settings

    from backfill.bootstrap import backfill_service

    settings.BACKFILL_DASHBOARD_URL = address
    backfill_service.cache_clear()
    return backfill_service()


def forget(*models: str) -> None:
    from django.apps import apps

    for name in models:
        apps.get_model("backfill", name).objects.all().delete()


def run_job(service: BackfillService, request: JobRequest, limits: RateLimits) -> Job:
    """A job from start to end in this process, under limits that may be beyond what an operator can set."""
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
