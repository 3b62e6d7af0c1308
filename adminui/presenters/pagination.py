"""Page links of a long list and the range that a page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.utils.translation import gettext as _

from adminui.presenters import formatting


@dataclass(frozen=True, slots=True)
class PageLink:
    number: int | None
    """None for the ellipsis between two numbers."""
    query: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Pagination:
    range_text: str
    """1 to 10 of 214; empty if the page is empty."""
    links: list[PageLink]
    """Empty if there is only one page."""
    query: str
    """Query string of this page, used to reload it."""
    number: int
    count: int
    """The number of pages."""
    hidden: list[tuple[str, str]]
    """The filters, as hidden fields of the form that selects a page."""


def paginate(number: int, size: int, *, rows: int, total: int, filters: Mapping[str, str]) -> Pagination:
    """`rows` is the number of rows on this page; `filters` are the other query parameters."""
    first = (number - 1) * size
    range_text = _("%(first)s to %(last)s of %(total)s") % {
        "first": formatting.number(first + 1),
        "last": formatting.number(first + rows),
        "total": formatting.number(total),
    }
    paginator = Paginator(range(total), size)
    return Pagination(
        range_text if rows else "",
        _links(number, paginator, filters),
        _query(number, filters),
        number=number,
        count=paginator.num_pages,
        hidden=[(name, value) for name, value in filters.items() if value],
    )


def _links(number: int, paginator: Paginator[int], filters: Mapping[str, str]) -> list[PageLink]:
    if paginator.num_pages < 2:
        return []
    pages = paginator.get_elided_page_range(min(number, paginator.num_pages), on_each_side=2, on_ends=1)
    return [
        PageLink(page, _query(page, filters), page == number) if isinstance(page, int) else PageLink(None, "", False)
        for page in pages
    ]


def _query(number: int, filters: Mapping[str, str]) -> str:
    query = {name: value for name, value in filters.items() if value}
    return urlencode({**query, "page": number} if number > 1 else query)
