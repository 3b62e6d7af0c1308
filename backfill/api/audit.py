"""Views of the audit log."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import path_parameters, schema
from backfill.api.base import ApiView
from backfill.api.query_parameters import AuditQuery, parsed_page_query
from backfill.serializers.audit import AuditPageSerializer


class Audit(ApiView):
    @schema.list_audit
    def get(self, request: Request) -> Response:
        paging, filters = parsed_page_query(request, AuditQuery)
        return self._page(filters.get("job_id"), paging)

    def _page(self, job_id: UUID | None, paging: dict[str, int]) -> Response:
        return Response(AuditPageSerializer.render_page(self.service.audit(job_id, **paging), **paging))


class JobAudit(Audit):
    @schema.list_job_audit
    def get(self, request: Request, job_id: str) -> Response:
        paging, _ = parsed_page_query(request)
        return self._page(path_parameters.job_id(job_id), paging)
