"""The page of the differences between two dates of a district, and its CSV file."""

from __future__ import annotations

from datetime import date

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from adminui import query_parameters, responses
from adminui.presenters import changes as changes_presenter
from adminui.presenters import formatting
from backfill.errors import InvalidDateRange, SnapshotNotFound
from backfill.serializers.changes import changes_csv
from backfill.serializers.paths import public_path


@responses.read_view
def changes(request: HttpRequest, district: str) -> HttpResponse:
    """The last two stored dates are the default. Dates that cannot be compared are shown with the reason."""
    queries = responses.get_service().history.changes
    first, last = _dates(request, district)
    found, problem, status = None, "", 200
    if first and last:
        try:
            found = queries.between(district, first, last)
        except SnapshotNotFound as exc:
            problem, status = exc.message, 404
        except InvalidDateRange as exc:
            problem, status = exc.message, 422
    else:
        problem = _("Enter two dates with a stored snapshot of the district.")
    query = urlencode({"from": str(first), "to": str(last)}) if first and last else ""
    name = formatting.one_district(district)
    context = {
        "title": _("Changes of district %(name)s") % {"name": name},
        "district_id": district,
        "district_name": _("District %(name)s") % {"name": name},
        "first": first,
        "last": last,
        "span": _("%(first)s to %(last)s") % {"first": formatting.day(first), "last": formatting.day(last)}
        if first and last
        else "",
        "changes": changes_presenter.changes(found) if found else None,
        "problem": problem,
        "api": public_path(f"/api/changes?{query}&{urlencode({'district': district})}"),
        "csv": f"{reverse('admin:backfill_changes_csv', args=[district])}?{query}",
    }
    return responses.render_page(request, "admin/backfill/changes.html", context, status=status)


@responses.read_view
def csv_file(request: HttpRequest, district: str) -> HttpResponseBase:
    """The clubs as a file for spreadsheets, which need the byte order mark to recognise UTF-8."""
    first, last = _dates(request, district)
    if first is None or last is None:
        return changes(request, district)
    try:
        found = responses.get_service().history.changes.between(district, first, last)
    except (InvalidDateRange, SnapshotNotFound):
        return changes(request, district)
    return HttpResponse(
        "\ufeff" + changes_csv(found),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="changes-{district}-{first}-{last}.csv"'},
    )


def _dates(request: HttpRequest, district: str) -> tuple[date | None, date | None]:
    """The dates of the address; without any, the last two dates with a snapshot."""
    first, last = (query_parameters.day(request.GET, name) for name in ("from", "to"))
    if first is None and last is None:
        return responses.get_service().history.changes.last_two_dates(district) or (None, None)
    return first, last
