"""Starts the worker in each process of gunicorn after the fork, with and without --preload.

gunicorn reads this file if it is started in this folder. Another configuration file needs the same statements.
"""

import os

# An environment variable instead of an import: code that the main process imports is not reloaded by `kill -HUP`.
os.environ["BACKFILL_WORKER_STARTS_AFTER_FORK"] = "yes"


def post_worker_init(worker) -> None:  # type: ignore[no-untyped-def]
    from backfill.apps import start_worker

    os.environ["BACKFILL_SERVER_THREADS"] = str(worker.cfg.threads)  # at most half of them wait for the calendar
    start_worker()
