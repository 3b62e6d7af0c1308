"""All addresses of the API. None ends with a slash and none redirects, because a redirect drops the body of a POST."""

from __future__ import annotations

from django.urls import path, re_path

from backfill.api.analytics import Dictionary, DistrictResult, Series, WorldResult
from backfill.api.audit import Audit, JobAudit
from backfill.api.changes import Changes
from backfill.api.coverage import Coverage, CoverageCalendar
from backfill.api.docs import Docs, OpenApi, RemovedEndpoint, UnknownEndpoint
from backfill.api.jobs import Jobs
from backfill.api.rate_limits import RateLimits
from backfill.api.snapshots import ReportFile, SnapshotDetail, Snapshots
from backfill.api.targets import Target, TargetCheck, TargetPreview

_BACKFILL = "admin/backfill"
_JOB = f"{_BACKFILL}/<str:job_id>"

urlpatterns = [
    path(_BACKFILL, Jobs.as_view({"post": "create"}), name="backfill"),
    path(f"{_BACKFILL}/preview", Jobs.as_view({"post": "preview"})),
    path(f"{_BACKFILL}/jobs", Jobs.as_view({"get": "list"})),
    path(f"{_BACKFILL}/config/rate-limit", RateLimits.as_view()),
    path(f"{_BACKFILL}/targets", Target.as_view()),
    path(f"{_BACKFILL}/targets/check", TargetCheck.as_view()),
    path(f"{_BACKFILL}/targets/preview", TargetPreview.as_view()),
    path(f"{_BACKFILL}/coverage", Coverage.as_view()),
    path(f"{_BACKFILL}/coverage/calendar", CoverageCalendar.as_view()),
    path(f"{_BACKFILL}/audit", Audit.as_view()),
    path(_JOB, Jobs.as_view({"get": "retrieve", "delete": "destroy", "patch": "partial_update"})),
    path(f"{_JOB}/pause", Jobs.as_view({"post": "pause"})),
    path(f"{_JOB}/resume", Jobs.as_view({"post": "resume"})),
    path(f"{_JOB}/try-now", Jobs.as_view({"post": "try_now"})),
    path(f"{_JOB}/items", Jobs.as_view({"get": "items"})),
    path(f"{_JOB}/audit", JobAudit.as_view()),
    path(f"{_JOB}/retry", Jobs.as_view({"post": "retry"})),
    path("snapshots", Snapshots.as_view()),
    path("snapshots/<str:date>/<str:district>", SnapshotDetail.as_view()),
    path("snapshots/<str:date>/<str:district>/<str:report>.csv", ReportFile.as_view()),
    path("analytics/series/<str:district>", Series.as_view()),
    path("analytics/<str:date>/world", WorldResult.as_view()),
    path("analytics/<str:date>/<str:district>", DistrictResult.as_view()),
    path("changes", Changes.as_view()),
    path("dictionary", Dictionary.as_view()),
    path("schema", OpenApi.as_view(), name="openapi"),
    path("docs", Docs.as_view()),
    re_path(r"^districts/backfill(?:/|\Z)", RemovedEndpoint.as_view()),
    re_path(r"", UnknownEndpoint.as_view()),
]
