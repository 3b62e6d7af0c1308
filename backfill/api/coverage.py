"""Views of the coverage, and of the calendar that it depends on."""

from __future__ import annotations

from datetime import UTC, datetime

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import schema
from backfill.api.base import ApiView
from backfill.api.calendar_access import calendar_access, prefers_async, progress_response, varies_by_preference
from backfill.api.permissions import START
from backfill.api.query_parameters import CalendarQuery, CoverageQuery, Resolution, parsed_query
from backfill.api.request_serializers import check_empty_body
from backfill.errors import CalendarIncomplete
from backfill.serializers.calendar import CalendarProgressResponseSerializer
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


class CoverageCalendar(ApiView):
    permissions = {"post": START}

    @schema.read_calendar
    def post(self, request: Request) -> Response:
        given = parsed_query(request, CalendarQuery)
        check_empty_body(request)
        is_async = prefers_async(request)
        access = calendar_access(request, is_async=is_async)
        try:
            progress = self.service.read_calendar(given.get("first"), given.get("last"), access)
        except CalendarIncomplete as exc:
            if not is_async:
                raise
            return varies_by_preference(progress_response(exc))
        return varies_by_preference(Response(CalendarProgressResponseSerializer.render(progress)))
