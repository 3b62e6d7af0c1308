"""The section's page, and the parts of it that change by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import query_parameters, responses
from adminui.permissions import Rights
from adminui.presenters import history as history_presenter
from adminui.presenters import job_card as card_presenter
from adminui.presenters import start as start_presenter
from adminui.presenters.limits import limits
from adminui.views import jobs as job_views
from backfill.domain import Job, JobFilter


@responses.read_view
def index(request: HttpRequest) -> HttpResponse:
    service, at = responses.the_service(), responses.now()
    rights = Rights.of(request.user)
    wanted, number = query_parameters.job_filter(request.GET), query_parameters.page_number(request.GET)
    number, jobs, total = _page_of_jobs(wanted, number)
    job = _newest(jobs) if wanted == JobFilter() and number == 1 else _newest_of_all()
    active = job if job and job.status.is_active else None
    stored = service.rate_limits()
    return responses.page(
        request,
        "admin/backfill/page.html",
        {
            "title": _("Backfill"),
            "rights": rights,
            "card": _card(request, job, rights),
            "poll_url": reverse("admin:backfill_now"),
            "start": start_presenter.start(
                None,
                query_parameters.start_values(request.GET),
                handlers=list(service.handlers),
                known=service.history.districts(),
                limits=limits(stored, at),
                active=active,
                rights=rights,
                now=at,
                policy=service.config.lease_policy,
            ),
            "history": history_presenter.listing(jobs, total, wanted, number, at),
            "retention_days": service.config.retention.days,
        },
    )


@responses.read_view
def now(request: HttpRequest) -> HttpResponse:
    """What each open page asks for each second: nothing new, or the card and what goes with it."""
    service, rights = responses.the_service(), Rights.of(request.user)
    job = service.active() or _newest_of_all()
    shows_all = query_parameters.shows_all_districts(request.GET)
    etag = card_presenter.etag_of(job, rights, responses.now(), shows_all=shows_all, policy=service.config.lease_policy)
    if responses.is_known(request, etag):
        return responses.unchanged(etag)
    return live(request, _card(request, job, rights), rights)


def live(request: HttpRequest, job_card: card_presenter.JobCard, rights: Rights) -> HttpResponse:
    """The card with its heading, the row of its job in the history, and what the start form says of the active job."""
    active = job_card.job if job_card.is_active else None
    context = {
        "card": job_card,
        "rights": rights,
        "poll_url": reverse("admin:backfill_now"),
        "row": history_presenter.row(job_card.job, responses.now()) if job_card.job else None,
        "note": start_presenter.note(active, rights),
        "busy": start_presenter.busy(active, rights, responses.now(), responses.the_service().config.lease_policy),
    }
    response = responses.part(request, "admin/backfill/live.html", context)
    response["ETag"] = job_card.etag
    return response


@responses.read_view
def history(request: HttpRequest) -> HttpResponse:
    """A page of the list, by filter."""
    wanted, number = query_parameters.job_filter(request.GET), query_parameters.page_number(request.GET)
    if not responses.is_htmx(request):
        return index(request)
    number, jobs, total = _page_of_jobs(wanted, number)
    found = history_presenter.listing(jobs, total, wanted, number, responses.now())
    context: Mapping[str, Any] = {"history": found, "retention_days": responses.the_service().config.retention.days}
    response = responses.part(request, "admin/backfill/history.html", context)
    response["HX-Replace-Url"] = f"{reverse('admin:backfill')}{'?' if found.pages.query else ''}{found.pages.query}"
    return response


def _card(request: HttpRequest, job: Job | None, rights: Rights) -> card_presenter.JobCard:
    if job is None:
        return card_presenter.empty_card(rights, responses.now())
    if not card_presenter.is_done_with(job):
        job = responses.the_service().job(job.id)  # with its districts, which a list leaves out
    if job.status.is_active:
        return job_views.job_card(request, job, rights)
    shows_all, policy = query_parameters.shows_all_districts(request.GET), responses.the_service().config.lease_policy
    return card_presenter.line(job, rights, responses.now(), shows_all=shows_all, policy=policy)


def _page_of_jobs(wanted: JobFilter, number: int) -> tuple[int, Sequence[Job], int]:
    """Its number, with the jobs on it, and how many there are on all pages."""
    service, size = responses.the_service(), history_presenter.PAGE_SIZE
    number, found = query_parameters.page_of(
        number, size, lambda offset: service.jobs(wanted, limit=size, offset=offset)
    )
    return number, found.rows, found.total


def _newest_of_all() -> Job | None:
    return _newest(responses.the_service().jobs(JobFilter(), limit=1, offset=0).rows)


def _newest(jobs: Sequence[Job]) -> Job | None:
    """The one active job, where there is one: a new one is created only while none is."""
    return jobs[0] if jobs else None
