"""Where a result is looked for and there is none: what is missing, and the next job on the way to it."""

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
    """A date without a result: the next job on the way to it is collecting, where nothing is collected."""
    is_collected = any(responses.get_service().history.facts(Selection(day, day, frozenset({district}))))
    if is_collected:
        sentence = _("There are no analytics of this date. An analytics-generation job makes them of what is stored.")
        query = {"job": JobType.ANALYTICS_GENERATION, "from": day, "to": day}
    else:
        sentence = _(
            "Nothing is collected of this date. A data-collection job does that, one of analytics-generation the rest."
        )
        query = {"job": JobType.DATA_COLLECTION, "from": day, "to": day, "cadence": Cadence.DAILY}
    year = ProgramYear.of(day)
    title = f"{title}, {formatting.day(day)}"
    return _nothing(request, title, sentence, query, year=year, district=district, is_collected=is_collected)


def missing_result(
    request: HttpRequest,
    title: str,
    sentence: str,
    *,
    year: ProgramYear | None = None,
    district: str = SUMMARY,
    status: int = 404,
) -> HttpResponse:
    """No result of a program year, or none at all."""
    query: dict[str, object] = {"job": JobType.ANALYTICS_GENERATION}
    if year:
        query |= {"from": date(year.start, 7, 1), "to": year.close}
    return _nothing(request, title, sentence, query, year=year, district=district, status=status)


def _nothing(
    request: HttpRequest,
    title: str,
    sentence: str,
    query: Mapping[str, object],
    *,
    year: ProgramYear | None,
    district: str,
    is_collected: bool = True,
    status: int = 404,
) -> HttpResponse:
    """What is missing, and the start form filled by `query` with the next job on the way to it."""
    names = {} if district == SUMMARY else {"district": formatting.one_district(district)}
    context = {
        "title": title,
        "permissions": Permissions.of(request.user),
        "sentence": sentence,
        "is_collected": is_collected,
        "chosen_district": "" if district == SUMMARY else district,
        "start_query": urlencode({**query, **names}),
        "address": reverse("admin:backfill_world")
        if district == SUMMARY
        else reverse("admin:backfill_district", args=[district]),
        "selector": result_selector(year, responses.get_service().history.years(district)),
    }
    return responses.render_page(request, "admin/backfill/missing_result.html", context, status=status)
