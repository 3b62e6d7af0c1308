"""The limits of the next job over HTTP."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import query_parameters, request_serializers, schema
from backfill.api.base import ApiView, with_metadata
from backfill.api.permissions import SET_LIMITS
from backfill.domain import StoredLimits
from backfill.serializers import values


class RateLimits(ApiView):
    permissions = {"put": SET_LIMITS, "patch": SET_LIMITS}

    @schema.get_rate_limits
    def get(self, request: Request) -> Response:
        query_parameters.query(request)
        return _shown(self.service.rate_limits())

    @schema.change_rate_limits("setRateLimits")
    def put(self, request: Request) -> Response:
        return self._changed(request)

    @schema.change_rate_limits("changeRateLimits")
    def patch(self, request: Request) -> Response:
        return self._changed(request)

    def _changed(self, request: Request) -> Response:
        """Both verbs take any subset."""
        query_parameters.query(request)
        return _shown(self.service.change_rate_limits(request_serializers.limit_changes(request), by=self.actor))


def _shown(stored: StoredLimits) -> Response:
    return Response(with_metadata({"config": values.stored_limits(stored)}))
