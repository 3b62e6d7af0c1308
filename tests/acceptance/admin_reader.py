"""Reads the numbers on the admin's pages over HTTP, as a person sees them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import requests
from selectolax.lexbor import LexborHTMLParser, LexborNode

SECTION = "/admin/backfill/"


def number(text: str) -> int:
    return int(text.replace(",", ""))


def text_of(node: LexborNode | None) -> str:
    assert node is not None
    return re.sub(r"\s+", " ", node.text()).strip()


@dataclass(frozen=True)
class JobOnPage:
    """The numbers of the page of a job."""

    percent: int
    settled: int
    total: int
    stored: int
    skipped: int
    failed: int
    rest: int
    requests: int | None
    """None if the page shows none."""
    failures: dict[str, int]
    """Failed items by cause."""
    districts: dict[str, tuple[int, int]]
    """Settled and planned items by the name of the district."""
    items: int
    audit_entries: int


class AdminReader:
    def __init__(self, url: str, user: str) -> None:
        """Sign in. The password is the user name."""
        self._url, self._session = url, requests.Session()
        login = f"{url}/admin/login/"
        self._session.get(login, timeout=30)
        token = self._session.cookies["csrftoken"]
        form = {"username": user, "password": user, "csrfmiddlewaretoken": token, "next": SECTION}
        self._session.post(login, data=form, headers={"Referer": login}, timeout=30).raise_for_status()

    def _page(self, path: str) -> LexborHTMLParser:
        response = self._session.get(f"{self._url}{path}", timeout=30)
        response.raise_for_status()
        return LexborHTMLParser(response.text)

    def job(self, job_id: str) -> JobOnPage:
        page = self._page(f"{SECTION}jobs/{job_id}/?districts=all")
        legend = [text_of(item) for item in page.css("#bf-job-status .bf-legend li")]
        settled, total = re.findall(r"[\d,]+", text_of(page.css_first(".bf-progress-figures p > span:last-child")))
        sent = re.search(r"([\d,]+) sent", text_of(page.css_first(".bf-job-details")))
        districts = {
            text_of(row.css_first(".bf-district-name")): tuple(
                number(count) for count in text_of(row.css_first(".bf-district-counts")).split(" of ")
            )
            for row in page.css(".bf-district-list li[id]")
        }
        shown = page.css_first("#items .bf-result-count")
        return JobOnPage(
            percent=number(text_of(page.css_first(".bf-percent")).rstrip("%")),
            settled=number(settled),
            total=number(total),
            stored=_counted(legend, r"([\d,]+) (?:stored|computed)"),
            skipped=_counted(legend, r"([\d,]+) (?:already stored|not published|unchanged)"),
            failed=_counted(legend, r"([\d,]+) failed"),
            rest=_counted(legend, r"([\d,]+) (?:to do|left undone)"),
            requests=number(sent[1]) if sent else None,
            failures={
                text_of(row.css_first("code")): number(text_of(row.css_first("td.bf-number")))
                for row in page.css(".bf-failures tbody tr")
            },
            districts={name: (counts[0], counts[1]) for name, counts in districts.items()},
            items=number(text_of(shown).rpartition(" ")[2]) if shown else 0,
            audit_entries=len(page.css("#audit-log tbody tr")),
        )

    def listed_items(self, job_id: str) -> Counter[str]:
        """The items on all pages of the list, by outcome."""
        found: Counter[str] = Counter()
        number_of_page = 0
        while True:
            number_of_page += 1
            page = self._page(f"{SECTION}jobs/{job_id}/?page={number_of_page}")
            rows = page.css("#items tbody tr")
            found.update(text_of(row.css_first(".bf-lead")) for row in rows)
            last = text_of(page.css_first("#items .bf-result-count")).rpartition(" ")[2] if rows else "0"
            if not rows or found.total() >= number(last):
                return found

    def history_row(self, job_id: str) -> str:
        return text_of(self._page(SECTION).css_first(f"#bf-row-{job_id}"))

    def history_total(self) -> int:
        return number(text_of(self._page(SECTION).css_first("#history .bf-result-count")).rpartition(" ")[2])


def _counted(legend: list[str], pattern: str) -> int:
    return sum(number(count) for text in legend for count in re.findall(pattern, text))
