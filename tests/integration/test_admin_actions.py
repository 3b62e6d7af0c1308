"""The admin: bound limits, notes, running again, retries by cause, and the filters of the history."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from backfill.domain import Actor, Cadence, Channel, JobRequest, JobType, LimiterReport, Status
from backfill.engine.job_manager import JobManager
from backfill.service.commands import BackfillService
from tests.factories import JobFactory, PlanFactory
from tests.integration.admin_pages import OperatorFor
from tests.integration.fake_job_type import outcome_of, run_to_the_end
from tests.integration.test_admin_section import FORM, HTMX, SECTION, start_job, text_of

REQUEST = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=date(2024, 1, 30), end_date=date(2024, 1, 31))


@pytest.fixture
def operator(served: BackfillService) -> Client:
    """A client of a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("alice"))
    return client


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
    assert "Ask an administrator for “Backfill | rate limits | Can change rate limits”." in text_of(response)


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
    first = start_job(served)
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
    job = start_job(served)
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
    job = start_job(served)
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
    for headers in (shown, {"HX-Trigger": "bf-history-list"}):
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


def test_only_a_post_changes_something(served: BackfillService, operator: Client) -> None:
    """A GET shows a dialog at most. It has no CSRF token."""
    operator.post(f"{SECTION}start/", FORM, headers=HTMX)
    job = served.active()
    assert job is not None
    actions = ("cancel", "pause", "resume", "try-now", "lower", "note", "retry", "pause/note", "retry/note")
    paths = [f"jobs/{job.id}/{action}/" for action in actions]
    paths += ["start/", "preview/", "limits/", "coverage/calendar/"]
    paths += [f"keep/{action}/" for action in ("preview", "save", "off", "check")]
    values = {**FORM, "note": "x", "max_requests_per_minute": "1", "code": "SERVER_ERROR", "version": "0"}
    before = (served.job(job.id), operator.get("/api/admin/backfill/audit").json()["total"])
    for path in paths:
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            response = operator.generic(method, f"{SECTION}{path}?{urlencode(values)}", headers=HTMX)
            assert response.status_code in {200, 302, 405}, f"{method} {path}"
    assert (served.job(job.id), operator.get("/api/admin/backfill/audit").json()["total"]) == before
    assert served.rate_limits().limits.max_requests_per_minute == 60


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
    for action in ("pause/note", "cancel", "note"):
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
