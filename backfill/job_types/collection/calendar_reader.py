"""Reads the calendar pages that plans need: one page at a time, in one thread for all callers of a process.

One process at a time reads (`CalendarClaim`). The others wait for the pages that it stores.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date
from math import ceil

from backfill.domain import CalendarAccess, CalendarMonth, CalendarProgress, RateLimits
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import BackfillError, CalendarIncomplete, CalendarReadDenied, DashboardError, Stopped
from backfill.job_types.collection.calendar_calls import TURNS_FOR_A_JOB, NewLimiter, ReaderCall, Reading, ReadingPace
from backfill.job_types.collection.calendars import Calendars
from backfill.storage import Storage

logger = logging.getLogger(__name__)

KEEP_READING = 3.0
"""Seconds for which the reading continues after a caller has got its progress: it is expected to repeat its request."""

RETRY_AFTER = 1
"""Seconds after which a caller repeats its request; less than KEEP_READING."""

_LOOK = 0.5
"""Seconds between two looks at the store while another process reads, and at whether the client is still there."""

_RENEW_CLAIM = 5.0
_GIVE_WAY = 1.5
"""Seconds without the claim after a turn, so that another process that waits gets it."""

_STOP_WITHIN = 2.0


class CalendarReader:
    """Calendar months for plans, from the storage, or from the dashboard if they are not stored or out of date.

    A thread reads while callers wait, and ends soon after the last one has left. Thread-safe.
    """

    def __init__(
        self,
        storage: Storage,
        calendars: Calendars,
        new_limiter: NewLimiter,
        pace: Callable[[], ReadingPace],
        *,
        max_waiting: int,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`max_waiting`: how many callers with a time limit may wait at once, so that server threads stay free."""
        self._storage, self._calendars = storage, calendars
        self._new_limiter, self._pace = new_limiter, pace
        self._max_waiting, self._clock = max_waiting, clock
        self._changed = clock.condition()
        self._calls: list[ReaderCall] = []
        self._waiting = 0
        self._reading: Reading | None = None
        self._seconds_per_page: float | None = None

    def months(
        self,
        wanted: Sequence[date],
        access: CalendarAccess | None = None,
        *,
        likely: Sequence[str] = (),
        known: int = 0,
    ) -> list[CalendarMonth]:
        """The months that end on the given days, which are in order.

        Each page is stored when it is read, so that a repeated call continues. `likely` are districts that may exist
        in those months; `known` is a number of further months that are stored, for the progress.

        Raises CalendarIncomplete if pages are missing after `access.max_wait`, CalendarReadDenied, and
        DashboardUnavailable if a page cannot be read.
        """
        access, now = access or CalendarAccess(), self._clock.now()
        if not wanted:
            return []
        call = ReaderCall(tuple(wanted), tuple(likely), now, self._calendars.current(wanted, now, now), known)
        if call.is_open:
            if access.may_read:
                self._wait_for(call, access)
            else:
                call.found = self._calendars.stored(wanted)
                self._check_stored(call)
        return [call.found[end] for end in wanted]

    def close(self) -> None:
        """Stop the reading at once. Pages that were read are kept."""
        with self._changed:
            reading, self._calls = self._reading, []
            if reading is None:
                return
            reading.is_stopped = True
            self._changed.notify_all()
        reading.limiter.stop()
        reading.abort()
        reading.ended.wait(_STOP_WITHIN)

    # Callers.

    def _check_stored(self, call: ReaderCall) -> None:
        if count := len(call.missing):
            pages = f"{count} calendar page{'s' if count > 1 else ''} of the dashboard"
            raise CalendarReadDenied(
                f"This needs {pages} that {'are' if count > 1 else 'is'} not stored yet, and reading the dashboard "
                "requires the permission backfill.add_backfilljob. Ask an administrator for it, or ask an operator "
                "with this permission to preview these dates first."
            )

    def _wait_for(self, call: ReaderCall, access: CalendarAccess) -> None:
        is_limited, pace = access.max_wait is not None, self._pace()
        with self._changed:
            if self._seconds_per_page is None:
                self._seconds_per_page = pace.expected_seconds
            is_busy = is_limited and self._waiting >= self._max_waiting
            self._waiting += is_limited
            self._calls.append(call)
            if self._reading is None:
                self._start(pace.limits)
            self._changed.notify_all()
        try:
            if is_busy:  # its pages are read too, but it does not occupy a thread of the server
                raise self._incomplete(call, "Other requests already wait for the calendar.")
            self._wait(call, access)
        except CalendarIncomplete:
            call.kept_until = self._clock.monotonic() + KEEP_READING
            raise
        finally:
            with self._changed:
                self._waiting -= is_limited
                if call.kept_until is None:
                    self._remove(call)
                is_last = not is_limited and not self._calls
                self._changed.notify_all()
            if is_last:  # a command: its process ends
                self.close()

    def _wait(self, call: ReaderCall, access: CalendarAccess) -> None:
        """Wait until every page is found. Raises the error of a page that cannot be read, and CalendarIncomplete."""
        ends = None if access.max_wait is None else self._clock.monotonic() + access.max_wait
        access.report(self._progress(call))
        while True:
            with self._changed:
                left = _LOOK if ends is None else min(ends - self._clock.monotonic(), _LOOK)
                if call.is_open and left > 0:
                    self._changed.wait(left)
                if call.error is not None:
                    raise call.error
                progress = self._progress(call)
            access.report(progress)
            if progress.is_complete:
                return
            if access.is_abandoned():
                raise Stopped("The client has closed the connection.")
            if ends is not None and self._clock.monotonic() >= ends:
                raise self._incomplete(call, self._hold_reason())
            self._renew_claim()

    def _progress(self, call: ReaderCall) -> CalendarProgress:
        needed, stored = len(call.wanted) + call.known, len(call.found) + call.known
        seconds_left = (needed - stored) * (self._seconds_per_page or 0.0)
        return CalendarProgress(needed=needed, stored=stored, seconds_left=seconds_left)

    def _incomplete(self, call: ReaderCall, reason: str) -> CalendarIncomplete:
        progress = self._progress(call)
        sentences = [
            f"The dashboard's calendar is incomplete: {progress.stored:,} of {progress.needed:,} pages are stored.",
            reason,
            "Nothing was created. Repeat the request; it continues with the missing pages.",
        ]
        return CalendarIncomplete(
            " ".join(filter(None, sentences)),
            details={
                "needed": progress.needed,
                "stored": progress.stored,
                "estimatedSecondsLeft": ceil(progress.seconds_left),
                **({"reason": reason} if reason else {}),
            },
            retry_after=RETRY_AFTER,
        )

    def _hold_reason(self) -> str:
        reading = self._reading
        return reading.limiter.report().reason if reading is not None and reading.limiter.is_holding else ""

    def _renew_claim(self) -> None:
        """Renew the claim for the reading thread, which may wait for its next request for longer than a claim lasts."""
        with self._changed:
            reading = self._reading
            if reading is None or not reading.holds_claim or not self._is_due(reading):
                return
            reading.renewed_at = self._clock.monotonic()
        now = self._clock.now()
        reading.claim = self._storage.calendars.update_claim(
            lambda claim: claim.claimed(reading.owner, now) if claim.owner == reading.owner else claim
        )

    def _is_due(self, reading: Reading) -> bool:
        return self._clock.monotonic() - reading.renewed_at >= _RENEW_CLAIM

    def _remove(self, call: ReaderCall) -> None:
        if call in self._calls:
            self._calls.remove(call)

    # The reading thread.

    def _start(self, limits: RateLimits) -> None:
        calendars, abort = self._calendars.scope()
        limiter = self._new_limiter(limits, self._is_wanted)
        self._reading = reading = Reading(limiter, calendars, abort, self._clock.event())
        self._clock.thread(lambda: self._run(reading), "backfill-calendar").start()

    def _is_wanted(self) -> bool:
        now = self._clock.monotonic()
        return any(call.is_open and (call.kept_until is None or now < call.kept_until) for call in [*self._calls])

    def _run(self, reading: Reading) -> None:
        try:
            while (call := self._next_call(reading)) is not None:
                self._serve(call, reading)
        finally:
            try:
                reading.limiter.give_back()
                self._storage.calendars.update_claim(lambda claim: claim.released(reading.owner))
            except BackfillError as exc:  # the claim expires, and the reserved time passes
                logger.warning("The reading of the calendar ended while the store did not respond: %s", exc.message)
            self._storage.control.disconnect()
            with self._changed:
                if self._reading is reading:
                    self._reading = None
                self._changed.notify_all()
            reading.ended.set()

    def _next_call(self, reading: Reading) -> ReaderCall | None:
        """The call that was served least recently; None if the reading ends."""
        with self._changed:
            now = self._clock.monotonic()
            self._calls = [call for call in self._calls if call.kept_until is None or now < call.kept_until]
            wanted = [call for call in self._calls if call.is_open]
            if reading.is_stopped or not wanted:
                self._reading = None  # under the lock: a later call starts another thread
                return None
            return min(wanted, key=lambda call: call.served_at)

    def _serve(self, call: ReaderCall, reading: Reading) -> None:
        """Read one page of a call, or wait for the process that reads now."""
        end = call.missing[0]
        try:
            if not self._has_claim(reading):
                self._look_up()
                self._pause(_LOOK)
                return
            self._read_page(call, end, reading)
        except Stopped:
            return  # no caller waits any more, or the process stops
        except BackfillError as exc:
            is_common = not isinstance(exc, DashboardError)  # such as StorageUnavailable
            self._fail(exc, None if is_common else end)
        except Exception as exc:
            logger.exception("The calendar cannot be read because of an unexpected error.")
            self._fail(BackfillError(f"The calendar cannot be read because of an unexpected error: {exc!r}"), None)

    def _fail(self, error: BackfillError, end: date | None) -> None:
        """End the calls that need the page of a month, or all calls."""
        with self._changed:
            for call in self._calls:
                if end is None or end in call.missing:
                    call.error = error
            self._changed.notify_all()

    def _has_claim(self, reading: Reading) -> bool:
        claims, now = self._storage.calendars, self._clock.now()
        if not reading.holds_claim or self._is_due(reading):
            reading.claim = claims.update_claim(lambda claim: claim.claimed(reading.owner, now))
            reading.renewed_at = self._clock.monotonic()
        if reading.holds_claim and reading.claim.must_give_way(now):
            reading.claim = claims.update_claim(lambda claim: claim.released(reading.owner))
            self._pause(_GIVE_WAY)
        return reading.holds_claim

    def _pause(self, seconds: float) -> None:
        """Wait while pages are wanted."""
        ends = self._clock.monotonic() + seconds
        with self._changed:
            while self._is_wanted() and (left := ends - self._clock.monotonic()) > 0:
                self._changed.wait(left)

    def _look_up(self) -> None:
        """Find pages that another process has stored."""
        for call in [*self._calls]:
            if missing := call.missing:
                self._found([*self._calendars.current(missing, self._clock.now(), call.since).values()])

    def _read_page(self, call: ReaderCall, end: date, reading: Reading) -> None:
        began = self._clock.monotonic()
        stored = self._calendars.current([end], self._clock.now(), call.since)
        if stored:  # another process, or a job, has read it since the call began
            self._found([*stored.values()])
            return
        pace = self._pace()
        reading.limiter.lower(pace.limits)
        reading.limiter.leave_turns(TURNS_FOR_A_JOB if pace.is_shared else 0)
        if call.pages is None:
            call.pages = reading.calendars.pages(call.missing, reading.limiter, call.likely)
        months = reading.calendars.read(end, call.missing, call.pages, self._clock.now())
        with self._changed:
            call.served_at = self._clock.monotonic()
            seconds = call.served_at - began
            known = self._seconds_per_page
            self._seconds_per_page = seconds if known is None else 0.7 * known + 0.3 * seconds
        self._found(months)

    def _found(self, months: Sequence[CalendarMonth]) -> None:
        with self._changed:
            for call in self._calls:
                wanted = set(call.wanted)
                call.found |= {month.month_end: month for month in months if month.month_end in wanted}
            self._changed.notify_all()
