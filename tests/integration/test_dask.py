"""Results computed on a Dask cluster of real processes: same bytes as local results, and no losses in outages."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backfill.domain import (
    Job,
    JobConfig,
    JobType,
    LimiterState,
    Progress,
    Status,
    WaitReason,
)
from backfill.engine.job_manager import JobManager
from backfill.engine.runner import Runner
from backfill.errors import Stopped
from backfill.job_types.analytics.handler import AnalyticsHandler
from backfill.job_types.compute import base, compute_backend_factory
from backfill.job_types.compute import dask as cluster_module
from backfill.job_types.compute.base import ComputeProcessDied
from backfill.job_types.compute.dask import DaskCompute
from backfill.job_types.compute.local import LocalCompute
from backfill.job_types.compute.tasks import ComputeInput, ComputeOutput, compute
from backfill.rate_limit import Limiter
from tests.dask_cluster import DaskCluster
from tests.memory_storage import MemoryStorage
from tests.unit.analytics.builders import some_clubs
from tests.unit.fakes import DAY, FAST, a_job, all_items, eventually, utc_now
from tests.unit.stored_snapshots import a_district, a_summary, broken

pytest.importorskip("distributed", reason="The extra dask is not installed; make setup does it.")

TIMEOUT = 120.0
"""Seconds after which a test fails. On a busy machine, processes start and respond slowly."""

DISTRICTS = [f"{number:02d}" for number in range(1, 40)]
DAYS = 8
"""A bundle each: when the first one is stored, some are not computed yet."""


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Yield a cluster that tests do not stop."""
    dask = DaskCluster(tmp_path_factory.mktemp("dask"))
    dask.start()
    yield dask
    dask.kill()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """Yield a cluster that is not started yet, and that a test may stop."""
    dask = DaskCluster(tmp_path)
    yield dask
    dask.kill()


def a_limiter(storage: MemoryStorage | None = None) -> Limiter:
    return Limiter(FAST, (storage or MemoryStorage()).control.update_schedule)


@pytest.fixture
def cluster_of() -> Iterator[Callable[[DaskCluster], tuple[DaskCompute, Limiter]]]:
    made: list[tuple[DaskCompute, Limiter]] = []

    def make(dask: DaskCluster) -> tuple[DaskCompute, Limiter]:
        limiter = a_limiter()
        made.append((DaskCompute(dask.address, limiter), limiter))
        return made[-1]

    yield make
    for dask, limiter in made:
        limiter.stop()
        dask.close()
    names = {"backfill-dask", "IO loop"}
    assert eventually(lambda: not any(one.name in names for one in threading.enumerate()), TIMEOUT)


def compute_inputs() -> list[ComputeInput]:
    districts = [ComputeInput(snapshot=a_district(district=f"{n:02d}", clubs=some_clubs(n))) for n in range(1, 6)]
    return [ComputeInput(snapshot=a_summary()), *districts, ComputeInput(snapshot=broken(a_district()))]


class AnalyticsRun:
    """An analytics job that runs in a thread, over a store in memory."""

    def __init__(self, executor: str) -> None:
        self.storage = MemoryStorage()
        self.snapshots = self.storage.snapshots
        for day in (DAY + timedelta(days=n) for n in range(DAYS)):
            for snapshot in (a_summary(day), *(a_district(day, name) for name in DISTRICTS)):
                self.snapshots.rows[day, snapshot.district] = snapshot
        handler = AnalyticsHandler(self.storage, compute_backend_factory(executor), now=utc_now)
        config = JobConfig(start_date=None, end_date=None)
        self.plan = handler.plan(config, utc_now())
        now, control = utc_now(), self.storage.control
        self.storage.jobs.put_in(
            a_job(
                job_type=JobType.ANALYTICS_GENERATION,
                created_at=now,
                progressed_at=now,
                config=config,
                progress=Progress(total_items=self.plan.total_items),
            ),
            self.plan,
        )
        claim = JobManager(self.storage).claim("runner", now)
        assert claim is not None
        self._id = claim.job.id
        self.limiter = Limiter(FAST, lambda change: control.update_schedule(change, fence=claim.fence))
        execution = handler.execute(claim.job, claim.fence, self.limiter)
        self.stop = threading.Event()
        runner = Runner(claim, execution, self.limiter, stop=self.stop, disconnect=control.disconnect)
        self._thread = threading.Thread(target=runner.run, daemon=True)

    def start(self) -> AnalyticsRun:
        self._thread.start()
        return self

    @property
    def job(self) -> Job:
        return self.storage.jobs.rows[self._id]

    def is_held(self) -> bool:
        return self.job.progress.limiter.state is LimiterState.BACKING_OFF

    def ended(self, within: float = TIMEOUT) -> Job:
        self._thread.join(within)
        assert not self._thread.is_alive()
        return self.job

    def check_complete(self) -> None:
        """Assert that every item is processed, is in the ledger once, and has the bytes that threads compute."""
        assert self.job.status is Status.COMPLETED
        ledger = self.storage.ledger.of(self._id)
        assert Counter(outcome.item for outcome in ledger) == Counter(all_items(self.plan))
        assert {str(outcome.kind) for outcome in ledger} == {"processed"}
        local = AnalyticsRun("threads").start()
        assert local.ended().status is Status.COMPLETED
        bodies = {key: result.body for key, result in self.storage.results.rows.items()}
        assert bodies == {key: result.body for key, result in local.storage.results.rows.items()}
        assert len(bodies) == self.plan.total_items


def test_a_cluster_computes_the_same_bytes_as_threads(
    shared_cluster: DaskCluster, cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]]
) -> None:
    dask, limiter = cluster_of(shared_cluster)
    inputs = compute_inputs()
    remote, local = dask.compute(inputs), LocalCompute().compute(inputs)
    assert remote[:-1] == local[:-1]
    assert all(isinstance(one, ComputeOutput) for one in remote[:-1])
    assert (type(remote[-1]), str(remote[-1])) == (type(local[-1]), str(local[-1]))
    (error,) = dask.compute([ComputeInput(snapshot=a_district(), summary=5)])  # type: ignore[arg-type]
    assert isinstance(error, AttributeError | TypeError)
    assert "tasks.py" in str(error.__notes__)
    assert dask.concurrency == 2
    assert limiter.report().state is LimiterState.IDLE


def test_a_job_on_the_cluster_has_the_same_results_as_in_threads(shared_cluster: DaskCluster) -> None:
    run = AnalyticsRun(shared_cluster.address).start()
    run.ended()
    run.check_complete()


def test_a_kill_of_the_cluster_during_a_job_loses_and_duplicates_no_item(own_cluster: DaskCluster) -> None:
    """R10.3: the kill happens while a bundle is computed. The job waits, reports the reason, and continues later."""
    run = AnalyticsRun(own_cluster.address)
    own_cluster.start()
    put_results, kills = run.storage.results.put, list[int]()

    def put_and_kill(results: Any, **options: Any) -> None:
        put_results(results, **options)
        if not kills:
            kills.append(len(run.storage.results.rows))
            own_cluster.kill()

    run.storage.results.put = put_and_kill  # type: ignore[method-assign]
    run.start()
    assert eventually(lambda: kills, TIMEOUT)
    # It may also have waited before: on a busy machine the scheduler may start later than the job.
    assert eventually(lambda: run.limiter.is_holding and run.is_held(), TIMEOUT)
    limiter = run.job.progress.limiter
    assert limiter.reason.startswith(f"The Dask scheduler at {own_cluster.address} does not answer (")
    assert limiter.waiting_until is not None
    assert run.limiter.is_holding
    assert run.job.progress.processed < run.plan.total_items
    own_cluster.start()
    job = run.ended()
    assert job.progress.limiter.waited[WaitReason.CLUSTER] > 0
    run.check_complete()


@pytest.mark.parametrize(("status", "end"), [(Status.CANCELLED, "cancel"), (Status.PENDING, "stop")])
def test_a_job_that_waits_for_its_cluster_stops_immediately(
    own_cluster: DaskCluster, status: Status, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R7.2: nothing listens at the address of the cluster."""
    monkeypatch.setattr(cluster_module, "_RESPONSE_TIMEOUT", 0.5)
    monkeypatch.setattr(cluster_module, "_RETRY_INTERVAL", 10 * TIMEOUT)  # a job that ends before that was stopped
    run = AnalyticsRun(own_cluster.address).start()
    assert eventually(run.is_held, TIMEOUT)
    if end == "stop":
        run.stop.set()
    else:
        run.storage.jobs.update(run.job.id, lambda job: job.cancel_requested(utc_now()))
    assert run.ended().status is status
    assert run.job.progress.settled_items == 0
    assert eventually(lambda: not any(one.name == "backfill-dask" for one in threading.enumerate()), TIMEOUT)


def wait_for_hold(dask: DaskCompute, limiter: Limiter, reason: str) -> str:
    """Return the reason of the limiter once the cluster is unavailable, and assert that the wait can be ended.

    On a busy machine the cluster may first respond too late, which is another reason; the call is then retried.
    """
    errors: list[BaseException] = []

    def compute_inputs_remotely() -> None:
        try:
            dask.compute(compute_inputs())
        except BaseException as exc:  # noqa: BLE001 - the main thread checks it
            errors.append(exc)

    thread = threading.Thread(target=compute_inputs_remotely, daemon=True)
    thread.start()
    assert eventually(lambda: limiter.is_holding and reason in limiter.report().reason, TIMEOUT)
    reported = limiter.report().reason
    limiter.drain()
    began = time.monotonic()
    thread.join(TIMEOUT)
    assert time.monotonic() - began < cluster_module._RETRY_INTERVAL / 2
    assert [type(error) for error in errors] == [Stopped]
    return reported


def test_a_frozen_scheduler_is_detected(
    own_cluster: DaskCluster,
    cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It accepts data and answers nothing, on open and on new connections."""
    own_cluster.start()
    dask, limiter = cluster_of(own_cluster)
    assert dask.compute(compute_inputs())[0] == compute(compute_inputs())[0]
    monkeypatch.setattr(cluster_module, "_RESPONSE_TIMEOUT", 0.5)
    monkeypatch.setattr(cluster_module, "_STATUS_INTERVAL", 0.3)
    monkeypatch.setattr(cluster_module, "_RETRY_INTERVAL", TIMEOUT)
    own_cluster.freeze()
    wait_for_hold(dask, limiter, "does not answer")
    dask, limiter = cluster_of(own_cluster)
    wait_for_hold(dask, limiter, "does not answer")


def test_a_scheduler_without_workers_is_reported(
    own_cluster: DaskCluster,
    cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_module, "_STATUS_INTERVAL", 0.1)
    monkeypatch.setattr(cluster_module, "_WORKERS_TIMEOUT", 0.3)
    monkeypatch.setattr(cluster_module, "_RESPONSE_TIMEOUT", TIMEOUT)  # until the scheduler has started
    monkeypatch.setattr(cluster_module, "_RETRY_INTERVAL", TIMEOUT / 4)
    own_cluster.start(workers=0)
    dask, limiter = cluster_of(own_cluster)
    wait_for_hold(dask, limiter, f"The Dask scheduler at {own_cluster.address} has no worker. Start one")


def test_workers_with_another_schema_version_are_not_used(
    shared_cluster: DaskCluster,
    cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_module, "SCHEMA_VERSION", 1_000)
    monkeypatch.setattr(cluster_module, "_RETRY_INTERVAL", TIMEOUT / 4)
    dask, limiter = cluster_of(shared_cluster)
    reason = wait_for_hold(dask, limiter, "has schema version")
    assert "with the same version." in reason


def _die(*_: object) -> Any:
    os._exit(1)


class CrashingRow(Mapping[str, str]):
    """A row that ends the process that reads it."""

    __getitem__ = __iter__ = __len__ = _die


def test_an_item_that_crashes_its_worker_fails_alone(
    shared_cluster: DaskCluster,
    cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "_ATTEMPTS_ALONE", 1)
    dask, _ = cluster_of(shared_cluster)
    inputs = [ComputeInput(snapshot=a_summary()), ComputeInput(snapshot=a_district(), summary=CrashingRow())]
    output, crash = dask.compute(inputs)
    assert output == compute(inputs[:1])[0]
    assert isinstance(crash, ComputeProcessDied)
