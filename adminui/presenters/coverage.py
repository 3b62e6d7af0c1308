"""The coverage page: stored months as tables, gaps and totals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from urllib.parse import urlencode

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting
from backfill.domain import SUMMARY, Cadence, Cell, CoveredMonth, Gap, ProgramYear
from backfill.service.queries import Coverage

_STORED = frozenset({Cell.SNAPSHOT, Cell.FINAL, Cell.ANALYTICS})
_WITHOUT_DATA = frozenset({Cell.UNPUBLISHED, Cell.UNKNOWN})


@dataclass(frozen=True, slots=True)
class GapRow:
    """A gap, with the query string that fills the start form with it."""

    title: str
    text: str
    query: str


@dataclass(frozen=True, slots=True)
class MonthRow:
    name: str
    published: str
    stored: str
    analysed: str
    missing: str
    """Districts whose close is missing; empty if none is missing."""
    query: str
    is_unknown: bool


@dataclass(frozen=True, slots=True)
class YearTable:
    name: str
    months: list[MonthRow]
    missing: int
    unknown: int
    """Months whose calendar is not known."""


def is_empty(coverage: Coverage) -> bool:
    """Whether neither a calendar nor a snapshot is stored."""
    return not any(month.cells for month in coverage.months)


def summary(coverage: Coverage) -> str:
    """21,922 of 24,328 published district months stored. A month counts if one of its dates is stored."""
    published = stored = 0
    for month in coverage.months:
        held = sum(cell in _STORED for cell in month.cells.values())
        stored += held
        published += held + sum(month.cells.get(district) is Cell.NONE for district in month.missing)
    counts = {"stored": formatting.number(stored), "published": formatting.number(published)}
    return _("%(stored)s of %(published)s published district months stored") % counts


def unknown_text(coverage: Coverage) -> str:
    """How many months are unknown; empty if none is."""
    count = len(coverage.unknown_months)
    if not count:
        return ""
    text = ngettext(
        "%(n)s month is unknown: the dashboard's calendar of it has not been read.",
        "%(n)s months are unknown: the dashboard's calendar of them has not been read.",
        count,
    )
    return text % {"n": formatting.number(count)}


def size(coverage: Coverage) -> str:
    plain = [district for district in districts_of(coverage) if district != SUMMARY]
    districts = ngettext("%(n)s district", "%(n)s districts", len(plain)) % {"n": formatting.number(len(plain))}
    count = len(coverage.months)
    return f"{districts}, {ngettext('%(n)s month', '%(n)s months', count) % {'n': formatting.number(count)}}"


def gap_row(gap: Gap, coverage: Coverage) -> GapRow:
    names = [district for district in gap.districts if district != SUMMARY]
    where = _("All districts") if _has_all_districts(gap, coverage) else formatting.where(gap.districts)
    text = ngettext("%(n)s close is missing", "%(n)s closes are missing", gap.closes)
    is_all = _has_all_districts(gap, coverage) or not names  # the summary is collected with every job
    return GapRow(
        title=f"{where}, {month_span(gap.first, gap.last)}",
        text=text % {"n": formatting.number(gap.closes)},
        query=start_query(gap.first, gap.last, [] if is_all else names),
    )


def gap_rows(coverage: Coverage) -> list[GapRow]:
    return [gap_row(gap, coverage) for gap in coverage.gaps]


def year_tables(coverage: Coverage) -> list[YearTable]:
    """One table for each program year. Years and months are sorted newest first."""
    by_year = groupby(coverage.months, key=lambda month: ProgramYear.of(month.month_end))
    lines = [(year, list(months)) for year, months in by_year]
    return [
        YearTable(
            name=str(year),
            months=[_month_row(month) for month in reversed(months)],
            missing=sum(len(month.missing) for month in months),
            unknown=sum(month.is_unknown for month in months),
        )
        for year, months in reversed(lines)
    ]


def start_query(first: date, last: date, districts: Sequence[str]) -> str:
    """Query string that fills the start form with the closes of these months. No districts means all."""
    query = [("from", first.isoformat()), ("to", last.isoformat()), ("cadence", str(Cadence.MONTH_ENDS))]
    return urlencode([*query, *(("district", names) for names in _ranges(districts))])


def month_span(first: date, last: date) -> str:
    """Jul 2010 to Jun 2011; the month alone if both are equal."""
    begin, end = date_format(first, "M Y"), date_format(last, "M Y")
    return begin if begin == end else _("%(first)s to %(last)s") % {"first": begin, "last": end}


def districts_of(coverage: Coverage) -> list[str]:
    """All known districts, in order. Every month has a cell for each of them."""
    return list(coverage.months[0].cells) if coverage.months else []


def month_name(month: CoveredMonth) -> str:
    return date_format(month.month_end, "M Y")


def _has_all_districts(gap: Gap, coverage: Coverage) -> bool:
    """Whether the gap has all districts that were published in its months."""
    months = (month for month in coverage.months if gap.first <= month.month_end <= gap.last)
    return all(_published(month) == set(gap.districts) for month in months)


def _published(month: CoveredMonth) -> set[str]:
    return {district for district, cell in month.cells.items() if cell not in _WITHOUT_DATA}


def _month_row(month: CoveredMonth) -> MonthRow:
    cells = list(month.cells.values())
    missing = sorted(month.missing, key=list(month.cells).index)
    is_all = month.missing == _published(month)
    names = [] if is_all else [district for district in missing if district != SUMMARY]
    return MonthRow(
        name=month_name(month),
        published=_("unknown") if month.is_unknown else formatting.number(len(_published(month))),
        stored=formatting.number(sum(cell in _STORED for cell in cells)),
        analysed=formatting.number(cells.count(Cell.ANALYTICS)),
        missing=(_("All districts") if is_all else formatting.where(missing)) if missing else "",
        query=start_query(month.month_end.replace(day=1), month.month_end, names) if missing else "",
        is_unknown=month.is_unknown,
    )


def _ranges(districts: Sequence[str]) -> Iterator[str]:
    """20-34, 60, F: consecutive districts form a range."""
    numbered = [district for district in districts if district.isdigit()]
    for _offset, run in groupby(enumerate(numbered), key=lambda pair: int(pair[1]) - pair[0]):
        names = [formatting.one_district(district) for _n, district in run]
        yield names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"
    yield from (district for district in districts if not district.isdigit())
