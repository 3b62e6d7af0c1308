"""What was computed: a district on a date, and the ranking of the world on one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from adminui import door
from adminui.permissions import Rights
from adminui.presenters import district as district_presenter
from adminui.presenters import trend as trend_presenter
from adminui.presenters import wording
from adminui.presenters import world as world_presenter
from adminui.presenters.results import Chooser, choose_date, choose_year
from backfill.domain import SUMMARY, JobType, ProgramYear, normalised_district
from backfill.errors import AnalyticsNotFound
from backfill.history import History, Series


@door.looks
def newest(request: HttpRequest) -> HttpResponse:
    """The newest ranking of the world; or the district that was typed."""
    wanted = request.GET.get("district", "").strip()
    if not wanted:
        return HttpResponseRedirect(reverse("admin:backfill_world"))
    try:
        district = normalised_district(wanted)
    except ValueError as exc:
        return _none(request, _("Results"), str(exc), status=422)
    day = _date(request)
    address = reverse("admin:backfill_district_on", args=[district, day]) if day else _of(district)
    return HttpResponseRedirect(address)


@door.looks
def world(request: HttpRequest, day: date | None = None) -> HttpResponse:
    history, title = door.the_service().history, _("World ranking")
    if day is None:
        year = _year(request) or history.latest_year(SUMMARY)
        dates = history.result_dates(SUMMARY, year) if year else []
        chosen = _date(request) or (dates[-1] if dates else None)
        if chosen is None:
            return _none(request, title, _no_world(year), year=year)
        return HttpResponseRedirect(reverse("admin:backfill_world_on", args=[chosen]))
    try:
        result = history.result(day, SUMMARY)
    except AnalyticsNotFound as exc:
        return _none(request, title, exc.message, day=day)
    body, year = json.loads(result.body), result.program_year
    shown = world_presenter.world(body, sort=request.GET.get("sort", ""), region=request.GET.get("region", ""))
    context = {
        "title": title,
        "day": day,
        "shown_day": wording.day(day),
        "about": district_presenter.about(body),
        "is_final": body["isFinal"],
        "world": shown,
        "sort": request.GET.get("sort", ""),
        "chooser": _chooser(
            history, SUMMARY, day, result.program_year, history.result_dates(SUMMARY, result.program_year)
        ),
        "api": f"/api/analytics/{day}/world",
        "snapshot": f"/api/snapshots/{day}/{SUMMARY}",
    }
    return door.page(request, "admin/backfill/world.html", context)


@door.looks
def district(request: HttpRequest, district: str, day: date | None = None) -> HttpResponse:
    history = door.the_service().history
    title = _("District %(name)s") % {"name": wording.one_district(district)}
    if day is None:
        chosen = _date(request)
        if chosen is None:
            try:
                chosen = history.series(district, _year(request)).points[-1].date
            except AnalyticsNotFound as exc:
                return _none(request, title, exc.message, year=_year(request), district=district)
        return HttpResponseRedirect(reverse("admin:backfill_district_on", args=[district, chosen]))
    try:
        result = history.result(day, district)
    except AnalyticsNotFound as exc:
        return _none(request, title, exc.message, day=day, district=district)
    series = _series(history, district, result.program_year)
    trend = trend_presenter.trend(series, result.program_year, day)
    dates = [point.date for point in trend.points]
    context = {
        "title": title,
        "day": day,
        "district_id": district,
        "shown_day": wording.day(day),
        "district": district_presenter.district(json.loads(result.body)),
        "trend": trend,
        "chooser": _chooser(history, district, day, result.program_year, dates),
        "api": f"/api/analytics/{day}/{district}",
        "series_api": f"/api/analytics/series/{district}?programYear={result.program_year}",
        "snapshot": f"/api/snapshots/{day}/{district}",
    }
    return door.page(request, "admin/backfill/district.html", context)


def _series(history: History, district: str, year: ProgramYear) -> list[Series]:
    """Of the years that are drawn, oldest first; a year without results is left out."""
    found = []
    for start in range(year.start - trend_presenter.YEARS + 1, year.start + 1):
        try:
            found.append(history.series(district, ProgramYear(start)))
        except AnalyticsNotFound:
            continue
    return found


def _chooser(
    history: History, district: str, day: date | None, year: ProgramYear | None, dates: Sequence[date]
) -> Chooser:
    newest_year = history.latest_year(district) or year
    return Chooser(years=choose_year(year, newest_year), dates=choose_date(day, dates))


def _none(
    request: HttpRequest,
    title: str,
    sentence: str,
    *,
    day: date | None = None,
    year: ProgramYear | None = None,
    district: str = SUMMARY,
    status: int = 404,
) -> HttpResponse:
    """What is missing, and the start form filled with the job that makes it."""
    first, last = (date(year.start, 7, 1), year.close) if year else (day, day)
    query: dict[str, Any] = {"job": str(JobType.ANALYTICS_GENERATION)}
    if first and last:
        query |= {"from": first, "to": last}
    if district != SUMMARY:
        query["district"] = wording.one_district(district)
    history = door.the_service().history
    year = year or (ProgramYear.of(day) if day else None)
    context = {
        "title": title,
        "rights": Rights.of(request.user),
        "sentence": sentence,
        "start_query": urlencode(query),
        "address": reverse("admin:backfill_world") if district == SUMMARY else _of(district),
        "chooser": _chooser(history, district, None, year, []),
    }
    return door.page(request, "admin/backfill/no_results.html", context, status=status)


def _no_world(year: ProgramYear | None) -> str:
    missing = _("No date of %(year)s has a ranking.") % {"year": year} if year else _("No date has a ranking yet.")
    made = _("An analytics-generation job makes one of every district summary that is stored.")
    return f"{missing} {made}"


def _of(district: str) -> str:
    return reverse("admin:backfill_district", args=[district])


def _date(request: HttpRequest) -> date | None:
    try:
        return date.fromisoformat(request.GET.get("date", ""))
    except ValueError:
        return None


def _year(request: HttpRequest) -> ProgramYear | None:
    try:
        return ProgramYear.parse(request.GET.get("year", ""))
    except ValueError:
        return None
