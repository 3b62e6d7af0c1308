"""Copies all data from one store to another. Copied records are read back; records that are present are not copied."""

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

OnProblem = Callable[[CorruptRecord], None]


@dataclass
class CopyResult:
    """Numbers of records of one kind."""

    kind: str
    copied: int = 0
    present: int = 0
    """The target has the same record, or a newer one."""
    skipped: int = 0
    """The record is damaged, or the target has a different one; `on_problem` receives each."""


def copy_storage(source: str, target: str, on_problem: OnProblem) -> Iterator[CopyResult]:
    """Copy everything between two values of BACKFILL_STORAGE; yield the result of each kind of record.

    After an interruption, call it again. The counters of all jobs (`/metrics`) are not copied. Raises InvalidJobState
    if either store has an active job, StorageUnavailable, and ValueError for an unknown store.
    """
    for name in (source, target):
        if name not in ADAPTERS:
            raise ValueError(f"There is no store {name[:40]!r}; it must be one of: {', '.join(ADAPTERS)}.")
    if source == target:
        raise ValueError(f"{source} cannot be copied to itself.")
    copier = _Copier(open_storage(source), open_storage(target), on_problem)
    for name, storage in ((source, copier.source), (target, copier.target)):
        active = storage.jobs.active()
        if active is not None:
            raise InvalidJobState(
                f"Job {active.id} is {active.status} in {name}. Cancel it or wait for its end, stop the servers, and "
                "copy again."
            )
    yield from copier.run()


class _Copier:
    def __init__(self, source: Storage, target: Storage, on_problem: OnProblem) -> None:
        self.source, self.target, self._on_problem = source, target, on_problem

    def run(self) -> Iterator[CopyResult]:
        """Copy snapshots before the results that depend on them, and jobs before their audit entries."""
        yield self._limits()
        yield self._coverage_target()
        yield self._calendar()
        yield self._snapshots()
        yield self._results()
        yield self._jobs()
        yield self._audit()

    @contextmanager
    def _skipping_corrupt(self, counts: CopyResult) -> Iterator[None]:
        """Report and count a damaged record."""
        try:
            yield
        except CorruptRecord as exc:
            counts.skipped += 1
            self._on_problem(exc)

    def _coverage_target(self) -> CopyResult:
        """Copy the target, but not the state of its keeper: the next check determines it from what is stored."""
        counts = CopyResult("coverage target")
        with self._skipping_corrupt(counts):
            wanted, present = self.source.targets.target(), self.target.targets.target()
            if wanted.updated_at is None:
                return counts
            if present.updated_at is not None and present.updated_at >= wanted.updated_at:
                counts.present = 1
                return counts
            self.target.targets.update_target(lambda _: wanted)
            _check(self.target.targets.target() == wanted, "The coverage target")
            counts.copied = 1
        return counts

    def _limits(self) -> CopyResult:
        counts = CopyResult("rate limits")
        limits, present = self.source.control.rate_limits(), self.target.control.rate_limits()
        if limits.updated_at is None:
            return counts
        if present.updated_at is not None and present.updated_at >= limits.updated_at:
            counts.present = 1
            return counts
        with self._skipping_corrupt(counts):
            self.target.control.update_rate_limits(lambda _: limits)
            _check(self.target.control.rate_limits() == limits, "The rate limits")
            counts.copied = 1
        return counts

    def _calendar(self) -> CopyResult:
        counts = CopyResult("calendar months")
        everything = date.min, date.max
        fetched = {month.month_end: month.fetched_at for month in self.target.calendars.months(*everything)}
        for month in self.source.calendars.months(*everything):
            present = fetched.get(month.month_end)
            if present is not None and present >= month.fetched_at:
                counts.present += 1
                continue
            with self._skipping_corrupt(counts):
                self.target.calendars.save(month)
                stored = self.target.calendars.months(month.month_end, month.month_end)
                _check(stored == [month], f"The calendar of {month.month_end:%Y-%m}")
                counts.copied += 1
        return counts

    def _months(self, counts: CopyResult) -> Iterator[tuple[date, date]]:
        """Yield the first and last day of each month that has snapshots: one month is in memory at a time.

        Logs each month in which records were copied, because years of daily snapshots take hours.
        """
        span = self.source.snapshots.span()
        for end in month_ends(*span) if span else ():
            before = counts.copied
            yield end.replace(day=1), end
            if counts.copied > before:
                logger.info("Copied the %s of %s, %d so far.", counts.kind, f"{end:%Y-%m}", counts.copied)

    def _snapshots(self) -> CopyResult:
        counts = CopyResult("snapshots")
        source, target = self.source.snapshots, self.target.snapshots
        for month in self._months(counts):
            present = {(facts.date, facts.district): facts for facts in target.metadata(*month)}
            for facts in source.metadata(*month):
                if present.get((facts.date, facts.district)) == facts:
                    counts.present += 1
                    continue
                with self._skipping_corrupt(counts):
                    snapshot = source.get(facts.date, facts.district)
                    if snapshot is None or not target.put(snapshot):
                        counts.present += 1  # the target has a newer one
                        continue
                    stored = target.get(facts.date, facts.district)
                    _check(stored == snapshot, f"Snapshot {facts.date}/{facts.district}")
                    counts.copied += 1
        return counts

    def _results(self) -> CopyResult:
        """Keep a result of the target whose snapshot differs from that of the source: it depends on that snapshot."""
        counts = CopyResult("results")
        source, target = self.source.results, self.target.results
        for month in self._months(counts):
            snapshot_hashes = {
                (facts.date, facts.district): facts.content_hash for facts in self.target.snapshots.metadata(*month)
            }
            present = {(facts.date, facts.district): facts for facts in target.metadata(*month)}
            for facts in source.metadata(*month):
                key = facts.date, facts.district
                stored = present.get(key)
                if stored == facts or (stored is not None and snapshot_hashes.get(key) != facts.source_hash):
                    counts.present += 1
                    continue
                with self._skipping_corrupt(counts):
                    result = source.get(*key)
                    target.put([result] if result else [])
                    _check(target.get(*key) == result, f"Result {facts.date}/{facts.district}")
                    counts.copied += 1
        return counts

    def _jobs(self) -> CopyResult:
        counts = CopyResult("jobs")
        for job_id in self._oldest_first():
            with self._skipping_corrupt(counts):
                if self._copy_job(job_id):
                    counts.copied += 1
                else:
                    counts.present += 1
        return counts

    def _oldest_first(self) -> list[UUID]:
        ids: list[UUID] = []
        while True:
            page = self.source.jobs.page(JobFilter(), limit=_PAGE, offset=len(ids))
            ids += [job.id for job in page.rows]
            if not page.rows or len(ids) >= page.total:
                return ids[::-1]

    def _copy_job(self, job_id: UUID) -> bool:
        """Copy the job, its plan and its ledger. Return whether anything was missing in the target."""
        source, target = self.source.jobs, self.target.jobs
        job = source.get(job_id)
        if job is None:  # it was removed during the copy
            return False
        plan = source.plan(job_id)
        stored = target.get(job_id)
        if stored is None:
            target.create(job, plan, displace=lambda _active: None)
            stored = target.get(job_id)
            is_new = True
        else:
            is_new = False
        _check(stored is not None and _comparable(stored) == _comparable(job), f"Job {job_id}")
        _check(target.plan(job_id) == plan, f"The plan of job {job_id}")
        if self._is_ledger_complete(job_id):
            return is_new
        for segment in self.source.ledger.segments(job_id):
            target.update(job_id, lambda job: job, segment=segment)
        _check(self._is_ledger_complete(job_id), f"The ledger of job {job_id}")
        return True

    def _is_ledger_complete(self, job_id: UUID) -> bool:
        pairs = zip_longest(self.source.ledger.segments(job_id), self.target.ledger.segments(job_id))
        return all(segment == stored for segment, stored in pairs)

    def _audit(self) -> CopyResult:
        counts = CopyResult("audit entries")
        present = {entry.id: entry for entry in _audit_entries(self.target)}
        missing = []
        for entry in _audit_entries(self.source):
            if present.get(entry.id) == entry:
                counts.present += 1
            else:
                missing.append(entry)
        for start in range(0, len(missing), _PAGE):
            self.target.audit.add(missing[start : start + _PAGE])
        present = {entry.id: entry for entry in _audit_entries(self.target)} if missing else present
        for entry in missing:
            with self._skipping_corrupt(counts):
                _check(present.get(entry.id) == entry, f"Audit entry {entry.id}")
                counts.copied += 1
        return counts


def _audit_entries(storage: Storage) -> Iterable[AuditEntry]:
    offset = 0
    while True:
        page = storage.audit.page(None, limit=_PAGE, offset=offset)
        yield from page.rows
        offset += len(page.rows)
        if not page.rows or offset >= page.total:
            return


def _comparable(job: Job) -> Job:
    """Return the job without webhook events and revision, which change after its end."""
    return replace(job, webhook_events=WebhookEvents(), revision=0)


def _check(is_equal: bool, subject: str) -> None:
    if not is_equal:
        raise CorruptRecord(f"{subject} differs in the target. The record of the target was kept.")
