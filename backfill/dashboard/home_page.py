"""The dashboard's home page, which lists the districts of the live program year."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from selectolax.lexbor import LexborHTMLParser

from backfill.domain import normalised_district
from backfill.errors import HtmlPage


def parse_home_page(html: bytes | str, *, subject: str = "The home page") -> tuple[str, ...]:
    """Return the districts of the live program year, in the page's order.

    They are in links (`District.aspx?id=61&hideclub=1`) and in a drop-down; a page may have only one of the two.
    Raises HtmlPage, with a message that begins with `subject`, when the page names no district.
    """
    tree = LexborHTMLParser(html)
    found: dict[str, None] = {}
    for text in (*_linked(tree), *_listed(tree)):
        try:
            found[normalised_district(text)] = None
        except ValueError:
            continue  # a menu entry such as "All districts"
    if not found:
        raise HtmlPage(f"{subject} names no district. If this persists, the format of the page may have changed.")
    return tuple(found)


def _linked(tree: LexborHTMLParser) -> Iterator[str]:
    for link in tree.css("a[href]"):
        try:
            url = urlsplit(link.attributes.get("href") or "")
        except ValueError:
            continue  # an invalid URL
        if url.path.lower().rpartition("/")[2] == "district.aspx":
            yield from ({name.lower(): values for name, values in parse_qs(url.query).items()}.get("id", ()))


def _listed(tree: LexborHTMLParser) -> Iterator[str]:
    for option in tree.css("select[id$='ddlDistricts'] option, select[name$='ddlDistricts'] option"):
        yield option.attributes.get("value") or ""
