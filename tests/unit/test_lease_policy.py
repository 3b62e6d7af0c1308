"""The lease policy: it defines all times of a lease, and every rule and process uses the policy it is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pytest_django import Settings

from adminui.permissions import Permissions
from adminui.presenters.job_card import etag_of
from adminui.presenters.start_panel import start_blocked
from adminui.presenters.status_message import status_message
from backfill.bootstrap import new_worker, runtime_config
from backfill.domain import (
    Actor,
    Channel,
    Job,
    JobRequest,
    JobType,
    LeasePolicy,
    LimiterReport,
    Outcome,
    Progress,
    Status,
    WorkItem,
    is_alive,
)
from backfill.domain.clock import Clock
from backfill.domain.runtime_config import RuntimeConfig
from backfill.engine.job_manager import JobManager
from backfill.engine.runner import Runner
from backfill.errors import JobConflict
from backfill.rate_limit import Limiter
from backfill.service.commands import BackfillService
from backfill.storage import Change
from tests.memory_storage import MemoryStorage
from tests.short_lease_settings import BACKFILL_LEASE_POLICY as SHORT
from tests.unit.fakes import (
    FAST,
    NOW,
    FakeClock,
    FakeExecution,
    FakeHandler,
    a_job,
    a_plan,
    a_running_job,
    an_outcome,
)
from tests.unit.virtual_clock import VirtualClock

SECOND = timedelta(seconds=1)
QUICKLY_STALE = replace(SHORT, stale_after=10 * SECOND)
PLAN = a_plan()


def a_service(storage: MemoryStorage, policy: LeasePolicy, clock: FakeClock) -> BackfillService:
    return BackfillService(
        storage=storage,
        handlers={JobType.DATA_COLLECTION: FakeHandler(PLAN)},
        config=RuntimeConfig(lease_policy=policy, clock=Clock(now=clock)),
    )


@pytest.mark.parametrize("name", [*LeasePolicy.__dataclass_fields__])
@pytest.mark.parametrize("value", [timedelta(0), -SECOND])
def test_a_duration_that_is_not_positive_is_refused(name: str, value: timedelta) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; it must be longer than 0"):
        LeasePolicy(**{name: value})


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"renew_after": 8 * SECOND}, "renew_after is 0:00:08; at least 2 renewals must fit"),
        ({"duration": 9 * SECOND}, "renew_after is 0:00:05; at least 2 renewals must fit"),
        ({"poll_interval": 15 * SECOND}, "poll_interval is 0:00:15; it must be shorter than the lease of 0:00:15"),
        ({"stale_after": 15 * SECOND}, "stale_after is 0:00:15; it must be longer than the lease of 0:00:15"),
    ],
)
def test_contradictory_durations_are_refused(times: dict[str, timedelta], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LeasePolicy(**times)


def test_durations_at_the_limits_of_the_rules_are_accepted() -> None:
    LeasePolicy(duration=2 * SECOND, renew_after=SECOND, poll_interval=1.9 * SECOND, stale_after=2.1 * SECOND)


def test_claims_renewals_and_records_last_for_the_duration_of_the_policy() -> None:
    job = a_job().claimed("runner", NOW, policy=SHORT)
    assert job.lease is not None
    assert (job.lease.expires_at, job.lease.renewed_at(SHORT)) == (NOW + 3 * SECOND, NOW)
    assert job.is_held(NOW + 2.9 * SECOND)
    assert job.can_be_claimed(NOW + 3 * SECOND)
    renewed = job.renewed(1, NOW + SECOND, SHORT)
    recorded = job.recorded(1, job.progress, 1, NOW + SECOND, is_progress=True, policy=SHORT)
    for later in (renewed, recorded):
        assert later.lease is not None
        assert later.lease.expires_at == NOW + 4 * SECOND
    taken = job.claimed("next", NOW + 5 * SECOND, policy=SHORT)
    assert taken.takeover_seconds == 5


def test_a_job_is_stale_and_displaced_after_the_stale_time_of_the_policy() -> None:
    job = a_running_job(progressed_at=NOW)
    assert not job.is_stale(NOW + 9.9 * SECOND, QUICKLY_STALE)
    assert job.displaced(NOW + 9.9 * SECOND, QUICKLY_STALE) is None
    assert job.is_stale(NOW + 10 * SECOND, QUICKLY_STALE)
    displaced_job = job.displaced(NOW + 10 * SECOND, QUICKLY_STALE)
    assert displaced_job is not None
    assert displaced_job.status is Status.FAILED


def test_a_job_manager_claims_renews_and_takes_over_by_its_policy() -> None:
    storage, seconds = MemoryStorage(), [100.0]
    storage.jobs.put_in(a_job(progress=Progress(total_items=PLAN.total_items)), PLAN)
    claim = JobManager(storage, RuntimeConfig(lease_policy=SHORT)).claim("runner", NOW + timedelta(hours=1))
    assert claim is not None
    assert claim.job.lease is not None
    assert claim.job.lease.expires_at == NOW + timedelta(hours=1) + 3 * SECOND
    recorded = claim.record((), LimiterReport(), NOW + timedelta(hours=1) + SECOND)
    assert recorded.lease is not None
    assert recorded.lease.expires_at == NOW + timedelta(hours=1) + 4 * SECOND
    watching = JobManager(storage, RuntimeConfig(clock=Clock(monotonic=lambda: seconds[0]), lease_policy=SHORT))
    assert watching.claim("next", NOW) is None, "By its own clock the lease ends in an hour."
    seconds[0] += 2.9
    assert watching.claim("next", NOW) is None
    seconds[0] += 0.1
    taken = watching.claim("next", NOW)
    assert taken is not None
    assert (taken.job.token, taken.job.takeovers) == (2, 1)


def test_a_runner_renews_its_lease_by_the_policy_of_its_claim() -> None:
    storage, clock = MemoryStorage(), VirtualClock.at()
    policy = LeasePolicy(duration=SECOND, renew_after=0.4 * SECOND, poll_interval=0.1 * SECOND)
    storage.jobs.put_in(a_job(progress=Progress(total_items=1)), a_plan(1, ("01",)))
    claim = JobManager(storage, RuntimeConfig(clock=clock, lease_policy=policy)).claim("runner", clock.now())
    assert claim is not None
    enough = clock.event()
    renewals: list[Job] = []
    update = storage.jobs.update

    def counted(*args: object, **options: object) -> Change[Job]:
        changed = update(*args, **options)  # type: ignore[arg-type]
        renewals.append(changed.after)
        if len(renewals) >= 3:
            enough.set()
        return changed

    storage.jobs.update = counted  # type: ignore[method-assign]

    def do(item: WorkItem) -> Outcome:
        in_time.append(enough.wait(1.3))
        return an_outcome(item, at=clock.now())

    execution, in_time = FakeExecution(do), list[bool]()
    limiter = Limiter(FAST, storage.control.update_schedule, clock=clock)
    Runner(claim, execution, limiter, stop=clock.event(), disconnect=lambda: None).run()
    assert in_time == [True]


def test_a_service_displaces_jobs_by_its_policy_and_passes_it_to_its_worker() -> None:
    storage, clock = MemoryStorage(), FakeClock()
    service = a_service(storage, QUICKLY_STALE, clock)
    request = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=PLAN.days[0].date, end_date=PLAN.days[-1].date)
    ann = Actor("ann", Channel.API)
    first = service.start(request, by=ann).job
    clock.forward(seconds=9)
    with pytest.raises(JobConflict):
        service.start(request, by=ann)
    assert not service.is_stale(first)
    clock.forward(seconds=1)
    assert service.is_stale(first)
    second = service.start(request, by=ann).job
    assert storage.jobs.rows[first.id].status is Status.FAILED
    worker = new_worker(service)
    assert worker._manager.claim(worker.owner, clock()) is not None
    lease = storage.jobs.rows[second.id].lease
    assert lease is not None
    assert lease.expires_at == clock() + 3 * SECOND
    clock.forward(seconds=2)
    assert service.worker_seen_at() == clock() - 2 * SECOND
    assert service.service_status().lease_renewed_at == clock() - 2 * SECOND


def test_a_worker_is_missing_after_three_heartbeats_of_the_policy() -> None:
    policy = LeasePolicy(heartbeat=2 * SECOND)
    assert is_alive(NOW - 5.9 * SECOND, NOW, policy)
    assert not is_alive(NOW - 6 * SECOND, NOW, policy)


def test_the_admin_shows_a_job_as_stale_by_the_policy() -> None:
    job, later = a_running_job(progressed_at=NOW), NOW + timedelta(minutes=2)
    policy = LeasePolicy(stale_after=timedelta(minutes=2))
    permissions = Permissions(can_start=True, can_change=True, can_change_limits=True)
    assert status_message(job, later, policy=policy).lead == "No progress for 2 minutes."
    assert status_message(job, later).kind != "stale"
    assert start_blocked(job, permissions, later) != ""
    assert start_blocked(job, permissions, later, policy) == ""
    assert etag_of(job, permissions, later, policy=policy) != etag_of(job, permissions, later)


def test_the_service_of_a_process_uses_the_policy_of_the_settings(settings: Settings) -> None:
    assert runtime_config().lease_policy == LeasePolicy()
    settings.BACKFILL_LEASE_POLICY = SHORT
    assert runtime_config().lease_policy == SHORT
