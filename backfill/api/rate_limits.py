"""View of the rate limits of the next job."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import request_serializers, schema
from backfill.api.base import ApiView
from backfill.api.permissions import SET_LIMITS
from backfill.api.query_parameters import parsed_query
from backfill.serializers.rate_limits import RateLimitsResponseSerializer


class RateLimits(ApiView):
    permissions = {"put": SET_LIMITS, "patch": SET_LIMITS}

    @schema.get_rate_limits
    def get(self, request: Request) -> Response:
        parsed_query(request)
        return Response(RateLimitsResponseSerializer.render(self.service.rate_limits()))

    @schema.change_rate_limits("setRateLimits")
    def put(self, request: Request) -> Response:
        return self._changed(request)

    @schema.change_rate_limits("changeRateLimits")
    def patch(self, request: Request) -> Response:
        return self._changed(request)

    def _changed(self, request: Request) -> Response:
        """PUT and PATCH both accept any subset of the limits."""
        parsed_query(request)
        stored = self.service.change_rate_limits(request_serializers.limit_changes(request), by=self.actor)
        return Response(RateLimitsResponseSerializer.render(stored))
