"""The section's page, and the parts of it that change by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import door, queries
from adminui.permissions import Rights
from adminui.presenters import card as card_presenter
from adminui.presenters import history as history_presenter
from adminui.presenters import start as start_presenter
from adminui.presenters.limits import limits
from adminui.views import jobs as job_views
from backfill.domain import Job, JobFilter


@door.looks
def index(request: HttpRequest) -> HttpResponse:
    service, at = door.the_service(), door.now()
    rights = Rights.of(request.user)
    wanted, number = queries.job_filter(request.GET), queries.page_number(request.GET)
    number, jobs, total = _page_of_jobs(wanted, number)
    job = _newest(jobs) if wanted == JobFilter() and number == 1 else _newest_of_all()
    active = job if job and job.status.is_active else None
    stored = service.rate_limits()
    return door.page(
        request,
        "admin/backfill/page.html",
        {
            "title": _("Backfill"),
            "rights": rights,
            "card": _card(request, job, rights),
            "poll_url": reverse("admin:backfill_now"),
            "start": start_presenter.start(
                None,
                queries.start_values(request.GET),
                works=list(service.works),
                known=service.history.districts(),
                limits=limits(stored, at),
                active=active,
                rights=rights,
                now=at,
                policy=service.lease_policy,
            ),
            "history": history_presenter.listing(jobs, total, wanted, number, at),
            "retention_days": service.retention.days,
        },
    )


@door.looks
def now(request: HttpRequest) -> HttpResponse:
    """What each open page asks for each second: nothing new, or the card and what goes with it."""
    service, rights = door.the_service(), Rights.of(request.user)
    job = service.active() or _newest_of_all()
    shows_all = queries.shows_all_districts(request.GET)
    etag = card_presenter.etag_of(job, rights, door.now(), shows_all=shows_all, policy=service.lease_policy)
    if door.is_known(request, etag):
        return door.unchanged(etag)
    return live(request, _card(request, job, rights), rights)


def live(request: HttpRequest, card: card_presenter.Card, rights: Rights) -> HttpResponse:
    """The card with its heading, the row of its job in the history, and what the start form says of the active job."""
    active = card.job if card.is_active else None
    context = {
        "card": card,
        "rights": rights,
        "poll_url": reverse("admin:backfill_now"),
        "row": history_presenter.row(card.job, door.now()) if card.job else None,
        "note": start_presenter.note(active, rights),
        "busy": start_presenter.busy(active, rights, door.now(), door.the_service().lease_policy),
    }
    response = door.part(request, "admin/backfill/live.html", context)
    response["ETag"] = card.etag
    return response


@door.looks
def history(request: HttpRequest) -> HttpResponse:
    """A page of the list, by filter."""
    wanted, number = queries.job_filter(request.GET), queries.page_number(request.GET)
    if not door.is_htmx(request):
        return index(request)
    number, jobs, total = _page_of_jobs(wanted, number)
    found = history_presenter.listing(jobs, total, wanted, number, door.now())
    context: Mapping[str, Any] = {"history": found, "retention_days": door.the_service().retention.days}
    response = door.part(request, "admin/backfill/history.html", context)
    response["HX-Replace-Url"] = f"{reverse('admin:backfill')}{'?' if found.pages.query else ''}{found.pages.query}"
    return response


def _card(request: HttpRequest, job: Job | None, rights: Rights) -> card_presenter.Card:
    if job is None:
        return card_presenter.empty_card(rights, door.now())
    if not card_presenter.is_done_with(job):
        job = door.the_service().job(job.id)  # with its districts, which a list leaves out
    if job.status.is_active:
        return job_views.card(request, job, rights)
    shows_all, policy = queries.shows_all_districts(request.GET), door.the_service().lease_policy
    return card_presenter.line(job, rights, door.now(), shows_all=shows_all, policy=policy)


def _page_of_jobs(wanted: JobFilter, number: int) -> tuple[int, Sequence[Job], int]:
    """Its number, with the jobs on it, and how many there are on all pages."""
    service, size = door.the_service(), history_presenter.PAGE_SIZE
    number, found = queries.page_of(number, size, lambda offset: service.jobs(wanted, limit=size, offset=offset))
    return number, found.rows, found.total


def _newest_of_all() -> Job | None:
    return _newest(door.the_service().jobs(JobFilter(), limit=1, offset=0).rows)


def _newest(jobs: Sequence[Job]) -> Job | None:
    """The one active job, where there is one: a new one is created only while none is."""
    return jobs[0] if jobs else None
