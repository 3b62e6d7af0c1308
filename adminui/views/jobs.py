"""The permanent page of a job: its card, what it was started with, its items, and who did what to it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from adminui import query_parameters, responses
from adminui.permissions import Rights
from adminui.presenters import formatting
from adminui.presenters import job as job_presenter
from adminui.presenters import job_card as card_presenter
from adminui.presenters.job_card import JobCard
from backfill.domain import Job, Status

_AUDIT_SHOWN = 50


@responses.read_view
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    service, at = responses.the_service(), responses.now()
    found, rights = service.job(job_id), Rights.of(request.user)
    wanted, number = query_parameters.outcome_filter(request.GET), query_parameters.page_number(request.GET)
    size = job_presenter.ITEMS_A_PAGE
    number, items = query_parameters.page_of(
        number, size, lambda offset: service.items(job_id, wanted, limit=size, offset=offset)
    )
    audit = service.audit(job_id, limit=_AUDIT_SHOWN, offset=0)
    return responses.page(
        request,
        "admin/backfill/job.html",
        {
            "title": formatting.title(found),
            "rights": rights,
            "card": job_card(request, found, rights),
            "poll_url": reverse("admin:backfill_job_now", args=[job_id]),
            "about": job_presenter.about(found, at),
            "items": job_presenter.items(items.rows, items.total, wanted, number, at),
            "audit": job_presenter.trail(audit.rows, at),
        },
    )


@responses.read_view
def now(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The card alone, as an open page of the job asks for it each second."""
    found, rights = responses.the_service().job(job_id), Rights.of(request.user)
    shown = job_card(request, found, rights)
    if responses.is_known(request, shown.etag):
        return responses.unchanged(shown.etag)
    context = {"card": shown, "rights": rights, "poll_url": reverse("admin:backfill_job_now", args=[job_id])}
    response = responses.part(request, "admin/backfill/job_status.html", context)
    response["ETag"] = shown.etag
    return response


def job_card(request: HttpRequest, found: Job, rights: Rights) -> JobCard:
    """Of an active job, or of any on its own page."""
    is_paused = found.status is Status.PAUSED
    service = responses.the_service()
    audit_log = service.audit(found.id, limit=1, offset=0).rows if is_paused else ()
    shows_all = query_parameters.shows_all_districts(request.GET)
    return card_presenter.job_card(
        found,
        rights,
        responses.now(),
        shows_all=shows_all,
        newest_deed=next(iter(audit_log), None),
        policy=service.config.lease_policy,
    )
