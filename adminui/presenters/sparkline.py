"""The sparkline of items a minute, in an SVG of 300 by 64 units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from adminui.presenters import formatting, times
from backfill.domain import Job

WIDTH, HEIGHT = 300, 64


@dataclass(frozen=True, slots=True)
class Sparkline:
    line: str
    """Points of the polyline."""
    area: str
    """Points of the polygon below the line."""
    last_x: float
    last_y: float
    allowed_y: float | None
    """Position of the pace that the limits allow; None if it is out of range."""
    top: str
    first: str
    last: str
    description: str
    """Text alternative."""
    counts: list[int]
    """Items of each minute."""
    first_at: str
    """The first minute in ISO 8601."""
    last_text: str


def allowed_items_per_minute(job: Job) -> float | None:
    """Items a minute that the limits allow. None for a job that sends no requests."""
    description = job.job_type.description
    if not description.calls_dashboard:
        return None
    return 60 / job.config.rate_limits.interval.total_seconds() / description.requests_per_item


def sparkline(job: Job) -> Sparkline | None:
    """None if fewer than two full minutes are known."""
    minutes = job.progress.complete_minutes
    if len(minutes) < 2:
        return None
    limit = allowed_items_per_minute(job)
    most = max(count for _at, count in minutes)
    shown_limit = limit if limit is not None and limit <= 2 * max(most, 1) else None
    top = _round_up(max(most, shown_limit or 0, 1))
    step = WIDTH / (len(minutes) - 1)
    points = [(round(n * step, 1), _y(count, top)) for n, (_at, count) in enumerate(minutes)]
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    (first, _count), (last, count) = minutes[0], minutes[-1]
    return Sparkline(
        line=line,
        area=f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}",
        last_x=points[-1][0],
        last_y=points[-1][1],
        allowed_y=_y(shown_limit, top) if shown_limit is not None else None,
        top=formatting.number(top),
        first=times.axis_minute(first),
        last=times.axis_minute(last),
        description=_description(first, last, most, count),
        counts=[count for _at, count in minutes],
        first_at=first.isoformat(),
        last_text=_("%(time)s: %(items)s") % {"time": times.minute(last), "items": formatting.items(count)},
    )


def _description(first: datetime, last: datetime, most: int, count: int) -> str:
    return _("Items a minute from %(first)s to %(last)s: at most %(most)s, %(count)s at the end.") % {
        "first": times.minute(first),
        "last": times.minute(last),
        "most": formatting.number(most),
        "count": formatting.number(count),
    }


def _y(value: float, top: float) -> float:
    return round(HEIGHT - (HEIGHT - 4) * value / top, 1)


def _round_up(value: float) -> int:
    """Round up to 1, 2, 3, 5, 10, 20, 30, 50, ..."""
    scale = 1
    while True:
        for step in (1, 2, 3, 5):
            if value <= step * scale:
                return step * scale
        scale *= 10
