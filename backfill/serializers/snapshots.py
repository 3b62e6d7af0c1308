"""JSON of snapshots."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rest_framework.fields import BooleanField, CharField, DateField, DictField, IntegerField, ListField, UUIDField

from backfill.domain import SUMMARY, Snapshot
from backfill.serializers.base import InstantField, MonthField, PageSerializer, ResponseSerializer, ValueSerializer

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """A snapshot with the rows of its club report, or of the district summary."""

    snapshot: Snapshot
    rows: Rows


class StoredReportSerializer(ValueSerializer):
    rows = IntegerField()
    bytes = IntegerField(source="size")


class ListedSnapshotSerializer(ValueSerializer):
    date = DateField()
    districtId = CharField(source="district")
    programYear = CharField()
    dataMonth = MonthField()
    asOf = DateField()
    isFinal = BooleanField()
    contentHash = CharField()
    fetchedAt = InstantField()
    jobId = UUIDField()
    reports = DictField(child=StoredReportSerializer())


class SnapshotPageSerializer(PageSerializer):
    snapshots = ListedSnapshotSerializer(many=True, source="rows")


class RowsField(ListField):
    """Rows of a report by column name; they are text already, so they are not converted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=DictField(child=CharField()), required=False, **options)

    def to_representation(self, data: Rows) -> list[Mapping[str, str]]:
        return list(data)


class SnapshotSerializer(ListedSnapshotSerializer, ResponseSerializer):
    """Renders a SnapshotRows."""

    inherited_source = "snapshot"

    clubs = RowsField(help_text="Of a district: its clubs, by the column names of the report.")
    districts = RowsField(help_text="Of the summary (all): every district.")

    def get_clubs(self, value: SnapshotRows) -> Rows | None:
        return None if value.snapshot.district == SUMMARY else value.rows

    def get_districts(self, value: SnapshotRows) -> Rows | None:
        return value.rows if value.snapshot.district == SUMMARY else None
