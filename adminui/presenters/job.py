"""The page of one job, below its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import wording
from adminui.presenters.causes import cause_of
from adminui.presenters.history import Choice, PageLink
from adminui.presenters.now import Fact
from backfill.domain import AuditEntry, Deed, Door, Job, Outcome, OutcomeFilter, OutcomeKind

ITEMS_A_PAGE = 50

_OUTCOMES: dict[OutcomeKind, tuple[str | Promise, str, str]] = {
    OutcomeKind.PROCESSED: (gettext_lazy("Stored"), "check", "ok"),
    OutcomeKind.FAILED: (gettext_lazy("Failed"), "warn", "bad"),
    OutcomeKind.SKIPPED: (gettext_lazy("Skipped"), "ring", "mute"),
}

_DEEDS: dict[Deed, str | Promise] = {
    Deed.STARTED: gettext_lazy("Started the job"),
    Deed.RETRIED: gettext_lazy("Retried failed items, as this job"),
    Deed.DISPLACED: gettext_lazy("Displaced it by a new job, since it did not move"),
    Deed.CANCELLED: gettext_lazy("Cancelled it"),
    Deed.PAUSED: gettext_lazy("Paused it"),
    Deed.RESUMED: gettext_lazy("Resumed it"),
    Deed.LOWERED_LIMITS: gettext_lazy("Lowered its limits"),
    Deed.CHANGED_LIMITS: gettext_lazy("Changed the limits of the next job"),
}

_DOORS: dict[Door, str | Promise] = {
    Door.API: gettext_lazy("API"),
    Door.ADMIN: gettext_lazy("admin"),
    Door.CLI: gettext_lazy("command line"),
}

_TOLD_IN_FULL = frozenset({Deed.LOWERED_LIMITS, Deed.CHANGED_LIMITS})
"""Deeds of which the figures are the news; of the others the words are."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    district: str
    date: str
    icon: str
    tone: str
    outcome: str
    reason: str
    code: str
    message: str
    attempts: str
    at: str


@dataclass(frozen=True, slots=True)
class Items:
    rows: list[ItemRow]
    outcomes: list[Choice]
    district: str
    is_filtered: bool
    shown: str
    pages: list[PageLink]


@dataclass(frozen=True, slots=True)
class TrailRow:
    at: str
    operator: str
    door: str
    deed: str
    changes: list[str]


def about(job: Job, now: datetime) -> list[Fact]:
    """What it was started with."""
    config = job.config
    facts = [
        Fact(_("Job"), str(job.id)),
        Fact(_("Range"), f"{wording.dates(config)}, {str(wording.CADENCES[config.cadence]).lower()}"),
        Fact(_("Districts"), wording.districts(config.target_districts) or _("all that the calendar names")),
        Fact(_("Stored items"), _("skipped") if config.skip_existing else _("fetched again")),
        Fact(_("Limits"), ", ".join(wording.limits(config.rate_limits))),
        Fact(_("Asked for"), f"{wording.when(job.created_at, now)}, {job.created_by}"),
    ]
    if job.resumed_at:
        facts.append(Fact(_("Last resumed"), wording.when(job.resumed_at, now)))
    if job.cancelled_at:
        facts.append(Fact(_("Cancel asked for"), wording.when(job.cancelled_at, now)))
    return facts


def items(outcomes: Sequence[Outcome], total: int, wanted: OutcomeFilter, number: int, now: datetime) -> Items:
    filters = {"outcome": str(wanted.kind or ""), "district": wanted.district or ""}
    first = (number - 1) * ITEMS_A_PAGE
    shown = _("%(first)s to %(last)s of %(total)s") % {
        "first": wording.number(first + 1),
        "last": wording.number(first + len(outcomes)),
        "total": wording.number(total),
    }
    return Items(
        rows=[_item_row(outcome, now) for outcome in outcomes],
        outcomes=[
            Choice(str(kind), str(label), kind is wanted.kind) for kind, (label, _icon, _tone) in _OUTCOMES.items()
        ],
        district=wanted.district or "",
        is_filtered=wanted != OutcomeFilter(),
        shown=shown if outcomes else "",
        pages=_pages(total, number, filters),
    )


def _item_row(outcome: Outcome, now: datetime) -> ItemRow:
    label, icon, tone = _OUTCOMES[outcome.kind]
    is_failure = outcome.kind is OutcomeKind.FAILED
    reason = cause_of(outcome.reason, is_retryable=outcome.is_retryable).words if is_failure else ""
    return ItemRow(
        district=wording.where([outcome.item.district]),
        date=wording.day(outcome.item.date),
        icon=icon,
        tone=tone,
        outcome=str(label),
        reason=str(reason) or str(wording.SKIPS.get(outcome.reason, outcome.reason)),
        code=outcome.reason if is_failure else "",
        message=outcome.message,
        attempts=wording.number(outcome.attempts) if outcome.attempts else "",
        at=wording.when(outcome.at, now),
    )


def _pages(total: int, number: int, filters: dict[str, str]) -> list[PageLink]:
    paginator = Paginator(range(total), ITEMS_A_PAGE)
    if paginator.num_pages < 2:
        return []
    links = []
    for page in paginator.get_elided_page_range(min(number, paginator.num_pages), on_each_side=2, on_ends=1):
        query = {name: value for name, value in filters.items() if value}
        shown = page if isinstance(page, int) else None
        links.append(PageLink(shown, urlencode({**query, "page": page}), is_current=page == number))
    return links


def trail(entries: Sequence[AuditEntry], now: datetime) -> list[TrailRow]:
    return [
        TrailRow(
            at=wording.when(entry.at, now),
            operator=entry.actor.operator,
            door=str(_DOORS[entry.actor.door]),
            deed=str(_DEEDS[entry.deed]),
            changes=_changes(entry) if entry.deed in _TOLD_IN_FULL else [],
        )
        for entry in entries
    ]


def _changes(entry: AuditEntry) -> list[str]:
    return [
        _("%(name)s from %(before)s to %(now)s") % {"name": name, "before": before, "now": becomes}
        for name, (before, becomes) in entry.changes.items()
    ]
