"""When the next request may start, and why it may not yet."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from backfill.domain import (
    AllowedHours,
    LimiterReport,
    RateLimits,
    RequestSchedule,
    Reservation,
    WaitReason,
)
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import (
    DashboardError,
    DashboardUnavailable,
    GivenUp,
    LocalProblem,
    Stopped,
)
from backfill.rate_limit.local import LocalTrouble
from backfill.rate_limit.request_counter import RequestCounter
from backfill.rate_limit.reservations import Reservations
from backfill.rate_limit.response_policy import RequestStart, ResponsePolicy
from backfill.rate_limit.shared_schedule import ScheduleUpdate, SharedSchedule
from backfill.rate_limit.status import (
    RETRY_STORE,
    LimiterSnapshot,
    LimiterStatus,
    busy_sentence,
    limiter_status,
    patience_sentence,
)

_SHORTEST_BACKOFF = 0.01
"""Seconds, however short the longest delay is: who waits for what others do has to let them do it."""


class Limiter:
    """Lets threads start requests evenly, within the limits and within the turns that the shared timeline gives.

    A request starts inside a reservation, at least one interval after the last start and at least one interval before
    the reservation ends. Reservations of all processes do not overlap, so starts are an interval apart across
    processes, and no period of 60 seconds contains more starts than the limit.

    How requests end passes through it too, so that it finds the rate that the source bears, and whether it is down.
    """

    def __init__(
        self,
        limits: RateLimits,
        update_schedule: ScheduleUpdate,
        *,
        max_wait: float | None = None,
        before: LimiterReport | None = None,
        hours: AllowedHours | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`max_wait`: seconds after which a wait ends in DashboardUnavailable; None waits as long as it takes.

        `before` is the last report of the runner before this one. `hours` outside which nothing is asked; None is any.
        """
        before = before or LimiterReport()
        self._limits, self._max_wait, self._hours = limits, max_wait, hours
        self._shared = SharedSchedule(update_schedule, waits=max_wait is None)
        self._now, self._clock = clock.now, clock.monotonic
        self._changed = clock.condition()
        self._reservations, self._counts, self._source = (
            Reservations(),
            RequestCounter(before),
            ResponsePolicy(before.down_since),
        )
        self._health, self._local = self._source.health, LocalTrouble(is_logged=max_wait is None)
        self._is_storing = self._is_stopped = self._is_draining = False
        self._held_up: tuple[WaitReason, float, str] | None = None
        self._in_flight = self._waiting_starts = 0
        self._crawl_delay = 0.0
        self._backing_off: dict[int, tuple[float, str]] = {}

    # What requests do.

    @contextmanager
    def item(self, item: str) -> Iterator[None]:
        """An item is being asked for inside the block: its failures are kept apart from those of the source."""
        with self._changed:
            self._health.begin(item)
        try:
            yield
        finally:
            with self._changed:
                self._health.forget(item, self._now())
                self._changed.notify_all()

    @contextmanager
    def request(self, item: str = "", *, is_first: bool = False) -> Iterator[bool]:
        """Wait until a request may start, and count it as in flight inside the block; how that ends is taken in.

        True where the block is to ask for something that the source has answered before, and not for the item: then
        no DashboardError leaves it. `is_first`: of an item. Raises GivenUp where the item has failed as often as it
        may; Stopped after `stop`, and after `drain` where the item had not begun or the wait would be more than the
        pace.
        """
        start, began = self._acquire(item, is_first=is_first), self._clock()
        answer: str | None = "UNKNOWN"
        try:
            yield start.asks_for_known
            answer = "200"
            self._note_answer(self._clock() - began)
        except LocalProblem as exc:
            answer = None  # it was not sent
            self._note_local_trouble(exc)
            if not start.asks_for_known:
                raise
        except DashboardError as exc:
            answer = str(exc.status or exc.code)
            self._note_trouble(exc, start)
            if not start.asks_for_known:
                raise
        finally:
            with self._changed:
                if answer is not None:
                    self._counts.answers[answer] += 1
                self._in_flight -= 1
                self._changed.notify_all()

    def hold(self, until: datetime, reason: str) -> None:
        """Leave the source alone until then: every request of every process waits."""
        seconds = (until - self._now()).total_seconds()
        with self._changed:
            self._reservations.hold(seconds, reason, self._clock())
            self._changed.notify_all()
        self._shared.tell(lambda schedule: schedule.held(until, reason, self._now()))

    def back_off(self, failures: int, reason: str) -> None:
        """Wait after failures in a row, longer each time. Raises Stopped where it is not to go on."""
        with self._changed:
            self._back_off(failures, reason, lambda: False)

    def wait_after_failure(self, item: str, reason: str) -> None:
        """Let an item wait after its failures, longer each time. Raises Stopped where it is not to go on.

        Where the source is down, the probes set the distance. An item whose last attempt was made waits until it is
        known whether the failures are its own.
        """
        with self._changed:
            health = self._health
            self._back_off(health.failures(item), reason, lambda: health.is_down or health.has_failed(item))
            while health.awaits_verdict(item):
                self._back_off(health.failures(item), reason, lambda: not health.awaits_verdict(item))

    def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
        me = threading.get_ident()
        backoff = self._limits.backoff(failures, random.random()).total_seconds()
        ends = self._clock() + max(backoff, _SHORTEST_BACKOFF)
        self._backing_off[me] = (ends, reason)
        try:
            self._wait_until(ends, is_over)
        finally:
            del self._backing_off[me]

    def failures(self, item: str) -> int:
        """That count against an item."""
        with self._changed:
            return self._health.counted(item)

    # What work does that asks somebody else than the source.

    def hold_for(self, waits_for: WaitReason, sentence: str, seconds: float) -> None:
        """It is away: wait before the next attempt, and say so until `resume`. Raises Stopped as `check`."""
        with self._changed:
            ends = self._clock() + seconds
            self._held_up = waits_for, ends, sentence
            if waits_for is WaitReason.DOWN:
                self._health.found_down(self._now())
            self._wait_until(ends, lambda: False)

    def resume(self) -> None:
        """It answers."""
        with self._changed:
            self._held_up = None

    def check(self) -> None:
        """Raise Stopped where the job is to stop, so that nothing is to be waited for any more."""
        with self._changed:
            self._check_going(is_pace=False)

    # What the runner does.

    def lower(self, limits: RateLimits) -> None:
        """Keep to other limits from the next start on."""
        with self._changed:
            self._limits = limits
            self._changed.notify_all()

    @property
    def limits(self) -> RateLimits:
        """As they are now."""
        return self._limits

    def keep_apart(self, seconds: float) -> None:
        """Keep at least so many seconds between two starts from now on, as the source asks."""
        with self._changed:
            if seconds != self._crawl_delay:
                self._crawl_delay = seconds
                self._reservations.slowed(self._interval())
                self._changed.notify_all()

    def drain(self, *, on: bool = True) -> None:
        """Begin no item any more; let those that have begun finish, unless they would have to wait long."""
        with self._changed:
            self._is_draining = on
            self._changed.notify_all()

    def stop(self) -> None:
        """End every wait with Stopped."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def give_back(self) -> None:
        """Return what is left of the turn, so that who comes next need not wait for it."""
        with self._changed:
            mine = self._reservations.given_back(self._clock(), self._now())
        if mine is not None:
            self._shared.change(lambda schedule: schedule.given_back(*mine))

    @property
    def is_holding(self) -> bool:
        """Whether it waits for more than the pace, so that no item can be at work."""
        with self._changed:
            return self._status(self._clock()).is_holding

    def report(self) -> LimiterReport:
        with self._changed:
            now = self._clock()
            status, counts = self._status(now), self._counts
            counts.waits(status.waits_for, now)
            return LimiterReport(
                state=status.state,
                requests_made=counts.made,
                requests_this_minute=counts.in_the_minute_before(now),
                answers=dict(counts.answers),
                waited=dict(counts.waited),
                reason=status.sentence,
                waits_for=status.waits_for,
                waiting_until=self._now() + timedelta(seconds=status.until - now) if status.until is not None else None,
                pace=60 / self._interval(),
                latency=counts.latency,
                down_since=self._health.down_since,
            )

    def _status(self, now: float) -> LimiterStatus:
        reservations, is_over = self._reservations, self._is_stopped
        return limiter_status(
            LimiterSnapshot(
                now=now,
                limits=self._limits,
                interval=self._interval(),
                store_trouble=self._shared.trouble,
                held_up=self._held_up or self._local.as_hold(),
                down_reason=self._source.down_reason,
                closed_for=self._closed_for(),
                hours=self._hours,
                hold_ends=reservations.hold_ends,
                hold_reason=reservations.hold_reason,
                backing_off=min(self._backing_off.values(), default=None),
                next_start=reservations.next_start,
                last_start=self._counts.starts[-1] if self._counts.starts and not is_over else None,
                in_flight=self._in_flight,
                waiting_starts=self._waiting_starts,
                crawl_delay=self._crawl_delay,
            )
        )

    # How requests end.

    def _note_answer(self, seconds: float) -> None:
        with self._changed:
            self._counts.lasted(seconds)
            self._local.is_over()
            self._source.answered()
            self._changed.notify_all()

    def _note_local_trouble(self, exc: LocalProblem) -> None:
        with self._changed:
            self._counts.not_sent()
            self._local.met(exc.message, self._limits, self._clock())
            self._changed.notify_all()

    def _note_trouble(self, exc: DashboardError, start: RequestStart) -> None:
        with self._changed:
            self._local.is_over()
            consequence = self._source.failed(exc, start, self._limits, self._now())
            self._changed.notify_all()
        if consequence.is_slower:
            self._slow(start.at)
        if consequence.hold is not None:
            self.hold(*consequence.hold)

    def _slow(self, asked_at: datetime) -> None:
        """At half the pace, in every process."""
        self._shared.slow(asked_at, self._now)
        with self._changed:
            self._reservations.slowed(self._interval())

    # How a start is found.

    def _acquire(self, item: str, *, is_first: bool) -> RequestStart:
        began = self._clock()
        with self._changed:
            self._waiting_starts += 1
            try:
                while True:
                    self._check_going(is_pace=not is_first and not self._health.is_down)
                    if self._health.has_failed(item):
                        raise GivenUp(f"{item} has failed as often as it may.")
                    now = self._clock()
                    self._check_max_wait(began, now)
                    if (
                        held_for := max(self._closed_for(), self._reservations.hold_ends - now, self._local.left(now))
                    ) > 0:
                        if self._is_draining:
                            raise Stopped("The dashboard is left alone for longer; the item is left undone.")
                        if self._shared.trouble and not self._is_storing:
                            self._stored(lambda schedule: schedule)  # so that all processes learn of the hold
                        else:
                            self._wait(held_for)
                    elif self._in_flight >= self._most_in_flight():
                        self._wait(None)
                    elif self._reservations.may_start(interval := self._interval(), now):
                        break
                    elif self._reservations.need_another(interval, now) and not self._is_storing:
                        self._reserve(interval)
                    else:
                        left = self._reservations.next_start - now
                        self._wait(left if left > 0 else None)
                self._reservations.started(interval, now)
                self._counts.started(now)
                self._in_flight += 1
                self._changed.notify_all()
                is_probe = bool(item) and self._health.is_down
                return RequestStart(item, self._now(), is_probe, is_probe and self._health.asks_for_known)
            finally:
                self._waiting_starts -= 1

    def _closed_for(self) -> float:
        """Seconds until the allowed hours begin; 0 inside them."""
        if self._hours is None or self._hours.is_open(now := self._now()):
            return 0.0
        return (self._hours.opens_at(now) - now).total_seconds()

    def _most_in_flight(self) -> int:
        return 1 if self._health.is_down or self._local else self._limits.max_concurrent

    def _interval(self) -> float:
        own = self._limits.interval_at(self._shared.pace.share(self._now())).total_seconds()
        return max(own, self._crawl_delay)

    def _reserve(self, interval: float) -> None:
        """Take the next turn from the shared timeline; called with the lock, which is let go meanwhile."""
        length, reservations = self._reservations.length(interval), list[Reservation]()
        now, wall = self._clock(), self._now()

        def reserve(schedule: RequestSchedule) -> RequestSchedule:
            nonlocal now, wall  # one look at both clocks: the time of day may jump before the store has answered
            now, wall = self._clock(), self._now()
            wait = (schedule.free_at(wall) - wall).total_seconds()
            if self._max_wait is not None and wait > self._max_wait:
                return schedule
            after, reservation = schedule.reserved(length, wall)
            reservations[:] = [reservation]
            return after

        after = self._stored(reserve)
        if after is None:
            return
        self._reservations.learn(after, now, wall)
        if not reservations:
            raise DashboardUnavailable(busy_sentence(after, wall))
        self._reservations.taken(reservations[0], now, wall)

    def _stored(self, change: Callable[[RequestSchedule], RequestSchedule]) -> RequestSchedule | None:
        """By one thread at a time, the lock being let go meanwhile; None, after a while, where the store is away."""
        self._is_storing = True
        try:
            self._changed.release()
            try:
                after = self._shared.change(change)
            finally:
                self._changed.acquire()
            ends = self._clock() + RETRY_STORE
            while after is None and (left := ends - self._clock()) > 0 and not self._is_stopped:
                self._wait(left)
            return after
        finally:
            self._is_storing = False
            self._changed.notify_all()

    def _check_max_wait(self, began: float, now: float) -> None:
        held_for = self._reservations.hold_ends - now
        if self._max_wait is not None and max(now - began, held_for) > self._max_wait:
            raise DashboardUnavailable(patience_sentence(self._reservations.hold_reason))

    def _check_going(self, *, is_pace: bool) -> None:
        if self._is_stopped or (self._is_draining and not is_pace):
            raise Stopped("The job stops; the item is left as if it had not begun.")

    def _wait_until(self, ends: float, is_over: Callable[[], bool]) -> None:
        """Raises Stopped where it is not to go on."""
        while (left := ends - self._clock()) > 0 and not is_over():
            self._check_going(is_pace=False)
            self._wait(left)

    def _wait(self, seconds: float | None) -> None:
        self._changed.wait(min(seconds, 5.0) if seconds is not None else 5.0)
