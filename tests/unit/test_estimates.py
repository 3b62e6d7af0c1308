"""Estimates of the remaining time of a job and of the duration of a plan."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import (
    AllowedHours,
    Estimate,
    JobConfig,
    LimiterReport,
    OutcomeKind,
    Pace,
    PastRun,
    Plan,
    Progress,
    RateLimits,
    ThroughputHistory,
    WaitReason,
    WorkItem,
    estimate_items,
    estimate_requests,
)
from backfill.domain.snapshot import reports_of
from backfill.engine.job_manager import JobManager
from backfill.errors import StorageUnavailable
from backfill.job_types.collection.plan import narrowed
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import DAY, NOW, a_job, a_plan, all_items, an_outcome

REQUESTING = LimiterReport(requests_made=1)
LIMITS = RateLimits(min_delay_ms=0)


def a_history(*steps: tuple[float, float], planned: float = 1000) -> ThroughputHistory:
    """Returns the history after steps of (seconds, work done)."""
    throughput, now, done = ThroughputHistory().begun(NOW), NOW, 0.0
    for seconds, more in steps:
        now, done = now + timedelta(seconds=seconds), done + more
        throughput = throughput.measured(planned, done, now)
    return throughput


def left_of(throughput: ThroughputHistory, limiter: LimiterReport = REQUESTING) -> Estimate:
    left = throughput.left_after(LIMITS, limiter, NOW)
    assert left is not None
    return left


# During a run.


def test_there_is_no_estimate_before_any_work_is_done() -> None:
    assert ThroughputHistory(planned=10).left_after(LIMITS, REQUESTING, NOW) is None
    assert a_history((5, 0)).left_after(LIMITS, REQUESTING, NOW) is None


def test_the_time_left_begins_with_the_estimate_of_the_plan_and_follows_the_measurement_gradually() -> None:
    """A plan of 1,000 s whose first three seconds settled a quarter of what was expected, then all of it."""
    each = Estimate(seconds=1.0, low=0.8, high=1.5)
    planned = ThroughputHistory(planned=1000, expected_each=each).begun(NOW)
    assert planned.left_after(LIMITS, REQUESTING, NOW) == each.times(1000)

    slow = planned.measured(1000, 0.75, NOW + timedelta(seconds=3))
    assert left_of(slow).seconds == pytest.approx(1000, rel=0.2)
    lefts, done, at = [left_of(slow).seconds], 0.75, 3.0
    for _ in range(60):
        done, at = done + 4, at + 4
        slow = slow.measured(1000, done, NOW + timedelta(seconds=at))
        lefts.append(left_of(slow).seconds)
    steps = [abs(after - before) for before, after in itertools.pairwise(lefts)]
    assert max(steps) < 120
    assert lefts[-1] == pytest.approx(1000 - done, rel=0.05)


def test_a_long_measurement_replaces_a_wrong_estimate_of_the_plan() -> None:
    throughput = replace(
        a_history(*[(2, 1)] * 300), expected_each=Estimate(seconds=0.5, low=0.4, high=0.6), planned=1000.0
    )
    assert left_of(throughput).seconds == pytest.approx(2 * 700, rel=0.1)


def test_a_steady_rate_is_expected_to_continue() -> None:
    left = left_of(a_history(*[(2, 1)] * 100))
    assert left.seconds == pytest.approx(2 * 900, rel=0.001)
    assert left.low < left.seconds < left.high
    assert left.high - left.low < 0.2 * left.seconds


def test_an_unsteady_rate_has_a_wider_range() -> None:
    rng = random.Random(3)
    even = left_of(a_history(*[(2, 1)] * 100))
    uneven = left_of(a_history(*((rng.expovariate(0.5), 1) for _ in range(100))))
    assert uneven.high - uneven.low > even.high - even.low


def test_older_measurements_have_less_weight() -> None:
    slower = left_of(a_history(*[(1, 1)] * 100, *[(3, 1)] * 100))
    mean = (100 + 300) / 200 * 800
    assert mean * 1.1 < slower.seconds < 3 * 800
    assert slower.high > 3 * 800


def test_an_outage_is_not_expected_to_repeat() -> None:
    steady = [(1.1, 1.0)] * 100
    outage = left_of(a_history(*steady[:60], *[(1.1, 0.0)] * 40, *steady[60:]))
    assert outage.seconds < 0.95 * (154 / 100 * 900)
    assert outage.low <= 1.1 * 900 <= outage.high


def test_the_estimate_is_never_shorter_than_the_limits_allow() -> None:
    """Progress that arrives in bursts does not raise the estimated rate above the limit."""
    left = left_of(a_history((1, 50), (1, 50), (1, 50)))
    assert left.seconds >= 850 * LIMITS.interval.total_seconds()


def test_a_known_hold_is_added_to_the_estimate() -> None:
    throughput = a_history(*[(2, 1)] * 100)
    held = replace(REQUESTING, waiting_until=NOW + timedelta(minutes=10))
    assert left_of(throughput, held).seconds == pytest.approx(left_of(throughput).seconds + 600)
    assert left_of(throughput, held).low > left_of(throughput).low + 599


def test_time_between_runners_and_outside_the_allowed_hours_is_not_measured() -> None:
    throughput = a_history(*[(1, 1)] * 50)
    later = NOW + timedelta(days=3)
    throughput = throughput.begun(later).measured(1000, 51, later + timedelta(seconds=1))
    assert throughput.seconds == 51
    throughput = throughput.measured(1000, 52, later + timedelta(seconds=301), idle=299)
    assert throughput.seconds == 52


def test_a_jump_of_the_clock_is_not_measured() -> None:
    throughput = a_history((10, 10))
    throughput = throughput.measured(1000, 11, NOW - timedelta(hours=1)).measured(1000, 12, NOW + timedelta(days=400))
    assert throughput.seconds == 10 + 600


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(0, 50)), max_size=300))
def test_the_history_stays_small_and_the_estimate_is_within_its_range(steps: list[tuple[float, float]]) -> None:
    throughput = a_history(*steps, planned=5000)
    assert len(throughput.marks) <= 64
    assert list(throughput.marks) == sorted(throughput.marks)
    left = throughput.left_after(LIMITS, REQUESTING, NOW)
    if left is not None:
        assert 0 <= left.low <= left.seconds <= left.high


def test_the_estimate_is_zero_when_all_work_is_done() -> None:
    assert left_of(a_history(*[(1, 1)] * 20, planned=20)) == Estimate(seconds=0, low=0, high=0)


def test_estimates_include_the_time_outside_the_allowed_hours() -> None:
    night = AllowedHours(time(22), time(6))
    left = Estimate(seconds=3600, low=1800, high=9 * 3600).within(night, NOW)  # 09:26:53 UTC
    until_ten = NOW.replace(hour=22, minute=0, second=0, microsecond=0) - NOW
    assert timedelta(seconds=left.seconds) == until_ten + timedelta(hours=1)
    assert timedelta(seconds=left.low) == until_ten + timedelta(hours=0.5)
    assert timedelta(seconds=left.high) == until_ten + timedelta(hours=24 + 1)


def test_a_hold_until_the_allowed_hours_begin_is_counted_once() -> None:
    night, ten = AllowedHours(time(22), time(6)), NOW.replace(hour=22, minute=0, second=0, microsecond=0)
    throughput = a_history(*[(2, 1)] * 100)
    closed = throughput.left_after(LIMITS, replace(REQUESTING, waiting_until=ten), NOW, night)
    assert closed is not None
    assert closed.seconds == pytest.approx((ten - NOW).total_seconds() + left_of(throughput).seconds)


def test_a_hold_that_ends_outside_the_allowed_hours_does_not_shorten_the_next_ones() -> None:
    night, six = AllowedHours(time(22), time(6)), NOW.replace(hour=6, minute=0, second=0, microsecond=0)
    throughput, now = a_history(*[(2, 1)] * 100), six - timedelta(hours=1)
    left = throughput.left_after(LIMITS, replace(REQUESTING, waiting_until=six + timedelta(hours=2)), now, night)
    assert left is not None
    assert left.seconds == pytest.approx(17 * 3600 + left_of(throughput).seconds)


@pytest.mark.parametrize("hours", [None, AllowedHours(time(22), time(22, 1))])
def test_an_estimate_is_at_most_a_century(hours: AllowedHours | None) -> None:
    """One request, then an outage of eight hours, and a million requests left."""
    left = a_history((1, 1), *[(600, 0)] * 48, planned=1_300_000).left_after(LIMITS, REQUESTING, NOW, hours)
    assert left is not None
    assert {left.low, left.seconds, left.high} == {timedelta(days=36_525).total_seconds()}


def test_the_time_of_a_store_outage_is_measured_once_after_the_outage() -> None:
    """Failed records do not add the waiting time since the last successful record repeatedly."""
    storage, plan = MemoryStorage(), replace(a_plan(4, ("01", "F")), requests=24)
    storage.jobs.put_in(a_job(progress=Progress(total_items=8)), plan)
    claim = JobManager(storage).claim("runner", NOW)
    assert claim is not None
    outside = replace(REQUESTING, waited={WaitReason.OUTSIDE_HOURS: 60.0})
    storage.store.is_down = True
    for seconds in range(10, 310, 10):
        with pytest.raises(StorageUnavailable):
            claim.record((), outside, NOW + timedelta(seconds=seconds))
    storage.store.is_down = False
    claim.record((), outside, NOW + timedelta(seconds=310))
    assert claim.job.progress.throughput.seconds == 310 - 60


# Simulated runs. The limits, the latency and the errors of each run are random.


def simulated(rng: random.Random, error_kind: str) -> list[tuple[float, Estimate]]:
    """Simulates the requests of a run. Returns pairs of true remaining seconds and estimate, from 10 % done."""
    units, limits = (
        rng.choice((300, 1500)),
        RateLimits(max_requests_per_minute=rng.choice((60, 600)), min_delay_ms=0, max_concurrent=rng.choice((1, 3))),
    )
    latency, refused = rng.choice((0.2, 0.5, 2.0)), 0.005 if error_kind == "429" else 0.0
    outage = rng.uniform(0, 0.4) * units if error_kind == "outage" else None
    free, pace, throughput = [0.0] * limits.max_concurrent, Pace(), ThroughputHistory().begun(NOW)
    start = held_until = 0.0
    done, estimates, record = 0, list[tuple[float, int, Estimate | None]](), 1.0
    while done < units:
        at = NOW + timedelta(seconds=start)
        slot = free.index(min(free))
        start = max(start + limits.interval_at(pace.share(at)).total_seconds(), free[slot], held_until)
        if outage is not None and done >= outage:
            start, outage = start + rng.choice((30, 120)), None
        free[slot] = start + latency * rng.lognormvariate(0, 0.4)
        while record <= start:
            now = NOW + timedelta(seconds=record)
            throughput = throughput.measured(units, done, now)
            report = replace(
                REQUESTING, waiting_until=NOW + timedelta(seconds=held_until) if held_until > record else None
            )
            estimates.append((record, done, throughput.left_after(limits, report, now)))
            record += 1 if record < 600 else 5
        if rng.random() < refused:
            at = NOW + timedelta(seconds=start)
            pace, held_until = pace.slowed(at, at), start + rng.choice((0, 20))
        else:
            done += 1
    end = max(free)
    return [(end - at, left) for at, so_far, left in estimates if left is not None and so_far >= units / 10]


def test_estimates_of_simulated_runs_are_accurate_and_their_ranges_contain_the_truth() -> None:
    """The median error is at most 15 %, and 85 % of the ranges contain the true value, as measured by `make bench`."""
    rng, errors, contained = random.Random(7), list[float](), list[bool]()
    for error_kind in ("none", "429", "outage") * 6:
        estimates = simulated(rng, error_kind)
        for truth, left in estimates[:: max(len(estimates) // 40, 1)]:
            errors.append(abs(left.seconds - truth) / max(truth, 1))
            contained.append(left.low <= truth <= left.high)
    assert median(errors) <= 0.15
    assert sum(contained) / len(contained) >= 0.85


# The unit of work.


@pytest.mark.parametrize("district", ["all", "01", "F"])
def test_an_item_needs_a_request_for_each_of_its_reports(district: str) -> None:
    retried = narrowed(replace(a_plan(1, (district,)), requests=99), [WorkItem(DAY, district)])
    assert retried.requests == len(reports_of(district))


def run_of(plan: Plan, each: Callable[[WorkItem], tuple[OutcomeKind, str]]) -> Progress:
    """Settles one item per second."""
    storage, now = MemoryStorage(), NOW
    storage.jobs.put_in(
        a_job(config=JobConfig(start_date=DAY, end_date=DAY, rate_limits=LIMITS), progress=Progress(total_items=9)),
        plan,
    )
    claim = JobManager(storage).claim("runner", NOW)
    assert claim is not None
    for item in all_items(plan):
        now += timedelta(seconds=1)
        kind, reason = each(item)
        claim.note([an_outcome(item, kind, now, reason=reason)])
        claim.record((), REQUESTING, now)
    return claim.job.progress


def test_remaining_work_is_counted_in_requests_without_skipped_items() -> None:
    plan = replace(a_plan(2, ("all", "01", "F")), requests=7 + 3, skipped={"stored": 1})
    throughput = run_of(
        plan,
        lambda item: (OutcomeKind.SKIPPED, "stored") if item.district == "F" else (OutcomeKind.PROCESSED, ""),
    ).throughput
    assert (throughput.planned, throughput.done) == (
        7,
        8,
    )  # one more item than planned was skipped, because it was stored meanwhile
    assert throughput.seconds == 6


def test_work_is_counted_in_items_if_no_requests_are_made() -> None:
    progress = run_of(a_plan(4, ("01", "F")), lambda item: (OutcomeKind.PROCESSED, ""))
    assert (progress.throughput.planned, progress.throughput.done) == (8, 8)
    assert progress.left == Estimate(seconds=0, low=0, high=0)


def test_the_history_continues_across_runners_and_a_cancelled_job_has_no_estimate() -> None:
    storage, plan = MemoryStorage(), a_plan(30, ("01", "F"))
    storage.jobs.put_in(a_job(progress=Progress(total_items=60)), plan)
    now = NOW
    items = iter(all_items(plan))
    for _ in range(2):
        claim = JobManager(storage).claim("runner", now)
        assert claim is not None
        for _ in range(20):
            now += timedelta(seconds=2)
            claim.note([an_outcome(next(items), at=now)])
            claim.record((), LimiterReport(), now)
        claim.release(now)
        now += timedelta(hours=5)
    job = next(iter(storage.jobs.rows.values()))
    assert (job.progress.throughput.seconds, job.progress.throughput.done) == (80, 40)
    assert job.progress.left is not None
    assert job.progress.left.seconds == pytest.approx(40, rel=0.01)
    assert job.cancel_requested(now).progress.left is None


# Before a start.


def past_run(done: float, seconds: float, *, latency: float | None = 0.2, limits: RateLimits = LIMITS) -> PastRun:
    return PastRun(
        throughput=ThroughputHistory(planned=done, done=done, seconds=seconds), limits=limits, latency=latency
    )


def test_without_earlier_jobs_the_duration_follows_from_the_limits() -> None:
    duration = estimate_requests(600, LIMITS, [])
    assert duration.seconds == pytest.approx(603)
    assert duration.low < duration.seconds < duration.high


def test_a_dashboard_slower_than_the_limits_determines_the_duration() -> None:
    slow = past_run(600, 1200, latency=6.0)
    assert estimate_requests(600, LIMITS, [slow]).seconds == pytest.approx(1200)


def test_waiting_time_of_earlier_jobs_is_expected_again_and_widens_the_range() -> None:
    past = [past_run(600, 603 * excess) for excess in (1.0, 1.5, 1.2)]
    duration = estimate_requests(600, LIMITS, past)
    assert duration.seconds == pytest.approx(603 * 1.2)
    assert duration.low <= 603
    assert duration.high >= 603 * 1.5


def test_a_job_that_hardly_began_does_not_affect_the_estimate() -> None:
    assert estimate_requests(600, LIMITS, [past_run(3, 900)]) == estimate_requests(600, LIMITS, [])


def test_the_duration_of_analytics_follows_from_earlier_jobs() -> None:
    assert estimate_items(1000, []).seconds == 5
    duration = estimate_items(1000, [past_run(100, 2, latency=None), past_run(100, 4, latency=None)])
    assert duration.seconds == pytest.approx(30)
    assert duration.low < 20
    assert duration.high > 40
