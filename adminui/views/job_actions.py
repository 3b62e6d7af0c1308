"""Actions on a job by POST. GET shows the dialog of an action that needs confirmation or input."""

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
        job, now = service.job(job_id), responses.now()
        job.cancel_requested(now)  # raises an error if the job has ended
        progress = job.progress
        context = {
            "title": _("Backfill"),
            "job": job,
            "name": formatting.title(job),
            "is_held": job.is_held(now),
            "stored_items": formatting.stored_items(progress.processed),
            "left": progress.total_items - progress.settled_items,
            "can_pause": job.status in {Status.PENDING, Status.RUNNING},
        }
        return responses.render_dialog(request, "admin/backfill/dialog_cancel.html", context)
    cancelled = service.cancel(job_id, by=responses.actor(request)).job
    if cancelled.status is Status.CANCELLED:
        return responses.action_done(request, _("Job cancelled. Stored items are kept."), focus_status=True)
    return responses.action_done(
        request, _("The job finishes the items in flight and is then cancelled."), focus_status=True
    )


@responses.action_view(CHANGE)
def pause(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job = responses.get_service().pause(job_id, by=responses.actor(request))
    if job.status is Status.PAUSED:
        return responses.action_done(request, _("Job paused until the job is resumed."))
    return responses.action_done(request, _("The job finishes the items in flight and then pauses."))


@responses.action_view(CHANGE)
def resume(request: HttpRequest, job_id: UUID) -> HttpResponse:
    responses.get_service().resume(job_id, by=responses.actor(request))
    return responses.action_done(request, _("Job resumed; it continues from the last stored item."))


@responses.action_view(CHANGE, "GET")
def lower_limits(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Lower the limits of an active job."""
    service = responses.get_service()
    job = service.job(job_id)
    job.limits_lowered(job.config.rate_limits)  # raises an error if the job has ended
    form = LimitsForm(request.POST) if request.method == "POST" else None
    if form is not None and form.is_valid():
        try:
            service.lower_limits(job_id, form.changes(job.config.rate_limits), by=responses.actor(request))
        except InvalidRequest as exc:
            form.add_domain_errors(exc)
        else:
            return responses.action_done(request, _("The lower limits apply from the next request."))
    limits = limits_panel(StoredLimits(limits=job.config.rate_limits), responses.now(), form)
    context = {"title": _("Backfill"), "job": job, "limits": limits}
    return responses.render_dialog(
        request, "admin/backfill/dialog_lower_limits.html", context, status=422 if form else 200
    )


@responses.action_view(CHANGE)
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Start a job of the failed items, or of those with the given causes."""
    service = responses.get_service()
    started = service.retry(job_id, by=responses.actor(request), codes=query_parameters.retry_codes(request.POST))
    items = formatting.items(started.job.progress.total_items)
    return responses.action_done(request, _("Job created with %(items)s.") % {"items": items}, focus_status=True)
