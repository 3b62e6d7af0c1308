"""The addresses of the section, under /admin/backfill/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import URLPattern, path

from adminui.door import View
from adminui.views import jobs, page, starting, steering

if TYPE_CHECKING:
    from adminui.site import BackfillAdminSite


def section_urls(site: BackfillAdminSite) -> list[URLPattern]:
    """Each behind the sign-in of the admin."""
    views: dict[str, tuple[str, View]] = {
        "": ("backfill", page.index),
        "now/": ("backfill_now", page.now),
        "history/": ("backfill_history", page.history),
        "preview/": ("backfill_preview", starting.preview),
        "start/": ("backfill_start", starting.start),
        "limits/": ("backfill_limits", starting.limits),
        "jobs/<uuid:job_id>/": ("backfill_job", jobs.job),
        "jobs/<uuid:job_id>/now/": ("backfill_job_now", jobs.now),
        "jobs/<uuid:job_id>/cancel/": ("backfill_cancel", steering.cancel),
        "jobs/<uuid:job_id>/pause/": ("backfill_pause", steering.pause),
        "jobs/<uuid:job_id>/resume/": ("backfill_resume", steering.resume),
        "jobs/<uuid:job_id>/lower/": ("backfill_lower", steering.lower),
        "jobs/<uuid:job_id>/retry/": ("backfill_retry", steering.retry),
    }
    return [path(route, site.admin_view(view), name=name) for route, (name, view) in views.items()]
