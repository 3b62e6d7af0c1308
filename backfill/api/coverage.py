"""View of the coverage."""

from __future__ import annotations

from datetime import UTC, datetime

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import schema
from backfill.api.base import ApiView
from backfill.api.query_parameters import CoverageQuery, Resolution, parsed_query
from backfill.serializers.coverage import CoverageByDay, CoverageResponseSerializer


class Coverage(ApiView):
    @schema.get_coverage
    def get(self, request: Request) -> Response:
        given = parsed_query(request, CoverageQuery)
        first, last = given.get("first"), given.get("last")
        history, today = self.service.history, datetime.now(UTC).date()
        if given["resolution"] == Resolution.MONTH:
            return Response(CoverageResponseSerializer.render(history.coverage(first, last, today)))
        return Response(CoverageResponseSerializer.render(CoverageByDay(list(history.days(first, last, today)))))
