"""Finds the calendar page of a month by requesting it with a district that exists in the month's program year."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import islice

from backfill.dashboard.calendar_page import CalendarPage
from backfill.dashboard.client import DashboardClient
from backfill.dashboard.protocol import calendar_path
from backfill.domain import ProgramYear
from backfill.errors import DashboardError, DashboardUnavailable, HtmlPage, LocalProblem, Throttled
from backfill.job_types.collection.robots import Robots
from backfill.rate_limit import Limiter

MAX_CANDIDATES = 10
"""The maximum number of districts with which a page is requested."""

_ATTEMPTS = 3
"""The number of failed requests that ends a search. Error pages for guessed districts do not count."""

_PER_SOURCE = 3
"""The number of districts taken from one list, such as the home page."""

_UNDISTRICTED = ("F", "U")
"""Districts without a number. They exist in every known program year."""

_LONG_LIVED = ("02", "03", "06", "17", "61", "91")
"""Numbered districts that exist in many program years. They are tried last."""


class CalendarPages:
    """Reads the calendar pages of one plan and remembers the districts of each program year.

    No numbered district exists in every program year. For an unknown district the dashboard returns its error page
    or the page of another district. The page of another district has the same lists and is used; a page of another
    program year or month is not.
    """

    def __init__(
        self,
        client: DashboardClient,
        limiter: Limiter,
        known: Mapping[ProgramYear, Sequence[str]],
        likely: Sequence[str] = (),
        *,
        robots: Robots | None = None,
    ) -> None:
        """`known`: districts of program years from stored pages. `likely`: the districts in the operator's request.

        `robots` is None if robots.txt is ignored.
        """
        self._client, self._limiter, self._likely, self._robots = client, limiter, likely, robots
        self._known = dict(known)
        self._home: tuple[str, ...] | None = None
        self._published: tuple[ProgramYear, ...] = ()
        self._has_read_bare_path = False

    def page(self, end: date, *, is_archived: bool) -> CalendarPage | None:
        """The page of the month that ends on `end`, from the archive or from the bare path.

        None if the archive does not have the month's program year. The bare path shows the live year for every month.
        Raises DashboardUnavailable, with the districts that were tried, if no page can be read.
        """
        tried: list[str] = []
        try:
            return self._search(end, tried, is_archived=is_archived)
        except DashboardUnavailable:
            raise
        except DashboardError as exc:
            # The dashboard also returns its error page for a year that is not published.
            if is_archived and isinstance(exc, HtmlPage) and not self._is_published(end):
                return None
            districts = "" if isinstance(exc, LocalProblem) else f"Tried with district {', '.join(tried)}. "
            raise DashboardUnavailable(
                f"The calendar of {end:%B %Y} cannot be read: {exc.message} {districts}"
                "Nothing was created; try again later."
            ) from exc

    def _search(self, end: date, tried: list[str], *, is_archived: bool) -> CalendarPage | None:
        year, failures = ProgramYear.of(end), _Failures(self._limiter)
        failure: DashboardError | None = None
        for district, is_listed in islice(self._candidates(year, is_archived=is_archived), MAX_CANDIDATES):
            tried.append(district)
            try:
                page = self._request(end, district, failures, is_archived=is_archived)
            except HtmlPage as exc:
                failure = exc
                if is_listed:  # The district exists, so its page is temporarily broken.
                    failures.add(exc)
                elif is_archived and not self._is_published(end):
                    return None
                continue
            self._published = page.program_years
            if is_archived and year not in page.program_years:
                return None
            if _is_trusted(page, end, is_archived=is_archived):
                self._known[page.program_year] = page.districts
                return page
            failure = HtmlPage(
                f"The calendar page of district {district} shows month {page.month} of {page.program_year} instead."
            )
        if failure is None:
            raise ValueError("There is no district to request a calendar page with.")
        raise failure

    def _request(self, end: date, district: str, failures: _Failures, *, is_archived: bool) -> CalendarPage:
        while True:
            try:
                self._check_robots(calendar_path(end, district=district, is_archived=is_archived))
                with self._limiter.request():
                    return self._client.calendar_page(end, district=district, is_archived=is_archived)
            except (DashboardUnavailable, HtmlPage):
                raise
            except DashboardError as exc:
                failures.add(exc)

    def _is_published(self, end: date) -> bool:
        """Whether the dashboard lists the program year of a month. Every page lists them. True if none is readable."""
        if not self._published and not self._has_read_bare_path:
            self._has_read_bare_path = True
            try:
                self.page(end, is_archived=False)
            except DashboardUnavailable as exc:
                if not isinstance(exc.__cause__, HtmlPage):
                    raise
        return not self._published or ProgramYear.of(end) in self._published

    def _candidates(self, year: ProgramYear, *, is_archived: bool) -> Iterator[tuple[str, bool]]:
        """The districts to try, most likely first, and whether the dashboard lists each for the year."""
        seen: set[str] = set()
        for districts, is_listed in self._lists(year, is_archived=is_archived):
            for district in districts:
                if district not in seen:
                    seen.add(district)
                    yield district, is_listed

    def _lists(self, year: ProgramYear, *, is_archived: bool) -> Iterator[tuple[Sequence[str], bool]]:
        yield _most_likely(self._known.get(year, ())), True
        if not is_archived:
            yield _most_likely(self._home_districts()), True
        yield _UNDISTRICTED, False
        yield self._likely[:_PER_SOURCE], False
        others = [other for other, districts in self._known.items() if other != year and districts]
        if others:
            nearest = min(others, key=lambda other: (abs(other.start - year.start), other))
            yield [d for d in self._known[nearest] if d not in _UNDISTRICTED][:_PER_SOURCE], False
        yield _LONG_LIVED, False

    def _home_districts(self) -> tuple[str, ...]:
        """The districts on the home page; none if it cannot be read, because there are other candidates."""
        for _ in range(_ATTEMPTS):
            if self._home is not None:
                break
            try:
                self._check_robots("/")
                with self._limiter.request():
                    self._home = self._client.home_page()
            except (DashboardUnavailable, LocalProblem):
                raise
            except Throttled:
                continue  # the limiter delays every request
            except DashboardError:
                self._home = ()
        return self._home or ()

    def _check_robots(self, path: str) -> None:
        if self._robots is not None:
            self._robots.check(self._limiter, path)


class _Failures:
    """Counts the failed requests of one search."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter, self._count = limiter, 0

    def add(self, failure: DashboardError) -> None:
        """Wait before the next request. Raises the failure if it ends the search."""
        self._count += 1
        if not failure.is_retryable or self._count >= _ATTEMPTS or isinstance(failure, LocalProblem):
            raise failure
        if not isinstance(failure, Throttled):  # a throttled limiter delays every request anyway
            self._limiter.back_off(self._count, failure.message)


def _most_likely(districts: Sequence[str]) -> list[str]:
    """The first few of the districts, F and U before others."""
    return sorted(districts, key=lambda district: district not in _UNDISTRICTED)[:_PER_SOURCE]


def _is_trusted(page: CalendarPage, end: date, *, is_archived: bool) -> bool:
    """Whether a page, possibly of another district, describes the requested month.

    The archive must show the requested year, the bare path the newest one. A page shows another month only if the
    requested one has no figures.
    """
    year = ProgramYear.of(end)
    shown = year if is_archived else max(page.program_years)
    if page.program_year != shown:
        return False
    return page.program_year != year or page.month == end.month or end.month not in page.months
