"""URLs of the section, below /admin/backfill/, and of the user's account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import URLPattern, path, register_converter

from adminui.converters import DateConverter, DistrictConverter
from adminui.responses import View
from adminui.views import api_tokens, changes, coverage, job_actions, jobs, overview, results, start_job, target

if TYPE_CHECKING:
    from adminui.site import BackfillAdminSite


register_converter(DateConverter, "date")
register_converter(DistrictConverter, "district")


def section_urls(site: BackfillAdminSite) -> list[URLPattern]:
    """URL patterns of the section; each view requires an admin login."""
    views: dict[str, tuple[str, View]] = {
        "": ("backfill", overview.overview),
        "now/": ("backfill_now", overview.job_status),
        "history/": ("backfill_history", overview.history),
        "preview/": ("backfill_preview", start_job.preview),
        "start/": ("backfill_start", start_job.start),
        "limits/": ("backfill_limits", start_job.limits),
        "jobs/<uuid:job_id>/": ("backfill_job", jobs.job),
        "jobs/<uuid:job_id>/now/": ("backfill_job_now", jobs.job_status),
        "jobs/<uuid:job_id>/items.csv": ("backfill_items_csv", jobs.items_csv),
        "jobs/<uuid:job_id>/cancel/": ("backfill_cancel", job_actions.cancel),
        "jobs/<uuid:job_id>/pause/": ("backfill_pause", job_actions.pause),
        "jobs/<uuid:job_id>/pause/note/": ("backfill_pause_with_note", job_actions.pause_with_note),
        "jobs/<uuid:job_id>/resume/": ("backfill_resume", job_actions.resume),
        "jobs/<uuid:job_id>/try-now/": ("backfill_try_now", job_actions.try_now),
        "jobs/<uuid:job_id>/lower/": ("backfill_lower", job_actions.lower_limits),
        "jobs/<uuid:job_id>/note/": ("backfill_note", job_actions.note),
        "jobs/<uuid:job_id>/retry/": ("backfill_retry", job_actions.retry),
        "jobs/<uuid:job_id>/retry/note/": ("backfill_retry_with_note", job_actions.retry_with_note),
        "coverage/": ("backfill_coverage", coverage.coverage),
        "coverage/map/": ("backfill_coverage_map", coverage.coverage_map),
        "coverage/calendar/": ("backfill_read_calendar", coverage.read_calendar),
        "keep/": ("backfill_keep", target.status),
        "keep/preview/": ("backfill_keep_preview", target.preview),
        "keep/save/": ("backfill_keep_save", target.save),
        "keep/off/": ("backfill_keep_off", target.off),
        "keep/check/": ("backfill_keep_check", target.check),
        "results/": ("backfill_results", results.find_result),
        "results/world/": ("backfill_world", results.world),
        "results/world/<date:day>/": ("backfill_world_on", results.world),
        "results/<district:district>/": ("backfill_district", results.district),
        "results/<district:district>/changes/": ("backfill_changes", changes.changes),
        "results/<district:district>/changes.csv": ("backfill_changes_csv", changes.csv_file),
        "results/<district:district>/<date:day>/": ("backfill_district_on", results.district),
    }
    return [path(route, site.admin_view(view), name=name) for route, (name, view) in views.items()]


def account_urls(site: BackfillAdminSite) -> list[URLPattern]:
    """URL patterns of pages that every user of the admin may open."""
    return [
        path("api-tokens/", site.admin_view(api_tokens.api_tokens), name="api_tokens"),
        path("api-tokens/<int:token_id>/revoke/", site.admin_view(api_tokens.revoke), name="api_token_revoke"),
    ]
