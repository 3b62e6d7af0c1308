"""JSON of the data dictionary."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from dataclasses import dataclass

from rest_framework.fields import CharField, ChoiceField

from backfill.analytics.dictionary import COLUMNS, FIELDS, Entry, ResultKind, Table, ValueType
from backfill.serializers.base import EnumField, NullableTextField, ValueSerializer


@dataclass(frozen=True, slots=True)
class _Of:
    """An entry with the table or the kind of result that it belongs to."""

    owner: Table | ResultKind
    entry: Entry


@dataclass(frozen=True, slots=True)
class Entries:
    columns: list[_Of]
    result_fields: list[_Of]


def stored_entries() -> Entries:
    """Return the whole dictionary."""
    return Entries(
        [_Of(table, entry) for table, entries in COLUMNS.items() for entry in entries],
        [_Of(kind, entry) for kind, entries in FIELDS.items() for entry in entries],
    )


class _EntrySerializer(ValueSerializer):
    name = CharField(source="entry.name")
    type = ChoiceField(choices=[kind.value for kind in ValueType], source="entry.type")
    unit = NullableTextField(source="entry.unit", help_text="Null if the value has no unit.")
    meaning = CharField(source="entry.meaning")
    source = NullableTextField(  # type: ignore[assignment]
        source="entry.source", help_text="Report and columns of the dashboard; null if the value is not from a report."
    )
    firstProgramYear = CharField(source="entry.first_year", help_text="The first program year with this value.")


class ColumnEntrySerializer(_EntrySerializer):
    table = EnumField(Table, source="owner")
    resultField = NullableTextField(
        source="entry.field", help_text="The equal field of the analytics results; null if there is none."
    )


class FieldEntrySerializer(_EntrySerializer):
    result = EnumField(ResultKind, source="owner")


class DictionarySerializer(ValueSerializer):
    columns = ColumnEntrySerializer(many=True, help_text="The columns of the dataset, by table.")
    resultFields = FieldEntrySerializer(many=True, help_text="The fields of the results, by kind of result.")
