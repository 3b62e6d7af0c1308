"""What history there is, over HTTP."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import query_parameters, schema
from backfill.api.base import ApiView, now, with_metadata
from backfill.serializers import values


class Coverage(ApiView):
    @schema.get_coverage
    def get(self, request: Request) -> Response:
        given = query_parameters.query(request, "from", "to", "resolution")
        first, last = query_parameters.span(given)
        history, today = self.service.history, now().date()
        if query_parameters.is_monthly(given):
            return Response(with_metadata({"coverage": values.coverage(history.coverage(first, last, today))}))
        return Response(with_metadata({"coverage": values.covered_days(list(history.days(first, last, today)))}))
