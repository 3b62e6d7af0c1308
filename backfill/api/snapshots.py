"""What was collected, over HTTP."""

from __future__ import annotations

from hashlib import blake2b

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import query_parameters, schema
from backfill.api.base import AnyAccept, ApiView, is_known, now, unchanged, with_metadata
from backfill.domain import Snapshot
from backfill.errors import CorruptRecord, DashboardError, SnapshotNotFound
from backfill.serializers import values

_SHAPE = 1
"""Part of a snapshot's ETag: counts the changes of its JSON."""


def etag_of(snapshot: Snapshot) -> str:
    """Other where it was stored anew: the same content may then be as of another day."""
    return f'"{snapshot.content_hash}-{snapshot.fetched_at.timestamp():.6f}-v{_SHAPE}"'


class Snapshots(ApiView):
    @schema.list_snapshots
    def get(self, request: Request) -> Response:
        given = query_parameters.query(request, *query_parameters.PAGING, "from", "to", "district")
        limit, offset = query_parameters.page(given)
        found = self.service.history.page(query_parameters.snapshot_filter(given), limit=limit, offset=offset)
        return Response(values.page("snapshots", found, values.listed_snapshot, limit=limit, offset=offset, now=now()))


class OneSnapshot(ApiView):
    @schema.get_snapshot
    def get(self, request: Request, date: str, district: str) -> Response:
        query_parameters.query(request)
        snapshot = self.service.history.snapshot(*query_parameters.snapshot_key(date, district))
        etag = etag_of(snapshot)
        if is_known(request, etag):
            return unchanged(etag)
        try:
            rows = self.service.history.rows(snapshot)
        except DashboardError as exc:  # it was read when it was stored, so the store has damaged it
            raise CorruptRecord(
                f"The stored snapshot {date}/{district} cannot be read: {exc.message} "
                "Collect that date again without skipping what is stored."
            ) from exc
        return Response(with_metadata(values.snapshot(snapshot, rows)), headers={"ETag": etag})


class OneReport(ApiView):
    content_negotiation_class = AnyAccept

    @schema.get_report
    def get(self, request: Request, date: str, district: str, report: str) -> Response | HttpResponse:
        query_parameters.query(request)
        day, name = query_parameters.snapshot_key(date, district)
        wanted = query_parameters.report_name(report)
        snapshot = self.service.history.snapshot(day, name)
        found = snapshot.reports.get(wanted)
        if found is None:
            raise SnapshotNotFound(
                f"The snapshot of {name} on {day} has no report {wanted}; it has {', '.join(snapshot.reports)}."
            )
        etag = f'"{blake2b(found.content, digest_size=16).hexdigest()}"'  # of the bytes: a footer may be another
        if is_known(request, etag):
            return unchanged(etag)
        return HttpResponse(
            found.content,
            content_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{day}-{name}-{wanted}.csv"', "ETag": etag},
        )
