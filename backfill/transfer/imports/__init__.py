"""Imports exports of the dashboard that were saved elsewhere.

The files are read and validated once, and indexed on disk. Then it is decided which of them form snapshots, and these
are stored. An import that is killed is repeated: stored snapshots are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import groupby
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from backfill.domain import (
    Actor,
    AuditEntry,
    CalendarMonth,
    Changes,
    ProgramYear,
    Report,
    ReportName,
    Snapshot,
    SnapshotMetadata,
    month_end_of,
)
from backfill.errors import InvalidRequest, JobConflict
from backfill.service.audit_log import AuditLog
from backfill.storage import Storage
from backfill.transfer.imports.file_index import FileIndex
from backfill.transfer.imports.files import listed, printable_path, read_file
from backfill.transfer.imports.june_closes import JuneCloses
from backfill.transfer.imports.reasons import HARMLESS, ImportReason, NotImported
from backfill.transfer.imports.recognition import recognise
from backfill.transfer.imports.report_sets import ReportSet, Target
from backfill.transfer.imports.snapshot_dates import import_calendar, snapshot_dates

__all__ = ["HARMLESS", "FileImport", "ImportProgress", "ImportReason"]

_JUNE = 6

_BATCH = 25
"""Snapshots of one transaction, each stored completely or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """The progress of the reading of files, then of the storing of snapshots."""

    unit: str
    done: int
    total: int


class FileImport:
    """One import: a context manager in which `run` is called once, and whose results can be read afterwards."""

    def __init__(self, storage: Storage, now: Callable[[], datetime], report: Callable[[ImportProgress], None]) -> None:
        self._storage, self._now, self._report = storage, now, report
        self._id: UUID = uuid4()
        self._index = FileIndex()

    def __enter__(self) -> Self:
        self._index.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._index.__exit__(kind, value, trace)

    def run(self, paths: Sequence[str], *, by: Actor, is_dry_run: bool) -> None:
        """Read the files and store the snapshots; a dry run does not store them.

        Raises InvalidRequest for a missing path or if there is no file, JobConflict if a job is active, and
        StorageUnavailable. After a JobConflict or StorageUnavailable, call it again with a new FileImport.
        """
        for path in paths:
            if not os.path.lexists(path):
                raise InvalidRequest({"path": [f"There is no file or folder {printable_path(path)}."]})
        if not is_dry_run:
            self._check_no_active_job()
        self._read(paths)
        self._plan()
        if not is_dry_run:
            self._store(by)
        self._index.settle_files()

    # Results.

    def counts(self) -> dict[str, int]:
        """The number of files by reason: an ImportReason or the code of a validation error."""
        return self._index.counts()

    def snapshots(self) -> int:
        """The number of snapshots that were stored, or would be."""
        return self._index.snapshot_counts().get(ImportReason.IMPORTED, 0)

    def listed(self, reason: str, limit: int = -1) -> Iterator[tuple[str, str]]:
        """Yield path and message of the files with a reason, by path."""
        return self._index.listed(reason, limit)

    # Reading.

    def _check_no_active_job(self) -> None:
        active = self._storage.jobs.active()
        if active is not None:
            raise active.conflict()

    def _read(self, paths: Sequence[str]) -> None:
        total, today = sum(1 for _ in listed(paths)), self._now().date()
        if not total:
            names = ", ".join(printable_path(path) for path in paths)
            raise InvalidRequest({"path": [f"There are no files in {names}."]})
        for done, path in enumerate(listed(paths)):
            self._report(ImportProgress(unit="file", done=done, total=max(total, done)))
            for found in read_file(path) if isinstance(path, str) else [path]:
                try:
                    if found.problem is not None:
                        raise found.problem
                    self._index.add(found, recognise(found.content, today))
                except NotImported as exc:
                    self._index.add_problem(found.label, exc)
        self._report(ImportProgress(unit="file", done=total, total=total))

    # Planning.

    def _plan(self) -> None:
        now = self._now()
        self._index.resolve()
        stored = {month.month_end: month for month in self._storage.calendars.months(date.min, date.max)}
        calendar = import_calendar(stored.values(), self._index.as_of_days(), now)
        junes = JuneCloses(self._index, self._storage, stored)
        for files in self._index.sets():
            try:
                for target in _targets(files, calendar, junes, now.date()):
                    self._index.add_target(target)
            except NotImported as exc:
                self._index.reject(files.id, exc)
        self._index.order_targets()
        self._compare_with_store()

    def _compare_with_store(self) -> None:
        """Decide which snapshots supersede the stored ones, one month at a time."""
        for targets in self._index.target_months():
            if not targets:
                continue
            first = targets[0].date.replace(day=1)
            metadata = self._storage.snapshots.metadata(first, month_end_of(first))
            stored = {(snapshot.date, snapshot.district): snapshot for snapshot in metadata}
            for target in targets:
                self._index.settle(target.id, self._reason(target, stored.get((target.date, target.district))))

    def _reason(self, target: Target, stored: SnapshotMetadata | None) -> ImportReason:
        if stored is None or (target.is_final, target.as_of) > (stored.is_final, stored.as_of):
            return ImportReason.IMPORTED
        snapshot = _snapshot(target, self._index.reports(target.set_id), self._id)
        is_same = snapshot.content_hash == stored.content_hash
        return ImportReason.STORED if is_same else ImportReason.SUPERSEDED

    # Storing.

    def _store(self, by: Actor) -> None:
        total, done = self.snapshots(), 0
        entries = [AuditLog(by, self._now()).imported(self._changes(total))]
        batch: list[tuple[Target, Snapshot]] = []
        for set_id, group in groupby(self._index.targets_to_store(), key=lambda target: target.set_id):
            batch += self._read_snapshots(set_id, [*group])
            if len(batch) >= _BATCH:
                if any(self._put(batch, entries, done, total)):
                    entries = []
                done += len(batch)
                batch = []
                self._report(ImportProgress(unit="snapshot", done=done, total=total))
        self._put(batch, entries, done, total)
        self._report(ImportProgress(unit="snapshot", done=total, total=total))

    def _read_snapshots(self, set_id: int, targets: Sequence[Target]) -> list[tuple[Target, Snapshot]]:
        try:
            reports = self._index.reports_with_content(set_id)
        except NotImported as exc:
            self._index.reject(set_id, exc)
            for target in targets:
                self._index.settle(target.id, ImportReason.CHANGED)
            return []
        return [(target, _snapshot(target, reports, self._id)) for target in targets]

    def _put(
        self, batch: Sequence[tuple[Target, Snapshot]], entries: Sequence[AuditEntry], done: int, total: int
    ) -> Sequence[bool]:
        if not batch:
            return ()
        try:
            stored = self._storage.snapshots.put_imported([snapshot for _, snapshot in batch], audit_entries=entries)
        except JobConflict as exc:
            message = f"{exc.message} {done:,} of {total:,} snapshots are imported; then repeat the import to continue."
            raise JobConflict(message, details=exc.details) from exc
        for (target, _), is_stored in zip(batch, stored, strict=True):
            if not is_stored:  # another writer was first
                self._index.settle(target.id, ImportReason.SUPERSEDED)
        return stored

    def _changes(self, snapshots: int) -> Changes:
        """What the audit entry says: the import, which the snapshots name as their job, and what it stores."""
        self._index.settle_files()
        counts = self.counts()
        values = {"importId": str(self._id), "files": sum(counts.values()), "snapshots": snapshots, **counts}
        return {name: (None, value) for name, value in values.items()}


def _targets(
    files: ReportSet, calendar: Mapping[date, CalendarMonth], junes: JuneCloses, today: date
) -> Iterator[Target]:
    """The snapshot dates of a set. Raises NotImported if there is none."""
    if _is_june_close(files, calendar):
        june = junes.close(files)
        calendar, month_end, as_of = {**calendar, june.month_end: june}, june.month_end, june.as_of_days[-1]
    elif files.month_end is not None:
        june, month_end, as_of = None, files.month_end, files.as_of
    has_target = False
    for day, edition in snapshot_dates(month_end, as_of, calendar, today):
        if june is not None and day != month_end and not edition.asks_blank:
            continue  # the report of that as-of date is another one
        has_target = True
        yield Target(
            set_id=files.id,
            date=day,
            district=files.district,
            data_month=month_end,
            as_of=edition.as_of,
            is_final=edition.is_final,
            footer=files.as_of,
        )
    if not has_target:
        raise NotImported(
            ImportReason.SUPERSEDED,
            f"It is as of {as_of}, and that date stands for a newer as-of date: the end of a month for its close.",
        )


def _is_june_close(files: ReportSet, calendar: Mapping[date, CalendarMonth]) -> bool:
    """Whether the footer has the date of the download of the June of a closed year."""
    if files.month_end is None:
        return True
    if files.year is not None and files.year != ProgramYear.of(files.month_end):
        return True
    june = calendar.get(files.month_end)
    is_after_close = june is not None and june.is_closed and files.as_of > june.as_of_days[-1]
    return files.month_end.month == _JUNE and is_after_close


def _snapshot(target: Target, reports: Mapping[ReportName, Report], import_id: UUID) -> Snapshot:
    return Snapshot(
        date=target.date,
        district=target.district,
        data_month=target.data_month,
        as_of=target.as_of,
        is_final=target.is_final,
        # The earliest time of the download. What the service fetches itself is newer.
        fetched_at=datetime.combine(target.footer, time(), UTC),
        job_id=import_id,
        reports=reports,
    )
