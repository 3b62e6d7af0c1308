"""Views of jobs."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import path_parameters, request_serializers, schema
from backfill.api.base import ApiViewSet, CsvRenderer, is_known, page_response, unchanged
from backfill.api.calendar_access import calendar_access, prefers_async, progress_response, varies_by_preference
from backfill.api.permissions import START, STEER
from backfill.api.query_parameters import (
    CancelQuery,
    ItemListQuery,
    ItemOrder,
    JobListQuery,
    parsed_page_query,
    parsed_query,
)
from backfill.domain import Job, JobFilter, OutcomeFilter, Status
from backfill.errors import CalendarIncomplete, InvalidRequest
from backfill.serializers.item_csv import item_csv
from backfill.serializers.items import ItemPageSerializer
from backfill.serializers.jobs import CancelledJobSerializer, JobPageSerializer, JobSerializer
from backfill.serializers.previews import PreviewResponseSerializer
from backfill.service.creation import Started


def etag_of(job: Job) -> str:
    # The reason why a pending job waits changes without a write to the job.
    pending = f"-{crc32(job.progress.limiter.reason.encode()):x}" if job.status is Status.PENDING else ""
    retried = f"-{job.retried.version}" if job.retried else ""  # retries do not write to the job
    return f'"{job.id}-{job.revision}-{JobSerializer.version()}{pending}{retried}"'


class Jobs(ApiViewSet):
    """Each method parses the request, calls the service once and renders the result."""

    permissions = {
        "create": START,
        "retry": STEER,
        "destroy": STEER,
        "partial_update": STEER,
        "pause": STEER,
        "resume": STEER,
        "try_now": STEER,
    }

    @schema.start_job
    def create(self, request: Request) -> Response:
        parsed_query(request)
        started = self.service.start(
            request_serializers.job_request(request),
            by=self.actor,
            idempotency_key=request_serializers.idempotency_key(request),
            note=request_serializers.note(request),
            access=calendar_access(request),
        )
        return _started_response(started)

    @schema.preview_job
    def preview(self, request: Request) -> Response:
        parsed_query(request)
        is_async = prefers_async(request)
        access = calendar_access(request, may_read=request.user.has_perm(START), is_async=is_async)
        try:
            preview = self.service.preview(request_serializers.job_request(request), access)
        except CalendarIncomplete as exc:
            if not is_async:
                raise
            return varies_by_preference(progress_response(exc))
        return varies_by_preference(Response(PreviewResponseSerializer.render(preview)))

    @schema.list_jobs
    def list(self, request: Request) -> Response:
        pagination, filters = parsed_page_query(request, JobListQuery)
        return page_response(request, JobPageSerializer, self.service.jobs(JobFilter(**filters), **pagination))

    @schema.get_job
    def retrieve(self, request: Request, job_id: str) -> Response:
        parsed_query(request)
        job = self.service.job(path_parameters.job_id(job_id))
        etag = etag_of(job)
        return unchanged(etag) if is_known(request, etag) else _job_response(job)

    @schema.cancel_job
    def destroy(self, request: Request, job_id: str) -> Response:
        note = _note_of_cancel(request)
        cancelled = self.service.cancel(path_parameters.job_id(job_id), by=self.actor, note=note)
        body = CancelledJobSerializer.render(cancelled)
        return Response(body, headers={"ETag": etag_of(cancelled.job)})

    @schema.change_job
    def partial_update(self, request: Request, job_id: str) -> Response:
        parsed_query(request)
        job_uuid = path_parameters.job_id(job_id)
        limits, note = request_serializers.job_change(request)
        if limits is None:
            return _job_response(self.service.add_note(job_uuid, note, by=self.actor))
        return _job_response(self.service.lower_limits(job_uuid, limits, by=self.actor, note=note))

    @schema.pause_job
    def pause(self, request: Request, job_id: str) -> Response:
        parsed_query(request)
        note = request_serializers.only_note(request)
        return _job_response(self.service.pause(path_parameters.job_id(job_id), by=self.actor, note=note))

    @schema.resume_job
    def resume(self, request: Request, job_id: str) -> Response:
        parsed_query(request)
        request_serializers.check_empty_body(request)
        return _job_response(self.service.resume(path_parameters.job_id(job_id), by=self.actor))

    @schema.try_now
    def try_now(self, request: Request, job_id: str) -> Response:
        parsed_query(request)
        request_serializers.check_empty_body(request)
        return _job_response(self.service.try_now(path_parameters.job_id(job_id), by=self.actor))

    @schema.list_items
    def items(self, request: Request, job_id: str) -> HttpResponseBase:
        pagination, filters = parsed_page_query(request, ItemListQuery)
        job_uuid, is_newest_first = path_parameters.job_id(job_id), filters.pop("order") == ItemOrder.NEWEST
        wanted = OutcomeFilter(**filters)
        if request.accepted_renderer.format == CsvRenderer.format:
            rows = item_csv(self.service.all_items(job_uuid, wanted))
            return StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
        page = self.service.items(job_uuid, wanted, newest_first=is_newest_first, **pagination)
        return page_response(request, ItemPageSerializer, page)

    def get_renderers(self) -> Any:
        return [JSONRenderer(), CsvRenderer()] if self.action == "items" else super().get_renderers()

    @schema.retry_job
    def retry(self, request: Request, job_id: str) -> Response:
        parsed_query(request)
        job_uuid = path_parameters.job_id(job_id)
        codes, districts = request_serializers.retry_group(request)
        return _started_response(
            self.service.retry(
                job_uuid,
                by=self.actor,
                codes=codes,
                districts=districts,
                idempotency_key=request_serializers.idempotency_key(request),
                note=request_serializers.note(request),
                access=calendar_access(request),
            )
        )


def _note_of_cancel(request: Request) -> str:
    """The note of the query or of the body."""
    in_query, in_body = parsed_query(request, CancelQuery).get("note", ""), request_serializers.only_note(request)
    if in_query and in_body:
        raise InvalidRequest({"note": ["note must be given once, in the body or as a parameter."]})
    return in_query or in_body


def _job_response(job: Job) -> Response:
    return Response(JobSerializer.render(job), headers={"ETag": etag_of(job)})


def _started_response(started: Started) -> Response:
    response = _job_response(started.job)
    response["Location"] = response.data["links"]["self"]
    if started.is_new:
        response.status_code = 201
    else:
        response["Idempotency-Replayed"] = "true"
    return response
