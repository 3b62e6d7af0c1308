"""The HTML pages of the dashboard: calendar pages, home page and error page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

from sample_dashboard.program_year import ProgramYear
from sample_dashboard.reports import MONTH_NAMES

ERROR_PAGE = (
    b"\r\n\r\n<!DOCTYPE html>\r\n<html><head><title>Toastmasters International</title></head>\r\n"
    b"<body><h1>Sample dashboard</h1><p>An error has occured please report this</p></body></html>\r\n"
)
"""The misspelling is that of the real dashboard."""

_ID = "cpContent_TopControls1_ddl"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPage:
    """The options of a calendar page and the selected values."""

    year: ProgramYear
    years: tuple[ProgramYear, ...]
    districts: tuple[str, ...]
    district: str
    months: tuple[int, ...]
    """Published months, newest first."""
    month_end: date
    as_of_days: tuple[date, ...]
    """Newest first."""
    has_blank_close: bool
    """The newest option has an empty value, as in June of a closed year."""

    def render(self) -> bytes:
        values = [as_typed(day) for day in self.as_of_days]
        if self.has_blank_close and values:
            values[0] = ""
        selected = values[0] if values else ""
        texts = [f"As of {day.day}-{MONTH_NAMES[day.month - 1]}-{day.year}" for day in self.as_of_days]
        report = f"clubperformance~{self.district}~{as_typed(self.month_end)}~{selected}~{self.year}"
        month = self.month_end.month
        body = "".join(
            (
                _drop_down("Districts", ((d, f"District {d}") for d in self.districts), self.district),
                _drop_down("ProgramYear", ((str(y), str(y)) for y in self.years), str(self.year)),
                _drop_down("Month", ((str(m), MONTH_NAMES[m - 1]) for m in self.months), str(month)),
                _drop_down("AsOf", zip(values, texts, strict=True), selected),
                _drop_down(
                    "Export", (("Export", "Export"), ("CSV", "CSV")), None, f"dll_onchange(this.value,'{report}', this)"
                ),
            )
        )
        return (
            f"\r\n\r\n<!DOCTYPE html>\r\n<html><head><title>Toastmasters International</title></head>\r\n<body>\r\n"
            f"<h2>Club Performance for District {escape(self.district)}</h2>\r\n{body}</body></html>\r\n"
        ).encode()


def home_page(districts: Sequence[tuple[str, str]]) -> bytes:
    """Return the home page with links by region and a drop-down; `districts` are pairs of region and district."""
    links: list[str] = []
    for region in sorted({region for region, _ in districts}):
        links.append(f"<h2>Region {escape(region)}</h2>")
        links += [
            f'<a href="District.aspx?id={escape(district)}&amp;hideclub=1">District {escape(district)}</a>'
            for other, district in districts
            if other == region
        ]
    options = "\r\n".join(f'\t<option value="{escape(d)}">District {escape(d)}</option>' for _, d in districts)
    body = "\r\n".join(links)
    return (
        "\r\n\r\n<!DOCTYPE html>\r\n<html><head><title>Toastmasters International</title></head>\r\n<body>\r\n"
        f'{body}\r\n<select name="ctl00$cpContent$ddlDistricts" id="cpContent_ddlDistricts">\r\n'
        f"{options}\r\n</select>\r\n</body></html>\r\n"
    ).encode()


def as_typed(day: date) -> str:
    """Format `M/D/YYYY` without padding, as in requests of the dashboard."""
    return f"{day.month}/{day.day}/{day.year}"


def _quoted(text: str) -> str:
    return escape(text).replace("&#x27;", "&#39;")  # the spelling of the dashboard


def _drop_down(name: str, options: Iterable[tuple[str, str]], selected: str | None, on_change: str = "") -> str:
    lines = [
        f'<select name="ctl00$cpContent$TopControls1$ddl{name}" id="{_ID}{name}" class="ddl"'
        + (f' onchange="{_quoted(on_change)}"' if on_change else "")
        + ">"
    ]
    lines += [
        f"\t<option {'selected=' + chr(34) + 'selected' + chr(34) + ' ' if value == selected else ''}"
        f'value="{escape(value)}">{escape(text)}</option>'
        for value, text in options
    ]
    return "\r\n".join([*lines, "</select>", ""])
