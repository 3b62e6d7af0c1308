"""The card "Keep complete": its status, the form with a preview, and turning it on and off."""

from __future__ import annotations

import json
from dataclasses import replace

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import calendar_reading, responses
from adminui.permissions import CHANGE_TARGET, START, Permissions
from adminui.presenters import target_panel as presenter
from adminui.presenters.first_run import first_run
from adminui.target_forms import TargetForm, edited_rows
from backfill.errors import InvalidRequest, TargetChanged

_CARD = "admin/backfill/target_card.html"
_CSRF = "csrfmiddlewaretoken"


def panel(request: HttpRequest, *, fields: presenter.TargetFields | None = None) -> presenter.TargetPanel:
    """The card for the current user. `fields` are the submitted ones, if they were not saved."""
    return presenter.target_panel(
        responses.get_service().targets.get(),
        Permissions.of(request.user),
        responses.now(),
        zone=settings.BACKFILL_TIME_ZONE,
        fields=fields,
    )


@responses.read_view
def status(request: HttpRequest) -> HttpResponse:
    """The part of the card above the form. Each open page reads it from time to time."""
    return responses.render_fragment(request, "admin/backfill/target_status.html", {"keep": panel(request)})


@responses.action_view(CHANGE_TARGET)
def preview(request: HttpRequest) -> HttpResponse:
    """Show the first run in the dialog that saves the form, or the form with a rule more or less."""
    if (rows := edited_rows(request.POST)) is not None:
        return _card(request, presenter.edited_fields(request.POST, rows))
    form, targets = TargetForm(request.POST), responses.get_service().targets
    if not form.is_valid():
        return _card(request, presenter.submitted_fields(form), status=422)
    wanted = form.settings(enabled=True)
    try:
        access = replace(calendar_reading.access(request), may_read=request.user.has_perm(START))
        previewed = targets.preview(wanted, access)
    except InvalidRequest as exc:
        form.add_domain_errors(exc)
        return _card(request, presenter.submitted_fields(form), status=422)
    run = first_run(
        wanted,
        items=previewed.items,
        requests=previewed.requests,
        duration=previewed.duration,
        limits=responses.get_service().rate_limits().limits,
        was_enabled=targets.get().target.settings.enabled,
        zone=settings.BACKFILL_TIME_ZONE,
    )
    sent = [(name, value) for name, values in request.POST.lists() for value in values if name != _CSRF]
    context = {"title": _("Backfill"), "run": run, "sent": sent}
    return responses.render_dialog(request, "admin/backfill/dialog_target.html", context)


@responses.action_view(CHANGE_TARGET)
def save(request: HttpRequest) -> HttpResponse:
    """Save the previewed settings and turn the target on. If it has changed meanwhile, nothing is saved."""
    form, targets = TargetForm(request.POST), responses.get_service().targets
    if not form.is_valid():
        return _card(request, presenter.submitted_fields(form), status=422)
    was_enabled = targets.get().target.settings.enabled
    try:
        targets.replace(form.settings(enabled=True), by=responses.actor(request), expected_version=form.version)
    except InvalidRequest as exc:
        form.add_domain_errors(exc)
        return _card(request, presenter.submitted_fields(form), status=422)
    except TargetChanged:
        stored = targets.get().target
        changed = presenter.changed_text(stored, responses.now())
        fields = presenter.submitted_fields(form, version=stored.version, changed=changed)
        return _card(request, fields, status=412)
    message = (
        _("Saved; what is missing is determined now.") if was_enabled else _("Turned on; the first check starts now.")
    )
    return _saved(request, message)


@responses.action_view(CHANGE_TARGET)
def off(request: HttpRequest) -> HttpResponse:
    responses.get_service().targets.off(by=responses.actor(request))
    return _saved(request, _("Turned off. The rules are kept, and a running job continues."))


@responses.action_view(CHANGE_TARGET)
def check(request: HttpRequest) -> HttpResponse:
    responses.get_service().targets.request_check(by=responses.actor(request))
    return responses.action_done(request, _("The check takes place as soon as no job is active."))


def _saved(request: HttpRequest, message: str) -> HttpResponse:
    """The card with what is stored now. The script closes the dialog and shows the message."""
    if not responses.is_htmx(request):
        messages.success(request, message)
        return HttpResponseRedirect(f"{reverse('admin:backfill')}#keep")
    response = _card(request, None)
    done = {"message": message, "focus": "bf-keep-title"}
    response["HX-Trigger-After-Swap"] = json.dumps({"bf-action-done": done})
    return response


def _card(request: HttpRequest, fields: presenter.TargetFields | None, *, status: int = 200) -> HttpResponse:
    context = {"title": _("Backfill"), "keep": panel(request, fields=fields)}
    if not responses.is_htmx(request):
        return responses.render_page(request, "admin/backfill/target_page.html", context, status=status)
    response = responses.render_fragment(request, _CARD, context, status=status)
    response["HX-Retarget"], response["HX-Reswap"] = "#keep", "outerHTML"
    return response
