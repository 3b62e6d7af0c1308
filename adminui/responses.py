"""Permission checks, error handling and rendering for all views."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.utils.translation import gettext as _

from adminui.calendar_reading import reading_dialog
from adminui.permissions import VIEW, permission_labels
from backfill import bootstrap
from backfill.domain import Actor, Channel
from backfill.errors import (
    BackfillError,
    CalendarIncomplete,
    DashboardUnavailable,
    InvalidRequest,
    JobNotFound,
    StorageUnavailable,
)
from backfill.service.commands import BackfillService

View = Callable[..., HttpResponseBase]
Context = Mapping[str, Any]


def get_service() -> BackfillService:
    return bootstrap.backfill_service()


def now() -> datetime:
    return datetime.now(UTC)


def actor(request: HttpRequest) -> Actor:
    return Actor(request.user.get_username(), Channel.ADMIN)


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx requests a fragment instead of a page."""
    return request.headers.get("HX-Request") == "true"


def read_view(view: View) -> View:
    """Decorate a view that only reads."""
    return _guarded(view, VIEW, ("GET", "HEAD"))


def action_view(permission: str, *more_methods: str) -> Callable[[View], View]:
    """Decorate a view that changes something by POST. `more_methods` are allowed as well."""
    return lambda view: _guarded(view, permission, ("POST", *more_methods))


def _guarded(view: View, permission: str, methods: tuple[str, ...]) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in methods:
            return HttpResponseNotAllowed(methods)
        missing = [name for name in dict.fromkeys((VIEW, permission)) if not request.user.has_perm(name)]
        if missing:
            response: HttpResponseBase = _permission_denied(request, missing)
        else:
            try:
                response = view(request, *args, **kwargs)
            except CalendarIncomplete as exc:
                response = _reading_dialog(request, exc)
            except BackfillError as exc:
                response = error_response(request, exc)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-cache"
        patch_vary_headers(response, ["Cookie", "HX-Request"])
        return response

    return guarded


def render_page(request: HttpRequest, template: str, context: Context, *, status: int = 200) -> HttpResponse:
    """Render a page of the admin."""
    common = {**admin.site.each_context(request), "service_zone": settings.BACKFILL_TIME_ZONE}
    return render(request, template, {**common, **context}, status=status)


def render_fragment(request: HttpRequest, template: str, context: Context, *, status: int = 200) -> HttpResponse:
    """Render a fragment for htmx."""
    return render(request, template, context, status=status)


def render_dialog(request: HttpRequest, template: str, context: Context, *, status: int = 200) -> HttpResponse:
    """Render into the dialog of the page, or as a page if scripts are disabled."""
    if is_htmx(request):
        response = render_fragment(request, template, context, status=status)
        response["HX-Retarget"], response["HX-Reswap"] = "#bf-dialog", "innerHTML"
        return response
    return render_page(request, "admin/backfill/dialog_page.html", {**context, "body": template}, status=status)


def _reading_dialog(request: HttpRequest, exc: CalendarIncomplete) -> HttpResponse:
    """Show the progress of reading the calendar. The script repeats the request, so the dialog is merged."""
    context = {"title": _("Backfill"), "reading": reading_dialog(request, exc)}
    response = render_dialog(request, "admin/backfill/dialog_calendar.html", context, status=202)
    if is_htmx(request):
        response["HX-Reswap"] = "morph:innerHTML"
    return response


def action_done(request: HttpRequest, message: str, *, focus_status: bool = False) -> HttpResponse:
    """Report a successful action. The script closes the dialog, shows the message and polls the job.

    `focus_status` moves the focus to the heading of the job card.
    """
    if is_htmx(request):
        response = HttpResponse(status=204)
        response["HX-Trigger"] = json.dumps({"bf-action-done": {"message": message, "focusStatus": focus_status}})
        return response
    messages.success(request, message)
    return HttpResponseRedirect(reverse("admin:backfill"))


def error_response(request: HttpRequest, exc: BackfillError) -> HttpResponse:
    """Show an error in the alert area, as a message after a redirect, or as a page."""
    status = _status_of(exc)
    if is_htmx(request):
        return alert(request, _("Nothing was changed."), exc.message, status=status)
    if request.method == "POST":
        messages.error(request, exc.message)
        return HttpResponseRedirect(reverse("admin:backfill"))
    return render_page(
        request, "admin/backfill/error_page.html", {"title": _("Backfill"), "message": exc.message}, status=status
    )


def alert(request: HttpRequest, title: str, message: str, *, status: int) -> HttpResponse:
    """Render an alert above the page. The script closes the dialog, which is out of date."""
    response = render_fragment(
        request, "admin/backfill/alert.html", {"alert_title": title, "message": message}, status=status
    )
    response["HX-Retarget"], response["HX-Reswap"] = "#bf-alerts", "innerHTML"
    return response


def _status_of(exc: BackfillError) -> int:
    if isinstance(exc, JobNotFound):
        return 404
    if isinstance(exc, InvalidRequest):
        return 422
    if isinstance(exc, StorageUnavailable):
        return 503
    return 502 if isinstance(exc, DashboardUnavailable) else 409


def _permission_denied(request: HttpRequest, missing: list[str]) -> HttpResponse:
    alert_title = _("You do not have permission to do this.")
    message = _("Ask an administrator for “%(names)s”.") % {"names": "”, “".join(permission_labels(missing))}
    if is_htmx(request):
        return alert(request, alert_title, message, status=403)
    context = {"title": _("Backfill"), "alert_title": alert_title, "message": message}
    return render_page(request, "admin/backfill/error_page.html", context, status=403)


def etag_matches(request: HttpRequest, etag: str) -> bool:
    """Whether the browser has the content with this ETag. Compression makes ETags weak."""
    return etag in {known.removeprefix("W/") for known in parse_etags(request.headers.get("If-None-Match", ""))}


def not_modified(etag: str) -> HttpResponse:
    return HttpResponse(status=304, headers={"ETag": etag})
