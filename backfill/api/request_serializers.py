"""Serializers of request bodies, and functions that parse bodies and headers."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request

from backfill.api.fields import (
    DISTRICT_OR_SUMMARY_PATTERN,
    DISTRICT_PATTERN,
    NoteField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictDateField,
    StrictIntegerField,
    StrictNumberField,
    StrictSerializer,
    StrictStringListField,
    parsed,
)
from backfill.domain import BOUNDS, Cadence, JobRequest, JobType, parsed_district, parsed_job_type
from backfill.errors import InvalidJobType, InvalidRequest

_LONGEST_KEY = 255
_LIMIT = r"[0-9]{1,10}(\.[0-9]{1,20})?"
"""A rate limit in a plan id."""


def _bounds(name: str) -> dict[str, Any]:
    low, high = BOUNDS[name]
    return {"min_value": low, "max_value": high, "required": False, "source": name}


_NOTE_HELP = "One line about why, at most 500 characters. The job and the audit log show it."


class JobBody(StrictSerializer):
    jobType = StrictChoiceField(choices=[(kind.value, kind.name) for kind in JobType], source="job_type")
    startDate = StrictDateField(
        source="start_date",
        required=False,
        allow_null=True,
        help_text="Required for data-collection. Not before 2008-07-01.",
    )
    endDate = StrictDateField(
        source="end_date",
        required=False,
        allow_null=True,
        help_text="Required for data-collection. Before today (UTC).",
    )
    targetDistricts = StrictStringListField(
        source="target_districts",
        longest=40,
        most=500,
        pattern=DISTRICT_PATTERN,
        required=False,
        help_text="Ids such as 91 or F. Default: all districts.",
    )
    cadence = StrictChoiceField(
        choices=[(kind.value, kind.name) for kind in Cadence], required=False, help_text="Default: daily."
    )
    skipExisting = StrictBooleanField(source="skip_existing", required=False, help_text="Default: true.")
    planId = StrictCharField(
        source="plan_id",
        max_length=200,
        pattern=f"^plan-[0-9]+-[0-9]+-[0-9]+(-{_LIMIT}(_{_LIMIT}){{4}})?-[0-9a-f]{{16}}$",
        mismatch="is not a plan id; create a preview and use its planId",
        allow_blank=False,  # an unset variable of a script must not start an unconfirmed plan
        required=False,
        allow_null=True,
        help_text="The planId of a preview: start exactly that plan with its rate limits, or fail with PLAN_CHANGED.",
    )
    note = NoteField(required=False, help_text=f"{_NOTE_HELP} A preview ignores it.")


class NoteBody(StrictSerializer):
    note = NoteField(required=False, help_text=_NOTE_HELP)


class RateLimitsBody(StrictSerializer):
    """Any subset of the limits."""

    maxRequestsPerMinute = StrictIntegerField(**_bounds("max_requests_per_minute"))
    maxConcurrent = StrictIntegerField(**_bounds("max_concurrent"))
    minDelayMs = StrictIntegerField(**_bounds("min_delay_ms"))
    maxDelayMs = StrictIntegerField(**_bounds("max_delay_ms"))
    backoffMultiplier = StrictNumberField(**_bounds("backoff_multiplier"))


class JobChangeBody(StrictSerializer):
    """Lower rate limits for an active job, or another note for any job."""

    rateLimits = RateLimitsBody(source="rate_limits", required=False, help_text="Lower limits for an active job.")
    note = NoteField(is_required=True, required=False, help_text="A note, which is added to the others.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise InvalidRequest({"rateLimits": ["rateLimits or note is required."]})
        return attrs


class RetryBody(NoteBody):
    """Selects failed items; the default is all of them."""

    codes = StrictStringListField(longest=40, most=100, required=False, help_text="Error codes, such as SERVER_ERROR.")
    districts = StrictStringListField(
        longest=40,
        most=500,
        pattern=DISTRICT_OR_SUMMARY_PATTERN,
        required=False,
        help_text="Ids such as 91 or F, or all for the summary.",
    )


def job_request(request: Request) -> JobRequest:
    """Raises InvalidJobType if the job type is invalid, and InvalidRequest if only other fields are."""
    try:
        values = parsed(JobBody, request.data)
    except InvalidRequest as exc:
        fields: Mapping[str, list[str]] = exc.details or {}
        if "jobType" in fields:
            raise InvalidJobType(fields) from exc
        raise
    return JobRequest(
        job_type=parsed_job_type(values["job_type"]),
        start_date=values.get("start_date"),
        end_date=values.get("end_date"),
        target_districts=tuple(values.get("target_districts", ())),
        cadence=Cadence(values.get("cadence", Cadence.DAILY)),
        skip_existing=values.get("skip_existing", True),
        plan_id=values.get("plan_id") or "",
    )


def limit_changes(request: Request) -> dict[str, float]:
    return parsed(RateLimitsBody, request.data)


def job_change(request: Request) -> tuple[dict[str, float] | None, str]:
    """The limits, None without any, and the note."""
    values = parsed(JobChangeBody, request.data)
    limits = values.get("rate_limits")
    return None if limits is None else dict(limits), values.get("note") or ""


def retry_group(request: Request) -> tuple[list[str], list[str]]:
    """Codes and districts."""
    values = parsed(RetryBody, request.data)
    return values.get("codes", []), [parsed_district(text, "districts") for text in values.get("districts", [])]


def note(request: Request) -> str:
    """The note of a body that was parsed before; empty without one."""
    return dict(request.data).get("note") or ""


def only_note(request: Request) -> str:
    """The note of a body that has no other field; empty without one."""
    return parsed(NoteBody, request.data).get("note") or ""


def idempotency_key(request: Request) -> str:
    """Returns an empty string if the request has no Idempotency-Key header."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not key.strip() or len(key) > _LONGEST_KEY or not key.isprintable():
        raise InvalidRequest(
            {
                "Idempotency-Key": [
                    f"Idempotency-Key must have 1 to {_LONGEST_KEY} printable characters, for example a UUID."
                ]
            }
        )
    return key


def check_empty_body(request: Request) -> None:
    """For actions without a body: accepts an empty body or `{}`."""
    parsed(StrictSerializer, request.data)
