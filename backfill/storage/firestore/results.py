"""Results in Firestore: one document each, which contains the packed figures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any
from uuid import UUID

from google.cloud.firestore import DocumentReference
from google.cloud.firestore_v1.base_query import FieldFilter

from backfill.domain import Point, ProgramYear, Result, ResultMetadata
from backfill.errors import CorruptRecord
from backfill.storage.firestore import chunked_blobs
from backfill.storage.firestore.database import Attempt, Database, Document, translating_errors
from backfill.storage.firestore.monthly_index import IndexEntry, MonthlyIndex, new_stamp
from backfill.storage.firestore.state import check_fence
from backfill.storage.ports import Fence, ResultStorage
from backfill.storage.serialization import packing

_METADATA = ("basis", "source_hash", "schema_version", "job_id")
_POINT_FIELDS = ("day", "district", "about", "point")


class FirestoreResultStorage(ResultStorage):
    bundles_ahead = 1

    def __init__(self, database: Database) -> None:
        self._database = database
        self._index = MonthlyIndex(database, "results", _METADATA)

    def _result(self, day: date, district: str) -> DocumentReference:
        return self._database.document("results", f"{day}_{district}")

    def put(self, results: Sequence[Result], *, fence: Fence | None = None) -> None:
        def write(attempt: Attempt) -> None:
            if fence is not None:
                slot = attempt.read(self._database.document("state", "slot"))
                check_fence(fence, slot)
                attempt.verify(slot)
            for result in results:
                reference = self._result(result.date, result.district)
                value = {
                    "day": result.date.isoformat(),
                    "district": result.district,
                    "year": result.program_year.start,
                    "stamp": new_stamp(),
                    "about": {
                        "source_hash": result.source_hash,
                        "schema_version": result.schema_version,
                        "basis": result.input_digest,
                        "job_id": str(result.job_id),
                        "computed_at": result.computed_at.isoformat(),
                        "quality": dict(result.quality),
                    },
                    "point": None if result.point is None else packing.pack_json(dict(result.point)),
                    **chunked_blobs.fields_for(packing.pack_body(result.body), attempt, reference),
                }
                attempt.writes.set(reference, value)
            attempt.commit()

        if results:
            with translating_errors():
                self._database.run(write)

    def get(self, day: date, district: str) -> Result | None:
        with translating_errors():
            document = self._database.read(self._result(day, district))
            return self._read(document, day, district) if document.exists else None

    def get_several(self, day: date, districts: Collection[str]) -> Mapping[str, Result]:
        found = {}
        with translating_errors():
            documents = self._database.read_all([self._result(day, district) for district in districts])
            for district, document in zip(districts, documents, strict=True):
                with suppress(CorruptRecord):
                    if document.exists:
                        found[district] = self._read(document, day, district)
        return found

    def _read(self, document: Document, day: date, district: str) -> Result:
        packed = chunked_blobs.body_of(document, self._database)
        subject = f"result {day}/{district}"
        value = document.to_dict() or {}
        try:
            about = value["about"]
            return Result(
                date=day,
                district=district,
                program_year=ProgramYear(value["year"]),
                source_hash=about["source_hash"],
                schema_version=about["schema_version"],
                input_digest=about["basis"],
                job_id=UUID(about["job_id"]),
                computed_at=datetime.fromisoformat(about["computed_at"]),
                quality=about["quality"],
                point=packing.unpack_json(value["point"], subject) if value["point"] is not None else None,
                body=packing.unpack_body(packed, subject),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise CorruptRecord(f"The {subject} cannot be read: {exc!r}.") from exc

    def entries(self, first: date, last: date, *, is_quick: bool = False) -> Iterator[IndexEntry]:
        """Yield the metadata as the index contains it; see MonthlyIndex.entries."""
        with translating_errors():
            yield from self._index.entries(first, last, is_quick=is_quick)

    def metadata(self, first: date, last: date) -> Iterator[ResultMetadata]:
        with translating_errors():
            for day, district, about in self._index.entries(first, last):
                yield ResultMetadata(
                    date.fromisoformat(day),
                    district,
                    about["basis"],
                    about["source_hash"],
                    about["schema_version"],
                    UUID(about["job_id"]),
                )

    def points(self, keys: Collection[tuple[date, str]]) -> Mapping[tuple[date, str], Point]:
        with translating_errors():
            documents = self._database.read_all([self._result(*key) for key in dict.fromkeys(keys)], _POINT_FIELDS)
        points = _points(documents)
        return {(point.date, point.district): point for point in points}

    def series(self, district: str, year: ProgramYear) -> list[Point]:
        query = (
            self._database.collection("results")
            .where(filter=FieldFilter("district", "==", district))
            .where(filter=FieldFilter("year", "==", year.start))
            .order_by("day")
            .select(_POINT_FIELDS)
        )
        with translating_errors():
            return _points(self._database.rows(query))

    def years(self, district: str) -> Iterator[ProgramYear]:
        """Read one document per year: the newest result before the previous year."""
        query = (
            self._database.collection("results")
            .where(filter=FieldFilter("district", "==", district))
            .order_by("year", direction="DESCENDING")
            .select(["year"])
        )
        older = query
        while True:
            with translating_errors():
                newest = self._database.first(older)
            if newest is None:
                return
            year = ProgramYear(newest.get("year"))
            yield year
            older = query.where(filter=FieldFilter("year", "<", year.start))


def _points(documents: Any) -> list[Point]:
    return [_point(document) for document in documents if document.exists and document.get("point") is not None]


def _point(document: Document) -> Point:
    value: dict[str, Any] = document.to_dict() or {}
    about = value["about"]
    subject = f"result {value['day']}/{value['district']}"
    figures = packing.unpack_json(value["point"], subject)
    return Point(
        date.fromisoformat(value["day"]), value["district"], about["source_hash"], about["schema_version"], figures
    )
