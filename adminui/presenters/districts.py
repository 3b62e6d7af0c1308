"""The districts of a job, each with its progress."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting
from adminui.presenters.progress_bar import Segment, small_progress_bar
from backfill.domain import SUMMARY, DistrictProgress, Job


@dataclass(frozen=True, slots=True)
class DistrictRow:
    id: str
    name: str
    progress_bar: list[Segment]
    counts: str
    icon: str
    tone: str
    status: str


@dataclass(frozen=True, slots=True)
class Districts:
    summary: str
    notable: int
    """Number of districts that are in progress or have failures."""
    total: int
    shows_all: bool
    rows: list[DistrictRow]


def districts(job: Job, *, shows_all: bool) -> Districts | None:
    known = job.progress.districts
    if not known:
        return None
    notable = {name: d for name, d in known.items() if d.is_in_progress or d.failed}
    done = sum(d.status in {"completed", "skipped", "failed"} for d in known.values())
    working = sum(d.is_in_progress for d in known.values())
    failing = sum(bool(d.failed) for d in known.values())
    summary = _("%(number)s done") % {"number": done}
    if job.status.is_active:
        left = {"working": working, "left": len(known) - done - working}
        summary += ", " + _("%(working)s in progress, %(left)s to do") % left
    if failing:
        with_failures = ngettext("%(number)s has failures", "%(number)s have failures", failing)
        summary = f"{summary}; {with_failures % {'number': failing}}"
    shown = known if shows_all else notable
    return Districts(
        summary=summary,
        notable=len(notable),
        total=len(known),
        shows_all=shows_all,
        rows=[_row(name, district) for name, district in shown.items()],
    )


def _row(name: str, district: DistrictProgress) -> DistrictRow:
    settled = district.processed + district.failed + district.skipped
    if district.failed:
        icon, tone = "warn", "bad"
        label = _("%(number)s failed") % {"number": formatting.number(district.failed)}
    elif district.is_in_progress:
        icon, tone, label = "play", "info", _("Working")
    elif settled == district.total:
        icon, tone, label = "check", "ok", _("Done")
    else:
        icon, tone, label = "ring", "neutral", _("Started") if settled else _("To do")
    return DistrictRow(
        id=name,
        name=_("Summary") if name == SUMMARY else formatting.one_district(name),
        progress_bar=small_progress_bar(district.total, district.processed, district.skipped, district.failed),
        counts=_("%(settled)s of %(total)s")
        % {"settled": formatting.number(settled), "total": formatting.number(district.total)},
        icon=icon,
        tone=tone,
        status=label,
    )
