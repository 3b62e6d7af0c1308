"""Results computed on a Dask cluster of real processes: the same as here, and nothing lost when it goes away."""

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

PATIENCE = 120.0
"""Seconds after which a test fails. ProcessCompute start and answer as slowly as a busy machine makes them."""

DISTRICTS = [f"{number:02d}" for number in range(1, 40)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """One that nobody harms."""
    dask = DaskCluster(tmp_path_factory.mktemp("dask"))
    dask.start()
    yield dask
    dask.kill()


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[DaskCluster]:
    """One that is not started yet, and may be harmed."""
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
    assert eventually(lambda: not any(one.name in names for one in threading.enumerate()), PATIENCE)


def sources() -> list[ComputeInput]:
    found = [ComputeInput(snapshot=a_district(district=f"{n:02d}", clubs=some_clubs(n))) for n in range(1, 6)]
    return [ComputeInput(snapshot=a_summary()), *found, ComputeInput(snapshot=broken(a_district()))]


class Computing:
    """An analytics job in a thread, over a store in memory."""

    def __init__(self, executor: str, days: int = 2) -> None:
        self.storage = MemoryStorage()
        self.snapshots = self.storage.snapshots
        for day in (DAY + timedelta(days=n) for n in range(days)):
            for snapshot in (a_summary(day), *(a_district(day, name) for name in DISTRICTS)):
                self.snapshots.rows[day, snapshot.district] = snapshot
        work = AnalyticsHandler(self.storage, compute_backend_factory(executor), now=utc_now)
        config = JobConfig(start_date=None, end_date=None)
        self.plan = work.plan(config, utc_now())
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
        execution = work.execute(claim.job, claim.fence, self.limiter)
        self.stop = threading.Event()
        runner = Runner(claim, execution, self.limiter, stop=self.stop, disconnect=control.disconnect)
        self._thread = threading.Thread(target=runner.run, daemon=True)

    def begun(self) -> Computing:
        self._thread.start()
        return self

    @property
    def job(self) -> Job:
        return self.storage.jobs.rows[self._id]

    def is_held(self) -> bool:
        return self.job.progress.limiter.state is LimiterState.BACKING_OFF

    def ended(self, within: float = PATIENCE) -> Job:
        self._thread.join(within)
        assert not self._thread.is_alive()
        return self.job

    def check_whole(self) -> None:
        """Every item processed, in the ledger once, and with the bytes that threads compute."""
        assert self.job.status is Status.COMPLETED
        ledger = self.storage.ledger.of(self._id)
        assert Counter(outcome.item for outcome in ledger) == Counter(all_items(self.plan))
        assert {str(outcome.kind) for outcome in ledger} == {"processed"}
        here = Computing("threads").begun()
        assert here.ended().status is Status.COMPLETED
        bodies = {key: result.body for key, result in self.storage.results.rows.items()}
        assert bodies == {key: result.body for key, result in here.storage.results.rows.items()}
        assert len(bodies) == self.plan.total_items


def test_a_cluster_gives_the_bytes_that_threads_give(
    running: DaskCluster, cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]]
) -> None:
    dask, limiter = cluster_of(running)
    given = sources()
    there, here = dask.compute(given), LocalCompute().compute(given)
    assert there[:-1] == here[:-1]
    assert all(isinstance(one, ComputeOutput) for one in there[:-1])
    assert (type(there[-1]), str(there[-1])) == (type(here[-1]), str(here[-1]))
    (fault,) = dask.compute([ComputeInput(snapshot=a_district(), summary=5)])  # type: ignore[arg-type]
    assert isinstance(fault, AttributeError | TypeError)
    assert "tasks.py" in str(fault.__notes__)
    assert dask.concurrency == 2
    assert limiter.report().state is LimiterState.IDLE


def test_a_job_computes_on_the_cluster_as_it_does_in_threads(running: DaskCluster) -> None:
    computing = Computing(running.address).begun()
    computing.ended()
    computing.check_whole()


def test_a_cluster_that_is_killed_in_the_middle_costs_no_item_and_doubles_none(doomed: DaskCluster) -> None:
    """R10.3: it is killed while a bundle is on its way; the job holds and says why, and goes on when it is back."""
    computing = Computing(doomed.address)
    doomed.start()
    put_results, kills = computing.storage.results.put, list[int]()

    def put_and_kill(results: Any, **options: Any) -> None:
        put_results(results, **options)
        if not kills:
            kills.append(len(computing.storage.results.rows))
            doomed.kill()

    computing.storage.results.put = put_and_kill  # type: ignore[method-assign]
    computing.begun()
    assert eventually(lambda: kills, PATIENCE)
    # It may have been held before, too: on a busy machine the scheduler is up later than the job begins.
    assert eventually(lambda: computing.limiter.is_holding and computing.is_held(), PATIENCE)
    limiter = computing.job.progress.limiter
    assert limiter.reason.startswith(f"The Dask scheduler at {doomed.address} does not answer (")
    assert limiter.waiting_until is not None
    assert computing.limiter.is_holding
    assert computing.job.progress.processed < computing.plan.total_items
    doomed.start()
    job = computing.ended()
    assert job.progress.limiter.waited[WaitReason.CLUSTER] > 0
    computing.check_whole()


@pytest.mark.parametrize(("status", "end"), [(Status.CANCELLED, "cancel"), (Status.PENDING, "stop")])
def test_a_job_without_its_cluster_is_stopped_at_once(
    doomed: DaskCluster, status: Status, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens at the address. R7.2"""
    monkeypatch.setattr(cluster_module, "_RESPONSE_TIMEOUT", 0.5)
    monkeypatch.setattr(cluster_module, "_RETRY_INTERVAL", 10 * PATIENCE)  # what ends before that was stopped
    computing = Computing(doomed.address).begun()
    assert eventually(computing.is_held, PATIENCE)
    if end == "stop":
        computing.stop.set()
    else:
        computing.storage.jobs.update(computing.job.id, lambda job: job.cancel_requested(utc_now()))
    assert computing.ended().status is status
    assert computing.job.progress.settled_items == 0
    assert eventually(lambda: not any(one.name == "backfill-dask" for one in threading.enumerate()), PATIENCE)


def wait_for_hold(dask: DaskCompute, limiter: Limiter, says: str) -> str:
    """What the limiter says once the cluster is found to be away; and that the wait can be ended.

    A busy machine may let the cluster answer too late, which is another reason to hold; it is tried again then.
    """
    ends: list[BaseException] = []

    def try_it() -> None:
        try:
            dask.compute(sources())
        except BaseException as exc:  # noqa: BLE001 - the test looks at it
            ends.append(exc)

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    assert eventually(lambda: limiter.is_holding and says in limiter.report().reason, PATIENCE)
    said = limiter.report().reason
    limiter.drain()
    began = time.monotonic()
    thread.join(PATIENCE)
    assert time.monotonic() - began < cluster_module._RETRY_INTERVAL / 2
    assert [type(end) for end in ends] == [Stopped]
    return said


def test_a_scheduler_that_is_frozen_is_told_from_one_that_works(
    doomed: DaskCluster,
    cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes what is sent and answers nothing; nor does it answer who comes anew."""
    doomed.start()
    dask, limiter = cluster_of(doomed)
    assert dask.compute(sources())[0] == compute(sources())[0]
    monkeypatch.setattr(cluster_module, "_RESPONSE_TIMEOUT", 0.5)
    monkeypatch.setattr(cluster_module, "_STATUS_INTERVAL", 0.3)
    monkeypatch.setattr(cluster_module, "_RETRY_INTERVAL", PATIENCE)
    doomed.freeze()
    wait_for_hold(dask, limiter, "does not answer")
    dask, limiter = cluster_of(doomed)
    wait_for_hold(dask, limiter, "does not answer")


def test_a_scheduler_without_workers_is_said_to_have_none(
    doomed: DaskCluster,
    cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_module, "_STATUS_INTERVAL", 0.1)
    monkeypatch.setattr(cluster_module, "_WORKERS_TIMEOUT", 0.3)
    monkeypatch.setattr(cluster_module, "_RESPONSE_TIMEOUT", PATIENCE)  # until the scheduler is up
    monkeypatch.setattr(cluster_module, "_RETRY_INTERVAL", PATIENCE / 4)
    doomed.start(workers=0)
    dask, limiter = cluster_of(doomed)
    wait_for_hold(dask, limiter, f"The Dask scheduler at {doomed.address} has no worker. Start one")


def test_workers_of_another_version_of_the_rules_are_not_used(
    running: DaskCluster,
    cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_module, "SCHEMA_VERSION", 1_000)
    monkeypatch.setattr(cluster_module, "_RETRY_INTERVAL", PATIENCE / 4)
    dask, limiter = cluster_of(running)
    said = wait_for_hold(dask, limiter, "has schema version")
    assert "with the same version." in said


def _die(*_: object) -> Any:
    os._exit(1)


class Deadly(Mapping[str, str]):
    """A row that kills the process that reads it."""

    __getitem__ = __iter__ = __len__ = _die


def test_an_item_that_kills_its_worker_fails_alone(
    running: DaskCluster,
    cluster_of: Callable[[DaskCluster], tuple[DaskCompute, Limiter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "_ATTEMPTS_ALONE", 1)
    dask, _ = cluster_of(running)
    given = [ComputeInput(snapshot=a_summary()), ComputeInput(snapshot=a_district(), summary=Deadly())]
    whole, died = dask.compute(given)
    assert whole == compute(given[:1])[0]
    assert isinstance(died, ComputeProcessDied)
