"""The progress bar: width and label of each segment."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from adminui.presenters import formatting
from backfill.domain import Job, Progress


@dataclass(frozen=True, slots=True)
class Segment:
    tone: str
    """`done`, `skip` or `fail`; in the legend also `rest`."""
    start: str
    """Percentage of the bar, as an SVG length."""
    width: str
    label: str


@dataclass(frozen=True, slots=True)
class ProgressBar:
    segments: list[Segment]
    legend: list[Segment]
    value: int
    """Whole percent."""
    text: str
    """Text for screen readers."""


def progress_bar(job: Job) -> ProgressBar:
    progress = job.progress
    labels = {
        "done": f"{formatting.number(progress.processed)} {_(job.job_type.description.done)}",
        "skip": formatting.reasons(dict(progress.skipped)),
        "fail": _("%(number)s failed") % {"number": formatting.number(progress.failed)},
    }
    segments = [segment for segment in _segments(progress, labels) if segment.width != "0%"]
    rest = progress.total_items - progress.settled_items
    legend = list(segments)
    if rest:
        label = _("%(number)s to do") if job.status.is_active else _("%(number)s left undone")
        legend.append(Segment("rest", "", "", label % {"number": formatting.number(rest)}))
    text = _("%(percent)s%%, %(settled)s of %(items)s") % {
        "percent": int(progress.percent),
        "settled": formatting.number(progress.settled_items),
        "items": formatting.items(progress.total_items),
    }
    return ProgressBar(segments, legend, int(progress.percent), text)


def small_progress_bar(total: int, processed: int, skipped: int, failed: int) -> list[Segment]:
    """The segments of a district."""
    counts = {"done": processed, "skip": skipped, "fail": failed}
    return [segment for segment in _stacked(counts, total, dict.fromkeys(counts, "")) if segment.width != "0%"]


def _segments(progress: Progress, labels: dict[str, str]) -> list[Segment]:
    counts = {"done": progress.processed, "skip": progress.skipped_items, "fail": progress.failed}
    return _stacked(counts, progress.total_items, labels)


def _stacked(counts: dict[str, int], total: int, labels: dict[str, str]) -> list[Segment]:
    """Segments without a gap. A count above zero is at least 0.5 % wide, so that it is visible."""
    segments, start = [], 0.0
    for tone, count in counts.items():
        width = max(100 * count / total, 0.5) if count and total else 0.0
        width = min(width, 100 - start)
        segments.append(Segment(tone, f"{start:.4g}%", f"{width:.4g}%", labels[tone]))
        start += width
    return segments
