"""Names that were replaced by terms of the field do not come back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("adminui", "backfill", "backfill_site", "sample_dashboard")

REPLACED_MODULES = {
    "agenda": "work_queue",
    "blobs": "chunked_blobs",
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
    "refusals": "exceptions",
    "registers": "monthly_index",
    "salvage": "corrupt_records",
    "shapes": "serializers",
    "sightings": "worker_heartbeat",
    "situation": "status",
    "tally": "progress_counter",
    "terminal": "output",
    "timeline": "request_schedule",
    "totals": "job_counters",
    "turns": "reservations",
    "verbs": "commands",
    "verifying": "precondition_checks",
    "vitals": "monitoring",
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
}
REPLACED_CLASSES = {
    "Agenda": "WorkQueue",
    "Chance": "a random number generator",
    "Companion": "an extension",
    "Courier": "WebhookDispatcher",
    "Course": "ThroughputHistory",
    "Deed": "AuditAction",
    "Deeds": "AuditLog",
    "Door": "Channel",
    "Elsewhere": "a compute backend",
    "Experience": "PastRun",
    "Flag": "StrictBooleanField",
    "Flight": "CrashIsolation",
    "Here": "LocalCompute",
    "Notice": "WebhookEvent",
    "Notices": "WebhookEvents",
    "Shape": "a serializer",
    "Situation": "LimiterStatus",
    "Tally": "ProgressCounter",
    "Texts": "StrictStringListField",
    "Timeline": "RequestSchedule",
    "Turn": "Reservation",
    "Turns": "Reservations",
    "Verbs": "Commands",
    "Vitals": "ServiceStatus",
    "Whole": "StrictIntegerField",
    "Word": "StrictChoiceField",
}
REPLACED_FUNCTIONS = {
    "_is_careful": "_isolate_items",
    "_known": "_find_idempotent",
    "_let_go": "_release",
    "_patiently": "_retry_until_stored",
    "_planned_and_created": "_plan_and_create",
    "_told": "_with_worker_status",
    "basis": "input_digest",
    "basis_of": "input_digest",
    "beside": "extension",
    "chance": "rng",
    "conflict_with": "JobConflict",
    "folded": "normalise_column",
    "nudge": "wake",
    "of_items": "estimate_items",
    "of_requests": "estimate_requests",
    "situation": "limiter_status",
    "stranded": "on_store_outage",
    "told": "a verb that says what happens",
}


def source_files() -> list[Path]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in files if "migrations" not in path.parts)


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


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_class_or_function_has_a_replaced_name(path: Path) -> None:
    replaced = [
        f"{node.lineno}: {node.name}"
        for node in definitions(path)
        if node.name in (REPLACED_CLASSES if isinstance(node, ast.ClassDef) else REPLACED_FUNCTIONS)
    ]
    assert replaced == []
