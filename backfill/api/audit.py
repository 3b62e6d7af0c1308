"""The audit trail over HTTP."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from backfill import shapes
from backfill.api import queries, schema
from backfill.api.base import ApiView, now


class Audit(ApiView):
    @schema.list_audit
    def get(self, request: Request) -> Response:
        given = queries.query(request, *queries.PAGING, "jobId")
        return self._page(given, queries.job_id(given["jobId"]) if "jobId" in given else None)

    def _page(self, given: queries.Query, job_id: UUID | None) -> Response:
        limit, offset = queries.page(given)
        found = self.service.audit(job_id, limit=limit, offset=offset)
        return Response(shapes.page("entries", found, shapes.audit_entry, limit=limit, offset=offset, now=now()))


class JobAudit(Audit):
    @schema.list_job_audit
    def get(self, request: Request, job_id: str) -> Response:
        return self._page(queries.query(request, *queries.PAGING), queries.job_id(job_id))
