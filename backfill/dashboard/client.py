"""The HTTP client of the dashboard. Each call sends one request, without retries, redirects and cookies.

The rate limiter decides when a request may start. Every failure of a request is raised as a DashboardError.
"""

from __future__ import annotations

import copy
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, LocationValueError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

from backfill import __version__
from backfill.dashboard.calendar_page import CalendarPage, parse_calendar_page
from backfill.dashboard.home_page import parse_home_page
from backfill.dashboard.interrupts import Interruption, RunningRequest, RunningRequests, TrackingAdapter
from backfill.dashboard.network import Route, causes, reason
from backfill.dashboard.protocol import ReportRequest, calendar_path
from backfill.dashboard.reports import check, excerpt_of
from backfill.dashboard.robots import PRODUCT, RobotRules, robot_rules
from backfill.domain import Report
from backfill.errors import (
    ConnectionFailed,
    DashboardError,
    HtmlPage,
    LocalProblem,
    NotSent,
    Overloaded,
    ServerError,
    Stopped,
    Throttled,
    TimedOut,
    TooLarge,
    TransientDashboardError,
    Truncated,
    UnexpectedStatus,
)

_CHUNK = 64 * 1024
_MAX_RETRY_AFTER = timedelta(days=1)
_TRANSIENT_STATUSES = {408, 421, 425}
"""Request Timeout, Misdirected Request, Too Early: the same request may succeed over another connection."""
_GZIP_WINDOW_BITS = 31  # selects the gzip format in zlib
_GZIP_MAGIC = b"\x1f\x8b"
_INVALID_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    LocationValueError,
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DashboardClient:
    """Fetches reports and pages from `base_url`. Thread-safe.

    Timeouts are in seconds: `connect_timeout` for each address of the host, `read_timeout` between two reads,
    `deadline` for the complete request. `contact` is an address for the User-Agent. Methods raise DashboardError, and
    Stopped after `abort`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        contact: str = "",
        connect_timeout: float = 5,
        read_timeout: float = 30,
        deadline: float = 120,
        max_bytes: int = 20 * 1024 * 1024,
        pool_size: int = 32,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._base_url = base_url.strip().rstrip("/")
        self._root, self._base_path = _root_and_path(self._base_url)
        self._timeouts, self._deadline = (connect_timeout, read_timeout), deadline
        self._max_bytes = max_bytes
        self._now = now
        self._running = RunningRequests()
        self._headers = {
            "User-Agent": _user_agent(contact),
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
            "Connection": "keep-alive",
        }
        # Without a session, which would follow redirects, keep cookies, use credentials from ~/.netrc, and merge its
        # settings into each request. Route sets proxy and CA bundle of each request.
        self._adapter = TrackingAdapter(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)

    def report(self, request: ReportRequest) -> Report:
        """Return the requested report after all checks of `reports.check`."""
        content = self._get(request.path_and_query, request.report_string)
        try:
            return check(content, request)
        except DashboardError as exc:
            exc.excerpt = excerpt_of(content)
            raise

    def home_page(self) -> tuple[str, ...]:
        """Return the districts of the live program year, as the home page lists them."""
        subject = "the home page /"
        return parse_home_page(self._get("/", subject), subject=subject)

    def calendar_page(self, month_end: date, *, district: str, is_archived: bool) -> CalendarPage:
        """Return the page of a month, which may show another month; see `calendar_month`.

        `district` must exist in that program year. The response for any other district is the error page (HtmlPage) or
        the page of another district, which may show another month or program year.
        """
        path = calendar_path(month_end, district=district, is_archived=is_archived)
        subject = f"the calendar page {path}"
        return parse_calendar_page(self._get(path, subject), subject=subject)

    def robot_rules(self) -> RobotRules:
        """Return the rules of robots.txt at the root of the host."""
        return robot_rules(self._fetched(f"{self._root}/robots.txt", "robots.txt"), self._base_path)

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()

    def scope(self) -> DashboardClient:
        """Return a client that shares the connections of this one; its `abort` ends only its own requests."""
        scope = copy.copy(self)
        scope._running = RunningRequests()  # noqa: SLF001 - an instance of this class
        return scope

    def abort(self) -> None:
        """Close the connections of all requests in flight, which raise Stopped. May be called from any thread."""
        self._running.abort()

    def _get(self, path: str, subject: str) -> bytes:
        return self._fetched(f"{self._base_url}{path}", subject)

    def _fetched(self, url: str, subject: str) -> bytes:
        """Return the body of a response with status 200. `subject` is the name of the request in messages."""
        route = Route.to(url, setting="BACKFILL_DASHBOARD_URL")
        if problem := route.problem():
            raise LocalProblem(problem)
        with self._running.request(self._deadline) as running:
            try:
                content = self._exchange(url, subject, route)
            except Exception as exc:
                self._check_interruption(running, subject, exc)
                raise
            self._check_interruption(running, subject)  # the end of the connection may be the end of the body
            return content

    def _check_interruption(self, running: RunningRequest, subject: str, cause: Exception | None = None) -> None:
        if running.interruption is Interruption.ABORT:
            raise Stopped(f"The request of {subject} was aborted.") from cause
        if running.interruption is Interruption.DEADLINE:
            message = (
                f"The dashboard sent {subject} too slowly: the response was incomplete after {self._deadline:g} s."
            )
            raise TimedOut(message) from cause

    def _exchange(self, url: str, subject: str, route: Route) -> bytes:
        try:
            # An empty text as parameters, since requests examines other values with slow protocol checks.
            request = requests.Request("GET", url, headers=self._headers, params="").prepare()
            with self._adapter.send(
                request,
                stream=True,
                timeout=self._timeouts,
                proxies=dict(route.proxies),
                verify=route.verify,
            ) as response:
                try:
                    self._guard_status(response, subject)
                except DashboardError as exc:
                    exc.status = response.status_code
                    raise
                return self._body(response, subject)
        except (requests.RequestException, HTTPError, OSError) as exc:
            if cause := route.cause(exc):
                raise LocalProblem(cause) from exc
            raise _translated(exc, subject) from exc

    def _guard_status(self, response: requests.Response, subject: str) -> None:
        status = response.status_code
        if status == 200:
            return
        prefix = f'The dashboard answered "{status} {response.reason or ""}'.rstrip() + f'" to {subject}'
        retry_after = response.headers.get("Retry-After")
        if status == 429 or (status == 503 and retry_after is not None):
            retry_at = _retry_at(retry_after, response.headers.get("Date"), self._now())
            raise Throttled(f"{prefix}: it asks for fewer requests.", retry_at=retry_at)
        if status == 503:
            raise Overloaded(f"{prefix}.")
        if status >= 500:
            raise ServerError(f"{prefix}.")
        if status in _TRANSIENT_STATUSES:
            raise TransientDashboardError(f"{prefix}.")
        if response.is_redirect:
            location = response.headers["Location"]
            if _leads_to_error_page(location):
                raise HtmlPage(f"The dashboard redirects to its error page instead of {subject}.")
            raise UnexpectedStatus(
                f"{prefix}, a redirect to {location[:200]}. If the dashboard has moved, set BACKFILL_DASHBOARD_URL."
            )
        raise UnexpectedStatus(f"{prefix}. Check BACKFILL_DASHBOARD_URL.")

    def _body(self, response: requests.Response, subject: str) -> bytes:
        raw = b"".join(self._chunks(response, subject))
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding == "identity":
            return raw
        if encoding not in ("gzip", "x-gzip"):
            raise TransientDashboardError(
                f'The dashboard sent {subject} with the encoding "{encoding[:40]}", which was not requested.'
            )
        return self._decompress(raw, subject)

    def _chunks(self, response: requests.Response, subject: str) -> Iterator[bytes]:
        content_length = response.headers.get("Content-Length", "")
        size = int(content_length) if content_length.isdecimal() and len(content_length) < 20 else 0
        self._guard_size(size, subject)
        size = 0
        # read1 returns after each read, so that the size is checked early. urllib3 checks the Content-Length.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            size += len(chunk)
            self._guard_size(size, subject)
            yield chunk

    def _decompress(self, raw: bytes, subject: str) -> bytes:
        """Decompress one or more gzip members. Other data after the last one is ignored, as gzip does."""
        content = bytearray()
        rest = raw
        while True:
            decompressor = zlib.decompressobj(_GZIP_WINDOW_BITS)
            try:
                content += decompressor.decompress(rest, self._max_bytes + 1 - len(content))
            except zlib.error as exc:
                raise TransientDashboardError(f"The dashboard sent {subject} as invalid gzip.") from exc
            self._guard_size(len(content), subject)
            if not decompressor.eof:
                raise Truncated(f"{subject} has incomplete gzip data.")
            rest = decompressor.unused_data
            if not rest.startswith(_GZIP_MAGIC):
                return bytes(content)

    def _guard_size(self, size: int, subject: str) -> None:
        if size > self._max_bytes:
            raise TooLarge(f"The dashboard sent more than {self._max_bytes:,} bytes to {subject}.")


def _translated(exc: requests.RequestException | HTTPError | OSError, subject: str) -> DashboardError:
    if isinstance(exc, requests.Timeout | Urllib3Timeout):
        return TimedOut(f"The dashboard did not answer to {subject} in time.")
    if any(isinstance(cause, IncompleteRead) for cause in causes(exc)):
        return Truncated(f"{subject} is shorter than its Content-Length.")
    if isinstance(exc, requests.exceptions.InvalidHeader):
        return ConnectionFailed(f"The dashboard sent {subject} with invalid headers: {_without_credentials(str(exc))}")
    if isinstance(exc, _INVALID_URL):
        return NotSent(
            f"{subject} was not requested: BACKFILL_DASHBOARD_URL is not a valid URL: {_without_credentials(str(exc))}"
        )
    if isinstance(exc, requests.ConnectionError | HTTPError) or not isinstance(exc, requests.RequestException):
        return ConnectionFailed(f"The connection to the dashboard for {subject} failed: {reason(exc)}.")
    return NotSent(f"{subject} was not requested: {_without_credentials(str(exc))}")


def _without_credentials(text: str) -> str:
    """Remove user names and passwords of URLs: every text up to the last @ of a word."""
    return re.sub(r"\S*@", "", text)


def _retry_at(retry_after: str | None, server_date: str | None, now: datetime) -> datetime | None:
    """Return the time that a Retry-After, in seconds or as an HTTP date, allows for the next request, at most a day
    ahead; None if it is missing or invalid, or is not in the future.

    A date is relative to the Date header of the response, because the clock of this machine may be wrong.
    """
    text = (retry_after or "").strip()
    try:
        seconds = float(text)
    except ValueError:
        at = _http_date(text)
        if at is None:
            return None
        seconds = (at - (_http_date(server_date or "") or now)).total_seconds()
    if not seconds > 0:  # also if it is not a number
        return None
    return now + timedelta(seconds=min(seconds, _MAX_RETRY_AFTER.total_seconds()))


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text.strip())
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _leads_to_error_page(location: str) -> bool:
    try:
        return urlsplit(location).path.lower().endswith("/error.aspx")
    except ValueError:
        return False  # an invalid URL


def _root_and_path(url: str) -> tuple[str, str]:
    """Return a URL without its path, and the path."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""  # an invalid URL; the request reports it
    return url.removesuffix(path), path


def _user_agent(contact: str) -> str:
    name = f"{PRODUCT}/{__version__}"
    # A header is a single line of ASCII.
    plain = " ".join(contact.encode("ascii", "ignore").decode().split())
    return f"{name} (+{plain})" if plain else name
