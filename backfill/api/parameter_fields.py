"""Fields that parse one query parameter. drf-spectacular reads them.

Each raises ValidationError with a predicate such as "must be ...", or InvalidRequest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from backfill.api import path_parameters
from backfill.api.fields import (
    DISTRICT_OR_SUMMARY_PATTERN,
    DISTRICT_PATTERN,
    LINE_PATTERN,
    note_schema,
    parsed_day,
    refuse,
)
from backfill.domain import (
    ProgramYear,
    is_one_line,
    parsed_district,
    parsed_note,
)
from backfill.errors import InvalidRequest

_QUOTED = 40
"""The most characters of a value that a message repeats."""
_CODE = "[A-Z][A-Z0-9_]{0,39}"
_MONTH_AND_DAY = "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"


class Parameter(serializers.Field[Any, str, Any, Any]):
    """A query parameter, optional by default; `schema` describes it in the OpenAPI document."""

    def __init__(self, schema: Mapping[str, Any], **options: Any) -> None:
        self.schema = dict(schema)
        super().__init__(**{"required": False, **options})


class ParameterSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Describes a Parameter; drf-spectacular finds this class by itself."""

    target_class = Parameter
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:  # noqa: ARG002
        return dict(self.target.schema)


class IntegerParameter(Parameter):
    def __init__(self, low: int, high: int, *, default: int) -> None:
        self.low, self.high = low, high
        super().__init__({"type": "integer", "minimum": low, "maximum": high}, default=default)

    def to_internal_value(self, data: str) -> int:
        is_number = data.isascii() and data.isdigit() and len(data) <= len(str(self.high))
        if not is_number or not self.low <= int(data) <= self.high:
            refuse(f"must be a whole number from {self.low:,} to {self.high:,}; it was {data[:_QUOTED]!r}")
        return int(data)


class EnumParameter(Parameter):
    def __init__(self, kind: type[StrEnum], **options: Any) -> None:
        self.kind = kind
        super().__init__({"type": "string", "enum": [str(member) for member in kind]}, **options)

    def to_internal_value(self, data: str) -> StrEnum:
        return _member(self.kind, data)


class EnumListParameter(Parameter):
    """Members of an enumeration, separated by commas."""

    def __init__(self, kind: type[StrEnum], **options: Any) -> None:
        self.kind = kind
        member = f" *({'|'.join(kind)}) *"
        text = f"One or more of {', '.join(kind)}, separated by commas."
        super().__init__({"type": "string", "pattern": f"^{member}(,{member})*$"}, help_text=text, **options)

    def to_internal_value(self, data: str) -> frozenset[StrEnum]:
        return frozenset(_member(self.kind, word.strip()) for word in data.split(","))


def _member(kind: type[StrEnum], text: str) -> StrEnum:
    try:
        return kind(text)
    except ValueError:
        refuse(f"must be one of {', '.join(kind)}; it was {text[:_QUOTED]!r}")


class CodeListParameter(Parameter):
    """Error codes, separated by commas."""

    def __init__(self, **options: Any) -> None:
        text = "Only failed items with one of these error codes, separated by commas."
        super().__init__({"type": "string", "pattern": f"^ *{_CODE} *(, *{_CODE} *)*$"}, help_text=text, **options)

    def to_internal_value(self, data: str) -> frozenset[str]:
        codes = frozenset(word.strip() for word in data.split(","))
        if not all(re.fullmatch(_CODE, code) for code in codes):
            refuse(f"must be error codes such as SERVER_ERROR, separated by commas; it was {data[:_QUOTED]!r}")
        return codes


class JobIdParameter(Parameter):
    def __init__(self, **options: Any) -> None:
        super().__init__({"type": "string", "format": "uuid"}, **options)

    def to_internal_value(self, data: str) -> UUID:
        return path_parameters.job_id(data)


class DistrictParameter(Parameter):
    def __init__(self, *, may_be_summary: bool = True, **options: Any) -> None:
        self.may_be_summary = may_be_summary
        text = "91, F, or all for the district summaries." if may_be_summary else "91 or F."
        pattern = DISTRICT_OR_SUMMARY_PATTERN if may_be_summary else DISTRICT_PATTERN
        super().__init__({"type": "string", "pattern": pattern}, help_text=text, **options)

    def to_internal_value(self, data: str) -> str:
        return parsed_district(data, may_be_summary=self.may_be_summary)


class DateParameter(Parameter):
    def __init__(self, **options: Any) -> None:
        super().__init__({"type": "string", "format": "date"}, **options)

    def to_internal_value(self, data: str) -> date:
        return parsed_day(data, self.field_name or "date")


class InstantParameter(Parameter):
    """A date, or a date and time; UTC unless it has an offset. A date as an end includes that day."""

    def __init__(self, *, is_end: bool = False, **options: Any) -> None:
        self.is_end = is_end
        pattern = f"^[1-9][0-9]{{3}}-{_MONTH_AND_DAY}[T ]{_TIME}(:[0-5][0-9](\\.[0-9]{{1,6}})?)?(Z|[+-]{_TIME})?$"
        super().__init__({"type": "string", "anyOf": [{"format": "date"}, {"pattern": pattern}]}, **options)

    def to_internal_value(self, data: str) -> datetime:
        try:
            day = parsed_day(data[:10], self.field_name or "date")
            if len(data) == len("2024-01-31"):
                return datetime.combine(day, time(), UTC) + timedelta(days=self.is_end)
            at = datetime.fromisoformat(data)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (InvalidRequest, ValueError, OverflowError):
            refuse(
                "must be a date like 2024-01-31 or a time like 2024-01-31T18:00:00Z (a + is written as %2B); "
                f"it was {data[:_QUOTED]!r}"
            )


class LineParameter(Parameter):
    """A text of one line."""

    def __init__(self, longest: int, **options: Any) -> None:
        self.longest = longest
        super().__init__({"type": "string", "maxLength": longest, "pattern": LINE_PATTERN}, **options)

    def to_internal_value(self, data: str) -> str:
        if len(data) > self.longest:
            refuse(f"must not be longer than {self.longest} characters")
        if not is_one_line(data):
            refuse("must be one line without control characters")
        return data.strip()


class CursorParameter(Parameter):
    """The service validates the text."""

    def __init__(self, **options: Any) -> None:
        super().__init__({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,512}$"}, **options)

    def to_internal_value(self, data: str) -> str:
        return data or refuse("must not be empty; leave it out to begin at the start of the list")


class NoteParameter(Parameter):
    """The domain validates the text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(note_schema(), **options)

    def to_internal_value(self, data: str) -> str:
        return parsed_note(data)


class ProgramYearParameter(Parameter):
    def __init__(self, **options: Any) -> None:
        super().__init__({"type": "string", "pattern": "^[1-9][0-9]{3}-[0-9]{4}$"}, **options)

    def to_internal_value(self, data: str) -> ProgramYear:
        try:
            return ProgramYear.parse(data)
        except ValueError:
            refuse(f"must be like 2022-2023; it was {data[:_QUOTED]!r}")
