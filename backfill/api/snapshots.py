"""What was collected, over HTTP."""

from __future__ import annotations

from hashlib import blake2b

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import path_parameters, schema
from backfill.api.base import AnyAccept, ApiView, is_known, unchanged
from backfill.api.query_parameters import SnapshotListQuery, parsed_page_query, parsed_query
from backfill.domain import Snapshot, SnapshotFilter
from backfill.errors import CorruptRecord, DashboardError, SnapshotNotFound
from backfill.serializers.snapshots import SnapshotPageSerializer, SnapshotRows, SnapshotSerializer

_SHAPE = 1
"""Part of a snapshot's ETag: counts the changes of its JSON."""


def etag_of(snapshot: Snapshot) -> str:
    """Other where it was stored anew: the same content may then be as of another day."""
    return f'"{snapshot.content_hash}-{snapshot.fetched_at.timestamp():.6f}-v{_SHAPE}"'


class Snapshots(ApiView):
    @schema.list_snapshots
    def get(self, request: Request) -> Response:
        paging, wanted = parsed_page_query(request, SnapshotListQuery)
        page = self.service.history.page(SnapshotFilter(**wanted), **paging)
        return Response(SnapshotPageSerializer.render_page(page, **paging))


class OneSnapshot(ApiView):
    @schema.get_snapshot
    def get(self, request: Request, date: str, district: str) -> Response:
        parsed_query(request)
        snapshot = self.service.history.snapshot(*path_parameters.snapshot_key(date, district))
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
        return Response(SnapshotSerializer.render(SnapshotRows(snapshot, rows)), headers={"ETag": etag})


class OneReport(ApiView):
    content_negotiation_class = AnyAccept

    @schema.get_report
    def get(self, request: Request, date: str, district: str, report: str) -> Response | HttpResponse:
        parsed_query(request)
        day, name = path_parameters.snapshot_key(date, district)
        wanted = path_parameters.report_name(report)
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
