"""Names that were replaced by terms of the field are not used again."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("adminui", "backfill", "backfill_site", "benchmarks", "sample_dashboard", "tests/chaos")

REPLACED_MODULES = {
    "agenda": "work_queue",
    "blobs": "chunked_blobs",
    "books": "consistency",
    "chooser": "result_selector",
    "bodies": "request_serializers",
    "cluster": "compute.dask",
    "composition": "registry",
    "computers": "compute.base",
    "computing": "compute.local",
    "conflict": "errors",
    "deeds": "audit_log",
    "elsewhere": "probes",
    "executors": "compute",
    "flight": "crash_isolation",
    "following": "watch",
    "notice": "webhook_event",
    "places": "stores",
    "refusals": "exceptions",
    "paging": "pagination",
    "registers": "monthly_index",
    "salvage": "corrupt_records",
    "shapes": "serializers",
    "sightings": "worker_heartbeat",
    "situation": "status",
    "stories": "scenarios",
    "tally": "progress_counter",
    "terminal": "output",
    "timeline": "request_schedule",
    "totals": "job_counters",
    "turns": "reservations",
    "verbs": "commands",
    "verifying": "precondition_checks",
    "vitals": "monitoring",
    "wait_message": "limiter_message",
    "waiting": "limiter_status",
    "wording": "formatting",
    "work": "job_types",
    "works": "registry",
}
REPLACED_TEMPLATES = {
    "told.html": "error_page.html",
    "now.html": "job_status.html",
    "why.html": "status_message.html",
    "sideways.html": "scroll_table.html",
    "bar.html": "section_header.html",
    "curve.html": "sparkline.html",
    "buttons.html": "job_buttons.html",
    "chooser.html": "result_selector.html",
    "dialog_busy.html": "dialog_conflict.html",
    "dialog_lower.html": "dialog_lower_limits.html",
    "ended.html": "ended_job_card.html",
    "errors.html": "field_errors.html",
    "history_row.html": "table_row.html",
    "icons.html": "icon_sprite.html",
    "live.html": "status_update.html",
    "no_results.html": "missing_result.html",
    "notice.html": "alert.html",
    "page.html": "overview.html",
    "pages.html": "pagination.html",
    "pill.html": "status_badge.html",
    "summary.html": "details_summary.html",
    "world.html": "world_ranking.html",
}
REPLACED_STYLES = {
    "bf-asked": "bf-parameters",
    "bf-chooser": "bf-result-selector",
    "bf-done": "bf-action-done",
    "bf-jumps": "bf-page-nav",
    "bf-live": "bf-current",
    "bf-mark": "bf-icon-label",
    "bf-nothing": "bf-empty-cell",
    "bf-notice": "bf-alert",
    "bf-part": "bf-segment",
    "bf-pill": "bf-status-badge",
    "bf-quiet": "bf-secondary",
    "bf-said": "bf-toast",
    "bf-what": "bf-job-heading",
}
"""Classes, ids and events of the admin. Custom properties such as --bf-done are not meant."""
REPLACED_TEXTS = (
    "Start, watch and look back",
    "nothing is published",
    "everything is stored",
    "Nothing is fetched until you confirm",
    "may take a minute",
    "becomes an item",
    "do everything again",
    "Open while paused",
    "in this minute",
    "none being sent",
    "Displaced it",
    "To stop for a while only",
    "sign of life",
    "stored before",
    "within a second or two",
    "as it was when the month had closed",
)
"""Texts and phrases that the admin replaced by plain technical English."""
REPLACED_PHRASES = (
    "anew",
    "believed",
    "beside",
    "goes on by itself",
    "goes round",
    "is none that",
    "is told",
    "made out",
    "nobody",
    "not to be had",
    "set aside",
    "speaks of",
    "taken up again",
    "what is none",
    "what the one",
    "whoever",
)
"""Phrases that occur neither in product code nor in the documentation."""
REPLACED_CLASSES = {
    "Account": "StoredJob",
    "Agenda": "WorkQueue",
    "Chance": "a random number generator",
    "Chooser": "ResultSelector",
    "Companion": "an extension",
    "Courier": "WebhookDispatcher",
    "Course": "ThroughputHistory",
    "DayFacts": "DayMetadata",
    "Deed": "AuditAction",
    "Deeds": "AuditLog",
    "Door": "Channel",
    "Elsewhere": "a compute backend",
    "Experience": "PastRun",
    "Fact": "Detail",
    "Flag": "StrictBooleanField",
    "Flight": "CrashIsolation",
    "Here": "LocalCompute",
    "Listing": "JobHistory",
    "Notice": "WebhookEvent",
    "Notices": "WebhookEvents",
    "Overtaken": "StaleRead",
    "Paging": "Pagination",
    "Pill": "StatusBadge",
    "Place": "Store",
    "PlaceMissing": "StoreMissing",
    "ResultFacts": "ResultMetadata",
    "Rights": "Permissions",
    "RulesForm": "DomainForm",
    "Shape": "a serializer",
    "Situation": "LimiterStatus",
    "SnapshotFacts": "SnapshotMetadata",
    "StoreAway": "StoreDown",
    "Story": "Scenario",
    "Tally": "ProgressCounter",
    "Texts": "StrictStringListField",
    "Timeline": "RequestSchedule",
    "Turn": "Reservation",
    "Turns": "Reservations",
    "Verbs": "Commands",
    "Vitals": "ServiceStatus",
    "Whole": "StrictIntegerField",
    "Word": "StrictChoiceField",
    "Words": "LimiterMessage",
    "World": "ChaosSite",
}
REPLACED_FUNCTIONS = {
    "_anew": "_rebuild",
    "_is_careful": "_isolate_items",
    "_known": "_find_idempotent",
    "_let_go": "_release",
    "_make_room": "_displace_active",
    "_patiently": "_retry_until_stored",
    "_planned_and_created": "_plan_and_create",
    "_set_aside": "_fail_corrupt_job",
    "_told": "_with_worker_status",
    "answering": "translating_errors",
    "basis": "input_digest",
    "basis_of": "input_digest",
    "beside": "extension",
    "chance": "rng",
    "chooser": "result_selector",
    "columns_of": "job_to_columns",
    "conflict_with": "JobConflict",
    "described_reports": "reports_to_json",
    "examined": "check_consistency",
    "facts": "snapshot_metadata",
    "figure": "format_number",
    "folded": "normalise_column",
    "forget_collected": "delete_collected",
    "forget_parts": "delete_parts",
    "going_on": "pace_message",
    "has_come_through": "is_committed",
    "hold_dates": "any_has_dates",
    "kinds_in": "count_kinds",
    "look_after": "idle_poll_interval",
    "marked": "with_change_id",
    "most_a_minute": "max_per_minute",
    "moves": "counts_as_progress",
    "moving": "without_hold",
    "nudge": "wake",
    "of_items": "estimate_items",
    "of_requests": "estimate_requests",
    "pill": "status_badge",
    "raise_the_dead": "ensure_two_servers",
    "read_reports": "reports_from_json",
    "record_after": "record_interval",
    "refuse_taken": "check_port",
    "result_facts": "result_metadata",
    "salvaged_job": "corrupt_job",
    "set_aside": "fail_corrupt_job",
    "settle_environment": "isolate_environment",
    "shown": "job_or_failed",
    "situation": "limiter_status",
    "stand_on": "standing_on",
    "stranded": "on_store_outage",
    "take_stock": "count_results",
    "tell": "run_scenario",
    "the_service": "get_service",
    "told": "a verb that says what happens",
    "transacting": "atomic",
    "unreadable_job": "corrupt_job_error",
}


def source_files() -> list[Path]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in files if "migrations" not in path.parts)


def interface_files() -> list[Path]:
    """The sources of the admin: Python, templates, scripts and style sheets."""
    files = [path for folder in ("adminui", "templates") for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(
        path for path in files if path.suffix in {".py", ".html", ".js", ".css"} and "vendor" not in path.parts
    )


def definitions(path: Path) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_module_or_package_has_a_replaced_name() -> None:
    paths = [path.relative_to(ROOT) for path in source_files()]
    names = {(str(path), part) for path in paths for part in path.with_suffix("").parts}
    assert {path: REPLACED_MODULES[part] for path, part in names if part in REPLACED_MODULES} == {}


def test_no_template_has_a_replaced_name() -> None:
    names = {path.name for path in (ROOT / "templates").rglob("*.html")}
    assert names.isdisjoint(REPLACED_TEMPLATES)


@pytest.mark.parametrize("path", interface_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_style_or_text_of_the_admin_has_been_replaced(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    styles = rf"(?<![\w-])({'|'.join(map(re.escape, REPLACED_STYLES))})(?![\w-])"
    phrases = rf"(?<![\w-])({'|'.join(map(re.escape, REPLACED_TEXTS))})(?![\w-])"
    assert re.findall(styles, text) == []
    assert re.findall(phrases, text, re.IGNORECASE) == []


def test_no_product_code_and_no_page_of_the_documentation_has_a_replaced_phrase() -> None:
    pages = [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    paths = sorted({*source_files(), *interface_files(), *pages})
    phrases = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, REPLACED_PHRASES))})(?![\w-])", re.IGNORECASE)
    texts = ((path, " ".join(path.read_text(encoding="utf-8").split())) for path in paths)
    assert {str(path.relative_to(ROOT)): found for path, text in texts if (found := phrases.findall(text))} == {}


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_class_or_function_has_a_replaced_name(path: Path) -> None:
    replaced = [
        f"{node.lineno}: {node.name}"
        for node in definitions(path)
        if node.name in (REPLACED_CLASSES if isinstance(node, ast.ClassDef) else REPLACED_FUNCTIONS)
    ]
    assert replaced == []
