"""When the next request may start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from backfill.domain import AllowedHours, LimiterReport, RateLimits, WaitReason
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import DashboardError, DashboardUnavailable, GivenUp, LocalProblem, Stopped
from backfill.rate_limit.item_failures import ItemFailures
from backfill.rate_limit.local_problem import LocalProblemWait
from backfill.rate_limit.request_counter import RequestCounter
from backfill.rate_limit.reservations import Reservations
from backfill.rate_limit.response_policy import RequestStart, ResponseAction, ResponsePolicy
from backfill.rate_limit.shared_schedule import ScheduleUpdate, SharedSchedule
from backfill.rate_limit.status import (
    LimiterSnapshot,
    LimiterStatus,
    held_sentence,
    limiter_status,
    long_hold_sentence,
)
from backfill.rate_limit.waits import Waits


class Limiter(ItemFailures):
    """Starts requests evenly, within the limits and within the reservations of this process. Thread-safe.

    A request starts inside a reservation, at least one interval after the last start was due and at least one interval
    before the reservation ends. Reservations of all processes do not overlap, so starts are due an interval apart
    across processes. A start is at most `reservations.LATENESS` late, or the following ones are postponed. So no period
    of 60 seconds contains more starts than the limit.

    ResponsePolicy evaluates how requests end: it opens the circuit breaker and counts the failures of items.
    """

    def __init__(
        self,
        limits: RateLimits,
        update_schedule: ScheduleUpdate,
        *,
        max_wait: float | None = None,
        is_wanted: Callable[[], bool] | None = None,
        before: LimiterReport | None = None,
        hours: AllowedHours | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`max_wait`: for previews. Seconds; a hold that is longer raises DashboardUnavailable. None for jobs.

        `is_wanted`: for previews. Waits raise Stopped, within 5 seconds, once it returns False.

        `before`: the last report of the previous runner. `hours`: requests start only within them; None for any time.
        """
        before = before or LimiterReport()
        self._limits, self._max_wait, self._hours = limits, max_wait, hours
        self._now, self._clock = clock.now, clock.monotonic
        self._waits = Waits(clock, is_wanted)
        self._changed = self._waits.changed
        self._shared = SharedSchedule(update_schedule, clock, waits=max_wait is None)
        self._reservations, self._counts = Reservations(), RequestCounter(before)
        self._responses = ResponsePolicy(before.down_since)
        self._breaker, self._retries = self._responses.breaker, self._responses.retries
        self._local = LocalProblemWait(is_logged=max_wait is None)
        self._held_up: tuple[WaitReason, float, str] | None = None
        self._in_flight: list[float] = []
        """When the requests in flight started, oldest first."""
        self._waiting_starts = 0
        self._crawl_delay = 0.0
        self._turns_for_others = 0

    # Requests.

    @contextmanager
    def request(self, item: str = "", report: str = "", *, is_first: bool = False) -> Iterator[bool]:
        """Wait until a request may start; the block sends it, and how the block ends is evaluated.

        Yields True if the block must request something that succeeded before instead of the item, of the same report;
        then no DashboardError leaves the block. `is_first`: the item's first request. Raises GivenUp if the item has no
        attempts left; Stopped after `stop`, and after `drain` if the request is the first or must wait for more than
        the rate.
        """
        start = self._acquire(item, report, is_first=is_first)
        answer: str | None = "UNKNOWN"
        try:
            yield start.asks_for_known
            answer = "200"
            self._note_success(start)
        except DashboardError as exc:
            is_sent = not isinstance(exc, LocalProblem)
            answer = str(exc.status or exc.code) if is_sent else None
            self._note_failure(exc, start)
            if not start.asks_for_known:
                raise
        finally:
            with self._changed:
                if answer is not None:
                    self._counts.answers[answer] += 1
                self._in_flight.remove(start.began)
                self._changed.notify_all()

    def hold(self, until: datetime, reason: str) -> None:
        """Start no request of any process before `until`."""
        seconds = (until - self._now()).total_seconds()
        with self._changed:
            self._reservations.hold(seconds, reason, self._clock())
            self._changed.notify_all()
        self._shared.hold(until, reason)

    # Waits for something other than the rate.

    def hold_for(self, waits_for: WaitReason, sentence: str, seconds: float) -> bool:
        """Wait before the next attempt to reach a dependency, and report `sentence` until `resume`. Raises Stopped.

        Return whether an operator ended the wait.
        """
        with self._changed:
            ends = self._clock() + seconds
            self._held_up = waits_for, ends, sentence
            if waits_for is WaitReason.DOWN:
                self._breaker.open(self._now())
            return self._waits.wait_until(ends)

    def resume(self) -> None:
        """The dependency is available again."""
        with self._changed:
            self._held_up = None

    def check(self) -> None:
        """Raise Stopped if the job drains or stops."""
        with self._changed:
            self._waits.check()

    # Control by the runner.

    def end_hold(self) -> None:
        """End the current hold, for all processes, and every wait after a failure: the next request starts now."""
        self._shared.end_hold(None)
        with self._changed:
            self._reservations.end_hold()
            self._local.try_now(self._clock())
            self._waits.end_all()

    def end_earlier_hold(self, ended_at: datetime) -> None:
        """End the hold of the previous runner if an operator ended it at that time."""
        self._shared.end_hold(ended_at)

    def lower(self, limits: RateLimits) -> None:
        """Use other limits from the next start on."""
        with self._changed:
            self._limits = limits
            self._changed.notify_all()

    @property
    def limits(self) -> RateLimits:
        return self._limits

    def set_crawl_delay(self, seconds: float) -> None:
        """Keep at least this time between two starts, as robots.txt requires."""
        with self._changed:
            if seconds != self._crawl_delay:
                self._crawl_delay = seconds
                self._reservations.slowed(self._interval())
                self._changed.notify_all()

    def leave_turns(self, turns: int) -> None:
        """Leave the time of this number of requests to other processes between two starts of a preview."""
        with self._changed:
            self._turns_for_others = turns

    def drain(self, *, on: bool = True) -> None:
        """Begin no further item; items in progress finish unless they must wait for more than the rate."""
        with self._changed:
            if on != self._waits.is_draining:
                self._waits.is_draining = on
                self._changed.notify_all()

    def stop(self) -> None:
        """End every wait with Stopped."""
        with self._changed:
            self._waits.is_stopped = True
            self._changed.notify_all()

    def give_back(self) -> None:
        """Return the unused rest of the reservation to other processes."""
        with self._changed:
            mine = self._reservations.given_back(self._clock(), self._now())
        if mine is not None:
            self._shared.update(lambda schedule: schedule.given_back(*mine))

    @property
    def is_holding(self) -> bool:
        """Whether it waits for more than the rate, so that no item can be in progress."""
        with self._changed:
            return self._status(self._clock()).is_holding

    def report(self) -> LimiterReport:
        with self._changed:
            now = self._clock()
            report = self._counts.report(self._status(now), now, self._now())
            return replace(report, pace=60 / self._interval(), down_since=self._breaker.down_since)

    def _status(self, now: float) -> LimiterStatus:
        starts, is_stopped = self._counts.starts, self._waits.is_stopped
        return limiter_status(
            LimiterSnapshot(
                now=now,
                limits=self._limits,
                interval=self._interval(),
                store_trouble=self._shared.trouble,
                held_up=self._held_up or self._local.as_hold(),
                down_reason=self._responses.down_reason,
                closed_for=self._closed_for(),
                hours=self._hours,
                hold_ends=self._reservations.hold_ends,
                hold_reason=self._reservations.hold_reason,
                backing_off=self._waits.first_backoff,
                next_start=self._reservations.next_start,
                last_start=starts[-1] if starts and not is_stopped else None,
                in_flight=len(self._in_flight),
                waiting_starts=self._waiting_starts,
                max_in_flight=self._max_in_flight(),
                oldest_start=self._in_flight[0] if self._in_flight else None,
                crawl_delay=self._crawl_delay,
            )
        )

    # Ends of requests.

    def _note_success(self, start: RequestStart) -> None:
        with self._changed:
            self._counts.lasted(self._clock() - start.began)
            self._local.end()
            self._responses.succeeded(start.report, "" if start.asks_for_known else start.item)
            self._changed.notify_all()

    def _note_failure(self, exc: DashboardError, start: RequestStart) -> None:
        action = ResponseAction()
        with self._changed:
            if isinstance(exc, LocalProblem):
                self._counts.not_sent()
                self._local.failed(exc.message, self._limits, self._clock())
            else:
                self._local.end()
                took = self._clock() - start.began
                action = self._responses.failed(exc, start, self._limits, self._now(), took)
            self._changed.notify_all()
        if action.is_slower:
            self._shared.slow(start.at, start.item)
            with self._changed:
                self._reservations.slowed(self._interval())
        if action.hold is not None:
            self.hold(*action.hold)

    # Starts of requests.

    def _acquire(self, item: str, report: str, *, is_first: bool) -> RequestStart:
        with self._changed:
            self._waiting_starts += 1
            try:
                while (start := self._try_to_start(item, report, is_first=is_first)) is None:
                    pass
            finally:
                self._waiting_starts -= 1
            return start

    def _try_to_start(self, item: str, report: str, *, is_first: bool) -> RequestStart | None:
        """Start a request if the limits allow it now; otherwise wait for a change and return None."""
        self._waits.check(may_drain=not is_first and not self._breaker.is_down)
        if self._retries.is_given_up(item):
            raise GivenUp(f"{item} has no attempts left.")
        now, interval, reservations = self._clock(), self._interval(), self._reservations
        self._check_max_wait(now)
        if (held_for := max(self._closed_for(), reservations.hold_ends - now, self._local.left(now))) > 0:
            reservations.is_awaited = False
            self._wait_for_hold(held_for)
        elif len(self._in_flight) >= self._max_in_flight():
            reservations.is_awaited = False
            self._waits.wait()
        elif reservations.may_start(interval, now):
            return self._start(item, report, interval, now)
        elif self._is_preview and reservations.next_start > now:
            self._waits.wait(reservations.next_start - now)  # time that is reserved early is lost to others
        elif reservations.need_another(interval, now) and not self._waits.is_storing:
            self._reserve(interval)
        else:
            left = reservations.next_start - now
            reservations.is_awaited = left > 0
            self._waits.wait(left if left > 0 else None)
        return None

    def _start(self, item: str, report: str, interval: float, now: float) -> RequestStart:
        shortest = max(self._limits.min_delay_ms / 1000, self._crawl_delay)
        self._reservations.started(interval * (1 + self._turns_for_others), now, shortest=shortest)
        self._counts.started(now)
        self._in_flight.append(now)
        self._changed.notify_all()
        is_probe = bool(item) and self._breaker.is_down and self._breaker.concerns(report)
        return RequestStart(item, report, self._now(), now, is_probe, is_probe and self._breaker.probes_known)

    def _wait_for_hold(self, seconds: float) -> None:
        if self._waits.is_draining:
            raise Stopped("The job is stopping and no request may start yet; the item is not processed.")
        if self._shared.trouble and not self._waits.is_storing:
            self._waits.while_storing(self._shared.update)  # so that all processes learn of the hold
        else:
            self._waits.wait(seconds)

    @property
    def _is_preview(self) -> bool:
        return self._max_wait is not None

    def _closed_for(self) -> float:
        """Seconds until the allowed hours begin; 0 inside them."""
        now = self._now()
        return (self._hours.opens_at(now) - now).total_seconds() if self._hours else 0.0

    def _max_in_flight(self) -> int:
        return 1 if self._breaker.is_down or self._local else self._limits.max_concurrent

    def _interval(self) -> float:
        own = self._limits.interval_at(self._shared.pace.share(self._now())).total_seconds()
        return max(own, self._crawl_delay)

    def _reserve(self, interval: float) -> None:
        length = self._reservations.length(interval, is_single=self._is_preview)
        result = self._waits.while_storing(lambda: self._shared.reserve(length, self._max_wait))
        if result is None:
            return
        self._reservations.learn(result.schedule, result.now, result.wall)
        if result.reservation is None:
            raise DashboardUnavailable(held_sentence(result.schedule, result.wall))
        self._reservations.taken(result.reservation, result.now, result.wall)

    def _check_max_wait(self, now: float) -> None:
        if self._max_wait is not None and self._reservations.hold_ends - now > self._max_wait:
            raise DashboardUnavailable(long_hold_sentence(self._reservations.hold_reason))
