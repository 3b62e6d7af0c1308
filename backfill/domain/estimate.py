"""How long the rest takes: from what is left of the plan, how the work went, what holds it now, and the hours ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from backfill.domain.allowed_hours import FURTHEST, AllowedHours
from backfill.domain.limiter_status import LimiterReport
from backfill.domain.rate_limits import RateLimits

_MARKS = 64
"""At most so many are kept; then each second one is dropped, and the distance between them doubled."""

_LONGEST_STEP = timedelta(minutes=10)
"""A runner measures every few seconds. What looks longer is a store that was away for long, or a clock that jumped."""

_BLOCKS = 10
"""Stretches of the course that are compared with each other."""

_FORGOTTEN_AFTER = 0.35
"""A stretch that lies half the course back counts half."""

_RARITY = 0.4
"""What a stretch counts in which hardly anything was done, as in an outage: such things need not come again."""

_LATER = 1.5
"""What goes wrong makes a job later and never sooner: so much further does the range reach that way."""

_STUDENT = 1.83
"""Of a 90 % interval from ten stretches."""

_LEAST_SPREAD = 0.06
"""However even the past was, the future may differ by so much, either way."""

_TELLING = 30
"""Units of work, from which on an earlier job says something of the next."""

_UNKNOWN = 1.3
"""How many times longer than its limits ask for a job may take, where there was none before."""

_UNEVEN = 0.3
"""By how much what is computed may take more or less than the like of it did."""

_SECONDS_A_RESULT = 0.005
"""What the computing of a result takes before any was measured."""

_SECONDS_A_REQUEST = 0.3
"""What a request lasts before any was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds, with a range that should hold the truth nine times in ten."""

    seconds: float
    low: float
    high: float

    def within(self, hours: AllowedHours | None, now: datetime) -> Estimate:
        """With the hours that are not allowed, from `now` on; a century at most."""

        def length(seconds: float) -> float:
            working = timedelta(seconds=min(seconds, FURTHEST.total_seconds()))
            if hours is not None:
                working = min(hours.after(working, now) - now, FURTHEST)
            return working.total_seconds()

        return Estimate(seconds=length(self.seconds), low=length(self.low), high=length(self.high))

    def from_later(self, seconds: float) -> Estimate:
        """Of what begins only after some seconds."""
        return Estimate(seconds=self.seconds + seconds, low=self.low + seconds, high=self.high + seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputHistory:
    """The throughput of a job over all its runners, in requests, or in items for a job that makes no requests."""

    planned: float = 0.0
    done: float = 0.0
    seconds: float = 0.0
    """For which a runner was at it, without the hours that were not allowed."""
    marks: tuple[tuple[float, float], ...] = ()
    """Seconds and what was done by then, oldest first."""
    measured_at: datetime | None = None

    def begun(self, now: datetime) -> ThroughputHistory:
        """A runner begins; the time since the last one counts for nothing."""
        return replace(self, measured_at=now)

    def measured(self, planned: float, done: float, now: datetime, *, idle: float = 0.0) -> ThroughputHistory:
        """With what is done by now. `idle` seconds since the last time were not to be worked in."""
        step = min(max(now - (self.measured_at or now), timedelta()), _LONGEST_STEP).total_seconds()
        seconds = self.seconds + max(step - idle, 0.0)
        marks = self.marks
        if not marks or seconds >= marks[-1][0] + self._distance:
            marks = (*marks, (seconds, done))
            if len(marks) > _MARKS:
                marks = marks[1::2]
        return ThroughputHistory(planned=planned, done=done, seconds=seconds, marks=marks, measured_at=now)

    @property
    def _distance(self) -> float:
        """Seconds between two marks, so that they stay few."""
        return self.seconds / _MARKS

    @property
    def left(self) -> float:
        return max(self.planned - self.done, 0.0)

    def left_after(
        self, limits: RateLimits, limiter: LimiterReport, now: datetime, hours: AllowedHours | None = None
    ) -> Estimate | None:
        """How long the rest takes from `now` on; None before anything was done."""
        if not self.done or not self.seconds:
            return None
        each, spread = self._each_and_spread()
        shortest = limits.interval.total_seconds() if limiter.requests_made else 0.0
        seconds = max(self.left * each, self.left * shortest)
        low = max(seconds - spread, self.left * shortest * (1 - _LEAST_SPREAD), seconds / 4)
        working = Estimate(seconds=seconds, low=low, high=seconds + _LATER * spread)
        begins = max(limiter.waiting_until or now, now)
        return working.within(hours, begins).from_later((begins - now).total_seconds())

    def _each_and_spread(self) -> tuple[float, float]:
        """Seconds of a unit of work, and by how many the rest may differ from what that makes of it."""
        blocks = self._blocks()
        if len(blocks) < 3:
            each = self.seconds / self.done
            return each, self.left * each / 2
        usual = median(done for _, done in blocks)
        weights = [
            0.5 ** ((len(blocks) - n) / len(blocks) / _FORGOTTEN_AFTER) * (1 if done >= usual / 2 else _RARITY)
            for n, (_, done) in enumerate(blocks, 1)
        ]
        each = _ratio(blocks, weights)
        expected = self.left * each
        # The ratio estimator of survey statistics: by how much the stretches differ from what the mean makes of them.
        residuals = [seconds - each * done for seconds, done in blocks]
        deviation = math.sqrt(sum(r * r for r in residuals) / (len(blocks) - 1))
        to_come = expected / (self.seconds / len(blocks))
        effective = sum(weights) ** 2 / sum(w * w for w in weights)
        by_chance = _STUDENT * deviation * math.sqrt(to_come + to_come**2 / effective)
        half = len(blocks) // 2
        change = abs(_ratio(blocks[half:], weights[half:]) - _ratio(blocks[:half], weights[:half]))
        trend = self.left * change * (1 + to_come / len(blocks)) if math.isfinite(change) else 0.0
        return each, max(by_chance, trend) + _LEAST_SPREAD * expected

    def _blocks(self) -> Sequence[tuple[float, float]]:
        """The course in stretches of like length: the seconds of each, and what was done in it."""
        points = [(0.0, 0.0), *self.marks, (self.seconds, self.done)]
        size = self.seconds / min(_BLOCKS, max(len(self.marks), 1))
        blocks, begin = [], points[0]
        for point in points[1:]:
            if point[0] - begin[0] >= size * 0.999 or point is points[-1]:
                blocks.append((point[0] - begin[0], point[1] - begin[1]))
                begin = point
        return blocks


def _ratio(blocks: Sequence[tuple[float, float]], weights: Sequence[float]) -> float:
    """Seconds of a unit of work over weighted stretches; infinite where nothing was done."""
    done = sum(w * block[1] for w, block in zip(weights, blocks, strict=True))
    return sum(w * block[0] for w, block in zip(weights, blocks, strict=True)) / done if done else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """How an earlier job went: under which limits, with what latency."""

    throughput: ThroughputHistory
    limits: RateLimits
    latency: float | None

    @property
    def is_telling(self) -> bool:
        return self.throughput.done >= _TELLING and self.throughput.seconds > 0

    @property
    def excess(self) -> float:
        """How many times longer it took than its limits and its latency ask for."""
        return self.throughput.seconds / (self.throughput.done * _seconds_each(self.limits, self.latency))


def _seconds_each(limits: RateLimits, latency: float | None) -> float:
    lasts = latency if latency is not None else _SECONDS_A_REQUEST
    return max(limits.interval.total_seconds(), lasts / limits.max_concurrent)


def estimate_requests(requests: float, limits: RateLimits, past: Sequence[PastRun]) -> Estimate:
    """How long so many requests will take. `past` is newest first."""
    telling = [experience for experience in past if experience.is_telling]
    seconds = requests * _seconds_each(limits, telling[0].latency if telling else None)
    excesses = sorted(experience.excess for experience in telling) or [1.0]
    usual = median(excesses)
    return Estimate(
        seconds=seconds * usual,
        low=min(seconds * excesses[0], seconds * usual) * (1 - _LEAST_SPREAD),
        high=seconds * max(excesses[-1], usual * (_UNKNOWN if not telling else 1 + 2 * _LEAST_SPREAD)),
    )


def estimate_items(items: float, past: Sequence[PastRun]) -> Estimate:
    """How long so many items without requests will take, on this machine. `past` is newest first."""
    each = [experience.throughput.seconds / experience.throughput.done for experience in past if experience.is_telling]
    usual = median(each) if each else _SECONDS_A_RESULT
    low, high = (min(each), max(each)) if each else (usual / 2, usual * 2)
    return Estimate(seconds=items * usual, low=items * low * (1 - _UNEVEN), high=items * high * (1 + _UNEVEN))
