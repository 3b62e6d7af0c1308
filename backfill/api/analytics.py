"""Views of analytics results and the data dictionary. Stored results are sent unchanged, byte for byte."""

from __future__ import annotations

import json
from functools import cache
from hashlib import blake2b

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import history_schema, path_parameters
from backfill.api.base import ApiView, is_known, unchanged
from backfill.api.query_parameters import SeriesQuery, parsed_query
from backfill.serializers.dictionary import DictionarySerializer, stored_entries
from backfill.serializers.results import SeriesSerializer


class DistrictResult(ApiView):
    @history_schema.get_result
    def get(self, request: Request, date: str, district: str) -> Response | HttpResponse:
        parsed_query(request)
        return _result_response(request, self.service.history.result(*path_parameters.result_key(date, district)).body)


class WorldResult(ApiView):
    @history_schema.get_world_result
    def get(self, request: Request, date: str) -> Response | HttpResponse:
        parsed_query(request)
        return _result_response(request, self.service.history.result(*path_parameters.world_key(date)).body)


class Series(ApiView):
    @history_schema.get_series
    def get(self, request: Request, district: str) -> Response | HttpResponse:
        given = parsed_query(request, SeriesQuery)
        series = self.service.history.series(path_parameters.series_district(district), given.get("program_year"))
        return json_response(request, SeriesSerializer.render(series))


class Dictionary(ApiView):
    @history_schema.get_dictionary
    def get(self, request: Request) -> Response | HttpResponse:
        parsed_query(request)
        return _result_response(request, _dictionary())


@cache
def _dictionary() -> bytes:
    return json.dumps(DictionarySerializer.render(stored_entries()), ensure_ascii=False, separators=(",", ":")).encode()


def json_response(request: Request, value: object) -> Response | HttpResponse:
    """A value as JSON with the ETag of its bytes."""
    return _result_response(request, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _result_response(request: Request, body: bytes) -> Response | HttpResponse:
    """Has no `metadata`, which differs in each response, so that equal results have equal bytes and ETags."""
    etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    if is_known(request, etag):
        return unchanged(etag)
    return HttpResponse(body, content_type="application/json", headers={"ETag": etag})
