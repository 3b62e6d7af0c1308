"""What results look like, for the OpenAPI document only: they are answered as they were stored."""
# ruff: noqa: N815 - names as they are in JSON

from __future__ import annotations

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

from backfill.domain import Cell
from backfill.serializers.documents import Document, Metadata, counts, one_of


def _count(help_text: str = "") -> IntegerField:
    return IntegerField(allow_null=True, help_text=help_text or None)


def _percent(help_text: str = "") -> FloatField:
    return FloatField(allow_null=True, help_text=help_text or "Percent points.")


def _level() -> CharField:
    return CharField(allow_null=True, help_text="distinguished, select, presidents or smedley.")


class ResultHead(Document):
    date = DateField()
    asOf = DateField(help_text="The day as of which the figures were published.")
    dataMonth = CharField(help_text="The month that the figures are for, like 2024-01.")
    isFinal = BooleanField(help_text="The close of its month.")
    sourceHash = CharField(help_text="The content hash of the snapshot that it was computed from.")
    schemaVersion = IntegerField()


class SuspendedClub(Document):
    clubNumber = CharField(allow_blank=True)
    clubName = CharField(allow_blank=True)


class Clubs(Document):
    total = IntegerField(help_text="Every row, suspended clubs too.")
    open = IntegerField(help_text="Not suspended.")
    paid = _count("The district summary's Paid Clubs, the official figure.")
    active = IntegerField(help_text="Clubs of status Active; it can differ from `paid`.")
    low = IntegerField()
    ineligible = IntegerField()
    suspended = IntegerField()
    base = _count("The district summary's Paid Club Base.")
    netGrowth = _count("paid - base.")
    chartered = _count("In this program year, suspended clubs too.")
    suspendedClubs = SuspendedClub(many=True)


class Membership(Document):
    total = _count("Active members of the open clubs.")
    base = _count()
    netGrowth = _count()
    averagePerClub = FloatField(allow_null=True)


class Payments(Document):
    new = _count()
    late = _count()
    october = _count()
    april = _count()
    charter = _count()
    total = _count()
    base = _count("The district summary's Payment Base.")
    growth = _count()
    growthPercent = _percent()


class HealthOfClub(Document):
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


class ClubHealth(Document):
    interventionRequired = IntegerField()
    thriving = IntegerField()
    vulnerable = IntegerField()
    clubs = HealthOfClub(many=True)


class LevelCounts(Document):
    distinguished = IntegerField()
    select = IntegerField()
    presidents = IntegerField()
    smedley = IntegerField()
    total = IntegerField()


class ToGo(Document):
    clubNumber = CharField(allow_blank=True)
    level = _level()
    goals = _count("Goals that are missing to that level.")
    members = _count("Members that are missing to it.")
    planMissing = BooleanField(required=False, allow_null=True, help_text="No level without a Club Success Plan.")


class Distinguished(Document):
    reported = LevelCounts()
    qualifying = LevelCounts(allow_null=True, help_text="What the clubs' numbers earn today.")
    percentOfBase = _percent()
    toGo = ToGo(many=True, allow_null=True)


class Goal(Document):
    goal = IntegerField()
    achieved = _count("Clubs.")
    percent = _percent()


class Gap(Document):
    paidClubs = _count()
    distinguishedClubs = _count()


class AreaGap(Gap):
    firstVisits = _count("Clubs to visit in the first round.")
    secondVisits = _count("Clubs to visit in the second round.")


class Unit(Document):
    id = CharField()
    clubs = IntegerField()
    paid = _count()
    base = _count()
    members = _count()
    goals = _count()
    distinguished = _count()
    reported = CharField(allow_null=True)
    qualifying = CharField(allow_null=True, help_text="Areas need club visits too.")


class Division(Unit):
    gap = Gap(allow_null=True, help_text="To the next level.")
    rank = _count()


class Area(Unit):
    gap = AreaGap(allow_null=True, help_text="To the next level.")
    division = CharField(allow_blank=True)
    area = CharField(allow_blank=True)


class TargetLevel(Document):
    level = CharField()
    percent = _percent("Of the base; null where the rule is a number of clubs.")
    needed = _count()


class Target(Document):
    base = _count()
    current = _count()
    levels = TargetLevel(many=True)
    achieved = _level()


class Condition(Document):
    name = CharField(help_text="The column of the district summary.")
    met = BooleanField(allow_null=True)


class Targets(Document):
    paidClubs = Target(allow_null=True, help_text="From 2012-2013.")
    payments = Target(allow_null=True, help_text="From 2012-2013.")
    distinguishedClubs = Target(allow_null=True, help_text="From 2012-2013.")
    conditions = Condition(many=True, help_text="All must be met for the district to have a level.")
    level = CharField(
        allow_null=True, help_text="Of the district: the lowest of the three achieved, with every condition met."
    )


class WorldLine(Document):
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


class Point(Document):
    date = DateField()
    members = _count()
    payments = _count()
    paidClubs = _count()
    distinguished = _count()
    goals = _count()
    thriving = _count()
    vulnerable = _count()
    interventionRequired = _count()


class Change(Document):
    current = _count()
    previous = _count()
    change = _count()
    percent = _percent()


class YearOverYear(Document):
    members = Change()
    payments = Change()
    paidClubs = Change()
    distinguished = Change()
    comparable = BooleanField(
        allow_null=True, help_text="Whether at least 85 % of the open clubs were in the snapshot compared with."
    )
    clubsJoined = _count("Open clubs that were not open in the snapshot compared with.")
    clubsLeft = _count("Open clubs of the snapshot compared with that are not open any more.")


class QualityNote(Document):
    code = CharField()
    message = CharField()
    clubNumber = CharField(allow_null=True)
    expected = IntegerField(allow_null=True)
    found = JSONField(allow_null=True, help_text="A count, or the cell as it stands.")


class DistrictResult(ResultHead):
    districtId = CharField()
    programYear = CharField()
    clubs = Clubs()
    membership = Membership()
    payments = Payments()
    health = ClubHealth()
    distinguished = Distinguished()
    goals = Goal(many=True, allow_null=True, help_text="From 2020-2021.")
    divisions = Division(many=True)
    areas = Area(many=True)
    targets = Targets()
    rankings = WorldLine(allow_null=True)
    point = Point()
    yearOverYear = YearOverYear(allow_null=True)
    quality = QualityNote(many=True, help_text="What does not add up; empty where everything does.")


class WorldLevels(Document):
    distinguished = _count()
    select = _count()
    presidents = _count()
    smedley = _count()
    total = _count()


class WorldTotals(Document):
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
    distinguished = WorldLevels()
    clubGrowthPercent = _percent()
    paymentGrowthPercent = _percent()
    distinguishedPercent = _percent()


class WorldResult(ResultHead):
    districts = DictField(child=WorldLine())
    totals = WorldTotals()


class SeriesAnswer(Document):
    districtId = CharField()
    programYear = CharField()
    points = Point(many=True)


# Coverage.


class CoverageDay(Document):
    date = DateField()
    districts = DictField(child=one_of(Cell))


class CoverageMonth(Document):
    month = CharField(help_text="Like 2024-01.")
    districts = DictField(child=one_of(Cell), help_text="Of the month's close.")
    snapshots = counts(help_text="Dates that are stored, by district.")
    analytics = counts(help_text="Dates with analytics, by district.")


class CoverageGap(Document):
    startDate = DateField()
    endDate = DateField()
    districts = ListField(child=CharField())
    months = IntegerField()
    missingCloses = IntegerField()
    command = CharField(help_text="What fills it.")


class Coverage(Document):
    startDate = DateField()
    endDate = DateField()
    dates = CoverageDay(many=True, required=False)
    months = CoverageMonth(many=True, required=False)
    gaps = CoverageGap(many=True, required=False)


class CoverageAnswer(Document):
    coverage = Coverage()
    metadata = Metadata()
