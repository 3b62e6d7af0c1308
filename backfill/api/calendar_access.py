"""Requests that may read the dashboard's calendar: their time limits, and the preference for a quick response."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.cache import patch_vary_headers
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.domain import CalendarAccess, CalendarProgress
from backfill.errors import CalendarIncomplete
from backfill.serializers.calendar import CalendarProgressResponseSerializer

LONGEST_WAIT = 50.0
"""Seconds after which a request is answered; proxies usually close connections after 60."""

ASYNC_WAIT = 5.0
"""The same for a request with `Prefer: respond-async`."""

RESPOND_ASYNC = "respond-async"


def prefers_async(request: Request) -> bool:
    """Whether the Prefer header of RFC 7240 contains `respond-async`."""
    preferences = request.headers.get("Prefer", "").split(",")
    return any(preference.partition(";")[0].strip().lower() == RESPOND_ASYNC for preference in preferences)


def calendar_access(request: Request, *, may_read: bool = True, is_async: bool = False) -> CalendarAccess:
    """How long a request may read the calendar, and whether its client is still there."""
    max_wait = ASYNC_WAIT if is_async else LONGEST_WAIT
    return CalendarAccess(may_read=may_read, max_wait=max_wait, is_abandoned=disconnect_check(request.META))


def progress_response(exc: CalendarIncomplete) -> Response:
    """The 202 response of a request with `Prefer: respond-async`."""
    progress = progress_of(exc)
    headers = {"Retry-After": str(exc.retry_after), "Preference-Applied": RESPOND_ASYNC}
    return Response(CalendarProgressResponseSerializer.render(progress), status=202, headers=headers)


def progress_of(exc: CalendarIncomplete) -> CalendarProgress:
    details = exc.details or {}
    return CalendarProgress(
        needed=details["needed"], stored=details["stored"], seconds_left=details["estimatedSecondsLeft"]
    )


def varies_by_preference(response: Response) -> Response:
    patch_vary_headers(response, ["Prefer"])
    return response


def disconnect_check(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """Return what tells whether the client has closed its connection, as far as the server shows it.

    WSGI does not report it. gunicorn passes the socket of the client; behind nginx it is closed when the browser
    disconnects. Under other servers the answer is always False.
    """
    connection = environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return lambda: False

    def is_disconnected() -> bool:
        try:
            poll = select.poll()
            poll.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
            if not poll.poll(0):
                return False
            return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ValueError:  # TLS sockets support no flags
            return False
        except OSError:
            return True

    return is_disconnected
