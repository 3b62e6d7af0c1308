"""The page of a district on a date: its stored result, part by part, in words. Figures are those of the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from adminui.presenters import figures, wording
from adminui.presenters.figures import UNKNOWN, figure, percent, signed, signed_percent

Json = Mapping[str, Any]

NEAREST = 10
"""Clubs that are named before all of them are."""

CATEGORIES: dict[str, tuple[str | Promise, str, str]] = {
    "interventionRequired": (gettext_lazy("Intervention required"), "bad", "cross"),
    "vulnerable": (gettext_lazy("Vulnerable"), "warn", "warn"),
    "thriving": (gettext_lazy("Thriving"), "ok", "check"),
}
"""Label, tone and icon; what needs somebody first."""

GOALS: tuple[str | Promise, ...] = (
    gettext_lazy("4 Level 1 awards"),
    gettext_lazy("2 Level 2 awards"),
    gettext_lazy("2 more Level 2 awards"),
    gettext_lazy("2 Level 3 awards"),
    gettext_lazy("1 Level 4, Level 5 or DTM award"),
    gettext_lazy("1 more Level 4, Level 5 or DTM award"),
    gettext_lazy("4 new members"),
    gettext_lazy("4 more new members"),
    gettext_lazy("4 officers trained in each round"),
    gettext_lazy("Dues and officer list on time"),
)

_COMPARED: dict[str, str | Promise] = {
    "members": gettext_lazy("Members"),
    "payments": gettext_lazy("Payments"),
    "paidClubs": gettext_lazy("Paid clubs"),
    "distinguished": gettext_lazy("Distinguished clubs"),
}
_TARGETS: dict[str, str | Promise] = {
    "paidClubs": gettext_lazy("Paid clubs"),
    "payments": gettext_lazy("Payments"),
    "distinguishedClubs": gettext_lazy("Distinguished clubs"),
}
_MEASURES: dict[str, str | Promise] = {
    "clubGrowth": gettext_lazy("Club growth"),
    "paymentGrowth": gettext_lazy("Payment growth"),
    "distinguished": gettext_lazy("Distinguished clubs"),
}
_UNALIGNED = ("0D", "0A")


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    notes: list[str]
    tone: str = ""
    change: str = ""


@dataclass(frozen=True, slots=True)
class LevelLine:
    name: str
    reported: str
    qualifying: str
    is_total: bool


@dataclass(frozen=True, slots=True)
class ToGo:
    number: str
    club: str
    level: str
    missing: str


@dataclass(frozen=True, slots=True)
class Distinguished:
    levels: list[LevelLine]
    percent: str
    nearest: list[ToGo]
    others: list[ToGo]
    at_top: int
    note: str


@dataclass(frozen=True, slots=True)
class ClubLine:
    number: str
    name: str
    place: str
    members: str
    growth: str
    goals: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Category:
    name: str
    label: str
    tone: str
    icon: str
    count: int
    x: float
    width: float
    clubs: list[ClubLine]


@dataclass(frozen=True, slots=True)
class GoalLine:
    number: int
    name: str
    achieved: str
    percent: str
    width: float


@dataclass(frozen=True, slots=True)
class UnitLine:
    id: str
    name: str
    rank: str
    clubs: str
    paid: str
    base: str
    members: str
    goals: str
    distinguished: str
    level: str
    """As the dashboard reports it."""
    earned: str
    """What its numbers earn, where that is another."""
    gap: str
    areas: list[UnitLine]


@dataclass(frozen=True, slots=True)
class TargetCell:
    percent: str
    needed: str
    is_reached: bool
    to_go: str


@dataclass(frozen=True, slots=True)
class TargetLine:
    name: str
    base: str
    current: str
    cells: list[TargetCell]
    achieved: str


@dataclass(frozen=True, slots=True)
class Comparison:
    name: str
    current: str
    previous: str
    change: str
    percent: str
    tone: str


@dataclass(frozen=True, slots=True)
class RankLine:
    name: str
    percent: str
    rank: str
    points: str


@dataclass(frozen=True, slots=True)
class Ranking:
    overall: str
    percentile: str
    region: str
    region_rank: str
    score: str
    lines: list[RankLine]


@dataclass(frozen=True, slots=True)
class Note:
    kind: str
    message: str
    club: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class District:
    name: str
    about: str
    is_final: bool
    tiles: list[Tile]
    distinguished: Distinguished
    health: list[Category]
    unassessed: list[ClubLine]
    goals: list[GoalLine] | None
    divisions: list[UnitLine]
    targets: list[TargetLine]
    levels: list[str]
    comparisons: list[Comparison] | None
    ranking: Ranking | None
    suspended: list[str]
    notes: list[Note]
    quality: str


def district(result: Json) -> District:
    """Of a district's result as it is stored."""
    names = {line["clubNumber"]: line["clubName"] for line in result["health"]["clubs"]}
    return District(
        name=_("District %(name)s") % {"name": wording.one_district(result["districtId"])},
        about=about(result),
        is_final=result["isFinal"],
        tiles=_tiles(result),
        distinguished=_distinguished(result["distinguished"], names),
        health=_health(result["health"]),
        unassessed=[_club(line) for line in result["health"]["clubs"] if line["category"] is None],
        goals=None if result["goals"] is None else [_goal(line) for line in result["goals"]],
        divisions=_divisions(result["divisions"], result["areas"]),
        targets=[_target(str(label), result["targets"][name]) for name, label in _TARGETS.items()],
        levels=[str(label) for label in figures.LEVELS.values()],
        comparisons=_comparisons(result["yearOverYear"]),
        ranking=_ranking(result["rankings"]),
        suspended=[f"{club['clubName']} ({club['clubNumber']})" for club in result["clubs"]["suspendedClubs"]],
        notes=[_note(note, names) for note in result["quality"]],
        quality=_quality(result["quality"]),
    )


def about(result: Json) -> str:
    """June 2024, final close; as of 21 Jul 2024."""
    month = date_format(date.fromisoformat(f"{result['dataMonth']}-01"), "F Y")
    kind = _("final close") if result["isFinal"] else _("the month was still open")
    as_of = wording.day(date.fromisoformat(result["asOf"]))
    return _("Figures of %(month)s, %(kind)s, as of %(day)s.") % {"month": month, "kind": kind, "day": as_of}


def _tiles(result: Json) -> list[Tile]:
    clubs, membership, payments = result["clubs"], result["membership"], result["payments"]
    reported = result["distinguished"]["reported"]
    return [
        Tile(
            _("Members"),
            figure(membership["total"]),
            [_("base %(base)s") % {"base": figure(membership["base"])}, _average(membership["averagePerClub"])],
            figures.tone(membership["netGrowth"]),
            signed(membership["netGrowth"]),
        ),
        Tile(
            _("Payments"),
            figure(payments["total"]),
            [
                _("base %(base)s") % {"base": figure(payments["base"])},
                _("%(new)s new, %(october)s October, %(april)s April")
                % {name: figure(payments[name]) for name in ("new", "october", "april")},
            ],
            figures.tone(payments["growth"]),
            signed_percent(payments["growthPercent"]),
        ),
        Tile(
            _("Paid clubs"),
            figure(clubs["paid"]),
            [_("base %(base)s") % {"base": figure(clubs["base"])}, _statuses(clubs)],
            figures.tone(clubs["netGrowth"]),
            signed(clubs["netGrowth"]),
        ),
        Tile(
            _("Distinguished clubs"),
            figure(reported["total"]),
            [_("%(percent)s of the base") % {"percent": percent(result["distinguished"]["percentOfBase"])}],
        ),
    ]


def _average(value: float | None) -> str:
    return _("%(average)s a club") % {"average": figure(value, 1)}


def _statuses(clubs: Json) -> str:
    parts = [
        (_("%(n)s open"), clubs["open"]),
        (_("%(n)s low"), clubs["low"]),
        (_("%(n)s ineligible"), clubs["ineligible"]),
        (_("%(n)s suspended"), clubs["suspended"]),
        (_("%(n)s chartered"), clubs["chartered"]),
    ]
    return ", ".join(text % {"n": figure(count)} for text, count in parts if count)


def _distinguished(value: Json, names: Mapping[str, str]) -> Distinguished:
    reported, qualifying = value["reported"], value["qualifying"]
    kept = [name for name in figures.LEVELS if reported[name] or (qualifying or {}).get(name) or name != "smedley"]
    lines = [
        LevelLine(
            _("Together") if name == "total" else figures.level(name),
            figure(reported[name]),
            UNKNOWN if qualifying is None else figure(qualifying[name]),
            name == "total",
        )
        for name in [*kept, "total"]
    ]
    ahead = [line for line in value["toGo"] or () if line["level"] is not None]
    ahead.sort(key=lambda line: (line.get("planMissing", False), line["goals"] + line["members"], line["clubNumber"]))
    clubs = [_to_go(line, names) for line in ahead]
    return Distinguished(
        levels=lines,
        percent=percent(value["percentOfBase"]),
        nearest=clubs[:NEAREST],
        others=clubs[NEAREST:],
        at_top=sum(line["level"] is None and line["goals"] == 0 for line in value["toGo"] or ()),
        note=_("What qualifies is not known: the report has no Club Success Plan.") if qualifying is None else "",
    )


def _to_go(line: Json, names: Mapping[str, str]) -> ToGo:
    missing = []
    if line["goals"]:
        missing.append(ngettext("%(n)s goal", "%(n)s goals", line["goals"]) % {"n": line["goals"]})
    if line["members"]:
        missing.append(ngettext("%(n)s member", "%(n)s members", line["members"]) % {"n": line["members"]})
    if line.get("planMissing"):
        missing.append(_("the Club Success Plan"))
    return ToGo(
        line["clubNumber"], names.get(line["clubNumber"], ""), figures.level(line["level"]), wording.listed(missing)
    )


def _health(health: Json) -> list[Category]:
    counts = [health[name] for name in CATEGORIES]
    return [
        Category(
            name=name,
            label=str(label),
            tone=tone,
            icon=icon,
            count=health[name],
            x=x,
            width=width,
            clubs=[_club(line) for line in health["clubs"] if line["category"] == name],
        )
        for (name, (label, tone, icon)), (x, width) in zip(CATEGORIES.items(), figures.shares(counts), strict=True)
    ]


def _club(line: Json) -> ClubLine:
    return ClubLine(
        number=line["clubNumber"],
        name=line["clubName"],
        place="/".join(part for part in (line["division"], line["area"]) if part),
        members=figure(line["members"]),
        growth=signed(line["netGrowth"]),
        goals=figure(line["goals"]),
        reasons=list(line["reasons"]),
    )


def _goal(line: Json) -> GoalLine:
    number = line["goal"]
    return GoalLine(
        number, str(GOALS[number - 1]), figure(line["achieved"]), percent(line["percent"], 1), line["percent"] or 0
    )


def _divisions(divisions: Sequence[Json], areas: Sequence[Json]) -> list[UnitLine]:
    return [
        _unit(
            line,
            _name_of(line["id"], _("Division %(id)s")),
            [
                _unit(area, _name_of(area["area"], _("Area %(id)s")), [])
                for area in areas
                if area["division"] == line["id"]
            ],
        )
        for line in divisions
    ]


def _name_of(unit: str, text: str) -> str:
    return _("Unaligned") if unit in _UNALIGNED else text % {"id": unit}


def _unit(line: Json, name: str, areas: list[UnitLine]) -> UnitLine:
    return UnitLine(
        id=line["id"],
        name=name,
        rank=figure(line.get("rank")),
        clubs=figure(line["clubs"]),
        paid=figure(line["paid"]),
        base=figure(line["base"]),
        members=figure(line["members"]),
        goals=figure(line["goals"]),
        distinguished=figure(line["distinguished"]),
        level=line["reported"] or UNKNOWN,
        earned="" if line["qualifying"] == line["reported"] else line["qualifying"] or "",
        gap=_gap(line["gap"]),
        areas=areas,
    )


def _gap(gap: Mapping[str, int] | None) -> str:
    if gap is None:
        return UNKNOWN
    parts = []
    if paid := gap["paidClubs"]:
        parts.append(_("%(n)s paid") % {"n": paid})
    if distinguished := gap["distinguishedClubs"]:
        parts.append(_("%(n)s distinguished") % {"n": distinguished})
    return wording.listed(parts)


def _target(name: str, target: Json) -> TargetLine:
    current = target["current"]
    cells = []
    for level in target["levels"]:
        needed = level["needed"]
        short = None if needed is None or current is None else max(0, needed - current)
        cells.append(
            TargetCell(
                percent=percent(level["percent"], 0),
                needed=figure(needed),
                is_reached=short == 0,
                to_go=_("%(n)s to go") % {"n": figure(short)} if short else "",
            )
        )
    return TargetLine(name, figure(target["base"]), figure(current), cells, figures.level(target["achieved"]))


def _comparisons(value: Mapping[str, Json] | None) -> list[Comparison] | None:
    if value is None:
        return None
    return [
        Comparison(
            name=str(label),
            current=figure(value[name]["current"]),
            previous=figure(value[name]["previous"]),
            change=signed(value[name]["change"]),
            percent=signed_percent(value[name]["percent"]),
            tone=figures.tone(value[name]["change"]),
        )
        for name, label in _COMPARED.items()
    ]


def _ranking(line: Json | None) -> Ranking | None:
    if line is None:
        return None
    return Ranking(
        overall=figure(line["overallRank"]),
        percentile=figure(line["percentile"], 1),
        region=line["region"],
        region_rank=figure(line["regionRank"]),
        score=figure(line["score"]),
        lines=[
            RankLine(
                str(label),
                signed_percent(line[f"{name}Percent"]) if name != "distinguished" else percent(line[f"{name}Percent"]),
                figure(line[f"{name}Rank"]),
                figure(line[f"{name}Points"]),
            )
            for name, label in _MEASURES.items()
        ],
    )


def _note(note: Json, names: Mapping[str, str]) -> Note:
    number = note["clubNumber"]
    club = f"{names[number]} ({number})" if number in names else number or ""
    return Note(figures.note_kind(note["code"]), note["message"], club, _told(note["expected"]), _told(note["found"]))


def _told(value: int | str | None) -> str:
    if value is None:
        return ""
    return figure(value) if isinstance(value, int) else f"“{value}”"


def _quality(notes: Sequence[Json]) -> str:
    """What the eye should meet first: whether the figures add up."""
    if not notes:
        return _("All sums agree with the district summary.")
    count = len(notes)
    text = ngettext("%(n)s thing does not add up", "%(n)s things do not add up", count) % {"n": figure(count)}
    kinds = Counter(note["code"] for note in notes)
    named = [f"{figures.note_kind(code)} ({figure(times)})" for code, times in kinds.most_common(3)]
    return f"{text}: {wording.listed(named)}."
