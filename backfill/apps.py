"""The Django application, and the start of the worker in serving processes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connections
from django.db.models.signals import pre_migrate

logger = logging.getLogger(__name__)

STARTS_AFTER_FORK = "BACKFILL_WORKER_STARTS_AFTER_FORK"
"""The environment variable by which gunicorn.conf.py takes over the start of the worker."""

_serves = False


def declare_serving() -> None:
    """Declare that this process serves requests. `wsgi.py` and `asgi.py` call it before they load the application."""
    global _serves  # noqa: PLW0603 - a property of the process
    _serves = True
    if apps.ready:  # runserver sets Django up before it imports wsgi.py
        _start_worker_of_server()


def stop_start(exc: Exception) -> NoReturn:
    """End a serving process that cannot start with one sentence, without a traceback."""
    print(f"The service cannot start: {exc}", file=sys.stderr, flush=True)
    sys.exit(3)  # gunicorn starts no other process after this code


def start_worker() -> None:
    """Start the worker of this process, unless BACKFILL_WORKER is off or it runs already."""
    if settings.BACKFILL_WORKER == "off":
        return
    # After apps are loaded, and so that commands that start no worker do not import the engine.
    from backfill.bootstrap import backfill_service, new_worker
    from backfill.engine.worker import start_process_worker

    worker = new_worker(backfill_service())  # here, so that an invalid setting stops the start
    if apps.ready:
        start_process_worker(lambda: worker)
        return

    def start_when_ready() -> None:
        apps.ready_event.wait()  # before that, Django warns about database queries
        start_process_worker(lambda: worker)

    threading.Thread(target=start_when_ready, name="backfill-start", daemon=True).start()


def _start_worker_of_server() -> None:
    """Start the worker here, or after the fork if the server forks after it has loaded the application."""
    if settings.BACKFILL_WORKER == "off" or os.environ.get(STARTS_AFTER_FORK):
        return
    if (uwsgi := _uwsgi()) is not None:
        _start_worker_in_uwsgi(uwsgi)
        return
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, lambda *_: sys.exit(0))  # exit handlers run: the worker returns its lease
    start_worker()


def _uwsgi() -> ModuleType | None:
    """Return the module that exists only in processes of uWSGI."""
    try:
        return import_module("uwsgi")
    except ImportError:
        return None


def _start_worker_in_uwsgi(uwsgi: ModuleType) -> None:
    """uWSGI runs no threads of Python without --enable-threads, and loads the application before it forks."""
    if not {"enable-threads", "threads"} & set(uwsgi.opt):
        logger.warning(
            "uWSGI runs without --enable-threads, so it runs no worker. Set it, or run: manage.py backfill work"
        )
        return
    if uwsgi.worker_id():  # with --lazy-apps the fork is over
        start_worker()
        return
    earlier: Callable[[], None] | None = getattr(uwsgi, "post_fork_hook", None)

    def start_after_fork() -> None:
        if earlier is not None:
            earlier()
        if uwsgi.worker_id():  # not in mules and spoolers
            start_worker()

    uwsgi.post_fork_hook = start_after_fork  # type: ignore[attr-defined]


def _keep_migrations_small(using: str, **_: object) -> None:
    """Empty the write-ahead log of SQLite often while migrations rewrite tables, so that they need little space."""
    connection = connections[using]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_autocheckpoint = 50")  # pages; only for this connection


class BackfillConfig(AppConfig):
    name = "backfill"
    verbose_name = "Backfill"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Start the worker if this process serves. Makes no database query."""
        from backfill import checks  # noqa: F401 - registers the system checks

        pre_migrate.connect(_keep_migrations_small, sender=self)
        if _serves:
            _start_worker_of_server()
