"""Path converters."""

from __future__ import annotations

from datetime import date

from backfill.domain import normalised_district


class DateConverter:
    regex = r"\d{4}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        return date.fromisoformat(value)

    def to_url(self, value: date | str) -> str:
        return str(value)


class DistrictConverter:
    """A district such as 91, 01 or F, normalised."""

    regex = r"[0-9]{1,5}|[A-Za-z]"

    def to_python(self, value: str) -> str:
        return normalised_district(value)

    def to_url(self, value: str) -> str:
        return value
