"""The application, and the hook by which a serving process resumes the job."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from django.apps import AppConfig, apps
from django.conf import settings


def _callers() -> Iterator[str]:
    """The modules on the call stack, innermost first."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def _is_runserver() -> bool:
    """Whether this is the process of runserver that serves, and not the reloader that watches it."""
    if len(sys.argv) < 2 or sys.argv[1] != "runserver":
        return False
    return os.environ.get("RUN_MAIN") == "true" or "--noreload" in sys.argv


class BackfillConfig(AppConfig):
    name = "backfill"
    verbose_name = "Backfill"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Start the worker thread where this process serves. The database is asked nothing here.

        A process serves where the application is loaded for WSGI or ASGI, or by runserver; no other command, shell or
        test does. Under `gunicorn --preload` the application is loaded in the arbiter, which only forks: there each
        child starts its own, since threads do not come along. Gunicorn tells nobody where it loads the application,
        but the call stack does.
        """
        from backfill import checks  # noqa: F401 - registers the system checks

        if settings.BACKFILL_WORKER == "off":
            return
        callers = set(_callers())
        is_loaded_to_serve = bool(callers & {"django.core.wsgi", "django.core.asgi"})
        if not is_loaded_to_serve and not _is_runserver():
            return
        from backfill.bootstrap import backfill_service
        from backfill.engine.worker import Worker, restart_after_fork, start_here
        from backfill.webhooks import new_worker

        def worker_here() -> Worker:
            return new_worker(backfill_service())

        in_gunicorn = any(name.startswith("gunicorn.") for name in callers)
        in_gunicorn_worker = any(name.startswith("gunicorn.workers.") for name in callers)
        if in_gunicorn and not in_gunicorn_worker:
            os.register_at_fork(after_in_child=lambda: restart_after_fork(worker_here))
            return
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            # As a Ctrl-C does: the exit handlers run, and the worker gives its lease back.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        worker = worker_here()  # at once, so that a setting that is wrong stops the start

        def begin() -> None:
            apps.ready_event.wait()  # until then, Django warns of whoever asks the database
            start_here(lambda: worker)

        threading.Thread(target=begin, name="backfill-begin", daemon=True).start()
