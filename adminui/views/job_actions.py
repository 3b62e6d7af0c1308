"""Cancel, pause, resume, lower the limits, retry: of one job, by POST. GET asks before what cannot be taken back."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from adminui import door, queries
from adminui.forms import LimitsForm
from adminui.permissions import STEER
from adminui.presenters import wording
from adminui.presenters.limits import limits as limits_of
from backfill.domain import Status, StoredLimits
from backfill.errors import InvalidRequest


@door.does(STEER, "GET")
def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    service = door.the_service()
    if request.method == "GET":
        job, at = service.job(job_id), door.now()
        job.cancel_requested(at)  # says so where it has ended
        progress = job.progress
        context = {
            "title": _("Backfill"),
            "job": job,
            "name": wording.title(job),
            "is_held": job.is_held(at),
            "kept": wording.kept(progress.processed),
            "left": progress.total_items - progress.settled_items,
            "can_pause": job.status in {Status.PENDING, Status.RUNNING},
        }
        return door.dialog(request, "admin/backfill/dialog_cancel.html", context)
    cancelled = service.cancel(job_id, by=door.actor(request)).job
    if cancelled.status is Status.CANCELLED:
        return door.done(request, _("The job is cancelled. What was stored stays."), focus="now")
    return door.done(request, _("The job finishes the items in flight, then it is cancelled."), focus="now")


@door.does(STEER)
def pause(request: HttpRequest, job_id: UUID) -> HttpResponse:
    job = door.the_service().pause(job_id, by=door.actor(request))
    if job.status is Status.PAUSED:
        return door.done(request, _("The job is paused until someone resumes it."))
    return door.done(request, _("The job finishes the items in flight, then it pauses."))


@door.does(STEER)
def resume(request: HttpRequest, job_id: UUID) -> HttpResponse:
    door.the_service().resume(job_id, by=door.actor(request))
    return door.done(request, _("The job goes on from the last stored item."))


@door.does(STEER, "GET")
def lower(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Gentler limits for a job that runs."""
    service = door.the_service()
    job = service.job(job_id)
    job.limits_lowered(job.config.rate_limits)  # says so where it has ended
    form = LimitsForm(request.POST) if request.method == "POST" else None
    if form is not None and form.is_valid():
        try:
            service.lower_limits(job_id, form.changes(job.config.rate_limits), by=door.actor(request))
        except InvalidRequest as exc:
            form.take(exc)
        else:
            return door.done(request, _("The job keeps to the lower limits from its next request on."))
    limits = limits_of(StoredLimits(limits=job.config.rate_limits), door.now(), form)
    context = {"title": _("Backfill"), "job": job, "limits": limits}
    return door.dialog(request, "admin/backfill/dialog_lower.html", context, status=422 if form else 200)


@door.does(STEER)
def retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """A new job of the failed items, or of those of the given causes."""
    service = door.the_service()
    started = service.retry(job_id, by=door.actor(request), codes=queries.retry_codes(request.POST))
    items = wording.items(started.job.progress.total_items)
    return door.done(request, _("A new job of %(items)s was started.") % {"items": items}, focus="now")
