"""The overview and its fragments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import query_parameters, responses
from adminui.permissions import Permissions
from adminui.presenters import job_card as card_presenter
from adminui.presenters import job_history as history_presenter
from adminui.presenters import start_panel as start_presenter
from adminui.presenters.limits_panel import limits_panel
from adminui.views import jobs as job_views
from adminui.views import target
from backfill.domain import Job, JobFilter
from backfill.errors import JobNotFound


@responses.read_view
def overview(request: HttpRequest) -> HttpResponse:
    service, now = responses.get_service(), responses.now()
    permissions = Permissions.of(request.user)
    wanted, number = query_parameters.job_filter(request.GET), query_parameters.page_number(request.GET)
    number, jobs, total = _page_of_jobs(wanted, number)
    job = _newest(jobs) if wanted == JobFilter() and number == 1 else _newest_job()
    active = job if job and job.status.is_active else None
    stored = service.rate_limits()
    initial, copied = _initial_values(request)
    return responses.render_page(
        request,
        "admin/backfill/overview.html",
        {
            "title": _("Backfill"),
            "permissions": permissions,
            "card": _card(request, job, permissions),
            "poll_url": reverse("admin:backfill_now"),
            "start": start_presenter.start_panel(
                None,
                initial,
                copied=copied,
                handlers=list(service.handlers),
                known=service.history.districts(),
                limits=limits_panel(stored, now),
                active=active,
                permissions=permissions,
                now=now,
                policy=service.config.lease_policy,
            ),
            "keep": target.panel(request),
            "history": history_presenter.job_history(jobs, total, wanted, number, now, can_start=permissions.can_start),
            "retention_days": service.config.retention.days,
        },
    )


def _initial_values(request: HttpRequest) -> tuple[Mapping[str, Any], str]:
    """The initial values of the start form, and from which job they are copied; empty if from none."""
    values, like = query_parameters.start_values(request.GET), query_parameters.copied_job(request.GET)
    if like is None:
        return values, ""
    try:
        return start_presenter.values_like(responses.get_service().job(like)), str(like)
    except JobNotFound as exc:
        messages.warning(request, exc.message)
        return values, ""


@responses.read_view
def job_status(request: HttpRequest) -> HttpResponse:
    """Polled every second by each open page while a job is active. Answers 304 if nothing has changed."""
    service, permissions = responses.get_service(), Permissions.of(request.user)
    job = service.active() or _newest_job()
    shows_all = query_parameters.shows_all_districts(request.GET)
    etag = card_presenter.etag_of(
        job, permissions, responses.now(), shows_all=shows_all, policy=service.config.lease_policy
    )
    if responses.etag_matches(request, etag):
        return responses.not_modified(etag)
    return _status_update(request, _card(request, job, permissions), permissions)


def _status_update(request: HttpRequest, job_card: card_presenter.JobCard, permissions: Permissions) -> HttpResponse:
    """The parts of the overview that depend on the job: card, history row and start buttons."""
    active = job_card.job if job_card.is_active else None
    context = {
        "card": job_card,
        "permissions": permissions,
        "poll_url": reverse("admin:backfill_now"),
        "job_table": history_presenter.job_table(
            [job_card.job] if job_card.job else [], responses.now(), can_start=permissions.can_start
        ),
        "note": start_presenter.note(active, permissions),
        "blocked": start_presenter.start_blocked(
            active, permissions, responses.now(), responses.get_service().config.lease_policy
        ),
    }
    response = responses.render_fragment(request, "admin/backfill/status_update.html", context)
    response["ETag"] = job_card.etag
    return response


@responses.read_view
def history(request: HttpRequest) -> HttpResponseBase:
    """A filtered page of the history."""
    wanted, number = query_parameters.job_filter(request.GET), query_parameters.page_number(request.GET)
    if not responses.is_htmx(request):
        return overview(request)
    number, jobs, total = _page_of_jobs(wanted, number)
    can_start = Permissions.of(request.user).can_start
    found = history_presenter.job_history(jobs, total, wanted, number, responses.now(), can_start=can_start)
    context: Mapping[str, Any] = {"history": found, "retention_days": responses.get_service().config.retention.days}
    response = responses.render_fragment(request, "admin/backfill/history.html", context)
    url = f"{reverse('admin:backfill')}{'?' if found.pages.query else ''}{found.pages.query}"
    is_refresh = request.headers.get("HX-Trigger") == "bf-history-list"  # a job ended; the user did nothing
    if not is_refresh and not _is_current(request, url):
        response["HX-Push-Url"] = f"{url}#history"
    return response


def _is_current(request: HttpRequest, url: str) -> bool:
    """Whether the browser shows this URL."""
    shown = urlsplit(request.headers.get("HX-Current-URL", ""))
    return shown._replace(scheme="", netloc="", fragment="").geturl() == url


def _card(request: HttpRequest, job: Job | None, permissions: Permissions) -> card_presenter.JobCard:
    if job is None:
        return card_presenter.no_job_card(permissions, responses.now())
    if not card_presenter.needs_no_attention(job):
        job = responses.get_service().job(job.id)  # lists omit the districts
    if job.status.is_active:
        return job_views.job_card(request, job, permissions)
    service, shows_all = responses.get_service(), query_parameters.shows_all_districts(request.GET)
    return card_presenter.last_job_card(
        job,
        permissions,
        responses.now(),
        shows_all=shows_all,
        left_of_retried_job=service.left_of_retried_job(job),
        policy=service.config.lease_policy,
    )


def _page_of_jobs(wanted: JobFilter, number: int) -> tuple[int, Sequence[Job], int]:
    """The number of the page, its jobs, and the total number of jobs."""
    service, size = responses.get_service(), history_presenter.PAGE_SIZE
    number, found = query_parameters.fetch_page(
        number, size, lambda offset: service.jobs(wanted, limit=size, offset=offset)
    )
    return number, found.rows, found.total


def _newest_job() -> Job | None:
    return _newest(responses.get_service().jobs(JobFilter(), limit=1, offset=0).rows)


def _newest(jobs: Sequence[Job]) -> Job | None:
    """The active job, if there is one: no job is created while another one is active."""
    return jobs[0] if jobs else None
