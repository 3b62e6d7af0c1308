"""A page for the time in which the database of accounts and sessions cannot be used."""

from __future__ import annotations

from collections.abc import Callable

from django.db import DataError
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse

from backfill.service.monitoring import database_message


class DatabaseErrors:
    """Answers 503 with the cause where Django would answer 500. Pages need a session, so they cannot show it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, _request: HttpRequest, exc: Exception) -> HttpResponse | None:
        if not isinstance(exc, DatabaseError) or isinstance(exc, DataError):
            return None
        return HttpResponse(database_message(exc), status=503, content_type="text/plain", headers={"Retry-After": "5"})
