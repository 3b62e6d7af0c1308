"""The page of a job: its parameters, items and audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import formatting, times
from adminui.presenters.choices import Choice, choices
from adminui.presenters.failure_causes import cause_of
from adminui.presenters.job_details import Detail
from adminui.presenters.pagination import Pagination, paginate
from adminui.presenters.tables import Cell, Column, Row, Table, number_columns, row
from backfill.domain import AuditAction, AuditEntry, Channel, Job, Outcome, OutcomeFilter, OutcomeKind

ITEMS_PER_PAGE = 50

_OUTCOMES: dict[OutcomeKind, tuple[str | Promise, str, str]] = {
    OutcomeKind.PROCESSED: (gettext_lazy("Stored"), "check", "ok"),
    OutcomeKind.FAILED: (gettext_lazy("Failed"), "warn", "bad"),
    OutcomeKind.SKIPPED: (gettext_lazy("Skipped"), "ring", "neutral"),
}

_ACTIONS: dict[AuditAction, str | Promise] = {
    AuditAction.STARTED: gettext_lazy("Started the job"),
    AuditAction.RETRIED: gettext_lazy("Retried failed items with this job"),
    AuditAction.DISPLACED: gettext_lazy("Replaced the stalled job"),
    AuditAction.CANCELLED: gettext_lazy("Cancelled the job"),
    AuditAction.PAUSED: gettext_lazy("Paused the job"),
    AuditAction.RESUMED: gettext_lazy("Resumed the job"),
    AuditAction.TRIED_NOW: gettext_lazy("Ended its wait"),
    AuditAction.LOWERED_LIMITS: gettext_lazy("Lowered its limits"),
    AuditAction.CHANGED_LIMITS: gettext_lazy("Changed the limits of the next job"),
    AuditAction.IMPORTED: gettext_lazy("Imported files"),
    AuditAction.CHANGED_TARGET: gettext_lazy("Changed the coverage target"),
    AuditAction.REQUESTED_CHECK: gettext_lazy("Requested a check of the coverage target"),
    AuditAction.POSTPONED_CHECK: gettext_lazy("Postponed the check of the coverage target"),
    AuditAction.CHECKED: gettext_lazy("Checked the coverage target"),
    AuditAction.NOTED: gettext_lazy("Added a note"),
    AuditAction.SIGN_IN_FAILED: gettext_lazy("Failed to sign in"),
    AuditAction.SIGN_IN_LOCKED: gettext_lazy("Was locked after failed sign-ins"),
    AuditAction.TOKEN_CREATED: gettext_lazy("Created an API token"),
    AuditAction.TOKEN_REVOKED: gettext_lazy("Revoked an API token"),
}

_CHANNELS: dict[Channel, str | Promise] = {
    Channel.API: gettext_lazy("API"),
    Channel.ADMIN: gettext_lazy("admin"),
    Channel.CLI: gettext_lazy("command line"),
    Channel.SCHEDULE: gettext_lazy("schedule"),
}

_ACTIONS_WITH_CHANGES = frozenset({AuditAction.LOWERED_LIMITS, AuditAction.CHANGED_LIMITS})
"""Actions whose changed values are listed."""


@dataclass(frozen=True, slots=True)
class ItemList:
    table: Table
    order: str
    """The order in words."""
    outcomes: list[Choice]
    causes: list[Choice]
    district: str
    query: str
    """The filters as a query string."""
    is_filtered: bool
    pages: Pagination


def job_parameters(job: Job, now: datetime) -> list[Detail]:
    """The parameters with which the job was started."""
    config = job.config
    again = _("%(done)s again") % {"done": _(job.job_type.description.participle)}
    facts = [
        Detail(_("Job"), str(job.id)),
        Detail(_("Range"), f"{formatting.dates(config)}, {str(formatting.CADENCES[config.cadence]).lower()}"),
        Detail(_("Districts"), formatting.districts(config.target_districts) or _("all districts of the calendar")),
        Detail(_("Stored items"), _("skipped") if config.skip_existing else again),
        Detail(_("Limits"), ", ".join(formatting.limits(config.initial_limits or config.rate_limits))),
        Detail(
            _("Requested"),
            times.filled("%(at)s, %(by)s", {"at": times.when(job.created_at, now), "by": job.created_by}),
        ),
    ]
    if config.initial_limits:
        facts.append(Detail(_("Limits lowered to"), ", ".join(formatting.limits(config.rate_limits))))
    if job.resumed_at:
        facts.append(Detail(_("Last resumed"), times.when(job.resumed_at, now)))
    if job.cancelled_at:
        facts.append(Detail(_("Cancellation requested"), times.when(job.cancelled_at, now)))
    return facts


def item_list(
    job: Job, outcomes: Sequence[Outcome], total: int, wanted: OutcomeFilter, *, number: int, now: datetime
) -> ItemList:
    code = next(iter(wanted.codes), "")
    filters = {"outcome": str(wanted.kind or ""), "code": code, "district": wanted.district or ""}
    causes = {
        group.code: cause_of(group.code, is_retryable=group.is_retryable).label for group in job.progress.failures
    }
    columns = [
        Column(_("Outcome"), "lead"),
        Column(_("Date")),
        Column(_("District")),
        Column(_("Reason"), "wide"),
        *number_columns(_("Attempts")),
        Column(_("Settled")),
    ]
    return ItemList(
        table=Table(_("Settled items"), columns, [_item(outcome, now) for outcome in outcomes]),
        outcomes=choices({kind: label for kind, (label, _icon, _tone) in _OUTCOMES.items()}, wanted.kind),
        causes=choices({**causes, code: causes.get(code, code)} if code else causes, code),
        order=_("Newest first") if job.status.is_active else _("In the order in which they were completed"),
        district=wanted.district or "",
        query=urlencode({name: value for name, value in filters.items() if value}),
        is_filtered=wanted != OutcomeFilter(),
        pages=paginate(number, ITEMS_PER_PAGE, rows=len(outcomes), total=total, filters=filters),
    )


def _item(outcome: Outcome, now: datetime) -> Row:
    label, icon, tone = _OUTCOMES[outcome.kind]
    return row(
        Cell(str(label), icon=icon, tone=tone),
        formatting.day(outcome.item.date),
        formatting.where([outcome.item.district]),
        _reason(outcome),
        formatting.number(outcome.attempts) if outcome.attempts else "\N{EN DASH}",
        times.when(outcome.at, now, has_seconds=True),
    )


def _reason(outcome: Outcome) -> Cell:
    if outcome.kind is OutcomeKind.FAILED:
        cause = cause_of(outcome.reason, is_retryable=outcome.is_retryable)
        return Cell(str(cause.label), code=outcome.reason, note=outcome.message, excerpt=outcome.excerpt)
    return Cell(str(formatting.SKIPS.get(outcome.reason, outcome.reason)), note=outcome.message)


def audit_table(entries: Sequence[AuditEntry], now: datetime) -> Table:
    """The audit log of the job, newest first."""
    return Table(
        _("Audit log of this job"),
        [Column(_("When"), "lead"), Column(_("Operator")), Column(_("Action"), "wide"), Column(_("Channel"))],
        [
            row(
                times.when(entry.at, now, has_seconds=True),
                entry.actor.operator,
                Cell(str(_ACTIONS[entry.action]), note=_changes(entry)),
                str(_CHANNELS[entry.actor.channel]),
            )
            for entry in entries
        ],
    )


def _changes(entry: AuditEntry) -> str:
    """The changed values of some actions, and the note."""
    pairs = dict(entry.changes)
    note = pairs.pop("note", None)
    texts = [
        _("%(name)s from %(before)s to %(now)s") % {"name": name, "before": before, "now": after}
        for name, (before, after) in pairs.items()
        if entry.action in _ACTIONS_WITH_CHANGES
    ]
    return "; ".join([*texts, _("Note: %(text)s") % {"text": note[1]}] if note else texts)
