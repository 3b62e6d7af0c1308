"""Snapshots in Django's database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, QuerySet, Subquery, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat
from django.db.models.sql.compiler import SQLCompiler

from backfill.domain import AuditEntry, Snapshot, SnapshotFilter, SnapshotMetadata, StoredDay, StoredEdition
from backfill.errors import CorruptRecord
from backfill.models import BackfillJob, StoredResult, StoredSnapshot
from backfill.storage.orm import audit as audit_log
from backfill.storage.orm.database import atomic, behind, check_fence, in_batches, translating_errors
from backfill.storage.orm.jobs import check_no_active_job
from backfill.storage.ports import Fence, Page, SnapshotKey, SnapshotStorage
from backfill.storage.serialization import packing

_FIELDS = [field for field in StoredSnapshot._meta.concrete_fields if not field.primary_key]  # noqa: SLF001 - public in Django
_COLUMNS = ", ".join(field.name for field in _FIELDS)
_A_DAY, _A_YEAR = timedelta(days=1), timedelta(days=365)
_JOB_ID = BackfillJob._meta.get_field("id")  # noqa: SLF001


class _Joined(Aggregate):
    """Aggregate that joins the texts of a group with commas, so that a query returns one row per date."""

    function = "STRING_AGG"
    template = "%(function)s(%(expressions)s, ',')"
    output_field = TextField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="GROUP_CONCAT", **context)


def _snapshot_of(row: StoredSnapshot, *, with_content: bool) -> Snapshot:
    subject = f"snapshot {row.date}/{row.district}"
    try:
        reports = (
            packing.unpack_reports(row.reports, bytes(row.content), subject)
            if with_content
            else packing.reports_from_json(row.reports)
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc!r}.") from exc
    return Snapshot(
        date=row.date,
        district=row.district,
        data_month=row.data_month,
        as_of=row.as_of,
        is_final=row.is_final,
        fetched_at=row.fetched_at,
        job_id=row.job_id,
        reports=reports,
    )


def _values(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "date": snapshot.date,
        "district": snapshot.district,
        "data_month": snapshot.data_month,
        "as_of": snapshot.as_of,
        "is_final": snapshot.is_final,
        "content_hash": snapshot.content_hash,
        "fetched_at": snapshot.fetched_at,
        "job_id": snapshot.job_id,
        "reports": packing.reports_to_json(snapshot.reports),
        "content": packing.pack_reports(snapshot.reports),
    }


def _put(snapshot: Snapshot, values: Mapping[str, Any]) -> bool:
    """Insert or replace the row inside a transaction; return whether it was written."""
    row, is_new = StoredSnapshot.objects.select_for_update().get_or_create(
        date=snapshot.date, district=snapshot.district, defaults=values
    )
    if is_new:
        return True
    with suppress(CorruptRecord):  # replace an unreadable snapshot
        if not snapshot.supersedes(_snapshot_of(row, with_content=True)):
            return False
    StoredSnapshot.objects.filter(pk=row.pk).update(**values)
    return True


def _joined(rows: QuerySet[Any, Any], expression: Combinable | str) -> dict[date, str]:
    """Return the joined values of an expression by date."""
    return dict(rows.values_list("date").annotate(joined=_Joined(expression)).order_by("date"))


def _stamped(hash_column: str) -> Combinable:
    return Concat("district", Value("/"), hash_column)


def _analysed(snapshots: str, results: str) -> frozenset[str]:
    """Return the districts whose result was computed from the stored snapshot, by comparing hashes."""
    current = set(snapshots.split(",")).intersection(results.split(","))
    return frozenset(stamp.partition("/")[0] for stamp in current)


def _inserted(values: Mapping[str, Any], fence: Fence | None) -> bool:
    """Insert a snapshot unless there is one of the same date and district, or the claim no longer holds.

    Return whether it is inserted. The claim is checked as by `check_fence`, but in the same statement. That takes a
    quarter of the time of the transaction, and locks the row of the job only until the statement is committed.
    """
    database = connections[DEFAULT_DB_ALIAS]  # without the proxy, which looks it up at each access
    parameters = [field.get_db_prep_save(values[field.name], database) for field in _FIELDS]
    marks = ", ".join(["%s"] * len(_FIELDS))
    rows = f"VALUES ({marks})"
    if fence is not None:
        parameters += [_JOB_ID.get_db_prep_save(fence.job_id, database), fence.token]
        lock = "FOR UPDATE" if database.features.has_select_for_update else ""
        rows = f"SELECT {marks} FROM backfill_backfilljob WHERE id = %s AND token = %s AND lease_owner <> '' {lock}"  # noqa: S608 - no input
    statement = f"INSERT INTO backfill_storedsnapshot ({_COLUMNS}) {rows} ON CONFLICT (date, district) DO NOTHING"
    with translating_errors(), database.cursor() as cursor:
        cursor.execute(statement, parameters)
        return bool(cursor.rowcount == 1)


class OrmSnapshotStorage(SnapshotStorage):
    def put(self, snapshot: Snapshot, *, fence: Fence | None = None) -> bool:
        values = _values(snapshot)
        if _inserted(values, fence):
            return True
        with atomic():
            check_fence(fence)
            return _put(snapshot, values)

    def put_imported(
        self, snapshots: Sequence[Snapshot], *, audit_entries: Sequence[AuditEntry] = ()
    ) -> Sequence[bool]:
        # Pack outside the transaction, which other writers of SQLite wait for.
        packed = [(snapshot, _values(snapshot)) for snapshot in snapshots]
        with atomic():
            check_no_active_job()
            stored = [_inserted(values, None) or _put(snapshot, values) for snapshot, values in packed]
            if any(stored):
                audit_log.append(audit_entries)
            return stored

    def get(self, day: date, district: str) -> Snapshot | None:
        with translating_errors():
            row = StoredSnapshot.objects.filter(date=day, district=district).first()
        return _snapshot_of(row, with_content=True) if row else None

    def get_several(self, day: date, districts: Collection[str]) -> dict[str, Snapshot]:
        with translating_errors():
            rows = list(StoredSnapshot.objects.filter(date=day, district__in=districts))
        found = {}
        for row in rows:
            with suppress(CorruptRecord):
                found[row.district] = _snapshot_of(row, with_content=True)
        return found

    def page(
        self, wanted: SnapshotFilter, *, limit: int, offset: int, after: SnapshotKey | None = None
    ) -> Page[Snapshot]:
        rows = StoredSnapshot.objects.defer("content").order_by("date", "district")
        if wanted.first:
            rows = rows.filter(date__gte=wanted.first)
        if wanted.last:
            rows = rows.filter(date__lte=wanted.last)
        if wanted.district:
            rows = rows.filter(district=wanted.district)
        following = rows.filter(behind(*after)) if after else rows
        with translating_errors():
            found = following[offset : offset + limit]
            return Page([_snapshot_of(row, with_content=False) for row in found], rows.count())

    def editions(self, first: date, last: date) -> Iterator[StoredEdition]:
        begin, end = first, last
        if last - first > _A_YEAR:
            stored = self.span()
            if stored is None:
                return
            begin, end = max(first, stored[0]), min(last, stored[1])
        while begin <= end:  # a year at a time, so that a query is short and its dates are complete
            until = begin + _A_YEAR if end - begin > _A_YEAR else end
            groups = (
                StoredSnapshot.objects.filter(date__range=(begin, until))
                .values_list("date", "as_of", "is_final", "job_id")
                .annotate(districts=_Joined("district"))
                .order_by("date", "as_of", "is_final", "job_id")
            )
            with translating_errors():
                found = list(groups)
            for day, as_of, is_final, job_id, districts in found:
                yield StoredEdition(
                    date=day, as_of=as_of, is_final=is_final, job_id=job_id, districts=frozenset(districts.split(","))
                )
            if until == end:
                return  # before the day after date.max
            begin = until + _A_DAY

    def metadata(self, first: date, last: date) -> Iterator[SnapshotMetadata]:
        rows = (
            StoredSnapshot.objects.filter(date__range=(first, last))
            .order_by("date", "district")
            .values_list(*SnapshotMetadata._fields)
        )
        return map(SnapshotMetadata._make, in_batches(rows))

    def days(self, first: date, last: date, *, is_quick: bool = False) -> Iterator[StoredDay]:  # noqa: ARG002 - SQL bills no reads
        # Each query reads only an index. A join of results with snapshots would read the row of every snapshot with
        # its packed reports, so the hashes of both are read and compared here.
        snapshots = StoredSnapshot.objects.filter(date__range=(first, last))
        results = StoredResult.objects.filter(date__range=(first, last))
        split = cache(lambda districts: frozenset(districts.split(",")))  # most dates have the same districts
        with translating_errors():
            stored, final = _joined(snapshots, "district"), _joined(snapshots.filter(is_final=True), "district")
            sources, computed = _joined(snapshots, _stamped("content_hash")), _joined(results, _stamped("source_hash"))
        for day, districts in stored.items():
            is_all_analysed = sources[day] == computed.get(day)
            yield StoredDay(
                date=day,
                snapshots=split(districts),
                final=split(final[day]) if day in final else frozenset(),
                analysed=split(districts) if is_all_analysed else _analysed(sources[day], computed.get(day, "")),
            )

    def span(self) -> tuple[date, date] | None:
        # Not Min and Max together: SQLite would scan the whole index instead of reading its ends.
        last = StoredSnapshot.objects.order_by("-date").values("date")[:1]
        with translating_errors():
            return StoredSnapshot.objects.order_by("date").values_list("date", Subquery(last)).first()
