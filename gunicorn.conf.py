"""The configuration of gunicorn, which reads this file if it is started in this folder. Its options override the file.

A configuration of your own needs at least the environment variable and `post_worker_init`, which start the worker of
jobs in each process after the fork, with and without --preload.
"""

import os
import sys
import time
from contextlib import suppress

# An environment variable instead of an import: code that the main process imports is not reloaded by `kill -HUP`.
os.environ["BACKFILL_WORKER_STARTS_AFTER_FORK"] = "yes"

# A slow client occupies a thread until its request is complete, so there are more threads than requests that run at the
# same time. deploy/nginx.conf reads requests before it passes them on.
threads = 8
timeout = 60  # seconds; a process that does not respond for so long is replaced
graceful_timeout = 30  # seconds for requests in flight when a process stops
keepalive = 75  # seconds until an idle connection is closed; deploy/nginx.conf closes it earlier, so that none is lost

limit_request_line = 8190  # bytes; longer addresses get 414
limit_request_fields = 100
limit_request_field_size = 8190  # bytes; longer headers get 431

# Clients cannot set SCRIPT_NAME and PATH_INFO by headers. gunicorn accepts them from local addresses by default.
forwarder_headers = ""

control_socket_disable = True  # nothing here uses it, and servers of one user would share its path

_UNREAD_BODY = 2 * 1024 * 1024  # bytes; deploy/nginx.conf refuses larger ones
_UNREAD_BODY_WITHIN = 5  # seconds


def post_request(worker, _request, environ, _response) -> None:  # type: ignore[no-untyped-def]
    """Read the rest of a body that the service refused without reading it.

    gunicorn reads only 64 KB of it and then closes the connection. nginx, which still sends the rest, then answers 502
    instead of passing on the refusal.
    """
    client = environ.get("gunicorn.socket")
    if client is None:
        return
    deadline, left = time.monotonic() + _UNREAD_BODY_WITHIN, _UNREAD_BODY
    try:
        while left > 0 and (seconds := deadline - time.monotonic()) > 0:
            client.settimeout(seconds)
            data = environ["wsgi.input"].read(min(65536, left))
            if not data:
                break
            left -= len(data)
        client.settimeout(None)
    except OSError as exc:
        worker.log.debug("The rest of a body was not received: %s", exc)


# One token for all processes: the one that takes it reports what prevents the start.
_TOKEN, _given = os.pipe()
os.set_blocking(_TOKEN, False)
os.write(_given, b"1")

_BOOT_ERROR = 3  # the exit code after which gunicorn stops instead of starting another process


def _refuse(exc: Exception) -> None:
    """End this process, after one sentence for all of them instead of a traceback for each."""
    with suppress(BlockingIOError):
        os.read(_TOKEN, 1)
        print(f"The service cannot start: {exc}", file=sys.stderr, flush=True)
    sys.exit(_BOOT_ERROR)


def post_fork(_server, _worker) -> None:  # type: ignore[no-untyped-def]
    """Read the settings before the application is loaded. With --preload it is loaded already."""
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
    try:
        settings.configured or settings.DEBUG  # noqa: B018 - the access reads the settings
    except ImproperlyConfigured as exc:
        _refuse(exc)


def post_worker_init(worker) -> None:  # type: ignore[no-untyped-def]
    from backfill.apps import start_worker

    os.environ.pop("SCRIPT_NAME", None)  # the application has read it; gunicorn would refuse paths without it
    os.environ["BACKFILL_SERVER_THREADS"] = str(worker.cfg.threads)  # at most half of them wait for the calendar
    try:
        start_worker()
    except ValueError as exc:  # a setting that only the worker reads
        _refuse(exc)
