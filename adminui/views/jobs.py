"""The page of a job: its card, parameters, items and audit log."""

from __future__ import annotations

from itertools import chain
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from adminui import query_parameters, responses
from adminui.permissions import Permissions
from adminui.presenters import formatting
from adminui.presenters import job_card as card_presenter
from adminui.presenters import job_page as job_presenter
from adminui.presenters import start_panel as start_presenter
from adminui.presenters.job_card import JobCard
from backfill.domain import Job, Status
from backfill.serializers.item_csv import item_csv

_AUDIT_SHOWN = 50


@responses.read_view
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    service, at = responses.get_service(), responses.now()
    found, permissions = service.job(job_id), Permissions.of(request.user)
    wanted, number = query_parameters.outcome_filter(request.GET), query_parameters.page_number(request.GET)
    size = job_presenter.ITEMS_PER_PAGE
    newest_first = found.status.is_active
    number, items = query_parameters.fetch_page(
        number, size, lambda offset: service.items(job_id, wanted, limit=size, offset=offset, newest_first=newest_first)
    )
    audit = service.audit(job_id, limit=_AUDIT_SHOWN, offset=0)
    return responses.render_page(
        request,
        "admin/backfill/job.html",
        {
            "title": formatting.title(found),
            "permissions": permissions,
            "card": job_card(request, found, permissions),
            "poll_url": reverse("admin:backfill_job_now", args=[job_id]),
            "retry_blocked": start_presenter.retry_blocked(
                found, service.active() if found.progress.failed else None, at, service.config.lease_policy
            ),
            "parameters": job_presenter.job_parameters(found, at),
            "items": job_presenter.item_list(found, items.rows, items.total, wanted, number=number, now=at),
            "audit": job_presenter.audit_table(audit.rows, at),
        },
    )


@responses.read_view
def job_status(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The card of the job, polled every second by its page."""
    found, permissions = responses.get_service().job(job_id), Permissions.of(request.user)
    shown = job_card(request, found, permissions)
    if responses.etag_matches(request, shown.etag):
        return responses.not_modified(shown.etag)
    context = {"card": shown, "permissions": permissions, "poll_url": reverse("admin:backfill_job_now", args=[job_id])}
    response = responses.render_fragment(request, "admin/backfill/job_status.html", context)
    response["ETag"] = shown.etag
    return response


@responses.read_view
def items_csv(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """The items of the filter as a file for spreadsheets, which need the byte order mark to recognise UTF-8."""
    wanted = query_parameters.outcome_filter(request.GET)
    rows = item_csv(responses.get_service().all_items(job_id, wanted))
    name = f"job-{str(job_id)[:8]}{f'-{wanted.kind}' if wanted.kind else ''}-items.csv"
    return StreamingHttpResponse(
        chain(["\ufeff"], rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def job_card(request: HttpRequest, found: Job, permissions: Permissions) -> JobCard:
    """The full card of a job."""
    is_paused = found.status is Status.PAUSED
    service = responses.get_service()
    audit_log = service.audit(found.id, limit=1, offset=0).rows if is_paused else ()
    shows_all = query_parameters.shows_all_districts(request.GET)
    return card_presenter.job_card(
        found,
        permissions,
        responses.now(),
        shows_all=shows_all,
        last_audit_entry=next(iter(audit_log), None),
        left_of_retried_job=service.left_of_retried_job(found),
        policy=service.config.lease_policy,
    )
