"""A monthly index of the metadata of snapshots or results, verified at each use.

An index document contains the metadata of all snapshots (or results) of a month, so that planning ten years reads about
a hundred documents instead of half a million. It is a copy that a reader builds; writers of snapshots do not update it.
It may be missing, outdated or damaged at any time. It needs no clock and no lock, and no write of it must succeed.

Each write of a snapshot or result gives its document a new stamp, a random number. The index document stores the sum of
the stamps and the number of documents from which it was built. Before use, both are compared with the current sum and
count of the month. Firestore computes these from its own index, strongly consistent, and charges one read per thousand
documents. If they are equal, the index is current. Otherwise the documents of the month are read and the index is built
again. An outdated index could pass only if sums of random numbers of forty bits are equal by chance.

A document without a stamp was written by an older version of the service. It adds to the count but not to the sum, so
no index passes for its month, and none is built. A quick read compares only the sum, which costs half: it does not
notice new documents without a stamp. If you change a document by hand, change its stamp.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from google.cloud.firestore_v1.base_query import FieldFilter

from backfill.domain import month_ends
from backfill.errors import CorruptRecord
from backfill.storage.firestore import chunked_blobs
from backfill.storage.firestore.database import Attempt, Database, Document, Query
from backfill.storage.serialization import packing

logger = logging.getLogger(__name__)

_STAMPS = 2**40
"""The sum of a million stamps fits into 64 bits; Firestore rounds larger sums."""

_MIN_INDEXED_RANGE = timedelta(days=31)
"""Shorter ranges are read from their documents: the index of the month that a job fills is outdated at each write."""

_PAGE = 2000
"""Documents that one call reads; only their metadata is transferred."""


class IndexEntry(NamedTuple):
    """The metadata of a document."""

    day: str
    district: str
    about: dict[str, Any]


class IndexDigest(NamedTuple):
    """The sum of stamps and the number of documents, which identify the state of a month."""

    stamps: int
    documents: int


def new_stamp() -> int:
    """Return a value for the field `stamp` of a document to be written. Never 0, which would not change the sum."""
    return 1 + secrets.randbelow(_STAMPS - 1)


class MonthlyIndex:
    """The index of one collection, whose documents have the fields `day`, `district`, `about` and `stamp`."""

    def __init__(self, database: Database, collection: str, names: Sequence[str]) -> None:
        """`names`: the fields of `about` to include in the index."""
        self._database, self._collection, self._names = database, collection, tuple(names)

    def entries(self, first: date, last: date, *, is_quick: bool = False) -> Iterator[IndexEntry]:
        """Yield the entries of a range by day and district.

        `is_quick`: new documents without a stamp may be missing.
        """
        if last - first < _MIN_INDEXED_RANGE:
            yield from (entry for entry, _ in self._read(first, last))
            return
        span = self.span()
        if span is None:
            return
        ends = month_ends(max(first, span[0]), min(last, span[1]))
        wanted = first.isoformat(), last.isoformat()
        for _, months in groupby(ends, key=lambda end: end.year):
            for entry in self._month_entries(list(months), is_quick=is_quick):
                if wanted[0] <= entry.day <= wanted[1]:
                    yield entry

    def span(self) -> tuple[date, date] | None:
        """Return the first and the last day that has a document; None if there is no document."""
        days = self._database.collection(self._collection).select(["day"])
        ends = [self._database.first(days.order_by("day", direction=way)) for way in ("ASCENDING", "DESCENDING")]
        first, last = (date.fromisoformat(end.get("day")) if end else None for end in ends)
        return (first, last) if first and last else None

    # Consecutive months, each named by its last day.

    def _month_entries(self, ends: Sequence[date], *, is_quick: bool) -> Iterator[IndexEntry]:
        """Verify all months together; if that fails, verify each month and rebuild outdated indexes."""
        references = [self._database.document("registers", f"{self._collection}_{end:%Y-%m}") for end in ends]
        indexes = self._database.read_all(references)
        stored_digests = [_digest_of(index) for index in indexes]
        all_current = self._is_current(
            ends[0], ends[-1], IndexDigest(*map(sum, zip(*stored_digests, strict=True))), is_quick=is_quick
        )
        for end, index, digest in zip(ends, indexes, stored_digests, strict=True):
            is_current = all_current or (len(ends) > 1 and self._is_current(end, end, digest, is_quick=is_quick))
            found = self._entries_of(index) if is_current else None
            yield from self._rebuild(end, index) if found is None else found

    def _is_current(self, first_end: date, last_end: date, stored: IndexDigest, *, is_quick: bool) -> bool:
        """Return whether the documents of months are those from which their indexes were built."""
        query = self._documents(first_end.replace(day=1), last_end)
        # Sum before count: a document without a stamp at the time of the sum is still there at the count.
        stamps = self._database.sum(query, "stamp")
        documents = stored.documents if is_quick else self._database.count(query)
        return IndexDigest(stamps, documents) == stored

    def _entries_of(self, index: Document) -> list[IndexEntry] | None:
        """Return the entries of an index document; none if it does not exist, and None if it is damaged."""
        if not index.exists:
            return []
        try:
            columns = packing.unpack_json(chunked_blobs.body_of(index, self._database), f"monthly index {index.id}")
            return [
                IndexEntry(day, district, dict(zip(self._names, about, strict=True)))
                for day, district, *about in zip(*columns, strict=True)
            ]
        except (CorruptRecord, TypeError, ValueError) as exc:
            logger.warning("The monthly index %s cannot be read and is built again: %s", index.id, exc)
            return None

    def _rebuild(self, end: date, before: Document) -> Iterator[IndexEntry]:
        """Read the documents of a month, write its index unless a stamp is missing, and return the entries."""
        found = list(self._read(end.replace(day=1), end))
        stamps = [stamp for _, stamp in found if stamp is not None]
        if len(stamps) == len(found):
            self._write(before, [entry for entry, _ in found], IndexDigest(sum(stamps), len(stamps)))
        return (entry for entry, _ in found)

    def _write(self, before: Document, found: Iterable[IndexEntry], digest: IndexDigest) -> None:
        rows = [(entry.day, entry.district, *(entry.about[name] for name in self._names)) for entry in found]
        packed = packing.pack_json([list(column) for column in zip(*rows, strict=True)])

        def write(attempt: Attempt) -> None:
            if attempt.number:
                return  # do not retry: another reader has built the index, or the next reader will
            value = {**digest._asdict(), **chunked_blobs.fields_for(packed, attempt, before.reference)}
            chunked_blobs.delete_parts(before, attempt, value)
            attempt.write(before, value)
            attempt.commit()

        self._database.run(write)

    # The documents themselves.

    def _documents(self, first: date, last: date) -> Query:
        return (
            self._database.collection(self._collection)
            .where(filter=FieldFilter("day", ">=", first.isoformat()))
            .where(filter=FieldFilter("day", "<=", last.isoformat()))
            .order_by("day")
        )

    def _read(self, first: date, last: date) -> Iterator[tuple[IndexEntry, int | None]]:
        """Yield the entries and stamps of a range. Documents of one day are ordered by name."""
        wanted = ["day", "district", "stamp", *(f"about.{name}" for name in self._names)]
        for document in self._database.rows(self._documents(first, last).select(wanted), page=_PAGE):
            value = document.to_dict() or {}
            yield IndexEntry(value["day"], value["district"], value["about"]), value.get("stamp")


def _digest_of(index: Document) -> IndexDigest:
    """Return the stored digest of an index document. A missing document stands for a month without documents."""
    value = index.to_dict() or {}
    return IndexDigest(value.get("stamps", 0), value.get("documents", 0))
