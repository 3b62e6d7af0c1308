"""Starts the worker in each process of gunicorn after the fork, with and without --preload.

gunicorn reads this file if it is started in this folder. A configuration of your own needs the same two statements.
"""

import os

# A variable and no import: the main process of gunicorn must not load code that `kill -HUP` is to load again.
os.environ["BACKFILL_WORKER_STARTS_AFTER_FORK"] = "yes"


def post_worker_init(worker: object) -> None:  # noqa: ARG001 - gunicorn passes it
    from backfill.apps import start_worker

    start_worker()
