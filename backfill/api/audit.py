"""The audit trail over HTTP."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import query_parameters, schema
from backfill.api.base import ApiView, now
from backfill.serializers import values


class Audit(ApiView):
    @schema.list_audit
    def get(self, request: Request) -> Response:
        given = query_parameters.query(request, *query_parameters.PAGING, "jobId")
        return self._page(given, query_parameters.job_id(given["jobId"]) if "jobId" in given else None)

    def _page(self, given: query_parameters.Query, job_id: UUID | None) -> Response:
        limit, offset = query_parameters.page(given)
        found = self.service.audit(job_id, limit=limit, offset=offset)
        return Response(values.page("entries", found, values.audit_entry, limit=limit, offset=offset, now=now()))


class JobAudit(Audit):
    @schema.list_job_audit
    def get(self, request: Request, job_id: str) -> Response:
        return self._page(query_parameters.query(request, *query_parameters.PAGING), query_parameters.job_id(job_id))
