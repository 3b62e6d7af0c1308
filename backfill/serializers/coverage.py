"""JSON of coverage: by days, or by months with the gaps."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rest_framework.fields import CharField, DateField, DictField, IntegerField, ListField

from backfill.domain import SUMMARY, Cell, CoveredDay, Gap
from backfill.serializers.base import (
    CountsField,
    EnumField,
    MonthField,
    ResponseSerializer,
    ValueSerializer,
)
from backfill.service.queries import Coverage

_NAMED_DISTRICTS = 10
"""The most districts that the command for a gap names. More are not named: stored items are skipped anyway."""


def filling_command(gap: Gap) -> str:
    """The command that collects the missing data of a gap."""
    districts = [name for name in gap.districts if name != SUMMARY]
    named = "".join(f" --district {name}" for name in districts) if len(districts) <= _NAMED_DISTRICTS else ""
    return f"manage.py backfill start --from {gap.first} --to {gap.last} --cadence month-ends{named}"


@dataclass(frozen=True, slots=True)
class CoverageByDay:
    days: Sequence[CoveredDay]
    """At least one."""

    @property
    def first(self) -> date:
        return self.days[0].date

    @property
    def last(self) -> date:
        return self.days[-1].date


class CellsField(DictField):
    """Coverage by district. A response can have 140,000 cells, so they are converted without a call for each."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=EnumField(Cell), **options)

    def to_representation(self, value: Mapping[str, Cell]) -> dict[str, str]:
        return {district: str(cell) for district, cell in value.items()}


class CoverageDaySerializer(ValueSerializer):
    date = DateField()
    districts = CellsField(source="cells")


class CoverageMonthSerializer(ValueSerializer):
    month = MonthField(source="month_end", help_text="Such as 2024-01.")
    districts = CellsField(source="cells", help_text="State of the month's closing, by district.")
    snapshots = CountsField(help_text="Number of stored dates, by district.")
    analytics = CountsField(source="results", help_text="Number of dates with analytics, by district.")


class CoverageGapSerializer(ValueSerializer):
    startDate = DateField(source="first")
    endDate = DateField(source="last")
    districts = ListField(child=CharField())
    months = IntegerField()
    missingCloses = IntegerField(source="closes")
    command = CharField(help_text="The command that collects the missing data.")

    def get_command(self, gap: Gap) -> str:
        return filling_command(gap)


class CoverageSerializer(ValueSerializer):
    """Renders a Coverage or a CoverageByDay."""

    startDate = DateField(source="first")
    endDate = DateField(source="last")
    dates = CoverageDaySerializer(many=True, required=False)
    months = CoverageMonthSerializer(many=True, required=False)
    gaps = CoverageGapSerializer(many=True, required=False)
    unknownMonths = ListField(
        child=MonthField(),
        required=False,
        help_text="By month only: months whose calendar is not stored, so that nothing of them counts as missing.",
    )

    def get_dates(self, coverage: Coverage | CoverageByDay) -> Sequence[CoveredDay] | None:
        return coverage.days if isinstance(coverage, CoverageByDay) else None

    def get_months(self, coverage: Coverage | CoverageByDay) -> object:
        return coverage.months if isinstance(coverage, Coverage) else None

    def get_gaps(self, coverage: Coverage | CoverageByDay) -> object:
        return coverage.gaps if isinstance(coverage, Coverage) else None

    def get_unknownMonths(self, coverage: Coverage | CoverageByDay) -> Sequence[date] | None:  # noqa: N802
        return coverage.unknown_months if isinstance(coverage, Coverage) else None


class CoverageResponseSerializer(ResponseSerializer):
    """Renders a Coverage or a CoverageByDay."""

    coverage = CoverageSerializer(source="*")
