"""Copies what one store holds into another. What was copied is read back; what is there already is not copied again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import zip_longest
from uuid import UUID

from backfill.domain import AuditEntry, Job, JobFilter, WebhookEvents, month_ends
from backfill.errors import CorruptRecord, InvalidJobState
from backfill.storage import ADAPTERS, Storage, open_storage

logger = logging.getLogger(__name__)

_PAGE = 200

Problem = Callable[[CorruptRecord], None]


@dataclass
class Copied:
    """What became of the records of a kind."""

    kind: str
    copied: int = 0
    there: int = 0
    """Nothing was to be done: it is stored there as it is here, or something newer is."""
    left_out: int = 0
    """It cannot be read here, or reads otherwise there; each is told."""


def copied(origin: str, target: str, on_problem: Problem) -> Iterator[Copied]:
    """Copy everything between two stores that BACKFILL_STORAGE may name; each kind of record as it is done.

    To be called again after an interruption. Raises InvalidJobState where a job is active in either,
    StorageUnavailable, and ValueError where there is no such store. What all jobs came to (`/metrics`) begins anew.
    """
    for name in (origin, target):
        if name not in ADAPTERS:
            raise ValueError(f"There is no store {name[:40]!r}; it must be one of: {', '.join(ADAPTERS)}.")
    if origin == target:
        raise ValueError(f"{origin} cannot be copied to itself.")
    copying = _Copying(open_storage(origin), open_storage(target), on_problem)
    for name, storage in ((origin, copying.origin), (target, copying.target)):
        active = storage.jobs.active()
        if active is not None:
            raise InvalidJobState(
                f"Job {active.id} is {active.status} in {name}. Cancel it or let it end, stop the servers, and copy "
                "again."
            )
    yield from copying.run()


class _Copying:
    def __init__(self, origin: Storage, target: Storage, on_problem: Problem) -> None:
        self.origin, self.target, self._on_problem = origin, target, on_problem

    def run(self) -> Iterator[Copied]:
        """Snapshots go before what rests on them, and jobs before the trail of who started them."""
        yield self._limits()
        yield self._calendar()
        yield self._snapshots()
        yield self._results()
        yield self._jobs()
        yield self._audit()

    @contextmanager
    def _leaving_out(self, progress_counter: Copied) -> Iterator[None]:
        """What is damaged is told and counted, and the rest is copied."""
        try:
            yield
        except CorruptRecord as exc:
            progress_counter.left_out += 1
            self._on_problem(exc)

    def _limits(self) -> Copied:
        progress_counter = Copied("rate limits")
        mine, theirs = self.origin.control.rate_limits(), self.target.control.rate_limits()
        if mine.updated_at is None:
            return progress_counter
        if theirs.updated_at is not None and theirs.updated_at >= mine.updated_at:
            progress_counter.there = 1
            return progress_counter
        with self._leaving_out(progress_counter):
            self.target.control.update_rate_limits(lambda _: mine)
            _check(self.target.control.rate_limits() == mine, "The rate limits")
            progress_counter.copied = 1
        return progress_counter

    def _calendar(self) -> Copied:
        progress_counter = Copied("calendar months")
        everything = date.min, date.max
        theirs = {month.month_end: month for month in self.target.calendars.months(*everything)}
        for mine in self.origin.calendars.months(*everything):
            there = theirs.get(mine.month_end)
            if there is not None and there.fetched_at >= mine.fetched_at:
                progress_counter.there += 1
                continue
            with self._leaving_out(progress_counter):
                self.target.calendars.save(mine)
                stored = self.target.calendars.months(mine.month_end, mine.month_end)
                _check(stored == [mine], f"The calendar of {mine.month_end:%Y-%m}")
                progress_counter.copied += 1
        return progress_counter

    def _months(self, progress_counter: Copied) -> Iterator[tuple[date, date]]:
        """First and last day of each month that has snapshots, so that no more than a month is held at once.

        Years of days take hours, so each month that took any time is told when it is done.
        """
        span = self.origin.snapshots.span()
        for end in month_ends(*span) if span else ():
            before = progress_counter.copied
            yield end.replace(day=1), end
            if progress_counter.copied > before:
                logger.info(
                    "The %s of %s are copied, %d so far.",
                    progress_counter.kind,
                    f"{end:%Y-%m}",
                    progress_counter.copied,
                )

    def _snapshots(self) -> Copied:
        progress_counter = Copied("snapshots")
        mine, theirs = self.origin.snapshots, self.target.snapshots
        for month in self._months(progress_counter):
            there = {(facts.date, facts.district): facts for facts in theirs.metadata(*month)}
            for facts in mine.metadata(*month):
                if there.get((facts.date, facts.district)) == facts:
                    progress_counter.there += 1
                    continue
                with self._leaving_out(progress_counter):
                    snapshot = mine.get(facts.date, facts.district)
                    if snapshot is None or not theirs.put(snapshot):
                        progress_counter.there += 1  # what is there supersedes it
                        continue
                    stored = theirs.get(facts.date, facts.district)
                    _check(stored == snapshot, f"Snapshot {facts.date}/{facts.district}")
                    progress_counter.copied += 1
        return progress_counter

    def _results(self) -> Copied:
        """Of a date whose snapshot is another there, the result there stays: it rests on that."""
        progress_counter = Copied("results")
        mine, theirs, snapshots = self.origin.results, self.target.results, self.target.snapshots
        for month in self._months(progress_counter):
            bases = {(facts.date, facts.district): facts.content_hash for facts in snapshots.metadata(*month)}
            there = {(facts.date, facts.district): facts for facts in theirs.metadata(*month)}
            for facts in mine.metadata(*month):
                key = facts.date, facts.district
                stored = there.get(key)
                if stored == facts or (stored is not None and bases.get(key) != facts.source_hash):
                    progress_counter.there += 1
                    continue
                with self._leaving_out(progress_counter):
                    result = mine.get(*key)
                    theirs.put([result] if result else [])
                    _check(theirs.get(*key) == result, f"Result {facts.date}/{facts.district}")
                    progress_counter.copied += 1
        return progress_counter

    # Jobs.

    def _jobs(self) -> Copied:
        progress_counter = Copied("jobs")
        for job_id in self._oldest_first():
            with self._leaving_out(progress_counter):
                if self._copy_job(job_id):
                    progress_counter.copied += 1
                else:
                    progress_counter.there += 1
        return progress_counter

    def _oldest_first(self) -> list[UUID]:
        ids: list[UUID] = []
        while True:
            page = self.origin.jobs.page(JobFilter(), limit=_PAGE, offset=len(ids))
            ids += [job.id for job in page.rows]
            if not page.rows or len(ids) >= page.total:
                return ids[::-1]

    def _copy_job(self, job_id: UUID) -> bool:
        """Whether something of it was missing: the job with its plan, or segments of its ledger."""
        mine, theirs = self.origin.jobs, self.target.jobs
        job = mine.get(job_id)
        if job is None:  # removed meanwhile
            return False
        plan = mine.plan(job_id)
        stored = theirs.get(job_id)
        if stored is None:
            theirs.create(job, plan, displace=lambda _active: None)
            stored = theirs.get(job_id)
            is_new = True
        else:
            is_new = False
        _check(stored is not None and _history_of(stored) == _history_of(job), f"Job {job_id}")
        _check(theirs.plan(job_id) == plan, f"The plan of job {job_id}")
        if self._is_ledger_whole(job_id):
            return is_new
        for segment in self.origin.ledger.segments(job_id):
            theirs.update(job_id, lambda held: held, segment=segment)
        _check(self._is_ledger_whole(job_id), f"The ledger of job {job_id}")
        return True

    def _is_ledger_whole(self, job_id: UUID) -> bool:
        pairs = zip_longest(self.origin.ledger.segments(job_id), self.target.ledger.segments(job_id))
        return all(mine == theirs for mine, theirs in pairs)

    def _audit(self) -> Copied:
        progress_counter = Copied("audit entries")
        theirs = {entry.id: entry for entry in _trail(self.target)}
        missing = []
        for entry in _trail(self.origin):
            if theirs.get(entry.id) == entry:
                progress_counter.there += 1
            else:
                missing.append(entry)
        for start in range(0, len(missing), _PAGE):
            self.target.audit.add(missing[start : start + _PAGE])
        theirs = {entry.id: entry for entry in _trail(self.target)} if missing else theirs
        for entry in missing:
            with self._leaving_out(progress_counter):
                _check(theirs.get(entry.id) == entry, f"Audit entry {entry.id}")
                progress_counter.copied += 1
        return progress_counter


def _trail(storage: Storage) -> Iterable[AuditEntry]:
    offset = 0
    while True:
        page = storage.audit.page(None, limit=_PAGE, offset=offset)
        yield from page.rows
        offset += len(page.rows)
        if not page.rows or offset >= page.total:
            return


def _history_of(job: Job) -> Job:
    """Without what still changes after its end: who was told of it, and how often it was written."""
    return replace(job, webhook_events=WebhookEvents(), revision=0)


def _check(is_equal: bool, subject: str) -> None:
    if not is_equal:
        raise CorruptRecord(f"{subject} is stored otherwise where it was to be copied to, and was left as it is there.")
