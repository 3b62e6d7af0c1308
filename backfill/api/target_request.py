"""The request body and the headers of the coverage target."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

import re
from typing import Any

from django.utils.http import parse_etags
from rest_framework.request import Request

from backfill.api.exceptions import PreconditionRequired
from backfill.api.fields import (
    DISTRICT_PATTERN,
    NoteField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictIntegerField,
    StrictListField,
    StrictSerializer,
    StrictStringListField,
    parsed,
)
from backfill.domain import Cadence, CoverageRule, TargetSettings
from backfill.domain.coverage_target import (
    MOST_DISTRICTS,
    MOST_MONTHLY_REQUESTS,
    MOST_RULES,
    parsed_rule_start,
    parsed_time,
)

_NO_VERSION = -1
"""Matches no version of the target."""


class CoverageRuleBody(StrictSerializer):
    cadence = StrictChoiceField(
        choices=[(kind.value, kind.name) for kind in Cadence], required=False, help_text="Default: daily."
    )
    districts = StrictStringListField(
        longest=40,
        most=MOST_DISTRICTS,
        pattern=DISTRICT_PATTERN,
        required=False,
        help_text="Ids such as 91 or F. Default: all districts.",
    )
    analytics = StrictBooleanField(required=False, help_text="Whether results are computed too. Default: false.")

    def get_fields(self) -> dict[str, Any]:
        """`from` is a keyword of Python."""
        start = StrictCharField(
            source="start",
            max_length=12,
            pattern="^(program-year|[0-9]{4}-[0-9]{2}-[0-9]{2})$",
            mismatch="must be a date like 2012-07-01, or program-year",
            allow_blank=False,
            help_text="The first day, or program-year for the first day of the current program year.",
        )
        return {"from": start, **super().get_fields()}


class CoverageTargetBody(StrictSerializer):
    """The whole target: a field that is left out gets its default."""

    enabled = StrictBooleanField()
    dailyAt = StrictCharField(
        source="daily_at",
        max_length=5,
        pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$",
        mismatch="must be a time of day from 00:00 to 23:59, like 06:00",
        allow_blank=False,
        required=False,
        help_text="The time of the daily check in BACKFILL_TIME_ZONE. Default: 06:00.",
    )
    note = NoteField(required=False, help_text="One line, at most 500 characters.")
    monthlyRequests = StrictIntegerField(
        source="monthly_requests",
        min_value=1,
        max_value=MOST_MONTHLY_REQUESTS,
        required=False,
        allow_null=True,
        help_text="The most requests of automatic jobs in a calendar month (UTC). Default: no limit.",
    )
    rules = StrictListField(
        child=CoverageRuleBody(),
        most=MOST_RULES,
        entries="objects",
        help_text="The target is the union of all rules.",
    )


def target_settings(request: Request) -> TargetSettings:
    """Raises InvalidRequest with the messages of every invalid field."""
    values = parsed(CoverageTargetBody, request.data)
    defaults = TargetSettings()
    return TargetSettings(
        enabled=values["enabled"],
        daily_at=parsed_time(values["daily_at"]) if "daily_at" in values else defaults.daily_at,
        note=values.get("note") or "",
        monthly_requests=values.get("monthly_requests"),
        rules=tuple(_rule(number, rule) for number, rule in enumerate(values["rules"])),
    )


def _rule(number: int, values: dict[str, Any]) -> CoverageRule:
    return CoverageRule(
        start=parsed_rule_start(values["start"], "rules", f"rules[{number}].from"),
        cadence=Cadence(values.get("cadence", Cadence.DAILY)),
        districts=tuple(values.get("districts", ())),
        analytics=values.get("analytics", False),
    )


def etag_of_version(version: int) -> str:
    return f'"{version}"'


def expected_version(request: Request, current: int) -> int | None:
    """The version that the If-Match header names, None for `*`. `current` is preferred if there are several.

    Weak tags count, because a proxy that compresses the response makes its tag weak. Raises PreconditionRequired.
    """
    header = request.headers.get("If-Match")
    if header is None:
        raise PreconditionRequired(
            "Send the ETag of the target that you have read as If-Match, so that no change of another operator is "
            "lost. GET returns it."
        )
    if header.strip() == "*":
        return None
    tags = [tag.removeprefix("W/").strip('"') for tag in parse_etags(header)]
    versions = [int(tag) for tag in tags if re.fullmatch(r"\d{1,18}", tag, re.ASCII)]
    return current if current in versions else next(iter(versions), _NO_VERSION)
