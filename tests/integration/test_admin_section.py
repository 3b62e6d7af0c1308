"""The Backfill section of the admin over a fake work: who sees what, what each action answers, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backfill.domain import Actor, Cadence, Channel, JobRequest, JobType, LimiterReport, Status
from backfill.engine.claim import Claim
from backfill.engine.job_manager import JobManager
from backfill.errors import StorageUnavailable
from backfill.service.commands import BackfillService
from tests.factories import CalendarMonthFactory, JobFactory, PlanFactory
from tests.integration.admin_pages import OperatorFor
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
REQUEST = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=date(2024, 1, 30), end_date=date(2024, 1, 31))
HTMX = {"HX-Request": "true"}
OWN_COLUMNS = re.compile(r'"(django_session|auth_user|auth_permission|auth_group)"')

StaffWith = Callable[..., Client]


@pytest.fixture
def staff_with(served: BackfillService) -> StaffWith:
    """Makes a client of staff with just those permissions."""

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


def started(service: BackfillService, first: str = "2024-01-30", last: str = "2024-01-31") -> str:
    request = JobRequest(
        job_type=JobType.DATA_COLLECTION, start_date=date.fromisoformat(first), end_date=date.fromisoformat(last)
    )
    return str(service.start(request, by=BY).job.id)


def claimed(service: BackfillService) -> Claim:
    claim = JobManager(service.storage).claim("test", datetime.now(UTC))
    assert claim is not None
    return claim


def recorded(claim: Claim, failing: str = "") -> None:
    """Two items of three are settled."""
    items = list(claim.plan.days[0].items())[:2]
    claim.note([outcome_of(item, is_failed=item.district == failing) for item in items])
    claim.record([items[-1]], claim.job.progress.limiter, datetime.now(UTC))


def text_of(response: object) -> str:
    return re.sub(r"\s+", " ", response.content.decode())  # type: ignore[attr-defined]


# Who.


def test_it_stands_first_in_the_admin_of_those_who_may_look(operator: Client, staff_with: StaffWith) -> None:
    index = text_of(operator.get("/admin/"))
    assert 0 < index.index('href="/admin/backfill/"') < index.index("/admin/auth/user/")
    assert 'href="/admin/backfill/"' not in text_of(staff_with().get("/admin/"))


def test_there_is_no_other_way_to_a_backfill_and_history_is_below_the_controls(operator: Client) -> None:
    """R6.4, R8.1, R8.5, R8.6, R8.7: no model of the service has pages of its own beside the section."""
    assert not [model for model in admin.site._registry if model._meta.app_label == "backfill"]
    page = text_of(operator.get(SECTION))
    places = [page.index(f'id="{job_card}"') for job_card in ("now", "start", "coverage", "history")]
    assert places == sorted(places)


def test_who_is_not_signed_in_is_asked_to(client: Client) -> None:
    assert client.get(SECTION)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("path", ["", "now/", "history/", "jobs/00000000-0000-4000-8000-000000000000/"])
def test_staff_without_the_permission_are_told_which_one_to_ask_for(staff_with: StaffWith, path: str) -> None:
    response = staff_with().get(SECTION + path)
    assert response.status_code == 403
    assert "Can view backfill job" in text_of(response)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("preview/", "Can add backfill job"),
        ("start/", "Can add backfill job"),
        ("limits/", "Can change rate limit config"),
        ("jobs/{job}/cancel/", "Can change backfill job"),
        ("jobs/{job}/pause/", "Can change backfill job"),
        ("jobs/{job}/resume/", "Can change backfill job"),
        ("jobs/{job}/lower/", "Can change backfill job"),
        ("jobs/{job}/retry/", "Can change backfill job"),
    ],
)
def test_every_action_takes_its_permission_also_of_those_who_may_look(
    served: BackfillService, staff_with: StaffWith, path: str, name: str
) -> None:
    job = started(served)
    looker = staff_with("view_backfilljob")
    assert looker.get(SECTION).status_code == 200
    response = looker.post(SECTION + path.format(job=job), FORM, headers=HTMX)
    assert response.status_code == 403
    assert name in text_of(response)
    assert served.active() is not None


def test_every_action_takes_a_csrf_token_and_no_get_changes_anything(
    served: BackfillService, staff_with: StaffWith
) -> None:
    job = started(served)
    client = staff_with("view_backfilljob", "change_backfilljob", checks_csrf=True)
    assert client.post(f"{SECTION}jobs/{job}/pause/").status_code == 403
    assert client.get(f"{SECTION}jobs/{job}/resume/").status_code == 405
    for action in ("pause", "cancel", "note", "retry"):
        assert client.get(f"{SECTION}jobs/{job}/{action}/").status_code == 200
    assert served.active() is not None
    assert served.active().status is Status.PENDING  # type: ignore[union-attr]


def test_a_strict_policy_goes_with_the_page_and_the_page_keeps_it(operator: Client) -> None:
    response = operator.get(SECTION)
    policy = response["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    page = text_of(response)
    assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=", page)


# Starting.


def test_a_preview_starts_nothing_and_its_dialog_starts_exactly_that_plan(
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


def test_a_plan_that_changed_says_before_and_now(operator: Client) -> None:
    plan_id = f"plan-9-0-27-1200_3_500_30000_2-{'0' * 16}"
    response = operator.post(f"{SECTION}start/", {**FORM, "plan_id": plan_id}, headers=HTMX)
    assert response.status_code == 409
    assert "so nothing was started" in text_of(response)
    assert "9 when previewed, <strong>6 now</strong>" in text_of(response)
    assert "1,200 requests per minute when previewed, <strong>60 now</strong>" in text_of(response)


def test_unsaved_limits_apply_to_the_job_that_is_started_with_them(
    served: BackfillService, operator: Client, operator_for: OperatorFor
) -> None:
    """R12.2"""
    unsaved = {**FORM, "max_requests_per_minute": "30"}
    dialog = text_of(operator.post(f"{SECTION}preview/", unsaved, headers=HTMX))
    assert "30 requests a minute" in dialog
    assert "Not saved: they apply to this job only." in dialog
    assert re.search(r'name="max_requests_per_minute"\s+value="30"', dialog)
    plan = re.search(r'name="plan_id" value="([^"]+)"', dialog)
    assert plan is not None
    saved = operator.post(f"{SECTION}start/", {**FORM, "plan_id": plan[1]}, headers=HTMX)
    assert (saved.status_code, served.active()) == (409, None), "the plan is bound to the unsaved limits"
    assert operator.post(f"{SECTION}start/", {**unsaved, "plan_id": plan[1]}, headers=HTMX).status_code == 204
    job = served.active()
    assert job is not None
    assert job.config.rate_limits.max_requests_per_minute == 30
    assert served.rate_limits().limits.max_requests_per_minute == 60
    wrong = operator.post(f"{SECTION}preview/", {**FORM, "max_concurrent": "33"}, headers=HTMX)
    assert wrong.status_code == 422
    assert "“Requests at once” must be between 1 and 32" in text_of(wrong)
    starter = operator_for("view_backfilljob", "add_backfilljob")
    response = starter.post(f"{SECTION}preview/", unsaved, headers=HTMX)
    assert response.status_code == 422
    assert "Ask an administrator for “Can change rate limit config”." in text_of(response)


def test_the_settings_of_any_job_can_be_copied_into_the_start_form(
    served: BackfillService, operator: Client, operator_for: OperatorFor
) -> None:
    request = JobRequest(
        job_type=JobType.DATA_COLLECTION,
        start_date=date(2023, 7, 1),
        end_date=date(2023, 12, 31),
        target_districts=("20", "91"),
        cadence=Cadence.YEAR_ENDS,
        skip_existing=False,
    )
    job = served.start(request, by=Actor("ann", Channel.CLI)).job
    again = f"{SECTION}?like={job.id}#start"
    assert again in text_of(operator.get(f"{SECTION}jobs/{job.id}/"))
    served.cancel(job.id, by=Actor("ann", Channel.CLI))
    overview = text_of(operator.get(SECTION))
    assert overview.count(again) == 2, "in the card and in the history"
    assert f"like={job.id}" not in text_of(operator_for("view_backfilljob").get(SECTION))
    form = text_of(operator.get(f"{SECTION}?like={job.id}"))
    assert re.search(r'id="bf-from"\s+type="date"\s+name="start_date"\s+value="2023-07-01"', form)
    assert re.search(r'name="end_date"\s+value="2023-12-31"', form)
    assert re.search(r'name="cadence"\s+value="year-ends"\s+checked', form)
    assert re.search(r'name="districts"\s+value="20, 91"', form)
    assert not re.search(r'name="skip_existing"[^>]*checked', form)
    assert f"job {str(job.id)[:8]}</a>" in form
    unknown = uuid4()
    assert f"There is no job {unknown}" in text_of(operator.get(f"{SECTION}?like={unknown}"))
    assert operator.get(f"{SECTION}?like=x").status_code == 200


def test_after_a_retry_the_first_job_names_it_and_counts_what_is_still_failed(
    served: BackfillService, operator: Client
) -> None:
    first = started(served)
    run_to_the_end(served, failing=["F", "02"])
    assert "Completed, 4 failed" in text_of(operator.get(SECTION))
    retry = served.retry(UUID(first), by=Actor("ann", Channel.CLI), districts=["F"]).job
    running = text_of(operator.get(f"{SECTION}now/"))
    assert "2 failed items of the first job are not part of this retry." in running
    run_to_the_end(served)
    overview = text_of(operator.get(SECTION))
    assert "2 items of the first job are still failed." in overview, "although the last job has no failures"
    assert "Completed, 2 failed" in overview, "in the history"
    assert f"Retried by job {str(retry.id)[:8]}" in overview
    page = text_of(operator.get(f"{SECTION}jobs/{first}/"))
    assert "2 of 4 failed items are still failed" in page
    assert f"2 of 2 recovered by job {str(retry.id)[:8]}" in page
    assert f"{SECTION}jobs/{retry.id}/" in page
    assert "Retry 2 items" in page
    assert operator.post(f"{SECTION}jobs/{first}/retry/", {"code": "SERVER_ERROR"}, headers=HTMX).status_code == 204
    run_to_the_end(served)
    page = text_of(operator.get(f"{SECTION}jobs/{first}/"))
    assert "Failed items: all 4 were recovered by retries" in page
    assert "bf-retry-all" not in page
    overview = text_of(operator.get(SECTION))
    assert "still failed" not in overview
    assert "Completed, failures recovered" in overview


def test_failed_items_are_listed_and_downloaded_by_cause_and_district(
    served: BackfillService, operator: Client
) -> None:
    job = started(served)
    page = f"{SECTION}jobs/{job}/"
    run_to_the_end(served, failing=["F", "02"])
    shown = text_of(operator.get(page))
    assert "?outcome=failed&amp;code=SERVER_ERROR#items" in shown
    assert 'value="SERVER_ERROR"' in shown
    found = text_of(operator.get(f"{page}?outcome=failed&code=SERVER_ERROR&district=F"))
    assert "1 to 2 of 2" in found
    link = re.search(r'id="bf-items-csv"\s+href="([^"]+)"', found)
    assert link is not None
    assert link[1] == f"{page}items.csv?outcome=failed&amp;code=SERVER_ERROR&amp;district=F"
    assert "No matching items" in text_of(operator.get(f"{page}?code=TIMEOUT"))
    response: Any = operator.get(link[1].replace("&amp;", "&"))
    text = b"".join(response.streaming_content).decode()
    assert response["Content-Disposition"] == f'attachment; filename="job-{job[:8]}-failed-items.csv"'
    assert text.startswith("\ufeffitemId,date,districtId,")
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["2024-01-30/F", "2024-01-31/F"]
    assert operator.get(f"{SECTION}jobs/{uuid4()}/items.csv").status_code == 404


def test_the_newest_items_come_first_while_a_job_runs(served: BackfillService, operator: Client) -> None:
    job = started(served)
    now = datetime.now(UTC)
    claim = JobManager(served.storage).claim("test", now)
    assert claim is not None
    items = [item for day in claim.plan.days for item in day.items()]
    claim.note([outcome_of(item, is_failed=False) for item in items[:3]])
    claim.record((), LimiterReport(), now)
    page = text_of(operator.get(f"{SECTION}jobs/{job}/"))
    districts = re.findall(r'data-label="District">\s*District (\S+)', page)
    assert districts == ["F", "2", "1"]
    assert "Newest first" in page
    claim.note([outcome_of(item, is_failed=False) for item in items[3:]])
    claim.record((), LimiterReport(), now)
    claim.finish(now)
    page = text_of(operator.get(f"{SECTION}jobs/{job}/"))
    assert re.findall(r'data-label="District">\s*District (\S+)', page)[:3] == ["1", "2", "F"]


def test_the_history_is_filtered_and_the_filter_is_in_the_address(served: BackfillService, operator: Client) -> None:
    """R6.3"""
    ann, bob = (Actor(name, Channel.CLI) for name in ("ann", "bob"))
    partly = served.start(REQUEST, by=ann, note="the close of May").job.id
    run_to_the_end(served, failing=["F"])
    good = served.start(REQUEST, by=bob).job.id
    run_to_the_end(served)
    today, tomorrow = (f"{datetime.now(UTC) + timedelta(days=n):%Y-%m-%d}" for n in (0, 1))

    def found(query: str) -> set[UUID]:
        response = operator.get(f"{SECTION}history/?{query}", headers=HTMX)
        return {job for job in (partly, good) if f"bf-row-{job}" in text_of(response)}

    assert found("status=completed") == {partly, good}
    assert found("status=completed-with-failures") == {partly}
    assert found("status=succeeded") == {good}
    assert found("by=bob") == {good}
    assert found("q=Close+of") == found(f"q={str(partly)[:8]}") == {partly}
    assert found(f"since={today}&until={today}") == {partly, good}
    assert found(f"since={tomorrow}") == found("until=2020-01-01") == set()
    assert found("since=x&until=9999-12-31&q=%00&by=%0A&status=x&page=x") == {partly, good}, "wrong values are ignored"
    page = text_of(operator.get(f"{SECTION}?by=ann&q=close&status=completed-with-failures"))
    assert re.search(r'name="by"\s+id="bf-filter-by"\s+value="ann"', page)
    assert re.search(r'value="completed-with-failures"\s+selected', page)
    assert "bf-clear-filter" in page
    query = "status=completed-with-failures&by=ann"
    response = operator.get(f"{SECTION}history/?{query}&since=&q=", headers=HTMX)
    assert response["HX-Push-Url"] == f"{SECTION}?{query}#history"
    shown = {"HX-Current-URL": f"http://testserver{SECTION}?{query}#history"}
    for headers in (shown, {"HX-Trigger": "bf-history"}):
        response = operator.get(f"{SECTION}history/?{query}", headers={**HTMX, **headers})
        assert "HX-Push-Url" not in response, "the address does not change"


def test_any_page_of_a_long_history_can_be_selected(served: BackfillService, operator: Client) -> None:
    for number in range(81):
        at = datetime.now(UTC) - timedelta(days=number)
        served.storage.jobs.create(
            JobFactory.build(status=Status.COMPLETED, created_at=at, ended_at=at, created_by="ann"),
            PlanFactory.build(),
            displace=lambda _: None,
        )
    page = text_of(operator.get(f"{SECTION}?by=ann&page=4"))
    assert "31 to 40 of 81" in page
    form = page[page.index("bf-go-to-page") :]
    assert re.search(r'type="hidden" name="by" value="ann"', form)
    assert re.search(r'max="9"\s+value="4"', form)
    assert "81 to 81 of 81" in text_of(operator.get(f"{SECTION}history/?by=ann&page=50", headers=HTMX))
    assert "bf-go-to-page" not in text_of(operator.get(f"{SECTION}?status=failed"))


def test_a_note_is_entered_in_each_dialog_and_shown_with_the_job(served: BackfillService, operator: Client) -> None:
    assert 'name="note"' in text_of(operator.post(f"{SECTION}preview/", FORM, headers=HTMX))
    wrong = operator.post(f"{SECTION}start/", {**FORM, "note": "a\x07b"}, headers=HTMX)
    assert (wrong.status_code, served.active()) == (422, None)
    assert "The note must be one line" in text_of(wrong)
    assert 'name="plan_id"' in text_of(wrong), "the dialog stays"
    operator.post(f"{SECTION}start/", {**FORM, "note": "close <b>of</b> January"}, headers=HTMX)
    job = served.active()
    assert job is not None
    page = f"{SECTION}jobs/{job.id}/"
    for action in ("pause", "cancel", "note"):
        assert 'name="note"' in text_of(operator.get(f"{page}{action}/", headers=HTMX))
        wrong = operator.post(f"{page}{action}/", {"note": "x" * 501}, headers=HTMX)
        assert wrong.status_code == 422
        assert "x" * 501 in text_of(wrong), "the dialog keeps its value"
    assert operator.post(f"{page}note/", {"note": " "}, headers=HTMX).status_code == 422
    assert operator.post(f"{page}pause/", {"note": "the dashboard is slow"}, headers=HTMX).status_code == 204
    assert operator.post(f"{page}note/", {"note": "ask Ann"}, headers=HTMX).status_code == 204
    assert operator.post(f"{page}cancel/", {"note": "wrong year"}, headers=HTMX).status_code == 204
    texts = [note.text for note in served.job(job.id).notes]
    assert texts == ["close <b>of</b> January", "the dashboard is slow", "ask Ann", "wrong year"]
    shown = text_of(operator.get(page))
    for text in ("close &lt;b&gt;of&lt;/b&gt; January", *texts[1:]):
        assert f"Note: {text}" in shown, "in the audit log"
        assert f"<strong>{text}</strong>" in shown, "on the card"
    assert "wrong year" in text_of(operator.get(SECTION)), "in the history"


def test_a_start_beside_a_running_job_says_which_one_runs(served: BackfillService, operator: Client) -> None:
    job = started(served)
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
def test_what_is_wrong_stands_beside_its_field(operator: Client, changes: dict[str, str], sentence: str) -> None:
    response = operator.post(f"{SECTION}preview/", {**FORM, **changes}, headers=HTMX)
    assert response.status_code == 422
    assert response["HX-Retarget"] == "#bf-start-form"
    assert sentence in text_of(response)
    assert 'aria-invalid="true"' in text_of(response)


def test_districts_are_taken_from_boxes_and_from_ranges(served: BackfillService, operator: Client) -> None:
    operator.post(f"{SECTION}start/", {**FORM, "district": ["91"], "districts": "1 to 3, f and 60"}, headers=HTMX)
    job = served.active()
    assert job is not None
    assert job.config.target_districts == ("01", "02", "03", "60", "91", "F")


def test_an_address_fills_the_form(served: BackfillService, operator: Client) -> None:
    served.storage.calendars.save(CalendarMonthFactory.build(districts=DISTRICTS))
    page = text_of(operator.get(f"{SECTION}?from=2010-07-01&to=2011-06-30&district=1-2&skip=0"))
    assert 'value="2010-07-01"' in page
    assert 'value="2011-06-30"' in page
    assert len(re.findall(r'name="district" value="\w+" checked', page)) == 2


def test_nothing_can_be_started_beside_an_active_job_and_the_button_says_why(
    served: BackfillService, operator: Client
) -> None:
    button = 'aria-describedby="bf-start-help" aria-disabled="true">Start backfill'
    assert button not in text_of(operator.get(SECTION))
    started(served)
    for path in ("", "now/"):
        page = text_of(operator.get(SECTION + path, headers=HTMX))
        assert button in page
        assert "Start is possible when the active job has ended. Preview works now." in page


def test_limits_are_saved_for_the_next_job_or_refused_beside_the_field(
    served: BackfillService, operator: Client
) -> None:
    wrong = operator.post(f"{SECTION}limits/", {"max_requests_per_minute": "0"}, headers=HTMX)
    assert wrong.status_code == 422
    assert "between 1 and 6,000" in text_of(wrong)
    assert operator.post(f"{SECTION}limits/", {"max_requests_per_minute": "90"}, headers=HTMX).status_code == 200
    assert served.rate_limits().limits.max_requests_per_minute == 90


def test_without_a_script_every_step_is_a_page(served: BackfillService, operator: Client) -> None:
    assert "Start data collection?" in text_of(operator.post(f"{SECTION}preview/", FORM))
    assert operator.post(f"{SECTION}start/", FORM)["Location"] == SECTION
    job = served.active()
    assert job is not None
    assert "Cancel this job?" in text_of(operator.get(f"{SECTION}jobs/{job.id}/cancel/"))
    assert operator.post(f"{SECTION}jobs/{job.id}/cancel/")["Location"] == SECTION
    assert "Job cancelled." in text_of(operator.get(SECTION))
    assert operator.post(f"{SECTION}jobs/{job.id}/pause/")["Location"] == SECTION  # refused, and said there
    assert "only a pending or running job can be paused" in text_of(operator.get(SECTION))


@pytest.mark.parametrize("path", ["cancel/", "lower/"])
def test_nothing_is_asked_of_a_job_that_has_ended_meanwhile(
    served: BackfillService, operator: Client, path: str
) -> None:
    started(served)
    job = run_to_the_end(served)
    response = operator.get(f"{SECTION}jobs/{job.id}/{path}", headers=HTMX)
    assert response.status_code == 409
    assert response["HX-Retarget"] == "#bf-alerts"
    assert "has ended (completed)" in text_of(response)


# Watching.


def test_a_poll_answers_304_until_something_is_new(served: BackfillService, operator: Client) -> None:
    started(served)
    claim = claimed(served)
    first = operator.get(f"{SECTION}now/", headers=HTMX)
    again = operator.get(f"{SECTION}now/", headers={**HTMX, "If-None-Match": first["ETag"]})
    assert again.status_code == 304
    recorded(claim)
    after = operator.get(f"{SECTION}now/", headers={**HTMX, "If-None-Match": first["ETag"]})
    assert after.status_code == 200
    assert "33%" in text_of(after)


def test_a_poll_of_a_lookers_etag_is_no_operators(
    served: BackfillService, operator: Client, staff_with: StaffWith
) -> None:
    started(served)
    claimed(served)
    looker = staff_with("view_backfilljob").get(f"{SECTION}now/")
    assert operator.get(f"{SECTION}now/", headers={"If-None-Match": looker["ETag"]}).status_code == 200
    assert "bf-cancel" not in text_of(looker)


def test_failures_are_grouped_and_a_group_is_retried(served: BackfillService, operator: Client) -> None:
    started(served)
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


def test_the_last_job_is_shown_with_its_districts_where_some_items_failed(
    served: BackfillService, operator: Client
) -> None:
    started(served)
    run_to_the_end(served, failing=("01",))
    page = text_of(operator.get(f"{SECTION}?districts=all"))
    assert "Now: nothing is running" in page
    assert "Last job: Data collection" in page
    assert page.count('<li id="bf-district-') == 3
    poll = operator.get(f"{SECTION}now/?districts=all", headers=HTMX)
    assert text_of(poll).count('<li id="bf-district-') == 3
    again = {**HTMX, "If-None-Match": poll["ETag"]}
    assert operator.get(f"{SECTION}now/?districts=all", headers=again).status_code == 304


def test_a_page_beyond_the_last_shows_the_last(served: BackfillService, operator: Client) -> None:
    started(served)
    job = run_to_the_end(served)
    assert "1 to 1 of 1" in text_of(operator.get(f"{SECTION}?page=9"))
    assert "1 to 1 of 1" in text_of(operator.get(f"{SECTION}history/?page=9", headers=HTMX))
    assert "1 to 6 of 6" in text_of(operator.get(f"{SECTION}jobs/{job.id}/?page=9"))
    assert "No matching jobs" in text_of(operator.get(f"{SECTION}?status=failed&page=9"))


def test_a_paused_job_says_who_paused_it(served: BackfillService, operator: Client) -> None:
    job = started(served)
    operator.post(f"{SECTION}jobs/{job}/pause/", headers=HTMX)
    paused = re.compile(
        r"<strong>Paused at \d\d:\d\d by alice\.</strong> Nothing is fetched until someone resumes it\."
    )
    for path in ("", "now/", f"jobs/{job}/", f"jobs/{job}/now/"):
        assert paused.search(text_of(operator.get(SECTION + path, headers=HTMX)))


def test_what_the_dashboard_says_is_shown_as_text(served: BackfillService, operator: Client) -> None:
    started(served)
    claim = claimed(served)
    item = next(claim.plan.days[0].items())
    claim.note([outcome_of(item, is_failed=True)._replace(message="<script>alert(1)</script>")])
    claim.record((), claim.job.progress.limiter, datetime.now(UTC))
    page = text_of(operator.get(f"{SECTION}jobs/{claim.job.id}/"))
    assert "&lt;script&gt;alert(1)" in page
    assert "<details" in page
    assert "&lt;html&gt; [bold]An error &amp; more&lt;/html&gt;</pre>" in page


def test_a_jobs_page_has_its_items_and_who_did_what(served: BackfillService, operator: Client) -> None:
    started(served)
    job = run_to_the_end(served, failing=("F",))
    page = text_of(operator.get(f"{SECTION}jobs/{job.id}/?outcome=failed&district=F"))
    assert "1 to 2 of 2" in page
    assert "Started the job" in page
    assert "command line" in page
    assert "No matching items" in text_of(operator.get(f"{SECTION}jobs/{job.id}/?outcome=skipped"))


def test_a_job_that_there_is_not_is_said_so(operator: Client) -> None:
    response = operator.get(f"{SECTION}jobs/{uuid4()}/")
    assert response.status_code == 404
    assert "There is no job" in text_of(response)


def test_a_store_that_does_not_answer_is_said_so(
    served: BackfillService, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise StorageUnavailable("The job store does not answer.")

    monkeypatch.setattr(type(served.storage.jobs), "page", fail)
    response = operator.get(SECTION)
    assert response.status_code == 503
    assert "The job store does not answer." in text_of(response)


# What it costs.


def of_the_service(queries: CaptureQueriesContext) -> list[str]:
    """Those beside the look at who asks."""
    return [query["sql"] for query in queries if not OWN_COLUMNS.search(query["sql"])]


@pytest.fixture
def long_history(served: BackfillService) -> BackfillService:
    """Many jobs, ten years of calendar, and one that runs and has failures."""
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
    started(served)
    recorded(claimed(served), failing="01")
    return served


def test_the_page_takes_at_most_ten_queries(long_history: BackfillService, operator: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = operator.get(SECTION)
    assert response.status_code == 200
    assert "Running, 33%" in text_of(response)
    assert len(queries) <= 10


def test_a_poll_takes_at_most_two_queries_beside_the_sign_in(long_history: BackfillService, operator: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = operator.get(f"{SECTION}now/", headers=HTMX)
    assert response.status_code == 200
    assert len(of_the_service(queries)) <= 2
    with CaptureQueriesContext(connection) as queries:
        again = operator.get(f"{SECTION}now/", headers={**HTMX, "If-None-Match": response["ETag"]})
    assert again.status_code == 304
    assert len(of_the_service(queries)) <= 1
