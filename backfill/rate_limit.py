"""All politeness in one object: when the next request may start, and why it may not yet."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from backfill.domain import LimiterReport, LimiterState, RateLimits, Timeline, Turn
from backfill.errors import DashboardError, DashboardUnavailable, Stopped, StorageUnavailable

TimelineChange = Callable[[Callable[[Timeline], Timeline]], Timeline]
"""Replaces the shared timeline by a change of it, atomically; raises StorageUnavailable, or LeaseLost under a fence."""

_TURN = 2.0
"""Seconds that are reserved at once, so that the store is asked once in that time and not once a request."""

_NOTABLE = 2.0
"""Seconds; a shorter wait for the next start is the pace itself, and no reason worth telling."""

_RETRY_STORE = 1.0
"""Seconds between two attempts to reach the store."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Limiter:
    """Lets threads start requests evenly, within the limits and within the turns that the shared timeline gives.

    A request starts inside a reserved turn, at least one interval after the last and at least one before the turn
    ends. Turns do not overlap, whoever reserves them, so starts are an interval apart over all processes, and no 60
    seconds ever see more than the limit.
    """

    def __init__(
        self,
        limits: RateLimits,
        update_timeline: TimelineChange,
        *,
        patience: float | None = None,
        before: LimiterReport | None = None,
        now: Callable[[], datetime] = _utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience`: seconds after which a wait ends in DashboardUnavailable; None waits as long as it takes.

        `before`: what was counted for the same job before this limiter took over.
        """
        self._limits, self._update_timeline, self._patience = limits, update_timeline, patience
        self._now, self._clock = now, clock
        self._changed = threading.Condition()
        self._turn_ends = self._next_start = self._hold_ends = -1.0
        self._hold_reason = ""
        self._reserved_until: datetime | None = None
        self._is_reserving = self._is_stopped = self._is_draining = False
        self._store_trouble = ""
        self._in_flight = self._waiting_starts = 0
        self._backing_off: dict[int, tuple[float, str]] = {}
        before = before or LimiterReport()
        self._made = before.requests_made
        self._answers: Counter[str] = Counter(before.answers)
        self._waited: dict[str, float] = dict(before.waited)
        self._last_state: tuple[float, LimiterState] | None = None
        self._starts: deque[float] = deque()

    # What requests do.

    @contextmanager
    def request(self, *, is_first: bool = False) -> Iterator[None]:
        """Wait until a request may start, and count it as in flight inside the block.

        `is_first`: of an item. Raises Stopped after `stop`, and after `drain` where the item had not begun or the
        wait would be more than the pace.
        """
        self._acquire(is_first=is_first)
        answer = "UNKNOWN"
        try:
            yield
            answer = "200"
        except DashboardError as exc:
            answer = str(exc.status or exc.code)
            raise
        finally:
            with self._changed:
                self._answers[answer] += 1
                self._in_flight -= 1
                self._changed.notify_all()

    def hold(self, until: datetime, reason: str) -> None:
        """Leave the source alone until then: every request of every process waits."""
        seconds = (until - self._now()).total_seconds()
        with self._changed:
            if self._clock() + seconds > self._hold_ends:
                self._hold_ends, self._hold_reason = self._clock() + seconds, reason
            self._changed.notify_all()
        self._store(lambda timeline: timeline.held(until, reason, self._now()))

    def back_off(self, failures: int, reason: str) -> None:
        """Let this item wait after its failures, longer each time. Raises Stopped where it is not to go on."""
        me = threading.get_ident()
        with self._changed:
            ends = self._clock() + self._limits.backoff(failures, random.random()).total_seconds()
            self._backing_off[me] = (ends, reason)
            try:
                while (left := ends - self._clock()) > 0:
                    self._check_going(is_pace=False)
                    self._wait(left)
            finally:
                del self._backing_off[me]

    def backoff_until(self, failures: int) -> datetime:
        """When a source that asked for fewer requests without saying when is asked again."""
        return self._now() + self._limits.backoff(failures, random.random())

    # What the runner does.

    def lower(self, limits: RateLimits) -> None:
        """Keep to other limits from the next start on."""
        with self._changed:
            self._limits = limits
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
            mine, self._reserved_until = self._reserved_until, None
            free = self._now() + timedelta(seconds=max(self._next_start - self._clock(), 0))
            self._turn_ends = -1.0
        if mine is not None:
            self._update_timeline(lambda timeline: timeline.given_back(mine, free))

    def report(self) -> LimiterReport:
        with self._changed:
            now = self._clock()
            while self._starts and self._starts[0] <= now - 60:
                self._starts.popleft()
            state, until, reason = self._situation(now)
            self._count_wait(state if until is not None else None, now)
            return LimiterReport(
                state=state,
                requests_made=self._made,
                requests_this_minute=len(self._starts),
                answers=dict(self._answers),
                waited=dict(self._waited),
                reason=reason,
                waiting_until=self._now() + timedelta(seconds=until - now) if until is not None else None,
            )

    def _count_wait(self, state: LimiterState | None, now: float) -> None:
        """What it waited for at the last look, it has waited for since."""
        if self._last_state is not None:
            since, waited_for = self._last_state
            self._waited[waited_for] = self._waited.get(waited_for, 0.0) + now - since
        self._last_state = (now, state) if state is not None else None

    def _situation(self, now: float) -> tuple[LimiterState, float | None, str]:
        limit = f"{self._limits.max_requests_per_minute:,} requests a minute"
        if self._store_trouble:
            return LimiterState.BACKING_OFF, now + _RETRY_STORE, self._store_trouble
        if self._hold_ends > now:
            return LimiterState.BACKING_OFF, self._hold_ends, self._hold_reason
        waiting = len(self._backing_off)
        if waiting and not self._in_flight and not self._waiting_starts:
            ends, reason = min(self._backing_off.values())
            return LimiterState.BACKING_OFF, ends, reason
        if self._waiting_starts and self._next_start - now >= _NOTABLE:
            return LimiterState.THROTTLED, self._next_start, f"Waiting for the next start to keep to {limit}."
        if self._in_flight or self._waiting_starts:
            return LimiterState.RUNNING, None, f"The dashboard answers; the limit of {limit} sets the pace."
        return LimiterState.IDLE, None, "No requests are being made."

    # How a start is found.

    def _acquire(self, *, is_first: bool) -> None:
        began = self._clock()
        with self._changed:
            self._waiting_starts += 1
            try:
                while True:
                    self._check_going(is_pace=not is_first)
                    now = self._clock()
                    self._check_patience(began, now)
                    if self._hold_ends > now:
                        if self._is_draining:
                            raise Stopped("The dashboard asked to wait; the item is left undone.")
                        self._wait(self._hold_ends - now)
                    elif self._in_flight >= self._limits.max_concurrent:
                        self._wait(None)
                    elif self._may_start(now):
                        break
                    elif self._needs_turn(now) and not self._is_reserving:
                        self._reserve()
                    else:
                        self._wait(self._next_start - now if self._next_start > now else None)
                interval = self._limits.interval.total_seconds()
                self._next_start = now + interval
                self._in_flight += 1
                self._made += 1
                self._starts.append(now)
                self._changed.notify_all()
            finally:
                self._waiting_starts -= 1

    def _may_start(self, now: float) -> bool:
        interval = self._limits.interval.total_seconds()
        return self._next_start <= now <= self._turn_ends - interval * 0.999

    def _needs_turn(self, now: float) -> bool:
        """Whether the reserved time ends soon: the next turn is taken early, so that it follows without a gap."""
        interval = self._limits.interval.total_seconds()
        return self._turn_ends - max(now, self._next_start) < max(interval, _TURN / 2)

    def _reserve(self) -> None:
        """Take the next turn from the shared timeline; called with the lock, which is let go meanwhile."""
        interval = self._limits.interval.total_seconds()
        length = timedelta(seconds=interval * max(1, round(_TURN / interval)))
        turns: list[Turn] = []

        def reserve(timeline: Timeline) -> Timeline:
            wait = (timeline.free_at(self._now()) - self._now()).total_seconds()
            if self._patience is not None and wait > self._patience:
                return timeline
            after, turn = timeline.reserved(length, self._now())
            turns[:] = [turn]
            return after

        self._is_reserving = True
        self._changed.release()
        try:
            after = self._store(reserve)
        finally:
            self._changed.acquire()
            self._is_reserving = False
            self._changed.notify_all()
        if after is None:
            self._wait(_RETRY_STORE)
            return
        now, wall = self._clock(), self._now()
        hold = after.hold(wall)
        if hold is not None and now + (hold - wall).total_seconds() > self._hold_ends:
            self._hold_ends, self._hold_reason = now + (hold - wall).total_seconds(), after.hold_reason
        if not turns:
            raise DashboardUnavailable(self._busy_sentence(after, wall))
        turn = turns[0]
        starts = now + (turn.starts_at - wall).total_seconds()
        if turn.starts_at != self._reserved_until or self._turn_ends < now:
            self._next_start = max(self._next_start, starts)  # somebody else had the time between
        self._turn_ends = now + (turn.ends_at - wall).total_seconds()
        self._reserved_until = turn.ends_at

    def _store(self, change: Callable[[Timeline], Timeline]) -> Timeline | None:
        """None where the store does not answer and this limiter is one that waits for it."""
        try:
            timeline = self._update_timeline(change)
        except StorageUnavailable as exc:
            if self._patience is not None:
                raise
            self._store_trouble = f"{exc.message} It is tried again every second; nothing is lost."
            return None
        self._store_trouble = ""
        return timeline

    def _busy_sentence(self, timeline: Timeline, wall: datetime) -> str:
        hold = timeline.hold(wall)
        if hold is not None:
            return (
                f"The dashboard is left alone until {hold:%H:%M:%S} UTC ({timeline.hold_reason}). "
                "Nothing was created; try again after that."
            )
        return "Others are using the time of the dashboard. Nothing was created; try again in a minute."

    def _check_patience(self, began: float, now: float) -> None:
        if self._patience is not None and (now - began > self._patience or self._hold_ends - now > self._patience):
            raise DashboardUnavailable(
                f"The dashboard cannot be asked soon enough: {self._hold_reason or 'others are using its time.'} "
                "Nothing was created; try again in a few minutes."
            )

    def _check_going(self, *, is_pace: bool) -> None:
        if self._is_stopped or (self._is_draining and not is_pace):
            raise Stopped("The job stops; the item is left as if it had not begun.")

    def _wait(self, seconds: float | None) -> None:
        self._changed.wait(min(seconds, 5.0) if seconds is not None else 5.0)
