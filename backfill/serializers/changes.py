"""JSON and CSV of the differences between two dates of a district."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from typing import Any

from rest_framework.fields import BooleanField, CharField, DateField, IntegerField, ListField

from backfill.analytics.changes import Basis, ChangeKind, ClubChange, ClubOnDate, DistrictChanges, LevelChange
from backfill.serializers.base import EnumField, MonthField, NullableTextField, ValueSerializer
from backfill.serializers.item_csv import safe_cell


class FigureSerializer(ValueSerializer):
    """`from` is a keyword of Python, so the fields are added here."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "from": IntegerField(allow_null=True, source="before"),
            "to": IntegerField(allow_null=True, source="after"),
            "change": IntegerField(allow_null=True, help_text="to - from; null if it is unknown or not comparable."),
        }


class DistrictOnDateSerializer(ValueSerializer):
    date = DateField()
    programYear = CharField()
    exists = BooleanField(help_text="False if the district summary of the date does not name the district.")
    dataMonth = MonthField(allow_null=True)
    asOf = DateField(allow_null=True)
    isFinal = BooleanField(allow_null=True)


class ClubOnDateSerializer(ValueSerializer):
    districtId = CharField(source="district")
    division = CharField(source="figures.division", allow_blank=True)
    area = CharField(source="figures.area", allow_blank=True)
    status = NullableTextField(source="figures.status")
    members = IntegerField(source="figures.members", allow_null=True)
    goals = IntegerField(source="figures.goals", allow_null=True)
    payments = IntegerField(source="figures.payments_total", allow_null=True)
    charterDate = DateField(source="figures.charter_date", allow_null=True)
    reportedLevel = NullableTextField(source="figures.reported_level")
    qualifyingLevel = NullableTextField(source="figures.qualifying_level")


class NamedClubSerializer(ValueSerializer):
    clubNumber = CharField(source="latest.figures.club_number", allow_blank=True)
    clubName = CharField(source="latest.figures.club_name", allow_blank=True)


class ClubChangeSerializer(NamedClubSerializer):
    """A club with its state on both dates."""

    def get_fields(self) -> dict[str, Any]:
        state = "The club on that date, also in another district; null if it is not listed."
        return {
            **super().get_fields(),
            "changes": ListField(child=EnumField(ChangeKind), source="kinds"),
            "from": ClubOnDateSerializer(allow_null=True, source="before", help_text=state),
            "to": ClubOnDateSerializer(allow_null=True, source="after", help_text=state),
            "members": FigureSerializer(),
            "goals": FigureSerializer(help_text="The change is null between two program years."),
            "payments": FigureSerializer(help_text="The change is null between two program years."),
        }


class LevelChangeSerializer(ValueSerializer):
    def get_fields(self) -> dict[str, Any]:
        return {
            "clubNumber": CharField(source="number", allow_blank=True),
            "clubName": CharField(source="name", allow_blank=True),
            "basis": EnumField(Basis, help_text="The level that is reported, or that the figures qualify for."),
            "from": NullableTextField(source="before"),
            "to": NullableTextField(source="after"),
        }


class ChangeTotalsSerializer(ValueSerializer):
    clubs = FigureSerializer(help_text="Clubs that are not suspended.")
    members = FigureSerializer(help_text="Members of these clubs.")
    payments = FigureSerializer(help_text="Of all clubs. The change is null between two program years.")


class DistrictChangesSerializer(ValueSerializer):
    """`clubs` contains every club of both dates; the other lists contain those with that change."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "districtId": CharField(source="district"),
            "from": DistrictOnDateSerializer(source="before"),
            "to": DistrictOnDateSerializer(source="after"),
            "isSameProgramYear": BooleanField(
                source="is_same_year", help_text="If false, payments, goals and levels restarted in between."
            ),
            "isComplete": BooleanField(
                source="is_complete",
                help_text="If false, a club that is listed as new or closed may have moved; the notes say why.",
            ),
            "notes": ListField(child=CharField()),
            "totals": ChangeTotalsSerializer(),
            **{kind.value: ClubChangeSerializer(many=True) for kind in ChangeKind},
            "levelsGained": LevelChangeSerializer(many=True),
            "levelsLost": LevelChangeSerializer(many=True),
            "clubs": ClubChangeSerializer(many=True),
        }

    def get_new(self, value: DistrictChanges) -> list[ClubChange]:
        return value.of_kind(ChangeKind.NEW)

    def get_closed(self, value: DistrictChanges) -> list[ClubChange]:
        return value.of_kind(ChangeKind.CLOSED)

    def get_moved(self, value: DistrictChanges) -> list[ClubChange]:
        return value.of_kind(ChangeKind.MOVED)

    def get_suspended(self, value: DistrictChanges) -> list[ClubChange]:
        return value.of_kind(ChangeKind.SUSPENDED)

    def get_reopened(self, value: DistrictChanges) -> list[ClubChange]:
        return value.of_kind(ChangeKind.REOPENED)

    def get_levelsGained(self, value: DistrictChanges) -> list[LevelChange]:  # noqa: N802
        return value.levels(gained=True)

    def get_levelsLost(self, value: DistrictChanges) -> list[LevelChange]:  # noqa: N802
        return value.levels(gained=False)


_ON_DATE: dict[str, Callable[[ClubOnDate], object]] = {
    "district": lambda club: club.district,
    "division": lambda club: club.figures.division,
    "area": lambda club: club.figures.area,
    "status": lambda club: club.figures.status,
    "members": lambda club: club.figures.members,
    "goals": lambda club: club.figures.goals,
    "payments": lambda club: club.figures.payments_total,
    "reported_level": lambda club: club.figures.reported_level,
    "qualifying_level": lambda club: club.figures.qualifying_level,
}
CHANGE_COLUMNS = (
    "club_number",
    "club_name",
    "changes",
    *(f"{side}_{name}" for name in _ON_DATE for side in ("from", "to")),
    "members_change",
    "goals_change",
    "payments_change",
    "levels_gained",
)


def changes_csv(changes: DistrictChanges) -> str:
    """A header and a row for each club, for spreadsheets: a text that would be a formula begins with an apostrophe."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(CHANGE_COLUMNS)
    gained = changes.levels(gained=True)
    for club in changes.clubs:
        figures = club.latest.figures
        levels = [f"{level.basis} {level.after}" for level in gained if level in club.levels]
        row: list[object] = [figures.club_number, figures.club_name, ", ".join(club.kinds)]
        row += [value(side) if side else None for value in _ON_DATE.values() for side in (club.before, club.after)]
        row += [club.members.change, club.goals.change, club.payments.change, ", ".join(levels)]
        writer.writerow([safe_cell(cell) for cell in row])
    return text.getvalue()
