"""Converts options of the command line. Errors are one sentence that names the option."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from django.core.management.base import CommandError
from django.db import Error as DatabaseError

from backfill.domain import BOUNDS, Actor, Cadence, Channel, JobRequest, JobType, parsed_district, parsed_job_type
from backfill.errors import BackfillError, InvalidRequest, PlanChanged, StorageUnavailable
from backfill.service.pagination import Pagination

Options = Mapping[str, Any]
E = TypeVar("E", bound=StrEnum)

PAGE_LIMITS = (1, 100)
"""Minimum and maximum of --limit, as in the HTTP API."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_OPERATOR_LENGTH = 150
_OPTIONS = {
    "startDate": "--from",
    "endDate": "--to",
    "targetDistricts": "--district",
    "jobType": "--type",
    "planId": "--plan-id",
    "maxRequestsPerMinute": "--max-requests-per-minute",
    "maxConcurrent": "--max-concurrent",
    "minDelayMs": "--min-delay-ms",
    "maxDelayMs": "--max-delay-ms",
    "backoffMultiplier": "--backoff-multiplier",
    "dailyAt": "--daily-at",
    "monthlyRequests": "--monthly-requests",
}
"""Field of the API to option of the command line."""
_FIELD = re.compile(rf"\b({'|'.join(_OPTIONS)})\b")


def day(text: str | None, flag: str) -> date | None:
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # a date that does not exist, such as 2024-02-30
    raise CommandError(f"{flag} must be a date like 2024-01-31; it was {text[:40]!r}.")


def job_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CommandError(
            f"{text[:60]!r} is not a job id. List jobs and their ids with: manage.py backfill list"
        ) from None


def one_of(kind: type[E], text: str, flag: str) -> E:
    try:
        return kind(text)
    except ValueError:
        raise CommandError(f"{flag} must be one of {', '.join(kind)}; it was {text[:40]!r}.") from None


def several_of(kind: type[E], texts: Iterable[str], flag: str) -> frozenset[E]:
    """Convert a repeatable option that accepts comma-separated lists."""
    words = (word.strip() for text in texts for word in text.split(","))
    return frozenset(one_of(kind, word, flag) for word in words if word)


def districts(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(parsed_district(text) for text in texts)


def page(options: Options) -> Pagination:
    limit, offset = _integer(options["limit"], "--limit"), _integer(options["offset"], "--offset")
    low, high = PAGE_LIMITS
    if not low <= limit <= high:
        raise CommandError(f"--limit must be between {low} and {high}; it was {limit}.")
    if not 0 <= offset < 2**31:
        raise CommandError(f"--offset must be between 0 and {2**31 - 1}; it was {offset}.")
    return Pagination(limit=limit, offset=offset, cursor=options["cursor"])


def limit_changes(options: Options) -> dict[str, float]:
    """Return the specified rate limits by their names in the domain."""
    given = {name: str(options[name]) for name in BOUNDS if options[name] is not None}
    return {
        name: _number(text, flag) if name == "backoff_multiplier" else _integer(text, flag)
        for name, text in given.items()
        for flag in ["--" + name.replace("_", "-")]
    }


def request(options: Options, like: JobRequest | None = None) -> JobRequest:
    """Return the request of `start` or `preview`: the given options, and the rest of `like` or the defaults."""
    base = like or JobRequest(job_type=JobType.DATA_COLLECTION)
    if options.get("plan_id") == "":
        raise CommandError("--plan-id is empty. Use the plan id of a preview, or leave the option out.")
    given: dict[str, Any] = {
        "job_type": parsed_job_type(options["type"]) if options["type"] is not None else None,
        "start_date": day(options["from"], "--from"),
        "end_date": day(options["to"], "--to"),
        "target_districts": tuple(options["district"]) or None,
        "cadence": one_of(Cadence, options["cadence"], "--cadence") if options["cadence"] is not None else None,
        "skip_existing": options["skip_existing"],
        "plan_id": options.get("plan_id"),
    }
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def actor(options: Options) -> Actor:
    """Return the actor for the audit log: --operator, otherwise the login name."""
    name = (options["operator"] or "").strip()
    if not name:
        try:
            name = getpass.getuser()
        except (OSError, KeyError, ImportError):  # a container without a user entry
            name = "command line"
    if len(name) > _OPERATOR_LENGTH or not name.isprintable():
        raise CommandError(f"--operator must be one line of at most {_OPERATOR_LENGTH} printable characters.")
    return Actor(name, Channel.CLI)


def as_command_error(exc: BackfillError) -> CommandError:
    """Translate an error; its message names options instead of API fields."""
    message = exc.message
    if isinstance(exc, InvalidRequest | PlanChanged):
        message = _FIELD.sub(lambda match: _OPTIONS[match[1]], message)
    if isinstance(exc, PlanChanged) and exc.details:
        before, now = exc.details["before"], exc.details["now"]
        changed = ", ".join(f"{name} {before[name]:,} -> {now[name]:,}" for name in now if before[name] != now[name])
        message += f" Changed: {changed}." if changed else ""
        message += f" The new option is --plan-id {exc.details['planId']}"
    if isinstance(exc, StorageUnavailable) and isinstance(exc.__cause__, DatabaseError):
        is_complete = "migrate" in message or "restore a backup" in message
        message += "" if is_complete else f" {_database_advice(str(exc.__cause__))}"
    return CommandError(message)


def _database_advice(cause: str) -> str:
    """The texts are those of SQLite."""
    if "readonly" in cause:
        return "This process may not write the file or its folder. Run the command as the user of the service."
    if "disk is full" in cause:
        return "Free some space, then run the command again."
    return "Check DATABASE_URL."


def _integer(text: object, flag: str) -> int:
    try:
        return int(str(text))
    except ValueError:
        raise CommandError(f"{flag} must be a whole number; it was {str(text)[:40]!r}.") from None


def _number(text: str, flag: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CommandError(f"{flag} must be a number; it was {text[:40]!r}.") from None
