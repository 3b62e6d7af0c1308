"""Snapshots and calendar pages in Firestore: a document each, the reports packed in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import date, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from google.cloud.firestore import DocumentReference
from google.cloud.firestore_v1.base_query import FieldFilter

from backfill.domain import Snapshot, SnapshotFacts, SnapshotFilter, StoredDay, StoredEdition
from backfill.errors import CorruptRecord
from backfill.storage.firestore import chunked_blobs
from backfill.storage.firestore.database import Attempt, Database, Document, Query, answering
from backfill.storage.firestore.monthly_index import IndexEntry, MonthlyIndex, new_stamp
from backfill.storage.firestore.pages import Pages
from backfill.storage.firestore.results import FirestoreResultStorage
from backfill.storage.firestore.state import check_fence
from backfill.storage.ports import Fence, Page, SnapshotStorage
from backfill.storage.serialization import packing

_DESCRIBED = ("day", "district", "about", chunked_blobs.PARTS)
"""All fields but the reports themselves."""

_FACTS = ("data_month", "as_of", "is_final", "content_hash", "job_id")


def _about(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "data_month": snapshot.data_month.isoformat(),
        "as_of": snapshot.as_of.isoformat(),
        "is_final": snapshot.is_final,
        "content_hash": snapshot.content_hash,
        "fetched_at": snapshot.fetched_at.isoformat(),
        "job_id": str(snapshot.job_id),
        "reports": packing.described_reports(snapshot.reports),
    }


class FirestoreSnapshotStorage(SnapshotStorage):
    def __init__(self, database: Database, results: FirestoreResultStorage) -> None:
        self._database, self._results = database, results
        self._pages = Pages(database)
        self._stored = MonthlyIndex(database, "snapshots", _FACTS)

    def _snapshot(self, day: date, district: str) -> DocumentReference:
        return self._database.document("snapshots", f"{day}_{district}")

    def _snapshots(self, first: date | None = None, last: date | None = None) -> Query:
        """Of a range, by date and district: documents of one day are in the order of their names."""
        query: Query = self._database.collection("snapshots").order_by("day")
        if first:
            query = query.where(filter=FieldFilter("day", ">=", first.isoformat()))
        if last:
            query = query.where(filter=FieldFilter("day", "<=", last.isoformat()))
        return query

    def put(self, snapshot: Snapshot, *, fence: Fence | None = None) -> bool:
        packed = packing.pack_reports(snapshot.reports)

        def attempt(trying: Attempt) -> bool:
            reference = self._snapshot(snapshot.date, snapshot.district)
            slot, seen = trying.read_all([self._database.document("state", "slot"), reference])
            check_fence(fence, slot)
            if fence is not None:
                trying.verify(slot)
            if seen.exists:
                if trying.has_come_through(seen):
                    return True
                with suppress(CorruptRecord):  # which gives way
                    if not snapshot.supersedes(self._read(seen, with_content=True)):
                        return False
            value = {
                "day": snapshot.date.isoformat(),
                "district": snapshot.district,
                "stamp": new_stamp(),
                "about": _about(snapshot),
                **chunked_blobs.fields_for(packed, trying, reference),
            }
            chunked_blobs.forget_parts(seen, trying, value)
            trying.write(seen, trying.marked(seen, value))
            trying.commit()
            return True

        with answering():
            return self._database.decide(attempt)

    def get(self, day: date, district: str) -> Snapshot | None:
        with answering():
            document = self._database.read(self._snapshot(day, district))
            return self._read(document, with_content=True) if document.exists else None

    def get_several(self, day: date, districts: Collection[str]) -> dict[str, Snapshot]:
        found = {}
        with answering():
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
                else packing.read_reports(about["reports"])
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

    def page(self, wanted: SnapshotFilter, *, limit: int, offset: int) -> Page[Snapshot]:
        query = self._snapshots(wanted.first, wanted.last)
        if wanted.district:
            query = query.where(filter=FieldFilter("district", "==", wanted.district))
        with answering():
            rows, total = self._pages.page(query, wanted, limit=limit, offset=offset, fields=_DESCRIBED)
            return Page([self._read(row, with_content=False) for row in rows], total)

    # Without the reports.

    def _described(self, first: date, last: date) -> Iterator[IndexEntry]:
        with answering():
            yield from self._stored.facts(first, last)

    def editions(self, first: date, last: date) -> Iterator[StoredEdition]:
        for day, rows in groupby(self._described(first, last), key=lambda facts: facts.day):
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

    def metadata(self, first: date, last: date) -> Iterator[SnapshotFacts]:
        for day, district, about in self._described(first, last):
            yield SnapshotFacts(
                date.fromisoformat(day),
                district,
                date.fromisoformat(about["data_month"]),
                date.fromisoformat(about["as_of"]),
                about["is_final"],
                about["content_hash"],
            )

    def days(self, first: date, last: date) -> Iterator[StoredDay]:
        results = groupby(self._results.metadata(first, last), key=lambda facts: facts.date)
        ahead = next(results, None)
        for day, group in groupby(self.metadata(first, last), key=lambda facts: facts.date):
            while ahead is not None and ahead[0] < day:
                ahead = next(results, None)
            of_day = ahead[1] if ahead is not None and ahead[0] == day else ()
            computed = {facts.district: facts.source_hash for facts in of_day}
            snapshots = list(group)
            yield StoredDay(
                date=day,
                snapshots=frozenset(facts.district for facts in snapshots),
                final=frozenset(facts.district for facts in snapshots if facts.is_final),
                analysed=frozenset(
                    facts.district for facts in snapshots if computed.get(facts.district) == facts.content_hash
                ),
            )

    def span(self) -> tuple[date, date] | None:
        with answering():
            return self._stored.span()
