"""Actions on a job by POST. GET shows the dialog of an action that needs confirmation or input.

An action that needs none has two URLs, so that GET of the action itself is not allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from adminui import calendar_reading, query_parameters, responses
from adminui.forms import LimitsForm, NoteForm
from adminui.permissions import CHANGE
from adminui.presenters import formatting
from adminui.presenters.limits_panel import limits_panel
from backfill.domain import Job, Status, StoredLimits
from backfill.errors import InvalidRequest


def _note_form(request: HttpRequest) -> NoteForm | None:
    """The submitted note; None if the dialog is requested."""
    return NoteForm(request.POST) if request.method == "POST" else None


def _note_dialog(
    request: HttpRequest, form: NoteForm | None, job: Job, *, heading: str, confirm: str, codes: Sequence[str] = ()
) -> HttpResponse:
    """Ask for the note of an action, which is posted to the same URL. `form` is the submitted one, if it is invalid."""
    context = {
        "title": _("Backfill"),
        "url": request.path,
        "name": formatting.title(job),
        "heading": heading,
        "confirm": confirm,
        "codes": codes,
        "form": form,
    }
    return responses.render_dialog(request, "admin/backfill/dialog_note.html", context, status=422 if form else 200)


@responses.action_view(CHANGE, "GET")
def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    service, form = responses.get_service(), _note_form(request)
    if form is None or not form.is_valid():
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
            "form": form,
        }
        return responses.render_dialog(
            request, "admin/backfill/dialog_cancel.html", context, status=422 if form else 200
        )
    cancelled = service.cancel(job_id, by=responses.actor(request), note=form.cleaned_data["note"]).job
    if cancelled.status is Status.CANCELLED:
        return responses.action_done(request, _("Job cancelled. Stored items are kept."), focus_status=True)
    return responses.action_done(
        request, _("The job finishes the items in flight and is then cancelled."), focus_status=True
    )


def _pause(request: HttpRequest, job_id: UUID) -> HttpResponse:
    service, form = responses.get_service(), _note_form(request)
    if form is None or not form.is_valid():
        job = service.job(job_id)
        job.pause_requested(responses.now())  # raises an error if the job cannot be paused
        return _note_dialog(request, form, job, heading=_("Pause this job?"), confirm=_("Pause"))
    job = service.pause(job_id, by=responses.actor(request), note=form.cleaned_data["note"])
    if job.status is Status.PAUSED:
        return responses.action_done(request, _("Job paused until the job is resumed."))
    return responses.action_done(request, _("The job finishes the items in flight and then pauses."))


pause = responses.action_view(CHANGE)(_pause)
pause_with_note = responses.action_view(CHANGE, "GET")(_pause)


@responses.action_view(CHANGE)
def resume(request: HttpRequest, job_id: UUID) -> HttpResponse:
    responses.get_service().resume(job_id, by=responses.actor(request))
    return responses.action_done(request, _("Job resumed; it continues from the last stored item."))


@responses.action_view(CHANGE)
def try_now(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """End the wait of a job."""
    responses.get_service().try_now(job_id, by=responses.actor(request))
    return responses.action_done(request, _("The wait is ended; the next request is sent now."))


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


@responses.action_view(CHANGE, "GET")
def note(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Add a note to a job."""
    service, form = responses.get_service(), _note_form(request)
    if form is not None and form.is_valid():
        if form.cleaned_data["note"]:
            service.add_note(job_id, form.cleaned_data["note"], by=responses.actor(request))
            return responses.action_done(request, _("The note was added."))
        form.add_error("note", _("Enter a note."))
    return _note_dialog(request, form, service.job(job_id), heading=_("Add a note"), confirm=_("Add the note"))


def _retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Start a job of the failed items, or of those with the given causes."""
    service, form = responses.get_service(), _note_form(request)
    codes = query_parameters.retry_codes(request.POST if form else request.GET)
    if form is None or not form.is_valid():
        job = service.job(job_id)
        heading = _("Retry the failed items of this job?")
        return _note_dialog(request, form, job, heading=heading, confirm=_("Retry"), codes=codes)
    started = service.retry(
        job_id,
        by=responses.actor(request),
        codes=codes,
        note=form.cleaned_data["note"],
        access=calendar_reading.access(request),
    )
    items = formatting.items(started.job.progress.total_items)
    return responses.action_done(request, _("Job created with %(items)s.") % {"items": items}, focus_status=True)


retry = responses.action_view(CHANGE)(_retry)
retry_with_note = responses.action_view(CHANGE, "GET")(_retry)
