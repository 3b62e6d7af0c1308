"""The end of a job is delivered to the receiver after any disturbance; a faulty receiver does not affect the job."""

from __future__ import annotations

from collections.abc import Callable

from tests.acceptance.harness import SHORT_LEASE, Dashboard, Site, eventually, kill_group
from tests.webhook_receiver import SECRET, Receiver

DAYS = ("2024-01-01", "2024-02-29")


def test_the_end_of_a_job_is_delivered_by_the_next_server_after_a_kill_before_the_delivery(
    sample: Dashboard,
    new_site: Callable[..., Site],
    database_url: str,
) -> None:
    with Receiver().serving() as receiver:
        site = new_site(
            sample, database_url, BACKFILL_WEBHOOK_URL=receiver.url, BACKFILL_WEBHOOK_SECRET=SECRET, **SHORT_LEASE
        )
        receiver.hangs.set()
        client = site.serve(workers=2)
        client.set_limits()
        job = client.start(*DAYS, cadence="month-ends")
        ended = client.ended(job["jobId"])  # the receiver does not respond
        assert ended["status"] == "completed"
        eventually(lambda: receiver.deliveries, 15, "an attempt is made")
        kill_group(client.process)
        assert len(receiver.deliveries) == 1  # two workers, one attempt
        receiver.hangs.clear()

        client = site.serve(workers=2)
        eventually(lambda: len(receiver.deliveries) > 1, 40, "the next server delivers it")
        receiver.hangs.clear()
        eventually(lambda: ": delivered job." in site.logs(), 10, "the delivery is logged")
        first, *again = receiver.deliveries
        assert len(again) == 1
        assert {delivery.message_id for delivery in again} == {first.message_id}
        assert all(delivery.is_genuine for delivery in receiver.deliveries)
        shape = again[0].shape
        assert (shape["event"], shape["job"]["jobId"]) == ("job.ended", job["jobId"])
        listed = client.get("/api/admin/backfill/jobs")["jobs"][0]
        assert shape["job"] == listed


def test_the_command_line_delivers_the_end_of_its_job_before_it_exits(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    with Receiver().serving() as receiver:
        site = new_site(sample, BACKFILL_WEBHOOK_URL=receiver.url, BACKFILL_WEBHOOK_SECRET=SECRET)
        site.manage("backfill", "rate-limit", "--max-requests-per-minute", "6000", "--min-delay-ms", "0")
        site.manage("backfill", "start", "--from", DAYS[0], "--to", DAYS[1], "--cadence", "month-ends", "--wait")
        (delivery,) = receiver.deliveries
        assert delivery.is_genuine
        assert delivery.shape["job"]["status"] == "completed"


def test_a_long_retry_after_is_delivered_once_and_the_job_waits(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    with Receiver().serving() as receiver:
        site = new_site(sample, BACKFILL_WEBHOOK_URL=receiver.url, BACKFILL_WEBHOOK_SECRET=SECRET, **SHORT_LEASE)
        client = site.serve(workers=2)
        client.set_limits()
        sample.play({"kind": "429", "times": 1, "retry_after": 3600, "match": "clubperformance"})
        job = client.start(*DAYS, cadence="month-ends")
        eventually(lambda: receiver.deliveries, 20, "the hold is delivered")
        kill_group(client.process)
        client = site.serve(workers=2)
        client.wait_for(job["jobId"], lambda job: job["resumeCount"], 20, "the job resumes")
        client.ask("DELETE", job["links"]["self"])
        client.ended(job["jobId"])
        eventually(lambda: len(receiver.deliveries) > 1, 20, "the end is delivered")
        held, ended = receiver.deliveries
        assert held.is_genuine
        assert (held.shape["event"], held.shape["job"]["status"]) == ("job.held", "running")
        assert held.shape["job"]["rateLimiter"]["state"] == "backing-off"
        assert (ended.shape["event"], ended.shape["job"]["status"]) == ("job.ended", "cancelled")
