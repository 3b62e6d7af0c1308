"""The permanent page of a job: its card, what it was started with, its items, and who did what to it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from adminui import door, queries
from adminui.permissions import Rights
from adminui.presenters import card as card_presenter
from adminui.presenters import job as job_presenter
from adminui.presenters import wording
from adminui.presenters.card import Card
from backfill.domain import Job, Status

_AUDIT_SHOWN = 50


@door.looks
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    service, at = door.the_service(), door.now()
    found, rights = service.job(job_id), Rights.of(request.user)
    wanted, number = queries.outcome_filter(request.GET), queries.page_number(request.GET)
    size = job_presenter.ITEMS_A_PAGE
    number, items = queries.page_of(
        number, size, lambda offset: service.items(job_id, wanted, limit=size, offset=offset)
    )
    audit = service.audit(job_id, limit=_AUDIT_SHOWN, offset=0)
    return door.page(
        request,
        "admin/backfill/job.html",
        {
            "title": wording.title(found),
            "rights": rights,
            "card": card(request, found, rights),
            "poll_url": reverse("admin:backfill_job_now", args=[job_id]),
            "about": job_presenter.about(found, at),
            "items": job_presenter.items(items.rows, items.total, wanted, number, at),
            "audit": job_presenter.trail(audit.rows, at),
        },
    )


@door.looks
def now(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The card alone, as an open page of the job asks for it each second."""
    found, rights = door.the_service().job(job_id), Rights.of(request.user)
    shown = card(request, found, rights)
    if door.is_known(request, shown.etag):
        return door.unchanged(shown.etag)
    context = {"card": shown, "rights": rights, "poll_url": reverse("admin:backfill_job_now", args=[job_id])}
    response = door.part(request, "admin/backfill/now.html", context)
    response["ETag"] = shown.etag
    return response


def card(request: HttpRequest, found: Job, rights: Rights) -> Card:
    """Of an active job, or of any on its own page."""
    is_paused = found.status is Status.PAUSED
    service = door.the_service()
    deeds = service.audit(found.id, limit=1, offset=0).rows if is_paused else ()
    shows_all = queries.shows_all_districts(request.GET)
    return card_presenter.card(
        found,
        rights,
        door.now(),
        shows_all=shows_all,
        newest_deed=next(iter(deeds), None),
        policy=service.lease_policy,
    )
