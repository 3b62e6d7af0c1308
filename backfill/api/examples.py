"""Examples of requests and responses in the OpenAPI document."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample

_ID = "0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a11"
_METADATA = {"operationId": "6a1f1d0c-8f8e-4f0f-9a57-6b3f8f1d2c3b", "timestamp": "2024-02-10T08:00:00Z"}

_JOB_EXAMPLE = {
    "jobType": "data-collection",
    "startDate": "2023-07-01",
    "endDate": "2024-01-31",
    "targetDistricts": ["91", "F"],
    "cadence": "month-ends",
    "skipExisting": True,
}
REQUESTS = [
    OpenApiExample("Month ends of two districts", _JOB_EXAMPLE, request_only=True),
    OpenApiExample("Analytics of every snapshot", {"jobType": "analytics-generation"}, request_only=True),
]
JOB_CHANGES = [
    OpenApiExample("Lower limits", {"rateLimits": {"maxRequestsPerMinute": 20}}, request_only=True),
    OpenApiExample("Add a note", {"note": "The figures of May were checked by hand."}, request_only=True),
]
BUSY = OpenApiExample(
    "Another job is active",
    {
        "error": {
            "code": "JOB_ALREADY_RUNNING",
            "retryable": True,
            "message": f"Job {_ID} (data-collection) is running at 42.5 %. One job runs at a time: wait until it "
            "ends, or cancel it first.",
            "details": {
                "jobId": _ID,
                "jobType": "data-collection",
                "status": "running",
                "path": f"/api/admin/backfill/{_ID}",
                "progress": {"totalItems": 2000, "settledItems": 850, "percent": 42.5},
            },
        },
        "metadata": _METADATA,
    },
    response_only=True,
    status_codes=["409"],
)
PLAN_CHANGED = OpenApiExample(
    "The limits changed since the preview",
    {
        "error": {
            "code": "PLAN_CHANGED",
            "retryable": False,
            "message": "The plan has changed since the preview, so nothing was started: 60 requests per minute when "
            "previewed, 30 now. Look at what changed, and start with the new planId.",
            "details": {
                "before": {"totalItems": 21, "skippedItems": 14, "estimatedRequests": 21},
                "now": {"totalItems": 21, "skippedItems": 14, "estimatedRequests": 21},
                "planId": "plan-21-14-21-30_3_500_30000_2-0123456789abcdef",
                "rateLimits": {"maxRequestsPerMinute": {"before": 60, "now": 30}},
            },
        },
        "metadata": _METADATA,
    },
    response_only=True,
    status_codes=["409"],
)
INVALID = OpenApiExample(
    "An invalid date",
    {
        "error": {
            "code": "VALIDATION_ERROR",
            "retryable": False,
            "message": "startDate must be a day of the calendar, written like 2024-01-31; it was '2023-02-30'.",
            "details": {
                "startDate": ["startDate must be a day of the calendar, written like 2024-01-31; it was '2023-02-30'."]
            },
        },
        "metadata": _METADATA,
    },
    response_only=True,
    status_codes=["400"],
)
PREVIEWED = OpenApiExample(
    "A preview",
    {
        "preview": {
            "jobType": "data-collection",
            "totalItems": 21,
            "dateRange": {"startDate": "2023-07-01", "endDate": "2024-01-31"},
            "affectedDistricts": ["91", "F"],
            "estimatedDuration": 21105,
            "estimatedDurationRange": {"low": 19839, "high": 27437},
            "estimatedRequests": 21,
            "itemBreakdown": {"dates": ["2023-07-31", "2023-08-31"]},
            "skipped": {"stored": 14},
            "unpublishedDates": 0,
            "planId": "plan-21-14-21-60_3_500_30000_2-0123456789abcdef",
            "rateLimits": {
                "maxRequestsPerMinute": 60,
                "maxConcurrent": 3,
                "minDelayMs": 500,
                "maxDelayMs": 30000,
                "backoffMultiplier": 2,
            },
        },
        "metadata": _METADATA,
    },
    response_only=True,
    status_codes=["200"],
)

TARGETS = [
    OpenApiExample(
        "Month-ends since 2012 with analytics, and every day of the current program year",
        {
            "enabled": True,
            "dailyAt": "06:00",
            "rules": [
                {"from": "2012-07-01", "cadence": "month-ends", "analytics": True},
                {"from": "program-year", "cadence": "daily", "analytics": True},
            ],
        },
        request_only=True,
    )
]
