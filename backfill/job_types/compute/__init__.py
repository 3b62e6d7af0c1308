"""Compute backends: where results are computed. BACKFILL_EXECUTOR selects one.

`base` is the interface, `local`, `processes` and `dask` are the backends, and `tasks` holds the pure functions that
they run.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from urllib.parse import urlsplit

from backfill.job_types.compute.base import ComputeBackend
from backfill.job_types.compute.dask import DaskCompute
from backfill.job_types.compute.local import LocalCompute
from backfill.job_types.compute.processes import ProcessCompute
from backfill.rate_limit import Limiter

EXECUTORS = ("threads", "processes", "tcp://HOST:PORT of a Dask scheduler")
"""The values of BACKFILL_EXECUTOR."""


def executor_error(executor: str) -> str:
    """Why a value of BACKFILL_EXECUTOR is invalid and how to correct it; empty if it is valid."""
    if executor in {"threads", "processes"}:
        return ""
    if not _is_address(executor):
        value = repr(executor) if executor.isidentifier() else "not valid"  # an address may contain a password
        return f"BACKFILL_EXECUTOR is {value}; it must be one of: {', '.join(EXECUTORS)}."
    if find_spec("distributed") is None:
        return (
            f"BACKFILL_EXECUTOR is {executor!r}, a Dask scheduler, but the package distributed is not installed. "
            "Install it as described in docs/dask.md and restart the service."
        )
    return ""


def compute_backend_factory(executor: str) -> Callable[[Limiter], ComputeBackend]:
    """A factory of the backend of a job, which reports waits to the job's limiter.

    Raises ValueError if `executor` is invalid.
    """
    if error := executor_error(executor):
        raise ValueError(error)
    if executor == "threads":
        return lambda _: LocalCompute()
    return (lambda _: ProcessCompute()) if executor == "processes" else (lambda limiter: DaskCompute(executor, limiter))


def _is_address(executor: str) -> bool:
    try:
        parts = urlsplit(executor)
        port = parts.port
    except ValueError:
        return False
    rest = (parts.path, parts.query, parts.fragment, parts.username, parts.password)
    return parts.scheme == "tcp" and bool(parts.hostname) and bool(port) and not any(rest)
