"""What is known of many documents without reading them: a register of each month, believed where it is proven.

A register is one document that holds the facts of every snapshot (or result) of a month, so that a plan over ten years
reads some hundred documents and not half a million. It is a mere copy, made by whoever had to read the documents of the
month; who writes snapshots knows nothing of it. It may be missing, old or damaged at any moment, and nothing has to go
well for it: there is no clock, no lock, and no write that must not be lost.

What makes it safe is that it is proven at each use. Every write of a document gives it a new stamp, a random number. A
register knows the sum of the stamps that it was made of, and Firestore, asked for the sum over a month and for how many
documents that has, answers from its index, strongly consistent, for one read a thousand documents. Where both agree,
the register says what is stored at that moment. Where a document was added, replaced or removed since, they do not:
the documents of the month are read, and a new register is made of them. An old one could agree by accident only where
random numbers of forty bits add up alike.

A document without a stamp (of an older version of the service) adds to the number and not to the sum. No register is
made of a month that has one, and none agrees with it. A hand that changes a document has to change its stamp.
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
"""Of a million documents the sum still fits into 64 bits, beyond which Firestore would round it."""

_WITHOUT = timedelta(days=31)
"""So long a range is read from its documents: of the month that a job just fills, no register stays true."""

_PAGE = 2000


class IndexEntry(NamedTuple):
    """What is known of a document without its content."""

    day: str
    district: str
    about: dict[str, Any]


class IndexDigest(NamedTuple):
    """By which documents and what a register says of them are compared."""

    stamps: int
    documents: int


def new_stamp() -> int:
    """For the field `stamp` of a document that is written. Never 0, which would add nothing to a sum."""
    return 1 + secrets.randbelow(_STAMPS - 1)


class MonthlyIndex:
    """Of one collection, whose documents have the fields `day`, `district`, `about` and `stamp`."""

    def __init__(self, database: Database, collection: str, names: Sequence[str]) -> None:
        """`names`: those fields of `about` that are facts; the others are not kept."""
        self._database, self._collection, self._names = database, collection, tuple(names)

    def facts(self, first: date, last: date) -> Iterator[IndexEntry]:
        """Of a range of days, by day and district."""
        if last - first < _WITHOUT:
            yield from (facts for facts, _ in self._read(first, last))
            return
        span = self.span()
        if span is None:
            return
        ends = month_ends(max(first, span[0]), min(last, span[1]))
        wanted = first.isoformat(), last.isoformat()
        for _, months in groupby(ends, key=lambda end: end.year):
            for facts in self._of_months(list(months)):
                if wanted[0] <= facts.day <= wanted[1]:
                    yield facts

    def span(self) -> tuple[date, date] | None:
        """The first and the last day of which there is a document."""
        days = self._database.collection(self._collection).select(["day"])
        ends = [self._database.first(days.order_by("day", direction=way)) for way in ("ASCENDING", "DESCENDING")]
        first, last = (date.fromisoformat(end.get("day")) if end else None for end in ends)
        return (first, last) if first and last else None

    # Within a few months, each named by its last day.

    def _of_months(self, ends: Sequence[date]) -> Iterator[IndexEntry]:
        """All registers are proven at once; else each by itself, and the months of those that are not are read."""
        references = [self._database.document("registers", f"{self._collection}_{end:%Y-%m}") for end in ends]
        monthly_index = self._database.read_all(references)
        stored_digests = [_digest_of(register) for register in monthly_index]
        all_agree = self._digest(ends[0], ends[-1]) == IndexDigest(*map(sum, zip(*stored_digests, strict=True)))
        for end, register, digest in zip(ends, monthly_index, stored_digests, strict=True):
            agrees = all_agree or (len(ends) > 1 and self._digest(end, end) == digest)
            found = self._verified_entries(register) if agrees else None
            yield from self._anew(end, register) if found is None else found

    def _digest(self, first_end: date, last_end: date) -> IndexDigest:
        query = self._documents(first_end.replace(day=1), last_end)
        # In this order: a document without a stamp that was there at the sum is in the count, since none is removed.
        stamps = self._database.sum(query, "stamp")
        return IndexDigest(stamps, self._database.count(query))

    def _verified_entries(self, register: Document) -> list[IndexEntry] | None:
        """What a register says; nothing where there is none, and None of one that is damaged."""
        if not register.exists:
            return []
        try:
            columns = packing.unpack_json(chunked_blobs.body_of(register, self._database), f"register {register.id}")
            return [
                IndexEntry(day, district, dict(zip(self._names, about, strict=True)))
                for day, district, *about in zip(*columns, strict=True)
            ]
        except (CorruptRecord, TypeError, ValueError) as exc:
            logger.warning("The register %s is made anew, since it cannot be read: %s", register.id, exc)
            return None

    def _anew(self, end: date, before: Document) -> Iterator[IndexEntry]:
        """From the documents of a month; a register is made of them."""
        found = list(self._read(end.replace(day=1), end))
        stamps = [stamp for _, stamp in found if stamp is not None]
        if len(stamps) == len(found):
            self._write(before, [facts for facts, _ in found], IndexDigest(sum(stamps), len(stamps)))
        return (facts for facts, _ in found)

    def _write(self, before: Document, found: Iterable[IndexEntry], digest: IndexDigest) -> None:
        rows = [(facts.day, facts.district, *(facts.about[name] for name in self._names)) for facts in found]
        packed = packing.pack_json([list(column) for column in zip(*rows, strict=True)])

        def attempt(trying: Attempt) -> None:
            if trying.number:
                return  # another reader was quicker, or the service is in trouble: the next reader makes one
            value = {**digest._asdict(), **chunked_blobs.fields_for(packed, trying, before.reference)}
            chunked_blobs.forget_parts(before, trying, value)
            trying.write(before, value)
            trying.commit()

        self._database.decide(attempt)

    # The documents themselves.

    def _documents(self, first: date, last: date) -> Query:
        return (
            self._database.collection(self._collection)
            .where(filter=FieldFilter("day", ">=", first.isoformat()))
            .where(filter=FieldFilter("day", "<=", last.isoformat()))
            .order_by("day")
        )

    def _read(self, first: date, last: date) -> Iterator[tuple[IndexEntry, int | None]]:
        """With their stamps; documents of one day are in the order of their names."""
        wanted = ["day", "district", "stamp", *(f"about.{name}" for name in self._names)]
        for document in self._database.rows(self._documents(first, last).select(wanted), page=_PAGE):
            value = document.to_dict() or {}
            yield IndexEntry(value["day"], value["district"], value["about"]), value.get("stamp")


def _digest_of(register: Document) -> IndexDigest:
    """A register that is not there says that there is nothing."""
    value = register.to_dict() or {}
    return IndexDigest(value.get("stamps", 0), value.get("documents", 0))
