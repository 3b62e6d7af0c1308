"""The Backfill section of the admin with a fake job type: permissions, responses of each action, and queries."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backfill.domain import Actor, Channel, JobRequest, JobType, Status
from backfill.engine.claim import Claim
from backfill.engine.job_manager import JobManager
from backfill.errors import StorageUnavailable
from backfill.service.commands import BackfillService
from tests.factories import CalendarMonthFactory, JobFactory, PlanFactory
from tests.integration.fake_job_type import DISTRICTS, outcome_of, run_to_the_end

pytestmark = pytest.mark.django_db

SECTION = "/admin/backfill/"
BY = Actor("alice", Channel.CLI)
FORM = {
    "job_type": "data-collection",
    "start_date": "2024-01-30",
    "end_date": "2024-01-31",
    "cadence": "daily",
    "skip_existing": "on",
}
HTMX = {"HX-Request": "true"}
AUTHENTICATION_TABLES = re.compile(r'"(django_session|auth_user|auth_permission|auth_group)"')

StaffWith = Callable[..., Client]


@pytest.fixture
def staff_with(served: BackfillService) -> StaffWith:
    """Return a function that creates a client for a staff user with the given permissions."""

    def make(*permissions: str, checks_csrf: bool = False) -> Client:
        user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client(enforce_csrf_checks=checks_csrf)
        client.force_login(user)
        return client

    return make


@pytest.fixture
def operator(served: BackfillService) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("alice"))
    return client


def start_job(service: BackfillService, first: str = "2024-01-30", last: str = "2024-01-31") -> str:
    request = JobRequest(
        job_type=JobType.DATA_COLLECTION, start_date=date.fromisoformat(first), end_date=date.fromisoformat(last)
    )
    return str(service.start(request, by=BY).job.id)


def claim_job(service: BackfillService) -> Claim:
    claim = JobManager(service.storage).claim("test", datetime.now(UTC))
    assert claim is not None
    return claim


def record_items(claim: Claim, failing: str = "") -> None:
    """Settle two of three items."""
    items = list(claim.plan.days[0].items())[:2]
    claim.note([outcome_of(item, is_failed=item.district == failing) for item in items])
    claim.record([items[-1]], claim.job.progress.limiter, datetime.now(UTC))


def text_of(response: object) -> str:
    return re.sub(r"\s+", " ", response.content.decode())  # type: ignore[attr-defined]


# Permissions.


def test_the_section_is_the_first_on_the_index_for_users_with_the_permission_to_view(
    operator: Client, staff_with: StaffWith
) -> None:
    index = text_of(operator.get("/admin/"))
    assert 0 < index.index('href="/admin/backfill/"') < index.index("/admin/auth/user/")
    assert 'href="/admin/backfill/"' not in text_of(staff_with().get("/admin/"))


def test_the_models_have_no_other_admin_pages_and_the_history_is_below_the_controls(operator: Client) -> None:
    """R6.4, R8.1, R8.5, R8.6, R8.7: no model of the service has its own pages in the admin."""
    assert not [model for model in admin.site._registry if model._meta.app_label == "backfill"]
    page = text_of(operator.get(SECTION))
    positions = [page.index(f'id="{section_id}"') for section_id in ("now", "start", "coverage", "history")]
    assert positions == sorted(positions)


def test_an_anonymous_user_is_redirected_to_the_sign_in_page(client: Client) -> None:
    assert client.get(SECTION)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("path", ["", "now/", "history/", "jobs/00000000-0000-4000-8000-000000000000/"])
def test_the_page_for_staff_without_the_permission_names_the_missing_permission(
    staff_with: StaffWith, path: str
) -> None:
    response = staff_with().get(SECTION + path)
    assert response.status_code == 403
    assert "Can view backfill job" in text_of(response)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("preview/", "Can add backfill job"),
        ("start/", "Backfill | backfill job | Can add backfill job"),
        ("limits/", "Backfill | rate limits | Can change rate limits"),
        ("jobs/{job}/cancel/", "Can change backfill job"),
        ("jobs/{job}/pause/", "Can change backfill job"),
        ("jobs/{job}/resume/", "Can change backfill job"),
        ("jobs/{job}/try-now/", "Can change backfill job"),
        ("jobs/{job}/lower/", "Can change backfill job"),
        ("jobs/{job}/retry/", "Can change backfill job"),
    ],
)
def test_every_action_requires_its_own_permission_in_addition_to_the_permission_to_view(
    served: BackfillService, staff_with: StaffWith, path: str, name: str
) -> None:
    job = start_job(served)
    viewer = staff_with("view_backfilljob")
    assert viewer.get(SECTION).status_code == 200
    response = viewer.post(SECTION + path.format(job=job), FORM, headers=HTMX)
    assert response.status_code == 403
    assert name in text_of(response)
    assert served.active() is not None


def test_every_action_requires_a_csrf_token_and_a_get_request_changes_nothing(
    served: BackfillService, staff_with: StaffWith
) -> None:
    job = start_job(served)
    client = staff_with("view_backfilljob", "change_backfilljob", checks_csrf=True)
    assert client.post(f"{SECTION}jobs/{job}/pause/").status_code == 403
    for action in ("pause", "resume", "retry"):
        assert client.get(f"{SECTION}jobs/{job}/{action}/").status_code == 405
    for action in ("pause/note", "cancel", "note", "retry/note"):
        assert client.get(f"{SECTION}jobs/{job}/{action}/").status_code == 200
    assert served.active() is not None
    assert served.active().status is Status.PENDING  # type: ignore[union-attr]


def test_the_page_has_a_strict_content_security_policy_and_no_inline_code(operator: Client) -> None:
    response = operator.get(SECTION)
    policy = response["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    page = text_of(response)
    assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=", page)


# Starting.


def test_a_preview_starts_nothing_and_its_dialog_starts_exactly_the_previewed_plan(
    served: BackfillService, operator: Client
) -> None:
    dialog = text_of(operator.post(f"{SECTION}preview/", FORM, headers=HTMX))
    assert served.active() is None
    plan = re.search(r'name="plan_id" value="([^"]+)"', dialog)
    assert plan is not None
    response = operator.post(f"{SECTION}start/", {**FORM, "plan_id": plan[1]}, headers=HTMX)
    assert response.status_code == 204
    assert "bf-action-done" in response["HX-Trigger"]
    job = served.active()
    assert job is not None
    assert job.created_by == "alice"
    assert served.audit(job.id, limit=1, offset=0).rows[0].actor == Actor("alice", Channel.ADMIN)


def test_the_error_for_a_changed_plan_shows_the_old_and_the_new_counts(operator: Client) -> None:
    plan_id = f"plan-9-0-27-1200_3_500_30000_2-{'0' * 16}"
    response = operator.post(f"{SECTION}start/", {**FORM, "plan_id": plan_id}, headers=HTMX)
    assert response.status_code == 409
    assert "so nothing was started" in text_of(response)
    assert "9 when previewed, <strong>6 now</strong>" in text_of(response)
    assert "1,200 requests per minute when previewed, <strong>60 now</strong>" in text_of(response)


def test_the_error_for_a_second_start_names_the_active_job(served: BackfillService, operator: Client) -> None:
    job = start_job(served)
    response = operator.post(f"{SECTION}start/", FORM, headers=HTMX)
    assert response.status_code == 409
    assert job in text_of(response)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"start_date": "2024-02-30"}, "Enter a valid date."),
        ({"start_date": "2025-01-01"}, "“From” (2025-01-01) must not be after “To” (2024-01-31)."),
        ({"end_date": "2999-01-01"}, "must be before today"),
        ({"start_date": ""}, "“From” is required"),
        ({"districts": "41-46, nonsense"}, "A district is a number like 91"),
        ({"districts": "46-41"}, "from the smaller number to the larger"),
    ],
)
def test_an_invalid_value_is_reported_at_its_field(operator: Client, changes: dict[str, str], sentence: str) -> None:
    response = operator.post(f"{SECTION}preview/", {**FORM, **changes}, headers=HTMX)
    assert response.status_code == 422
    assert response["HX-Retarget"] == "#bf-start-form"
    assert sentence in text_of(response)
    assert 'aria-invalid="true"' in text_of(response)


def test_districts_can_be_given_as_checkboxes_and_as_ranges(served: BackfillService, operator: Client) -> None:
    operator.post(f"{SECTION}start/", {**FORM, "district": ["91"], "districts": "1 to 3, f and 60"}, headers=HTMX)
    job = served.active()
    assert job is not None
    assert job.config.target_districts == ("01", "02", "03", "60", "91", "F")


def test_query_parameters_prefill_the_form(served: BackfillService, operator: Client) -> None:
    served.storage.calendars.save(CalendarMonthFactory.build(districts=DISTRICTS))
    page = text_of(operator.get(f"{SECTION}?from=2010-07-01&to=2011-06-30&district=1-2&skip=0"))
    assert 'value="2010-07-01"' in page
    assert 'value="2011-06-30"' in page
    assert len(re.findall(r'name="district" value="\w+" checked', page)) == 2


def test_the_start_button_is_disabled_with_a_reason_while_a_job_is_active(
    served: BackfillService, operator: Client
) -> None:
    button = 'aria-describedby="bf-start-help" aria-disabled="true">Start backfill'
    assert button not in text_of(operator.get(SECTION))
    start_job(served)
    for path in ("", "now/"):
        page = text_of(operator.get(SECTION + path, headers=HTMX))
        assert button in page
        assert "Start is possible when the active job has ended. Preview works now." in page


def test_limits_are_saved_for_the_next_job_or_refused_with_an_error_at_the_field(
    served: BackfillService, operator: Client
) -> None:
    wrong = operator.post(f"{SECTION}limits/", {"max_requests_per_minute": "0"}, headers=HTMX)
    assert wrong.status_code == 422
    assert "between 1 and 6,000" in text_of(wrong)
    assert operator.post(f"{SECTION}limits/", {"max_requests_per_minute": "90"}, headers=HTMX).status_code == 200
    assert served.rate_limits().limits.max_requests_per_minute == 90


def test_every_step_works_as_a_page_without_scripts(served: BackfillService, operator: Client) -> None:
    assert "Start data collection?" in text_of(operator.post(f"{SECTION}preview/", FORM))
    assert operator.post(f"{SECTION}start/", FORM)["Location"] == SECTION
    job = served.active()
    assert job is not None
    assert "Cancel this job?" in text_of(operator.get(f"{SECTION}jobs/{job.id}/cancel/"))
    assert operator.post(f"{SECTION}jobs/{job.id}/cancel/")["Location"] == SECTION
    assert "Job cancelled." in text_of(operator.get(SECTION))
    assert operator.post(f"{SECTION}jobs/{job.id}/pause/")["Location"] == SECTION  # refused with a message on that page
    assert "only a pending or running job can be paused" in text_of(operator.get(SECTION))


@pytest.mark.parametrize("path", ["cancel/", "lower/"])
def test_a_dialog_for_a_job_that_has_ended_meanwhile_is_refused(
    served: BackfillService, operator: Client, path: str
) -> None:
    start_job(served)
    job = run_to_the_end(served)
    response = operator.get(f"{SECTION}jobs/{job.id}/{path}", headers=HTMX)
    assert response.status_code == 409
    assert response["HX-Retarget"] == "#bf-alerts"
    assert "has ended (completed)" in text_of(response)


# Watching.


def test_a_poll_returns_304_until_the_job_changes(served: BackfillService, operator: Client) -> None:
    start_job(served)
    claim = claim_job(served)
    first = operator.get(f"{SECTION}now/", headers=HTMX)
    again = operator.get(f"{SECTION}now/", headers={**HTMX, "If-None-Match": first["ETag"]})
    assert again.status_code == 304
    record_items(claim)
    after = operator.get(f"{SECTION}now/", headers={**HTMX, "If-None-Match": first["ETag"]})
    assert after.status_code == 200
    assert "33%" in text_of(after)


def test_the_etag_of_a_viewer_is_not_valid_for_an_operator(
    served: BackfillService, operator: Client, staff_with: StaffWith
) -> None:
    start_job(served)
    claim_job(served)
    viewer = staff_with("view_backfilljob").get(f"{SECTION}now/")
    assert operator.get(f"{SECTION}now/", headers={"If-None-Match": viewer["ETag"]}).status_code == 200
    assert "bf-cancel" not in text_of(viewer)


def test_failures_are_grouped_and_a_group_can_be_retried(served: BackfillService, operator: Client) -> None:
    start_job(served)
    job = run_to_the_end(served, failing=("01",))
    page = text_of(operator.get(SECTION))
    assert "Completed, 2 failed" in page
    assert "2 failed items, by cause" in page
    assert "SERVER_ERROR" in page
    response = operator.post(f"{SECTION}jobs/{job.id}/retry/", {"code": "SERVER_ERROR"}, headers=HTMX)
    assert response.status_code == 204
    retried = served.active()
    assert retried is not None
    assert (retried.retry_of, retried.progress.total_items) == (job.id, 2)


def test_the_last_job_is_shown_with_its_districts_if_some_items_failed(
    served: BackfillService, operator: Client
) -> None:
    start_job(served)
    run_to_the_end(served, failing=("01",))
    page = text_of(operator.get(f"{SECTION}?districts=all"))
    assert "Now: nothing is running" in page
    assert "Last job: Data collection" in page
    assert page.count('<li id="bf-district-') == 3
    poll = operator.get(f"{SECTION}now/?districts=all", headers=HTMX)
    assert text_of(poll).count('<li id="bf-district-') == 3
    again = {**HTMX, "If-None-Match": poll["ETag"]}
    assert operator.get(f"{SECTION}now/?districts=all", headers=again).status_code == 304


def test_a_page_number_beyond_the_last_page_shows_the_last_page(served: BackfillService, operator: Client) -> None:
    start_job(served)
    job = run_to_the_end(served)
    assert "1 to 1 of 1" in text_of(operator.get(f"{SECTION}?page=9"))
    assert "1 to 1 of 1" in text_of(operator.get(f"{SECTION}history/?page=9", headers=HTMX))
    assert "1 to 6 of 6" in text_of(operator.get(f"{SECTION}jobs/{job.id}/?page=9"))
    assert "No matching jobs" in text_of(operator.get(f"{SECTION}?status=failed&page=9"))


def test_the_status_of_a_paused_job_names_the_operator_who_paused_it(served: BackfillService, operator: Client) -> None:
    job = start_job(served)
    operator.post(f"{SECTION}jobs/{job}/pause/", headers=HTMX)
    paused = re.compile(
        r"<strong>Paused <time [^>]+>at \d\d:\d\d</time> by alice\.</strong> "
        r"Nothing is fetched until the job is resumed\."
    )
    for path in ("", "now/", f"jobs/{job}/", f"jobs/{job}/now/"):
        assert paused.search(text_of(operator.get(SECTION + path, headers=HTMX)))


def test_text_of_the_dashboard_is_escaped(served: BackfillService, operator: Client) -> None:
    start_job(served)
    claim = claim_job(served)
    item = next(claim.plan.days[0].items())
    claim.note([outcome_of(item, is_failed=True)._replace(message="<script>alert(1)</script>")])
    claim.record((), claim.job.progress.limiter, datetime.now(UTC))
    page = text_of(operator.get(f"{SECTION}jobs/{claim.job.id}/"))
    assert "&lt;script&gt;alert(1)" in page
    assert "<details" in page
    assert "&lt;html&gt; [bold]An error &amp; more&lt;/html&gt;</pre>" in page


def test_the_page_of_a_job_shows_its_items_and_audit_entries(served: BackfillService, operator: Client) -> None:
    start_job(served)
    job = run_to_the_end(served, failing=("F",))
    page = text_of(operator.get(f"{SECTION}jobs/{job.id}/?outcome=failed&district=F"))
    assert "1 to 2 of 2" in page
    assert "Started the job" in page
    assert "command line" in page
    assert "No matching items" in text_of(operator.get(f"{SECTION}jobs/{job.id}/?outcome=skipped"))


def test_the_page_of_an_unknown_job_returns_404_with_a_message(operator: Client) -> None:
    response = operator.get(f"{SECTION}jobs/{uuid4()}/")
    assert response.status_code == 404
    assert "There is no job" in text_of(response)


def test_an_unavailable_store_returns_503_with_a_message(
    served: BackfillService, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise StorageUnavailable("The job store does not answer.")

    monkeypatch.setattr(type(served.storage.jobs), "page", fail)
    response = operator.get(SECTION)
    assert response.status_code == 503
    assert "The job store does not answer." in text_of(response)


# Queries.


def service_queries(queries: CaptureQueriesContext) -> list[str]:
    """Return the queries except those of the authentication."""
    return [query["sql"] for query in queries if not AUTHENTICATION_TABLES.search(query["sql"])]


@pytest.fixture
def long_history(served: BackfillService) -> BackfillService:
    """Store many jobs, ten years of calendars, and a running job with failures."""
    now = datetime.now(UTC)
    for n in range(120):
        job = JobFactory.build(
            status=Status.COMPLETED, created_at=now - timedelta(hours=n + 1), ended_at=now - timedelta(hours=n)
        )
        served.storage.jobs.create(job, PlanFactory.build(), displace=lambda _active: None)
    for year in range(2014, 2024):
        for month in range(1, 12):
            end = date(year, month + 1, 1) - timedelta(days=1)
            served.storage.calendars.save(CalendarMonthFactory.build(month_end=end))
    start_job(served)
    record_items(claim_job(served), failing="01")
    return served


def test_the_page_needs_at_most_ten_queries(long_history: BackfillService, operator: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = operator.get(SECTION)
    assert response.status_code == 200
    assert "Running, 33%" in text_of(response)
    assert len(queries) <= 10


def test_a_poll_needs_at_most_two_queries_in_addition_to_the_authentication(
    long_history: BackfillService, operator: Client
) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = operator.get(f"{SECTION}now/", headers=HTMX)
    assert response.status_code == 200
    assert len(service_queries(queries)) <= 2
    with CaptureQueriesContext(connection) as queries:
        again = operator.get(f"{SECTION}now/", headers={**HTMX, "If-None-Match": response["ETag"]})
    assert again.status_code == 304
    assert len(service_queries(queries)) <= 1
