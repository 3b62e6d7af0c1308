"""Description of analytics results for the OpenAPI document.

Results are sent as the stored bytes, so these serializers do not render them; only the series is assembled here.
"""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DateField,
    DictField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
)

from backfill.domain import Point
from backfill.serializers.base import Json, ValueSerializer

Description = serializers.Serializer[Any]


def _count(help_text: str = "") -> IntegerField:
    return IntegerField(allow_null=True, help_text=help_text or None)


def _percent(help_text: str = "") -> FloatField:
    return FloatField(allow_null=True, help_text=help_text or "Percentage points.")


def _level() -> CharField:
    return CharField(allow_null=True, help_text="`distinguished`, `select`, `presidents` or `smedley`.")


class ResultHeadSerializer(Description):
    date = DateField()
    asOf = DateField(help_text="The as-of date of the published figures.")
    dataMonth = CharField(help_text="The data month, such as 2024-01.")
    isFinal = BooleanField(help_text="Whether the figures are those of the month's closing.")
    sourceHash = CharField(help_text="Content hash of the snapshot that is the input.")
    schemaVersion = IntegerField()


class SuspendedClubSerializer(Description):
    clubNumber = CharField(allow_blank=True)
    clubName = CharField(allow_blank=True)


class ClubsSerializer(Description):
    total = IntegerField(help_text="All rows, including suspended clubs.")
    open = IntegerField(help_text="Clubs that are not suspended.")
    paid = _count("The district summary's Paid Clubs, the official figure.")
    active = IntegerField(help_text="Clubs with the status Active; the number can differ from `paid`.")
    low = IntegerField()
    ineligible = IntegerField()
    suspended = IntegerField()
    base = _count("The district summary's Paid Club Base.")
    netGrowth = _count("paid - base.")
    chartered = _count("Clubs chartered in this program year, including suspended clubs.")
    suspendedClubs = SuspendedClubSerializer(many=True)


class MembershipSerializer(Description):
    total = _count("Active members of the open clubs.")
    base = _count()
    netGrowth = _count()
    averagePerClub = FloatField(allow_null=True)


class PaymentsSerializer(Description):
    new = _count()
    late = _count()
    october = _count()
    april = _count()
    charter = _count()
    total = _count()
    base = _count("The district summary's Payment Base.")
    growth = _count()
    growthPercent = _percent()


class HealthOfClubSerializer(Description):
    clubNumber = CharField(allow_blank=True)
    clubName = CharField(allow_blank=True)
    division = CharField(allow_blank=True)
    area = CharField(allow_blank=True)
    members = _count()
    base = _count()
    netGrowth = _count()
    goals = _count()
    category = ChoiceField(choices=["thriving", "vulnerable", "interventionRequired"], allow_null=True)
    reasons = ListField(child=CharField())


class ClubHealthSerializer(Description):
    interventionRequired = IntegerField()
    thriving = IntegerField()
    vulnerable = IntegerField()
    clubs = HealthOfClubSerializer(many=True)


class LevelCountsSerializer(Description):
    distinguished = IntegerField()
    select = IntegerField()
    presidents = IntegerField()
    smedley = IntegerField()
    total = IntegerField()


class ToGoSerializer(Description):
    clubNumber = CharField(allow_blank=True)
    level = _level()
    goals = _count("Goals still needed for the level.")
    members = _count("Members still needed for the level.")
    planMissing = BooleanField(
        required=False,
        allow_null=True,
        help_text="Whether the required Club Success Plan is missing.",
    )


class DistinguishedSerializer(Description):
    reported = LevelCountsSerializer()
    qualifying = LevelCountsSerializer(allow_null=True, help_text="Levels that the clubs' current figures qualify for.")
    percentOfBase = _percent()
    toGo = ToGoSerializer(many=True, allow_null=True)


class GoalSerializer(Description):
    goal = IntegerField()
    achieved = _count("Number of clubs.")
    percent = _percent()


class GapSerializer(Description):
    paidClubs = _count()
    distinguishedClubs = _count()


class AreaGapSerializer(GapSerializer):
    firstVisits = _count("Clubs to visit in the first round.")
    secondVisits = _count("Clubs to visit in the second round.")


class UnitSerializer(Description):
    id = CharField()
    clubs = IntegerField()
    paid = _count()
    base = _count()
    members = _count()
    goals = _count()
    distinguished = _count()
    reported = CharField(allow_null=True)
    qualifying = CharField(allow_null=True, help_text="Areas also need club visits.")


class DivisionSerializer(UnitSerializer):
    gap = GapSerializer(allow_null=True, help_text="To the next level.")
    rank = _count()


class AreaSerializer(UnitSerializer):
    gap = AreaGapSerializer(allow_null=True, help_text="To the next level.")
    division = CharField(allow_blank=True)
    area = CharField(allow_blank=True)


class TargetLevelSerializer(Description):
    level = CharField()
    percent = _percent("Percentage of the base; null if the rule is a number of clubs.")
    needed = _count()


class TargetSerializer(Description):
    base = _count()
    current = _count()
    levels = TargetLevelSerializer(many=True)
    achieved = _level()


class ConditionSerializer(Description):
    name = CharField(help_text="The column of the district summary.")
    met = BooleanField(allow_null=True)


class TargetsSerializer(Description):
    paidClubs = TargetSerializer(allow_null=True, help_text="Null before 2012-2013.")
    payments = TargetSerializer(allow_null=True, help_text="Null before 2012-2013.")
    distinguishedClubs = TargetSerializer(allow_null=True, help_text="Null before 2012-2013.")
    conditions = ConditionSerializer(many=True, help_text="The district has a level only if all conditions are met.")
    level = CharField(
        allow_null=True,
        help_text="The lowest of the three achieved levels, if all conditions are met.",
    )


class WorldLineSerializer(Description):
    region = CharField(allow_blank=True)
    clubGrowthPercent = _percent()
    paymentGrowthPercent = _percent()
    distinguishedPercent = _percent()
    clubGrowthRank = _count()
    paymentGrowthRank = _count()
    distinguishedRank = _count()
    clubGrowthPoints = IntegerField()
    paymentGrowthPoints = IntegerField()
    distinguishedPoints = IntegerField()
    score = IntegerField()
    overallRank = IntegerField()
    regionRank = IntegerField()
    percentile = FloatField(allow_null=True)


class PointSerializer(ValueSerializer):
    """Renders the stored figures of a point."""

    date = DateField()
    members = _count()
    payments = _count()
    paidClubs = _count()
    distinguished = _count()
    goals = _count()
    thriving = _count()
    vulnerable = _count()
    interventionRequired = _count()

    def to_representation(self, instance: Point) -> Json:
        return dict(instance.figures)


class ChangeSerializer(Description):
    current = _count()
    previous = _count()
    change = _count()
    percent = _percent()


class YearOverYearSerializer(Description):
    members = ChangeSerializer()
    payments = ChangeSerializer()
    paidClubs = ChangeSerializer()
    distinguished = ChangeSerializer()
    comparable = BooleanField(
        allow_null=True, help_text="Whether the previous year's snapshot contains at least 85 % of the open clubs."
    )
    clubsJoined = _count("Open clubs that were not open in the previous year's snapshot.")
    clubsLeft = _count("Open clubs of the previous year's snapshot that are no longer open.")


@extend_schema_field({"type": ["integer", "string", "null"]})
class FoundField(JSONField):
    pass


class QualityNoteSerializer(Description):
    code = CharField()
    message = CharField()
    clubNumber = CharField(allow_null=True)
    expected = IntegerField(allow_null=True)
    found = FoundField(help_text="A count, or the text of the cell.")


class DistrictResultSerializer(ResultHeadSerializer):
    districtId = CharField()
    programYear = CharField()
    clubs = ClubsSerializer()
    membership = MembershipSerializer()
    payments = PaymentsSerializer()
    health = ClubHealthSerializer()
    distinguished = DistinguishedSerializer()
    goals = GoalSerializer(many=True, allow_null=True, help_text="Null before 2020-2021.")
    divisions = DivisionSerializer(many=True)
    areas = AreaSerializer(many=True)
    targets = TargetsSerializer()
    rankings = WorldLineSerializer(allow_null=True)
    point = PointSerializer()
    yearOverYear = YearOverYearSerializer(allow_null=True)
    quality = QualityNoteSerializer(many=True, help_text="Inconsistencies in the input; empty if there are none.")


class WorldLevelsSerializer(Description):
    distinguished = _count()
    select = _count()
    presidents = _count()
    smedley = _count()
    total = _count()


class WorldTotalsSerializer(Description):
    districts = IntegerField()
    activeClubs = _count()
    paidClubs = _count()
    paidClubBase = _count()
    newPayments = _count()
    latePayments = _count()
    octoberPayments = _count()
    aprilPayments = _count()
    charterPayments = _count()
    payments = _count()
    paymentBase = _count()
    distinguished = WorldLevelsSerializer()
    clubGrowthPercent = _percent()
    paymentGrowthPercent = _percent()
    distinguishedPercent = _percent()


class WorldResultSerializer(ResultHeadSerializer):
    districts = DictField(child=WorldLineSerializer())
    totals = WorldTotalsSerializer()


class SeriesSerializer(ValueSerializer):
    districtId = CharField(source="district")
    programYear = CharField()
    points = PointSerializer(many=True)
