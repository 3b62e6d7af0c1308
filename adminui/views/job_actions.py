"""Cancel, pause, resume, lower the limits, retry: of one job, by POST. GET asks before what cannot be taken back."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from adminui import query_parameters, responses
from adminui.forms import LimitsForm
from adminui.permissions import CHANGE
from adminui.presenters import formatting
from adminui.presenters.limits_panel import limits_panel
from backfill.domain import Status, StoredLimits
from backfill.errors import InvalidRequest


@responses.action_view(CHANGE, "GET")
def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    service = responses.get_service()
    if request.method == "GET":
        job, at = service.job(job_id), responses.now()
        job.cancel_requested(at)  # says so where it has ended
        progress = job.progress
        context = {
            "title": _("Backfill"),
            "job": job,
            "name": formatting.title(job),
            "is_held": job.is_held(at),
            "kept": formatting.kept(progress.processed),
            "left": progress.total_items - progress.settled_items,
            "can_pause": job.status in {Status.PENDING, Status.RUNNING},
        }
        return responses.render_dialog(request, "admin/backfill/dialog_cancel.html", context)
    cancelled = service.cancel(job_id, by=responses.actor(request)).job
    if cancelled.status is Status.CANCELLED:
        return responses.action_done(request, _("The job is cancelled. What was stored stays."), focus="now")
    return responses.action_done(request, _("The job finishes the items in flight, then it is cancelled."), focus="now")


@responses.action_view(CHANGE)
def pause(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job = responses.get_service().pause(job_id, by=responses.actor(request))
    if job.status is Status.PAUSED:
        return responses.action_done(request, _("The job is paused until someone resumes it."))
    return responses.action_done(request, _("The job finishes the items in flight, then it pauses."))


@responses.action_view(CHANGE)
def resume(request: HttpRequest, job_id: UUID) -> HttpResponse:
    responses.get_service().resume(job_id, by=responses.actor(request))
    return responses.action_done(request, _("The job goes on from the last stored item."))


@responses.action_view(CHANGE, "GET")
def lower_limits(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Gentler limits for a job that runs."""
    service = responses.get_service()
    job = service.job(job_id)
    job.limits_lowered(job.config.rate_limits)  # says so where it has ended
    form = LimitsForm(request.POST) if request.method == "POST" else None
    if form is not None and form.is_valid():
        try:
            service.lower_limits(job_id, form.changes(job.config.rate_limits), by=responses.actor(request))
        except InvalidRequest as exc:
            form.add_domain_errors(exc)
        else:
            return responses.action_done(request, _("The job keeps to the lower limits from its next request on."))
    limits = limits_panel(StoredLimits(limits=job.config.rate_limits), responses.now(), form)
    context = {"title": _("Backfill"), "job": job, "limits": limits}
    return responses.render_dialog(
        request, "admin/backfill/dialog_lower_limits.html", context, status=422 if form else 200
    )


@responses.action_view(CHANGE)
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """A new job of the failed items, or of those of the given causes."""
    service = responses.get_service()
    started = service.retry(job_id, by=responses.actor(request), codes=query_parameters.retry_codes(request.POST))
    items = formatting.items(started.job.progress.total_items)
    return responses.action_done(request, _("A new job of %(items)s was started.") % {"items": items}, focus="now")
