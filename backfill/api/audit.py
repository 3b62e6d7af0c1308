"""Views of the audit log."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import path_parameters, schema
from backfill.api.base import ApiView, page_response
from backfill.api.query_parameters import AuditQuery, parsed_page_query
from backfill.serializers.audit import AuditPageSerializer
from backfill.service.pagination import Pagination


class Audit(ApiView):
    @schema.list_audit
    def get(self, request: Request) -> Response:
        pagination, filters = parsed_page_query(request, AuditQuery)
        return self._page(request, filters.get("job_id"), pagination)

    def _page(self, request: Request, job_id: UUID | None, pagination: Pagination) -> Response:
        return page_response(request, AuditPageSerializer, self.service.audit(job_id, **pagination))


class JobAudit(Audit):
    @schema.list_job_audit
    def get(self, request: Request, job_id: str) -> Response:
        pagination, _ = parsed_page_query(request)
        return self._page(request, path_parameters.job_id(job_id), pagination)
