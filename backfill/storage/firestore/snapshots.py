"""Snapshots in Firestore: one document each, which contains the packed reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from google.cloud.firestore import DocumentReference
from google.cloud.firestore_v1.base_query import FieldFilter

from backfill.domain import AuditEntry, Snapshot, SnapshotFilter, SnapshotMetadata, StoredDay, StoredEdition
from backfill.errors import CorruptRecord, JobConflict
from backfill.storage.firestore import chunked_blobs
from backfill.storage.firestore.audit import FirestoreAuditStorage
from backfill.storage.firestore.database import NAME, Attempt, Database, Document, Query, translating_errors
from backfill.storage.firestore.documents import job_or_failed
from backfill.storage.firestore.monthly_index import IndexEntry, MonthlyIndex, new_stamp
from backfill.storage.firestore.pages import Pages
from backfill.storage.firestore.results import FirestoreResultStorage
from backfill.storage.firestore.state import check_fence
from backfill.storage.ports import Fence, Page, SnapshotKey, SnapshotStorage
from backfill.storage.serialization import packing

_METADATA_FIELDS = ("day", "district", "about", chunked_blobs.PARTS)
"""All fields except the packed reports."""

_DAY = itemgetter(0)
"""Of an index entry."""

_INDEXED_FIELDS = ("data_month", "as_of", "is_final", "content_hash", "job_id")


def _about(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "data_month": snapshot.data_month.isoformat(),
        "as_of": snapshot.as_of.isoformat(),
        "is_final": snapshot.is_final,
        "content_hash": snapshot.content_hash,
        "fetched_at": snapshot.fetched_at.isoformat(),
        "job_id": str(snapshot.job_id),
        "reports": packing.reports_to_json(snapshot.reports),
    }


def _name_of(day: date, district: str) -> str:
    return f"{day}_{district}"


class FirestoreSnapshotStorage(SnapshotStorage):
    def __init__(self, database: Database, results: FirestoreResultStorage, audit_log: FirestoreAuditStorage) -> None:
        self._database, self._results, self._audit = database, results, audit_log
        self._pages = Pages(database)
        self._index = MonthlyIndex(database, "snapshots", _INDEXED_FIELDS)

    def _snapshot(self, day: date, district: str) -> DocumentReference:
        return self._database.document("snapshots", _name_of(day, district))

    def _snapshots(self, first: date | None = None, last: date | None = None) -> Query:
        """Return the query of a range by date and district. Documents of one date are ordered by name."""
        query: Query = self._database.collection("snapshots").order_by("day").order_by(NAME)
        if first:
            query = query.where(filter=FieldFilter("day", ">=", first.isoformat()))
        if last:
            query = query.where(filter=FieldFilter("day", "<=", last.isoformat()))
        return query

    def put(self, snapshot: Snapshot, *, fence: Fence | None = None) -> bool:
        def check(slot: Document, attempt: Attempt) -> None:
            check_fence(fence, slot)
            if fence is not None:
                attempt.verify(slot)

        return self._put(snapshot, check)

    def put_imported(
        self, snapshots: Sequence[Snapshot], *, audit_entries: Sequence[AuditEntry] = ()
    ) -> Sequence[bool]:
        stored: list[bool] = []
        for snapshot in snapshots:
            stored.append(self._put_imported(snapshot, () if any(stored) else audit_entries))
        return stored

    def _put_imported(self, snapshot: Snapshot, audit_entries: Sequence[AuditEntry]) -> bool:
        def check(slot: Document, attempt: Attempt) -> None:
            if slot.exists:
                raise self._active_conflict(slot)
            # Deleting a missing document fails the commit if a job has created it meanwhile.
            attempt.writes.delete(slot.reference, self._database.client.write_option(exists=False))
            self._audit.append(audit_entries, attempt)

        return self._put(snapshot, check)

    def _active_conflict(self, slot: Document) -> JobConflict:
        job_id = (slot.to_dict() or {})["job_id"]
        return job_or_failed(self._database.read(self._database.document("jobs", job_id))).conflict()

    def _put(self, snapshot: Snapshot, check: Callable[[Document, Attempt], None]) -> bool:
        """`check` receives the slot of the active job. It raises an error, or adds what must hold at the commit."""
        packed = packing.pack_reports(snapshot.reports)

        def write(attempt: Attempt) -> bool:
            reference = self._snapshot(snapshot.date, snapshot.district)
            slot, seen = attempt.read_all([self._database.document("state", "slot"), reference])
            check(slot, attempt)
            if seen.exists:
                if attempt.is_committed(seen):
                    return True
                with suppress(CorruptRecord):  # replace an unreadable snapshot
                    if not snapshot.supersedes(self._read(seen, with_content=True)):
                        return False
            value = {
                "day": snapshot.date.isoformat(),
                "district": snapshot.district,
                "stamp": new_stamp(),
                "about": _about(snapshot),
                **chunked_blobs.fields_for(packed, attempt, reference),
            }
            chunked_blobs.delete_parts(seen, attempt, value)
            attempt.write(seen, attempt.with_change_id(seen, value))
            attempt.commit()
            return True

        with translating_errors():
            return self._database.run(write)

    def get(self, day: date, district: str) -> Snapshot | None:
        with translating_errors():
            document = self._database.read(self._snapshot(day, district))
            return self._read(document, with_content=True) if document.exists else None

    def get_several(self, day: date, districts: Collection[str]) -> dict[str, Snapshot]:
        found = {}
        with translating_errors():
            for document in self._database.read_all([self._snapshot(day, district) for district in districts]):
                with suppress(CorruptRecord):
                    if document.exists:
                        snapshot = self._read(document, with_content=True)
                        found[snapshot.district] = snapshot
        return found

    def _read(self, document: Document, *, with_content: bool) -> Snapshot:
        value = document.to_dict() or {}
        subject = f"snapshot {value.get('day')}/{value.get('district')}"
        try:
            about = value["about"]
            reports = (
                packing.unpack_reports(about["reports"], chunked_blobs.body_of(document, self._database), subject)
                if with_content
                else packing.reports_from_json(about["reports"])
            )
            return Snapshot(
                date=date.fromisoformat(value["day"]),
                district=value["district"],
                data_month=date.fromisoformat(about["data_month"]),
                as_of=date.fromisoformat(about["as_of"]),
                is_final=about["is_final"],
                fetched_at=datetime.fromisoformat(about["fetched_at"]),
                job_id=UUID(about["job_id"]),
                reports=reports,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise CorruptRecord(f"The {subject} cannot be read: {exc!r}.") from exc

    def page(
        self, wanted: SnapshotFilter, *, limit: int, offset: int, after: SnapshotKey | None = None
    ) -> Page[Snapshot]:
        query = self._snapshots(wanted.first, wanted.last)
        if wanted.district:
            query = query.where(filter=FieldFilter("district", "==", wanted.district))
        values = {"day": after[0].isoformat(), NAME: _name_of(*after)} if after else None
        with translating_errors():
            rows, total = self._pages.page(
                query, wanted, limit=limit, offset=offset, fields=_METADATA_FIELDS, after=values
            )
            return Page([self._read(row, with_content=False) for row in rows], total)

    # Metadata, without the reports.

    def _index_entries(self, first: date, last: date, *, is_quick: bool = False) -> Iterator[IndexEntry]:
        with translating_errors():
            yield from self._index.entries(first, last, is_quick=is_quick)

    def editions(self, first: date, last: date) -> Iterator[StoredEdition]:
        for day, rows in groupby(self._index_entries(first, last), key=lambda entry: entry.day):
            editions: dict[tuple[str, bool, str], set[str]] = {}
            for _, district, about in rows:
                edition = about["as_of"], about["is_final"], about["job_id"]
                editions.setdefault(edition, set()).add(district)
            for (as_of, is_final, job_id), districts in editions.items():
                yield StoredEdition(
                    date=date.fromisoformat(day),
                    as_of=date.fromisoformat(as_of),
                    is_final=is_final,
                    job_id=UUID(job_id),
                    districts=frozenset(districts),
                )

    def metadata(self, first: date, last: date) -> Iterator[SnapshotMetadata]:
        for day, district, about in self._index_entries(first, last):
            yield SnapshotMetadata(
                date.fromisoformat(day),
                district,
                date.fromisoformat(about["data_month"]),
                date.fromisoformat(about["as_of"]),
                about["is_final"],
                about["content_hash"],
            )

    def days(self, first: date, last: date, *, is_quick: bool = False) -> Iterator[StoredDay]:
        results_by_day = groupby(self._results.entries(first, last, is_quick=is_quick), key=_DAY)
        results = next(results_by_day, None)
        for day, group in groupby(self._index_entries(first, last, is_quick=is_quick), key=_DAY):
            while results is not None and results[0] < day:
                results = next(results_by_day, None)
            results_of_day = results[1] if results is not None and results[0] == day else ()
            computed = {district: about["source_hash"] for _, district, about in results_of_day}
            snapshots = [(district, about) for _, district, about in group]
            yield StoredDay(
                date=date.fromisoformat(day),
                snapshots=frozenset(district for district, _ in snapshots),
                final=frozenset(district for district, about in snapshots if about["is_final"]),
                analysed=frozenset(
                    district for district, about in snapshots if computed.get(district) == about["content_hash"]
                ),
            )

    def span(self) -> tuple[date, date] | None:
        with translating_errors():
            return self._index.span()
