"""Jobs over HTTP."""

from __future__ import annotations

from zlib import crc32

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import query_parameters, request_serializers, schema
from backfill.api.base import ApiViewSet, is_known, now, unchanged, with_metadata
from backfill.api.permissions import START, STEER
from backfill.domain import Job, Status
from backfill.serializers import values
from backfill.service.commands import Started

_SHAPE = 2
"""Part of a job's ETag: counts the changes of its JSON, so that no client keeps one of an older version."""


def etag_of(job: Job) -> str:
    # While it waits for a worker, what it says of that changes without a write.
    pending = f"-{crc32(job.progress.limiter.reason.encode()):x}" if job.status is Status.PENDING else ""
    return f'"{job.id}-{job.revision}-v{_SHAPE}{pending}"'


class Jobs(ApiViewSet):
    """One method for each verb; each reads the request, calls the service once, and shows what came of it."""

    permissions = {
        "create": START,
        "retry": STEER,
        "destroy": STEER,
        "partial_update": STEER,
        "pause": STEER,
        "resume": STEER,
    }

    @schema.start_job
    def create(self, request: Request) -> Response:
        query_parameters.query(request)
        started = self.service.start(
            request_serializers.job_request(request),
            by=self.actor,
            idempotency_key=request_serializers.idempotency_key(request),
        )
        return _begun(started)

    @schema.preview_job
    def preview(self, request: Request) -> Response:
        query_parameters.query(request)
        preview = self.service.preview(request_serializers.job_request(request))
        return Response(with_metadata({"preview": values.preview(preview)}))

    @schema.list_jobs
    def list(self, request: Request) -> Response:
        given = query_parameters.query(
            request, *query_parameters.PAGING, "status", "jobType", "createdFrom", "createdTo"
        )
        limit, offset = query_parameters.page(given)
        found = self.service.jobs(query_parameters.job_filter(given), limit=limit, offset=offset)
        return Response(values.page("jobs", found, values.listed_job, limit=limit, offset=offset, now=now()))

    @schema.get_job
    def retrieve(self, request: Request, job_id: str) -> Response:
        query_parameters.query(request)
        job = self.service.job(query_parameters.job_id(job_id))
        etag = etag_of(job)
        return unchanged(etag) if is_known(request, etag) else _shown(job)

    @schema.cancel_job
    def destroy(self, request: Request, job_id: str) -> Response:
        query_parameters.query(request)
        cancelled = self.service.cancel(query_parameters.job_id(job_id), by=self.actor)
        return _shown(cancelled.job, previousStatus=str(cancelled.previous_status))

    @schema.change_job
    def partial_update(self, request: Request, job_id: str) -> Response:
        query_parameters.query(request)
        wanted = query_parameters.job_id(job_id)
        return _shown(self.service.lower_limits(wanted, request_serializers.job_limit_changes(request), by=self.actor))

    @schema.pause_job
    def pause(self, request: Request, job_id: str) -> Response:
        query_parameters.query(request)
        request_serializers.nothing(request)
        return _shown(self.service.pause(query_parameters.job_id(job_id), by=self.actor))

    @schema.resume_job
    def resume(self, request: Request, job_id: str) -> Response:
        query_parameters.query(request)
        request_serializers.nothing(request)
        return _shown(self.service.resume(query_parameters.job_id(job_id), by=self.actor))

    @schema.list_items
    def items(self, request: Request, job_id: str) -> Response:
        given = query_parameters.query(request, *query_parameters.PAGING, "district", "outcome")
        limit, offset = query_parameters.page(given)
        found = self.service.items(
            query_parameters.job_id(job_id), query_parameters.outcome_filter(given), limit=limit, offset=offset
        )
        return Response(values.page("items", found, values.item, limit=limit, offset=offset, now=now()))

    @schema.retry_job
    def retry(self, request: Request, job_id: str) -> Response:
        query_parameters.query(request)
        wanted = query_parameters.job_id(job_id)
        codes, districts = request_serializers.retry_group(request)
        return _begun(
            self.service.retry(
                wanted,
                by=self.actor,
                codes=codes,
                districts=districts,
                idempotency_key=request_serializers.idempotency_key(request),
            )
        )


def _shown(job: Job, **more: str) -> Response:
    return Response(with_metadata({**values.job(job), **more}), headers={"ETag": etag_of(job)})


def _begun(started: Started) -> Response:
    response = _shown(started.job)
    response["Location"] = response.data["links"]["self"]
    if started.is_new:
        response.status_code = 201
    else:
        response["Idempotency-Replayed"] = "true"
    return response
