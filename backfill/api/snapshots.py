"""Views of snapshots."""

from __future__ import annotations

from hashlib import blake2b

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import history_schema, path_parameters
from backfill.api.base import AnyAccept, ApiView, is_known, page_response, unchanged
from backfill.api.query_parameters import SnapshotListQuery, parsed_page_query, parsed_query
from backfill.domain import Snapshot, SnapshotFilter
from backfill.errors import CorruptRecord, DashboardError, SnapshotNotFound
from backfill.serializers.snapshots import SnapshotPageSerializer, SnapshotRows, SnapshotSerializer


def etag_of(snapshot: Snapshot) -> str:
    """Changes whenever the snapshot is stored, because the same content may have another as-of date."""
    return f'"{snapshot.content_hash}-{snapshot.fetched_at.timestamp():.6f}-{SnapshotSerializer.version()}"'


class Snapshots(ApiView):
    @history_schema.list_snapshots
    def get(self, request: Request) -> Response:
        pagination, filters = parsed_page_query(request, SnapshotListQuery)
        page = self.service.history.page(SnapshotFilter(**filters), **pagination)
        return page_response(request, SnapshotPageSerializer, page)


class SnapshotDetail(ApiView):
    @history_schema.get_snapshot
    def get(self, request: Request, date: str, district: str) -> Response:
        parsed_query(request)
        snapshot = self.service.history.snapshot(*path_parameters.snapshot_key(date, district))
        etag = etag_of(snapshot)
        if is_known(request, etag):
            return unchanged(etag)
        try:
            rows = self.service.history.rows(snapshot)
        except DashboardError as exc:  # the report was valid when it was stored, so the stored copy is damaged
            raise CorruptRecord(
                f"The stored snapshot {date}/{district} cannot be read: {exc.message} "
                "Collect that date again with skipExisting set to false."
            ) from exc
        return Response(SnapshotSerializer.render(SnapshotRows(snapshot, rows)), headers={"ETag": etag})


class ReportFile(ApiView):
    content_negotiation_class = AnyAccept

    @history_schema.get_report
    def get(self, request: Request, date: str, district: str, report: str) -> Response | HttpResponse:
        parsed_query(request)
        day, name = path_parameters.snapshot_key(date, district)
        report_name = path_parameters.report_name(report)
        snapshot = self.service.history.snapshot(day, name)
        found = snapshot.reports.get(report_name)
        if found is None:
            raise SnapshotNotFound(
                f"The snapshot of {name} on {day} has no report {report_name}; it has {', '.join(snapshot.reports)}."
            )
        # The hash of the bytes, because the content hash ignores the footer.
        etag = f'"{blake2b(found.content, digest_size=16).hexdigest()}"'
        if is_known(request, etag):
            return unchanged(etag)
        return HttpResponse(
            found.content,
            content_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{day}-{name}-{report_name}.csv"', "ETag": etag},
        )
