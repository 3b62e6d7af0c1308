"""Results: a district on a date, and the world ranking on a date."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import query_parameters, responses
from adminui.presenters import district as district_presenter
from adminui.presenters import formatting
from adminui.presenters import trend_charts as trend_presenter
from adminui.presenters import world_ranking as world_presenter
from adminui.presenters.result import describe_result
from adminui.presenters.result_selector import result_selector
from adminui.views.missing_result import missing_on_date, missing_result
from backfill.domain import SUMMARY, ProgramYear, normalised_district
from backfill.errors import AnalyticsNotFound
from backfill.serializers.paths import public_path
from backfill.service.queries import HistoryQueries, Series


@responses.read_view
def find_result(request: HttpRequest) -> HttpResponse:
    """Redirect to the entered district, or to the newest world ranking."""
    wanted = request.GET.get("district", "").strip()
    if not wanted:
        return HttpResponseRedirect(reverse("admin:backfill_world"))
    try:
        district = normalised_district(wanted)
    except ValueError as exc:
        return missing_result(request, _("Results"), str(exc), status=422)
    day = query_parameters.day(request.GET)
    address = reverse("admin:backfill_district_on", args=[district, day]) if day else _district_url(district)
    return HttpResponseRedirect(address)


@responses.read_view
def world(request: HttpRequest, day: date | None = None) -> HttpResponse:
    history, title = responses.get_service().history, _("World ranking")
    if day is None:
        year = query_parameters.program_year(request.GET) or next(history.years(SUMMARY), None)
        dates = history.result_dates(SUMMARY, year) if year else []
        chosen = query_parameters.day(request.GET) or (dates[-1] if dates else None)
        if chosen is None:
            return missing_result(request, title, _no_ranking_text(year), year=year)
        return HttpResponseRedirect(reverse("admin:backfill_world_on", args=[chosen]))
    try:
        result = history.result(day, SUMMARY)
    except AnalyticsNotFound:
        return missing_on_date(request, title, day, SUMMARY)
    body, year = json.loads(result.body), result.program_year
    context = {
        "title": title,
        "day": day,
        "shown_day": formatting.day(day),
        "about": describe_result(body),
        "world": world_presenter.world_ranking(
            body, day, sort=request.GET.get("sort", ""), region=request.GET.get("region", "")
        ),
        "sort": request.GET.get("sort", ""),
        "selector": result_selector(year, history.years(SUMMARY), day, history.result_dates(SUMMARY, year)),
        "api": public_path(f"/api/analytics/{day}/world"),
        "snapshot": public_path(f"/api/snapshots/{day}/{SUMMARY}"),
    }
    return responses.render_page(request, "admin/backfill/world_ranking.html", context)


@responses.read_view
def district(request: HttpRequest, district: str, day: date | None = None) -> HttpResponse:
    history = responses.get_service().history
    title = _("District %(name)s") % {"name": formatting.one_district(district)}
    if day is None:
        chosen = query_parameters.day(request.GET)
        if chosen is None:
            try:
                chosen = history.series(district, query_parameters.program_year(request.GET)).points[-1].date
            except AnalyticsNotFound as exc:
                return missing_result(
                    request, title, exc.message, year=query_parameters.program_year(request.GET), district=district
                )
        return HttpResponseRedirect(reverse("admin:backfill_district_on", args=[district, chosen]))
    try:
        result = history.result(day, district)
    except AnalyticsNotFound:
        return missing_on_date(request, title, day, district)
    years = list(history.years(district))
    series = _series(history, district, result.program_year, years)
    dates = [point.date for point in series[-1].points]
    context = {
        "title": title,
        "day": day,
        "district_id": district,
        "shown_day": formatting.day(day),
        "district": district_presenter.district(json.loads(result.body)),
        "trend": trend_presenter.trend_charts(series, result.program_year, day),
        "selector": result_selector(result.program_year, years, day, dates),
        "changes_query": _changes_query(dates, day),
        "api": public_path(f"/api/analytics/{day}/{district}"),
        "series_api": public_path(f"/api/analytics/series/{district}?programYear={result.program_year}"),
        "snapshot": public_path(f"/api/snapshots/{day}/{district}"),
    }
    return responses.render_page(request, "admin/backfill/district.html", context)


def _series(history: HistoryQueries, district: str, year: ProgramYear, years: Sequence[ProgramYear]) -> list[Series]:
    """Series of the program years that the charts show, oldest first."""
    first = year.start - trend_presenter.YEARS + 1
    return [history.series(district, each) for each in reversed(years) if first <= each.start <= year.start]


def _changes_query(dates: Sequence[date], day: date) -> str:
    """The comparison with the date before; empty if the program year has none."""
    earlier = [each for each in dates if each < day]
    return f"?from={earlier[-1]}&to={day}" if earlier else ""


def _no_ranking_text(year: ProgramYear | None) -> str:
    missing = _("%(year)s has no ranking.") % {"year": year} if year else _("There is no ranking yet.")
    advice = _("An analytics-generation job computes one for every stored district summary.")
    return f"{missing} {advice}"


def _district_url(district: str) -> str:
    return reverse("admin:backfill_district", args=[district])
