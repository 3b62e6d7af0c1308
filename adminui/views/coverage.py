"""Coverage: the data of the map, and the page with gaps and months."""

from __future__ import annotations

import json
from hashlib import blake2b

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from adminui import responses
from adminui.permissions import Permissions
from adminui.presenters import coverage as presenter
from adminui.presenters import coverage_map as map_presenter
from backfill.domain import FIRST_DAY
from backfill.service.queries import Coverage


@responses.read_view
def coverage_map(request: HttpRequest) -> HttpResponse:
    """The coverage of the whole history as JSON."""
    today = responses.now().date()
    found = _coverage()
    content = {"isEmpty": True} if presenter.is_empty(found) else map_presenter.map_json(found, today)
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
        "size": presenter.size(found),
        "gaps": presenter.gap_rows(found),
        "years": presenter.year_tables(found),
    }
    return responses.render_page(request, "admin/backfill/coverage_page.html", context)


def _coverage() -> Coverage:
    today = responses.now().date()
    return responses.get_service().history.coverage(FIRST_DAY, today, today)
