"""Computing results in threads and processes, also if a process dies."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from backfill.job_types import compute as compute_package
from backfill.job_types.compute import compute_backend_factory, executor_error
from backfill.job_types.compute.base import ComputeProcessDied
from backfill.job_types.compute.dask import DaskCompute
from backfill.job_types.compute.local import LocalCompute
from backfill.job_types.compute.processes import ProcessCompute
from backfill.job_types.compute.tasks import ComputeInput, ComputeOutput, Results, compute
from backfill.rate_limit import Limiter
from tests.memory_storage import MemoryStorage
from tests.unit.analytics.builders import some_clubs
from tests.unit.fakes import FAST, eventually
from tests.unit.stored_snapshots import a_district, a_summary, broken


def sources(count: int = 3) -> list[ComputeInput]:
    found = [ComputeInput(snapshot=a_district(district=f"{n:02d}", clubs=some_clubs(n))) for n in range(1, count + 1)]
    return [ComputeInput(snapshot=a_summary()), *found, ComputeInput(snapshot=broken(a_district()))]


def same(left: Results, right: Results) -> bool:
    """Compares results. Errors are equal if their types and messages are equal."""
    return [one if isinstance(one, ComputeOutput) else (type(one), str(one)) for one in left] == [
        one if isinstance(one, ComputeOutput) else (type(one), str(one)) for one in right
    ]


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessCompute]:
    compute_backend = ProcessCompute()
    yield compute_backend
    compute_backend.close()


def test_processes_and_threads_compute_the_same_results(processes: ProcessCompute) -> None:
    given = sources()
    assert same(processes.compute(given), LocalCompute().compute(given))
    assert isinstance(processes.compute(given)[-1], Exception)


def test_bundles_of_several_threads_are_computed_concurrently(processes: ProcessCompute) -> None:
    given = [sources(n) for n in range(1, 7)]
    found: dict[int, Results] = {}
    threads = [
        threading.Thread(target=lambda n=n, one=one: found.update({n: processes.compute(one)}))
        for n, one in enumerate(given)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(same(found[n], compute(one)) for n, one in enumerate(given))


def children(compute_backend: ProcessCompute) -> list[int]:
    pool = compute_backend._pool
    assert isinstance(pool, ProcessPoolExecutor)
    return list(pool._processes or ())


def test_a_killed_process_loses_no_results() -> None:
    compute_backend = ProcessCompute()
    try:
        compute_backend.compute(sources(1))
        for pid in children(compute_backend):
            os.kill(pid, signal.SIGKILL)
        given = sources(4)
        assert same(compute_backend.compute(given), compute(given))
    finally:
        compute_backend.close()


def test_closing_the_backend_ends_its_processes() -> None:
    compute_backend = ProcessCompute()
    compute_backend.compute(sources(1))
    pids = children(compute_backend)
    compute_backend.close()
    assert eventually(lambda: not any(_is_alive(pid) for pid in pids), 20)
    compute_backend.close()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class BreakingPool(ProcessPoolExecutor):
    """A pool that computes in this process and breaks at one district."""

    def __init__(self) -> None:
        pass

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        (given,) = args
        if any(source.snapshot.district == "02" for source in given):
            future.set_exception(BrokenProcessPool("A process in the process pool was terminated abruptly."))
        else:
            future.set_result(fn(given))
        return future

    def shutdown(self, *_: Any, **__: Any) -> None:
        pass


def test_only_the_item_that_kills_its_process_fails() -> None:
    given = sources(3)
    results = ProcessCompute(BreakingPool).compute(given)
    died = [source.snapshot.district for source, one in zip(given, results, strict=True) if _died(one)]
    assert died == ["02"]
    alive = [(source, one) for source, one in zip(given, results, strict=True) if not _died(one)]
    assert same([one for _, one in alive], compute([source for source, _ in alive]))


def _died(one: ComputeOutput | Exception) -> bool:
    return isinstance(one, ComputeProcessDied) and one.code == "COMPUTING_DIED"


def test_an_error_in_a_process_contains_its_traceback(
    processes: ProcessCompute, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log then names the place of the error."""
    (fault,) = processes.compute([ComputeInput(snapshot=a_district(), summary=5)])  # type: ignore[arg-type]
    assert isinstance(fault, Exception)
    logging.getLogger("test").error("It failed.", exc_info=fault)
    assert "tasks.py" in caplog.text


def a_limiter() -> Limiter:
    return Limiter(FAST, MemoryStorage().control.update_schedule)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "fibres",
        "tcp://",
        "tcp://host",
        "tcp://:8786",
        "tcp://host:0",
        "tcp://host:port",
        "tcp://host:99999",
        "tcp://[::1:8786",
        "tcp://operator@host:8786",
        "tcp://host:8786/path",
        "http://host:8787",
        "host:8786",
    ],
)
def test_an_invalid_executor_is_refused(name: str) -> None:
    message = r"BACKFILL_EXECUTOR is .* must be one of: threads, processes, tcp://HOST:PORT of a Dask scheduler\."
    with pytest.raises(ValueError, match=message):
        compute_backend_factory(name)


@pytest.mark.parametrize("address", ["tcp://host:8786", "tcp://10.0.0.1:1", "tcp://[::1]:8786"])
def test_each_executor_is_selected_by_its_name(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_package, "find_spec", lambda name: object())
    assert isinstance(compute_backend_factory("threads")(a_limiter()), LocalCompute)
    assert isinstance(compute_backend_factory("processes")(a_limiter()), ProcessCompute)
    dask = compute_backend_factory(address)(a_limiter())
    assert isinstance(dask, DaskCompute)
    dask.close()


def test_a_dask_scheduler_is_refused_if_the_package_distributed_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compute_package, "find_spec", lambda name: None)
    assert "the package distributed is not installed. Install it" in executor_error("tcp://host:8786")
    assert executor_error("threads") == ""


def test_the_dask_packages_are_imported_only_if_a_cluster_is_configured() -> None:
    """The service does not import distributed, and a Dask worker does not import Django, in a new process."""
    look = "import sys, {}; print([name for name in ('distributed', 'django', 'requests') if name in sys.modules])"
    for module in ("backfill.job_types.compute.local", "backfill.job_types.compute.dask"):
        process = subprocess.run(
            [sys.executable, "-c", look.format(module)], capture_output=True, text=True, check=True, timeout=60
        )
        assert process.stdout.strip() == "[]", module
