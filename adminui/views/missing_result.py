"""The page of a missing result, with a link to the job that creates it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import responses
from adminui.permissions import Permissions
from adminui.presenters import formatting
from adminui.presenters.result_selector import result_selector
from backfill.domain import SUMMARY, Cadence, JobType, ProgramYear
from backfill.service.queries import Selection


def missing_on_date(request: HttpRequest, title: str, day: date, district: str) -> HttpResponse:
    """No result on a date: offer data collection if no snapshot is stored, otherwise analytics generation."""
    is_collected = any(responses.get_service().history.snapshot_metadata(Selection(day, day, frozenset({district}))))
    if is_collected:
        message = _(
            "There are no analytics for this date. An analytics-generation job computes them from stored snapshots."
        )
        query = {"job": JobType.ANALYTICS_GENERATION, "from": day, "to": day}
    else:
        message = _("No data of this date is stored. Run a data-collection job, then an analytics-generation job.")
        query = {"job": JobType.DATA_COLLECTION, "from": day, "to": day, "cadence": Cadence.DAILY}
    year = ProgramYear.of(day)
    title = f"{title}, {formatting.day(day)}"
    return _render_missing(request, title, message, query, year=year, district=district, is_collected=is_collected)


def missing_result(
    request: HttpRequest,
    title: str,
    message: str,
    *,
    year: ProgramYear | None = None,
    district: str = SUMMARY,
    status: int = 404,
) -> HttpResponse:
    """No result in a program year, or no result at all."""
    query: dict[str, object] = {"job": JobType.ANALYTICS_GENERATION}
    if year:
        query |= {"from": date(year.start, 7, 1), "to": year.close}
    return _render_missing(request, title, message, query, year=year, district=district, status=status)


def _render_missing(
    request: HttpRequest,
    title: str,
    message: str,
    query: Mapping[str, object],
    *,
    year: ProgramYear | None,
    district: str,
    is_collected: bool = True,
    status: int = 404,
) -> HttpResponse:
    """`query` fills the start form with the next job."""
    names = {} if district == SUMMARY else {"district": formatting.one_district(district)}
    context = {
        "title": title,
        "permissions": Permissions.of(request.user),
        "message": message,
        "is_collected": is_collected,
        "chosen_district": "" if district == SUMMARY else district,
        "start_query": urlencode({**query, **names}),
        "address": reverse("admin:backfill_world")
        if district == SUMMARY
        else reverse("admin:backfill_district", args=[district]),
        "selector": result_selector(year, responses.get_service().history.years(district)),
    }
    return responses.render_page(request, "admin/backfill/missing_result.html", context, status=status)
