"""Estimates of the remaining time: from the rest of the plan, the throughput so far, holds and allowed hours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from backfill.domain.allowed_hours import MAX_DURATION, AllowedHours
from backfill.domain.limiter_status import LimiterReport
from backfill.domain.rate_limits import RateLimits

_MAX_MARKS = 64
"""Above this number every second mark is dropped, which doubles the distance between marks."""

_LONGEST_STEP = timedelta(minutes=10)
"""A runner measures every few seconds. Longer steps come from an unavailable store or a clock that was set."""

_BLOCKS = 10
"""Periods of the history that are compared with each other."""

_HALF_LIFE = 0.35
"""Share of the history after which the weight of a period is halved."""

_OUTAGE_WEIGHT = 0.4
"""Weight of a period with little throughput, such as an outage, which may not happen again."""

_UPPER_FACTOR = 1.5
"""The range extends further up than down by this factor, because problems only delay a job."""

_LARGEST_FACTOR = 4
"""The lower end of the range is at most this factor away; with an estimate of the plan, the upper end as well."""

_STUDENT = 1.83
"""Student's t for a 90 % interval over ten periods."""

_LEAST_SPREAD = 0.06
"""The minimum relative uncertainty in both directions."""

_MIN_SAMPLE = 30
"""Units of work from which an earlier job is used for the estimate of the next."""

_FIRST_RUN_FACTOR = 1.3
"""How much longer than its limits require a job may take if no earlier job is known."""

_COMPUTE_SPREAD = 0.3
"""The relative uncertainty of computing times."""

_TRUST_AFTER = 60.0
"""Seconds of work after which a measurement counts as much as the estimate of the plan; less in a short job."""

_TRUST_AFTER_SHARE = 0.1
"""The same as a share of the estimated duration, for jobs shorter than ten minutes."""

_SECONDS_A_RESULT = 0.005
"""Assumed time per result without a measurement."""

_SECONDS_A_REQUEST = 0.3
"""Assumed latency without a measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds, with a 90 % interval."""

    seconds: float
    low: float
    high: float

    def within(self, hours: AllowedHours | None, now: datetime) -> Estimate:
        """Add the time outside the allowed hours from `now` on; at most a century."""

        def length(seconds: float) -> float:
            working = timedelta(seconds=min(seconds, MAX_DURATION.total_seconds()))
            if hours is not None:
                working = min(hours.after(working, now) - now, MAX_DURATION)
            return working.total_seconds()

        return Estimate(seconds=length(self.seconds), low=length(self.low), high=length(self.high))

    def from_later(self, seconds: float) -> Estimate:
        """Return the estimate for work that begins after this number of seconds."""
        return Estimate(seconds=self.seconds + seconds, low=self.low + seconds, high=self.high + seconds)

    def times(self, factor: float) -> Estimate:
        return Estimate(seconds=self.seconds * factor, low=self.low * factor, high=self.high * factor)

    def mixed(self, other: Estimate, share: float) -> Estimate:
        """With this share of `other`, from 0 to 1."""
        pairs = ((self.seconds, other.seconds), (self.low, other.low), (self.high, other.high))
        seconds, low, high = (own + share * (others - own) for own, others in pairs)
        return Estimate(seconds=seconds, low=low, high=high)


NO_TIME = Estimate(seconds=0, low=0, high=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputHistory:
    """The throughput of a job over all its runners, in requests, or in items for a job that makes no requests."""

    planned: float = 0.0
    done: float = 0.0
    seconds: float = 0.0
    """The time in which a runner worked, without the hours that are not allowed."""
    marks: tuple[tuple[float, float], ...] = ()
    """Pairs of seconds and the work done by then, oldest first."""
    measured_at: datetime | None = None
    expected_each: Estimate | None = None
    """Seconds per unit of work as estimated with the plan; None for jobs that were created without it."""

    def begun(self, now: datetime) -> ThroughputHistory:
        """Return the history at the start of a runner; the time since the previous runner does not count."""
        return replace(self, measured_at=now)

    def measured(self, planned: float, done: float, now: datetime, *, idle: float = 0.0) -> ThroughputHistory:
        """Return a copy with the work done by now. `idle`: seconds since the last measurement that do not count."""
        step = min(max(now - (self.measured_at or now), timedelta()), _LONGEST_STEP).total_seconds()
        seconds = self.seconds + max(step - idle, 0.0)
        marks = self.marks
        if not marks or seconds >= marks[-1][0] + self._distance:
            marks = (*marks, (seconds, done))
            if len(marks) > _MAX_MARKS:
                marks = marks[1::2]
        return replace(self, planned=planned, done=done, seconds=seconds, marks=marks, measured_at=now)

    @property
    def _distance(self) -> float:
        """Seconds between two marks."""
        return self.seconds / _MAX_MARKS

    @property
    def left(self) -> float:
        return max(self.planned - self.done, 0.0)

    def left_after(
        self, limits: RateLimits, limiter: LimiterReport, now: datetime, hours: AllowedHours | None = None
    ) -> Estimate | None:
        """Return the remaining time from `now` on; None before any work is done, unless the plan had an estimate.

        The estimate of the plan is used first; the measured throughput replaces it gradually.
        """
        working = self._working_time(limits.interval.total_seconds() if limiter.requests_made else 0.0)
        if working is None:
            return None
        begins = max(limiter.waiting_until or now, now)
        return working.within(hours, begins).from_later((begins - now).total_seconds())

    def _working_time(self, shortest: float) -> Estimate | None:
        """The remaining time without holds. `shortest`: the least seconds per unit of work that the limits allow."""
        expected = self.expected_each.times(self.left) if self.expected_each else None
        if not self.done or not self.seconds:
            return expected
        each, spread = self._each_and_spread()
        seconds = max(self.left * each, self.left * shortest)
        low = max(seconds - spread, self.left * shortest * (1 - _LEAST_SPREAD), seconds / _LARGEST_FACTOR)
        measured = Estimate(seconds=seconds, low=low, high=seconds + _UPPER_FACTOR * spread)
        if expected is None or self.expected_each is None:
            return measured
        measured = replace(measured, high=min(measured.high, _LARGEST_FACTOR * seconds))
        whole = self.expected_each.seconds * self.planned
        return expected.mixed(measured, self.seconds / (self.seconds + min(_TRUST_AFTER, _TRUST_AFTER_SHARE * whole)))

    def _each_and_spread(self) -> tuple[float, float]:
        """Seconds per unit of work, and the uncertainty of the remaining time in seconds."""
        blocks = self._blocks()
        if len(blocks) < 3:
            each = self.seconds / self.done
            return each, self.left * each / 2
        usual = median(done for _, done in blocks)
        weights = [
            0.5 ** ((len(blocks) - n) / len(blocks) / _HALF_LIFE) * (1 if done >= usual / 2 else _OUTAGE_WEIGHT)
            for n, (_, done) in enumerate(blocks, 1)
        ]
        each = _ratio(blocks, weights)
        expected = self.left * each
        # The ratio estimator of survey statistics: residuals of the periods from the weighted mean.
        residuals = [seconds - each * done for seconds, done in blocks]
        deviation = math.sqrt(sum(r * r for r in residuals) / (len(blocks) - 1))
        to_come = expected / (self.seconds / len(blocks))
        effective = sum(weights) ** 2 / sum(w * w for w in weights)
        by_variance = _STUDENT * deviation * math.sqrt(to_come + to_come**2 / effective)
        half = len(blocks) // 2
        change = abs(_ratio(blocks[half:], weights[half:]) - _ratio(blocks[:half], weights[:half]))
        trend = self.left * change * (1 + to_come / len(blocks)) if math.isfinite(change) else 0.0
        return each, max(by_variance, trend) + _LEAST_SPREAD * expected

    def _blocks(self) -> Sequence[tuple[float, float]]:
        """The history in periods of similar length: seconds and work done in each."""
        points = [(0.0, 0.0), *self.marks, (self.seconds, self.done)]
        size = self.seconds / min(_BLOCKS, max(len(self.marks), 1))
        blocks, begin = [], points[0]
        for point in points[1:]:
            if point[0] - begin[0] >= size * 0.999 or point is points[-1]:
                blocks.append((point[0] - begin[0], point[1] - begin[1]))
                begin = point
        return blocks


def _ratio(blocks: Sequence[tuple[float, float]], weights: Sequence[float]) -> float:
    """Seconds per unit of work over weighted periods; infinite without work."""
    done = sum(w * block[1] for w, block in zip(weights, blocks, strict=True))
    return sum(w * block[0] for w, block in zip(weights, blocks, strict=True)) / done if done else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """The throughput, limits and latency of an earlier job."""

    throughput: ThroughputHistory
    limits: RateLimits
    latency: float | None

    @property
    def is_large_enough(self) -> bool:
        return self.throughput.done >= _MIN_SAMPLE and self.throughput.seconds > 0

    @property
    def excess(self) -> float:
        """The ratio of its duration to the one that its limits and latency require."""
        return self.throughput.seconds / (self.throughput.done * _seconds_each(self.limits, self.latency))


def _seconds_each(limits: RateLimits, latency: float | None) -> float:
    lasts = latency if latency is not None else _SECONDS_A_REQUEST
    return max(limits.interval.total_seconds(), lasts / limits.max_concurrent)


def estimate_requests(requests: float, limits: RateLimits, past: Sequence[PastRun]) -> Estimate:
    """Estimate the duration of a number of requests. `past` is newest first."""
    usable = [run for run in past if run.is_large_enough]
    seconds = requests * _seconds_each(limits, usable[0].latency if usable else None)
    excesses = sorted(run.excess for run in usable) or [1.0]
    usual = median(excesses)
    return Estimate(
        seconds=seconds * usual,
        low=min(seconds * excesses[0], seconds * usual) * (1 - _LEAST_SPREAD),
        high=seconds * max(excesses[-1], usual * (_FIRST_RUN_FACTOR if not usable else 1 + 2 * _LEAST_SPREAD)),
    )


def estimate_items(items: float, past: Sequence[PastRun]) -> Estimate:
    """Estimate the duration of a number of items without requests on this machine. `past` is newest first."""
    each = [run.throughput.seconds / run.throughput.done for run in past if run.is_large_enough]
    usual = median(each) if each else _SECONDS_A_RESULT
    low, high = (min(each), max(each)) if each else (usual / 2, usual * 2)
    return Estimate(
        seconds=items * usual, low=items * low * (1 - _COMPUTE_SPREAD), high=items * high * (1 + _COMPUTE_SPREAD)
    )
