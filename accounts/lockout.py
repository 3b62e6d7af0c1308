"""Limits for failed sign-ins. django-axes counts them in the database, so that all processes share the counts.

Passwords: a user name is locked for an address after AXES_FAILURE_LIMIT failures from it, and an address after
ADDRESS_LIMIT failures with any names. Other addresses can still sign in, so that an attacker cannot lock out an
operator.

Tokens: after TOKEN_LIMIT failures, unknown tokens from an address are answered with 429. Valid tokens are accepted
all the time: a key of 160 random bits cannot be guessed, and clients behind one address do not stop each other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from axes.helpers import get_client_ip_address
from axes.models import AccessAttempt
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

ADDRESS_LIMIT = 100
TOKEN_LIMIT = 100
COOL_OFF: timedelta = settings.AXES_COOLOFF_TIME
"""How long a lock lasts after the last counted failure."""

_TOKENS = "API tokens"
"""The user agent of the record that counts the token failures of an address. Its user name is empty."""

_NAME_LENGTH = 255


def user_name(_request: HttpRequest, credentials: dict[str, Any] | None) -> str | None:
    """Return the name by which failures are counted, in the length of the column of django-axes."""
    name = (credentials or {}).get("username")
    return None if name is None else str(name)[:_NAME_LENGTH]


def lockout_parameters(request: HttpRequest, _credentials: dict[str, Any] | None = None) -> list[str | list[str]]:
    """Tell django-axes which failures count: those of the name and the address, or all of an address over its limit."""
    failures = AccessAttempt.objects.filter(
        ip_address=get_client_ip_address(request), attempt_time__gte=_since()
    ).exclude(username="", user_agent=_TOKENS)
    count = failures.aggregate(count=Sum("failures_since_start"))["count"] or 0
    return ["ip_address"] if count >= ADDRESS_LIMIT else [["username", "ip_address"]]


def locked_response(request: HttpRequest, _original: HttpResponse, _credentials: dict[str, Any] | None) -> HttpResponse:
    """Return the page that django-axes shows instead of the sign-in page while a name or an address is locked."""
    minutes = round(COOL_OFF.total_seconds() / 60)
    response = render(request, "admin/sign_in_locked.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(round(COOL_OFF.total_seconds()))
    return response


def token_failures(address: str) -> int:
    """Return the counted token failures of an address."""
    attempt = _token_attempts(address).filter(attempt_time__gte=_since()).first()
    return int(attempt.failures_since_start) if attempt else 0


def count_token_failure(address: str, path: str) -> int:
    """Count a token failure of an address, and return its failures."""
    with transaction.atomic():
        created = {"failures_since_start": 0, "attempt_time": timezone.now()}
        attempt, _ = AccessAttempt.objects.select_for_update().get_or_create(
            username="", user_agent=_TOKENS, ip_address=address, defaults=created
        )
        before = attempt.failures_since_start if attempt.attempt_time >= _since() else 0
        attempt.failures_since_start = before + 1
        attempt.attempt_time = timezone.now()
        attempt.path_info = path[:_NAME_LENGTH]
        attempt.save()
    return int(attempt.failures_since_start)


def _token_attempts(address: str) -> QuerySet[AccessAttempt]:
    attempts: QuerySet[AccessAttempt] = AccessAttempt.objects.filter(
        username="", user_agent=_TOKENS, ip_address=address
    )
    return attempts


def _since() -> datetime:
    return timezone.now() - COOL_OFF
