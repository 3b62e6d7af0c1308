"""Starts the worker in each process of gunicorn after the fork, with and without --preload.

gunicorn reads this file if it is started in this folder. A configuration of your own needs the same statements.
"""

import os

# A variable and no import: the main process of gunicorn must not load code that `kill -HUP` is to load again.
os.environ["BACKFILL_WORKER_STARTS_AFTER_FORK"] = "yes"


def post_worker_init(worker) -> None:  # type: ignore[no-untyped-def]
    from backfill.apps import start_worker

    os.environ["BACKFILL_SERVER_THREADS"] = str(worker.cfg.threads)  # at most half of them wait for the calendar
    start_worker()
