"""What history there is, over HTTP."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from backfill import shapes
from backfill.api import queries, schema
from backfill.api.base import ApiView, now, with_metadata


class Coverage(ApiView):
    @schema.get_coverage
    def get(self, request: Request) -> Response:
        given = queries.query(request, "from", "to", "resolution")
        first, last = queries.span(given)
        history, today = self.service.history, now().date()
        if queries.is_monthly(given):
            return Response(with_metadata({"coverage": shapes.coverage(history.coverage(first, last, today))}))
        return Response(with_metadata({"coverage": shapes.covered_days(list(history.days(first, last, today)))}))
