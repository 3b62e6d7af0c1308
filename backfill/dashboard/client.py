"""Asks the dashboard, one request a call: no retry, no redirect followed, no cookie kept.

How often it may be asked is the limiter's affair. LocalCompute every way in which an answer can fail becomes one error.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, LocationValueError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

from backfill import __version__
from backfill.dashboard.calendar_page import CalendarPage, parse_calendar_page
from backfill.dashboard.home_page import parse_home_page
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
    Overloaded,
    ServerError,
    Throttled,
    TimedOut,
    TooLarge,
    TransientDashboardError,
    Truncated,
    UnexpectedStatus,
)

_CHUNK = 64 * 1024
_BODY_TIMEOUTS = 4
"""A whole body may take this many read timeouts; each of them alone only bounds the wait for its next bytes."""
_LONGEST_PAUSE = timedelta(days=1)
"""A Retry-After beyond this is taken for this."""
_GZIP = 31  # zlib's window bits for the gzip format
_GZIP_MARK = b"\x1f\x8b"  # by which each member begins
_WRONG_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    LocationValueError,
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Session(requests.Session):
    """One that looks at no redirect: each would be a request beyond the limit."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        # Told not to follow, requests still reads the whole body and raises ValueError for an address that is none.
        return None


class DashboardClient:
    """Fetches reports and calendar pages from `base_url`. Any number of threads may share one.

    Timeouts are in seconds. `contact` is an address for the User-Agent. Every method raises DashboardError only.
    """

    def __init__(
        self,
        base_url: str,
        *,
        contact: str = "",
        connect_timeout: float = 5,
        read_timeout: float = 30,
        max_bytes: int = 20 * 1024 * 1024,
        pool_size: int = 32,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._base_url = base_url.strip().rstrip("/")
        self._root, self._base_path = _root_and_path(self._base_url)
        self._timeouts = (connect_timeout, read_timeout)
        self._max_bytes = max_bytes
        self._now = now
        self._session = _Session()
        # `Route` gives each request its proxy and CA bundle; requests would also take credentials from ~/.netrc.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update({"User-Agent": _user_agent(contact), "Accept": "*/*", "Accept-Encoding": "gzip"})
        adapter = HTTPAdapter(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def report(self, request: ReportRequest) -> Report:
        """The report that was asked for, its exact bytes checked by every guard of `csv`."""
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
        """The page of a month, which may show another month than was asked for; see `calendar_month`.

        `district` must exist in that program year. The answer to any other district is the error page (HtmlPage) or
        the page of another district, which may show another month or program year.
        """
        path = calendar_path(month_end, district=district, is_archived=is_archived)
        subject = f"the calendar page {path}"
        return parse_calendar_page(self._get(path, subject), subject=subject)

    def robot_rules(self) -> RobotRules:
        """The rules of robots.txt, which lies at the root of the host."""
        return robot_rules(self._fetched(f"{self._root}/robots.txt", "robots.txt"), self._base_path)

    def close(self) -> None:
        """Let go of every connection."""
        self._session.close()

    def _get(self, path: str, subject: str) -> bytes:
        return self._fetched(f"{self._base_url}{path}", subject)

    def _fetched(self, url: str, subject: str) -> bytes:
        """The body of an answer with status 200. `subject` names in messages what was asked for."""
        route = Route.to(url, setting="BACKFILL_DASHBOARD_URL")
        if trouble := route.trouble():
            raise LocalProblem(trouble)
        try:
            with self._session.get(
                url,
                stream=True,
                timeout=self._timeouts,
                allow_redirects=False,
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
        answered = f'The dashboard answered "{status} {response.reason or ""}'.rstrip() + f'" to {subject}'
        retry_after = response.headers.get("Retry-After")
        if status == 429 or (status == 503 and retry_after is not None):
            retry_at = _retry_at(retry_after, response.headers.get("Date"), self._now())
            raise Throttled(f"{answered}: it asks for fewer requests.", retry_at=retry_at)
        if status == 503:
            raise Overloaded(f"{answered}.")
        if status >= 500:
            raise ServerError(f"{answered}.")
        if response.is_redirect:
            location = response.headers["Location"]
            if _leads_to_error_page(location):
                raise HtmlPage(f"The dashboard leads to its error page in place of {subject}.")
            raise UnexpectedStatus(
                f"{answered}, which leads to {location[:200]}. If the dashboard has moved, set BACKFILL_DASHBOARD_URL."
            )
        raise UnexpectedStatus(f"{answered}. Check BACKFILL_DASHBOARD_URL.")

    def _body(self, response: requests.Response, subject: str) -> bytes:
        raw = b"".join(self._chunks(response, subject))
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding == "identity":
            return raw
        if encoding not in ("gzip", "x-gzip"):
            raise TransientDashboardError(
                f'The dashboard sent {subject} encoded as "{encoding[:40]}", which was not asked for.'
            )
        return self._unpacked(raw, subject)

    def _chunks(self, response: requests.Response, subject: str) -> Iterator[bytes]:
        announced = response.headers.get("Content-Length", "")
        size = int(announced) if announced.isdecimal() and len(announced) < 20 else 0
        self._guard_size(size, subject)
        _, read_timeout = self._timeouts
        deadline = time.monotonic() + _BODY_TIMEOUTS * read_timeout
        size = 0
        # As it arrives, and undecoded: any other read waits until it has all it wants, and then a trickle would
        # outlast the deadline. urllib3 compares what came to the announced length.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            size += len(chunk)
            self._guard_size(size, subject)
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"The dashboard sent {subject} too slowly: {size:,} bytes in {_BODY_TIMEOUTS * read_timeout:g} s."
                )
            yield chunk

    def _unpacked(self, raw: bytes, subject: str) -> bytes:
        """Of one gzip member or several; what is not a member is ignored behind the last one, as gzip itself does."""
        content = bytearray()
        rest = raw
        while True:
            unpacker = zlib.decompressobj(_GZIP)
            try:
                content += unpacker.decompress(rest, self._max_bytes + 1 - len(content))
            except zlib.error as exc:
                raise TransientDashboardError(f"The dashboard sent {subject} as gzip that cannot be unpacked.") from exc
            self._guard_size(len(content), subject)
            if not unpacker.eof:
                raise Truncated(f"{subject} ends before its gzip does.")
            rest = unpacker.unused_data
            if not rest.startswith(_GZIP_MARK):
                return bytes(content)

    def _guard_size(self, size: int, subject: str) -> None:
        if size > self._max_bytes:
            raise TooLarge(f"The dashboard sent more than {self._max_bytes:,} bytes to {subject}.")


def _translated(exc: requests.RequestException | HTTPError | OSError, subject: str) -> DashboardError:
    if isinstance(exc, requests.Timeout | Urllib3Timeout):
        return TimedOut(f"The dashboard did not answer in time to {subject}.")
    if any(isinstance(cause, IncompleteRead) for cause in causes(exc)):
        return Truncated(f"{subject} ends before its announced length.")
    if isinstance(exc, _WRONG_ADDRESS):
        return DashboardError(f"{subject} cannot be asked for, since BACKFILL_DASHBOARD_URL is no web address: {exc}")
    if isinstance(exc, requests.ConnectionError | HTTPError) or not isinstance(exc, requests.RequestException):
        return ConnectionFailed(f"No connection to the dashboard for {subject}, or it broke: {reason(exc)}.")
    return DashboardError(f"{subject} could not be asked for: {exc}")


def _retry_at(retry_after: str | None, server_date: str | None, now: datetime) -> datetime | None:
    """When a Retry-After, in seconds or as an HTTP date, allows the next request; None where it says nothing.

    A date is a time of the server's clock, and counts from the answer's own Date: the clock of this machine may be off.
    """
    text = (retry_after or "").strip()
    try:
        seconds = float(text)
    except ValueError:
        at = _http_date(text)
        if at is None:
            return None
        seconds = (at - (_http_date(server_date or "") or now)).total_seconds()
    if math.isnan(seconds):
        return None
    return now + timedelta(seconds=min(max(seconds, 0.0), _LONGEST_PAUSE.total_seconds()))


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
        return False  # no address at all, so not that of the error page


def _root_and_path(url: str) -> tuple[str, str]:
    """An address without its path, and the path."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""  # not an address: the request reports it
    return url.removesuffix(path), path


def _user_agent(contact: str) -> str:
    name = f"{PRODUCT}/{__version__}"
    # A header is one line of ASCII.
    plain = " ".join(contact.encode("ascii", "ignore").decode().split())
    return f"{name} (+{plain})" if plain else name
