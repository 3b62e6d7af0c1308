"""Preview and start a job; change the limits of the next job."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import calendar_reading, responses
from adminui.forms import LimitsForm, StartForm
from adminui.permissions import CHANGE_LIMITS, START, Permissions, permission_labels
from adminui.presenters import preview as preview_presenter
from adminui.presenters import start_panel as start_presenter
from adminui.presenters.limits_panel import limits_panel
from backfill.domain import JobRequest
from backfill.errors import InvalidRequest, JobConflict, PlanChanged


@responses.action_view(START)
def preview(request: HttpRequest) -> HttpResponse:
    """Show the plan in the dialog that starts it."""
    form = _start_form(request)
    if not form.is_valid():
        return _invalid_form(request, form)
    try:
        planned = responses.get_service().preview(form.request(), calendar_reading.access(request))
    except InvalidRequest as exc:
        form.add_domain_errors(exc)
        return _invalid_form(request, form)
    wanted = form.request()
    return _dialog(request, wanted, preview_presenter.plan(planned, limit_changes=wanted.limit_changes))


@responses.action_view(START)
def start(request: HttpRequest) -> HttpResponse:
    """Start the previewed plan. If the plan has changed, show the changes instead."""
    form = _start_form(request)
    if not form.is_valid() and set(form.errors) != {"note"}:
        return _invalid_form(request, form)
    service, wanted = responses.get_service(), form.request()
    if form.errors:
        previewed = service.preview(wanted, calendar_reading.access(request))
        plan = preview_presenter.plan(previewed, limit_changes=wanted.limit_changes)
        return _dialog(request, wanted, plan, form=form, status=422)
    try:
        service.start(
            wanted,
            by=responses.actor(request),
            note=form.cleaned_data["note"],
            access=calendar_reading.access(request),
        )
    except InvalidRequest as exc:
        form.add_domain_errors(exc)
        return _invalid_form(request, form)
    except PlanChanged as exc:
        changed = exc.details or {}
        previewed = service.preview(wanted, calendar_reading.access(request))
        plan = preview_presenter.plan(previewed, changed, limit_changes=wanted.limit_changes)
        return _dialog(request, wanted, plan, form=form, status=409)
    except JobConflict as exc:
        context = {"title": _("Backfill"), "message": exc.message}
        return responses.render_dialog(request, "admin/backfill/dialog_conflict.html", context, status=409)
    return responses.action_done(request, _("Job created; it starts as soon as a worker is free."), focus_status=True)


def _start_form(request: HttpRequest) -> StartForm:
    """The submitted form. Unsaved limits are an error for a user who may not change limits."""
    form = StartForm(request.POST)
    may_change = request.user.has_perm(CHANGE_LIMITS)
    if not may_change and not form.errors and form.given_limits():
        names = "”, “".join(permission_labels([CHANGE_LIMITS]))
        form.add_error(
            None, _("You may not change rate limits. Ask an administrator for “%(names)s”.") % {"names": names}
        )
    return form


def _dialog(
    request: HttpRequest,
    wanted: JobRequest,
    plan: preview_presenter.Plan,
    *,
    form: StartForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """`form` is the submitted form of the dialog, whose note is kept."""
    service = responses.get_service()
    blocked = start_presenter.start_blocked(
        service.active(), Permissions.of(request.user), responses.now(), service.config.lease_policy
    )
    context = {"title": _("Backfill"), "plan": plan, "wanted": wanted, "form": form, "blocked": blocked}
    return responses.render_dialog(request, "admin/backfill/dialog_preview.html", context, status=status)


def _invalid_form(request: HttpRequest, form: StartForm) -> HttpResponse:
    """Show the form with its errors."""
    service, at = responses.get_service(), responses.now()
    permissions = Permissions.of(request.user)
    context = {
        "title": _("Backfill"),
        "permissions": permissions,
        "start": start_presenter.start_panel(
            form,
            {},
            handlers=list(service.handlers),
            known=service.history.districts(),
            limits=limits_panel(service.rate_limits(), at),
            active=None,
            permissions=permissions,
            now=at,
        ),
    }
    if not responses.is_htmx(request):
        return responses.render_page(request, "admin/backfill/start_page.html", context, status=422)
    response = responses.render_fragment(request, "admin/backfill/start_form.html", context, status=422)
    response["HX-Retarget"], response["HX-Reswap"] = "#bf-start-form", "outerHTML"
    return response


@responses.action_view(CHANGE_LIMITS)
def limits(request: HttpRequest) -> HttpResponse:
    """Change the limits of the next job."""
    form = LimitsForm(request.POST)
    service, at = responses.get_service(), responses.now()
    message = ""
    if form.is_valid():
        try:
            service.change_rate_limits(form.changes(service.rate_limits().limits), by=responses.actor(request))
        except InvalidRequest as exc:
            form.add_domain_errors(exc)
        else:
            message = _("Saved. These limits apply to the next job.")
    if message and not responses.is_htmx(request):
        return responses.action_done(request, message)
    stored = service.rate_limits()
    context = {
        "title": _("Backfill"),
        "permissions": Permissions.of(request.user),
        "limits": limits_panel(stored, at, form if form.errors else None),
        "message": message,
        "back": reverse("admin:backfill"),
    }
    if not responses.is_htmx(request):
        return responses.render_page(request, "admin/backfill/limits_page.html", context, status=422)
    return responses.render_fragment(
        request, "admin/backfill/limits_form.html", context, status=422 if form.errors else 200
    )
