"""An operator ends the wait of a job: over HTTP, in the admin and on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from backfill.domain import Job, RequestSchedule
from backfill.service.commands import BackfillService
from tests.integration.admin_pages import OperatorFor
from tests.integration.checked_client import CheckedClient
from tests.integration.conftest import ClientFor
from tests.integration.fake_job_type import claimed_and_held
from tests.integration.test_api_jobs import start_job

UNTIL = datetime.now(UTC) + timedelta(hours=24)


@pytest.fixture
def held(api: CheckedClient, served: BackfillService) -> Job:
    """A running job that the dashboard asked to wait for a day."""
    start_job(api)
    served.storage.control.update_schedule(lambda schedule: schedule.held(UNTIL, "429", datetime.now(UTC)))
    return claimed_and_held(served, UNTIL).job


def schedule_of(service: BackfillService) -> RequestSchedule:
    return service.storage.control.update_schedule(lambda schedule: schedule)


def assert_ended(service: BackfillService, job: Job, channel: str) -> None:
    assert service.job(job.id).webhook_events.hold_ended_at is not None
    assert schedule_of(service).held_until is None
    (entry, *_) = service.audit(job.id, limit=2, offset=0).rows
    assert (str(entry.action), str(entry.actor.channel)) == ("tried-now", channel)
    assert str(entry.changes["waitingUntil"][0]).startswith(f"{UNTIL:%Y-%m-%dT%H:%M:%S}")


def test_the_api_ends_the_wait_of_a_job(api: CheckedClient, served: BackfillService, held: Job) -> None:
    """R5.5"""
    path = f"/api/admin/backfill/{held.id}"
    assert api.get(path).json()["rateLimiter"]["reason"] == "It answered 429."
    response = api.post(f"{path}/try-now")
    assert (response.status_code, response.json()["jobId"]) == (200, str(held.id))
    assert_ended(served, held, "api")


def test_the_api_refuses_to_end_the_wait_of_a_job_that_does_not_wait(api: CheckedClient) -> None:
    response = api.post(f"{start_job(api)['links']['self']}/try-now")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "INVALID_JOB_STATE")


def test_the_api_ends_a_wait_only_with_the_permission_to_change_jobs(client_for: ClientFor, held: Job) -> None:
    response = client_for("view_backfilljob", "add_backfilljob").post(f"/api/admin/backfill/{held.id}/try-now")
    assert response.status_code == 403


def test_the_admin_ends_the_wait_with_a_button(operator_for: OperatorFor, served: BackfillService, held: Job) -> None:
    client = operator_for("view_backfilljob", "change_backfilljob")
    assert 'id="bf-try-now"' in client.get("/admin/backfill/").content.decode()
    assert 'id="bf-try-now"' not in operator_for("view_backfilljob").get("/admin/backfill/").content.decode()
    response = client.post(f"/admin/backfill/jobs/{held.id}/try-now/", headers={"HX-Request": "true"})
    assert response.status_code in {200, 204, 286}
    assert_ended(served, held, "admin")
    page = client.get(f"/admin/backfill/jobs/{held.id}/").content.decode()
    assert "Ended its wait" in page


def test_the_command_line_ends_the_wait_of_the_active_job(served: BackfillService, held: Job) -> None:
    out = StringIO()
    call_command("backfill", "try-now", stdout=out)
    assert "It sends its next request now." in out.getvalue()
    assert_ended(served, held, "cli")
    served.storage.jobs.update(held.id, lambda job: job.cancel_requested(datetime.now(UTC)))
    with pytest.raises(CommandError, match="has no wait that can be ended"):
        call_command("backfill", "try-now", str(held.id))
    out = StringIO()
    call_command("backfill", "audit", "--json", stdout=out)
    assert json.loads(out.getvalue())["entries"][0]["action"] == "tried-now"
