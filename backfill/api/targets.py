"""Views of the coverage target."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import schema
from backfill.api.base import ApiView
from backfill.api.calendar_access import calendar_access, prefers_async, progress_response, varies_by_preference
from backfill.api.permissions import SET_TARGET, START
from backfill.api.query_parameters import parsed_query
from backfill.api.request_serializers import check_empty_body
from backfill.api.target_request import etag_of_version, expected_version, target_settings
from backfill.errors import CalendarIncomplete
from backfill.serializers.targets import CoverageTargetResponseSerializer, TargetPreviewResponseSerializer
from backfill.service.targets import TargetView


class Target(ApiView):
    permissions = {"put": SET_TARGET}

    @schema.get_target
    def get(self, request: Request) -> Response:
        parsed_query(request)
        return _target_response(self.service.targets.get())

    @schema.set_target
    def put(self, request: Request) -> Response:
        parsed_query(request)
        targets = self.service.targets
        version = expected_version(request, targets.get().target.version)
        return _target_response(targets.replace(target_settings(request), by=self.actor, expected_version=version))


class TargetCheck(ApiView):
    permissions = {"post": SET_TARGET}

    @schema.check_target
    def post(self, request: Request) -> Response:
        parsed_query(request)
        check_empty_body(request)
        return _target_response(self.service.targets.request_check(by=self.actor), status=202)


class TargetPreview(ApiView):
    @schema.preview_target
    def post(self, request: Request) -> Response:
        parsed_query(request)
        is_async = prefers_async(request)
        access = calendar_access(request, may_read=request.user.has_perm(START), is_async=is_async)
        try:
            preview = self.service.targets.preview(target_settings(request), access)
        except CalendarIncomplete as exc:
            if not is_async:
                raise
            return varies_by_preference(progress_response(exc))
        return varies_by_preference(Response(TargetPreviewResponseSerializer.render(preview)))


def _target_response(view: TargetView, *, status: int = 200) -> Response:
    body = CoverageTargetResponseSerializer.render(view)
    return Response(body, status=status, headers={"ETag": etag_of_version(view.target.version)})
