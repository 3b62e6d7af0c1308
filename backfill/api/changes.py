"""The view of the differences between two dates of a district."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import history_schema
from backfill.api.analytics import json_response
from backfill.api.base import ApiView, CsvRenderer
from backfill.api.query_parameters import ChangesQuery, parsed_query
from backfill.serializers.changes import DistrictChangesSerializer, changes_csv


class Changes(ApiView):
    renderer_classes = [JSONRenderer, CsvRenderer]

    @history_schema.get_changes
    def get(self, request: Request) -> Response | HttpResponse:
        given = parsed_query(request, ChangesQuery)
        changes = self.service.history.changes.between(given["district"], given["first"], given["last"])
        if request.accepted_renderer.format == CsvRenderer.format:
            return HttpResponse(changes_csv(changes), content_type="text/csv; charset=utf-8")
        return json_response(request, DistrictChangesSerializer.render(changes))
