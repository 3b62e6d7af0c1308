"""Coverage: the data of the map, the page with gaps and months, and reading the calendar of unknown months."""

from __future__ import annotations

import json
from hashlib import blake2b

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import calendar_reading, responses
from adminui.permissions import START, Permissions
from adminui.presenters import coverage as presenter
from adminui.presenters import coverage_map as map_presenter
from backfill.domain import FIRST_DAY
from backfill.service.queries import Coverage


@responses.read_view
def coverage_map(request: HttpRequest) -> HttpResponse:
    """The coverage of the whole history as JSON."""
    today = responses.now().date()
    found = _coverage()
    is_empty = presenter.is_empty(found)
    content = (
        {"isEmpty": True, "unknown": presenter.unknown_text(found)}
        if is_empty
        else map_presenter.map_json(found, today)
    )
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    if responses.etag_matches(request, etag):
        return responses.not_modified(etag)
    return HttpResponse(body, content_type="application/json", headers={"ETag": etag})


@responses.read_view
def coverage(request: HttpRequest) -> HttpResponse:
    """All gaps, and the months as tables."""
    found = _coverage()
    context = {
        "title": _("Coverage"),
        "permissions": Permissions.of(request.user),
        "is_empty": presenter.is_empty(found),
        "summary": presenter.summary(found),
        "unknown": presenter.unknown_text(found),
        "size": presenter.size(found),
        "gaps": presenter.gap_rows(found),
        "years": presenter.year_tables(found),
    }
    return responses.render_page(request, "admin/backfill/coverage_page.html", context)


@responses.action_view(START, "GET")
def read_calendar(request: HttpRequest) -> HttpResponse:
    """Read the calendar of the unknown months. Answers with the progress until every month is known.

    GET reads nothing: a browser sends it after a sign-in that became necessary meanwhile.
    """
    if request.method == "GET":
        return HttpResponseRedirect(reverse("admin:backfill_coverage"))
    today = responses.now().date()
    responses.get_service().read_calendar(FIRST_DAY, today, calendar_reading.access(request))
    message = _("The calendar is read; every month is known.")
    if not responses.is_htmx(request):
        messages.success(request, message)
        return HttpResponseRedirect(reverse("admin:backfill_coverage"))
    if request.POST.get("view") == "table":
        messages.success(request, message)
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("admin:backfill_coverage")})
    return responses.action_done(request, message)


def _coverage() -> Coverage:
    today = responses.now().date()
    return responses.get_service().history.coverage(FIRST_DAY, today, today)
