"""The Prometheus metrics: every process reports the same values, and no counter decreases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backfill import models
from backfill.domain import (
    Actor,
    Channel,
    CoverageRule,
    Findings,
    Job,
    JobCounters,
    LimiterReport,
    LimiterState,
    Progress,
    TargetSettings,
)
from backfill.errors import StorageUnavailable
from backfill.service.commands import BackfillService
from tests.factories import NOW, JobFactory, PlanFactory
from tests.integration.checked_client import CheckedClient
from tests.integration.fake_job_type import run_to_the_end
from tests.integration.test_api_jobs import error_of, start_job

Samples = dict[str, float]


def scrape() -> Samples:
    """Return the metrics, requested without authentication like Prometheus does."""
    response = CheckedClient().get("/metrics")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    assert response["Cache-Control"] == "no-store"
    samples = {}
    for family in text_string_to_metric_families(response.content.decode()):
        assert family.documentation.endswith(".")
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


def test_every_counter_is_zero_before_the_first_job(served: BackfillService) -> None:
    samples = scrape()
    assert samples["backfill_items_total{job_type=data-collection,outcome=processed}"] == 0
    assert samples["backfill_jobs_ended_total{job_type=analytics-generation,status=completed}"] == 0
    assert samples["backfill_dashboard_requests_total{status=200}"] == 0
    assert samples["backfill_waited_seconds_total{reason=pace}"] == 0
    assert samples["backfill_takeover_seconds_count"] == samples["backfill_takeover_seconds_sum"] == 0
    assert samples["backfill_job_status{status=running}"] == 0
    assert not any("age" in name for name in samples)


def test_the_items_of_an_ended_job_are_counted_by_outcome(api: CheckedClient, served: BackfillService) -> None:
    job = start_job(api)
    assert scrape()["backfill_job_status{status=pending}"] == 1
    run_to_the_end(served, failing=["F"])
    progress = api.get(job["links"]["self"]).json()["progress"]
    samples = scrape()
    for outcome in ("processed", "failed", "skipped"):
        name = f"backfill_items_total{{job_type=data-collection,outcome={outcome}}}"
        assert samples[name] == progress[f"{outcome}Items"]
    assert samples["backfill_items_total{job_type=data-collection,outcome=failed}"] > 0
    assert samples["backfill_jobs_ended_total{job_type=data-collection,status=completed}"] == 1
    assert samples["backfill_job_status{status=pending}"] == 0


def test_no_counter_decreases_when_a_job_is_taken_over_ends_and_is_deleted(served: BackfillService) -> None:
    progress = Progress(
        total_items=9,
        processed=4,
        failed=1,
        limiter=LimiterReport(
            state=LimiterState.BACKING_OFF, answers={"200": 4, "503": 2}, waited={"down": 3.5}, requests_made=6
        ),
    )
    jobs = served.storage.jobs
    scrapes: list[Samples] = [scrape()]
    job = jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    scrapes.append(scrape())
    held = jobs.update(job.id, lambda job: job.claimed("host-1", NOW)).after
    jobs.update(job.id, lambda job: job.recorded(held.token, progress, 1, NOW, is_progress=True))
    scrapes.append(scrape())
    successor = jobs.update(job.id, lambda job: job.claimed("host-2", NOW + timedelta(seconds=16))).after
    scrapes.append(scrape())
    jobs.update(job.id, lambda job: job.broken(successor.token, "Its plan cannot be read.", NOW))
    scrapes.append(scrape())
    assert jobs.delete_finished(NOW + timedelta(days=1)) == 1
    scrapes.append(scrape())
    counters = [name for name in scrapes[-1] if "_total" in name or name.endswith(("_count", "_sum"))]
    for name in counters:
        values = [samples.get(name, 0.0) for samples in scrapes]
        assert values == sorted(values), name
    last = scrapes[-1]
    assert last["backfill_items_total{job_type=data-collection,outcome=processed}"] == 4
    assert last["backfill_dashboard_requests_total{status=503}"] == 2
    assert last["backfill_waited_seconds_total{reason=down}"] == 3.5
    assert (last["backfill_takeover_seconds_count"], last["backfill_takeover_seconds_sum"]) == (1, 16)
    assert last["backfill_jobs_ended_total{job_type=data-collection,status=failed}"] == 1


def test_a_running_job_reports_its_ages_and_its_settled_items(served: BackfillService) -> None:
    job = JobFactory.build(created_at=served.now() - timedelta(minutes=5))
    job = served.storage.jobs.create(job, PlanFactory.build(), displace=lambda _: None).job
    served.storage.jobs.update(job.id, lambda job: job.claimed("host-1", served.now() - timedelta(seconds=3)))
    samples = scrape()
    assert samples["backfill_job_age_seconds"] == pytest.approx(300, abs=30)
    assert samples["backfill_job_lease_age_seconds"] == pytest.approx(3, abs=30)
    assert samples["backfill_job_progress_age_seconds"] == pytest.approx(3, abs=30)
    assert samples["backfill_worker_age_seconds"] == pytest.approx(3, abs=30)
    assert (samples["backfill_job_items{state=settled}"], samples["backfill_job_items{state=total}"]) == (0, 6)
    assert "backfill_job_held_seconds" not in samples


def test_a_job_that_ends_between_two_reads_is_counted_once(
    served: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = served.storage.jobs
    job = jobs.create(
        JobFactory.build(progress=Progress(total_items=6, processed=4)), PlanFactory.build(), displace=lambda _: None
    ).job
    control = served.storage.control
    read = control.counters

    def end_the_job_and_read(_: object) -> JobCounters:
        monkeypatch.undo()
        before = read()
        jobs.update(job.id, lambda job: job.cancel_requested(NOW))
        return before

    monkeypatch.setattr(type(control), "counters", end_the_job_and_read)
    found = served.service_status()
    assert (found.active, found.counters.items["data-collection processed"]) == (None, 4)


def test_an_unavailable_store_returns_503_instead_of_metrics(
    served: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Job:
        raise StorageUnavailable("The job store does not answer.")

    monkeypatch.setattr(type(served.storage.jobs), "active", fail)
    error_of(CheckedClient().get("/metrics"), 503, "STORAGE_UNAVAILABLE")


def test_readiness_reports_the_latest_worker_heartbeat(served: BackfillService) -> None:
    without_worker = CheckedClient().get("/readyz").json()
    assert without_worker["workerSeenAt"] is None
    assert without_worker["message"].startswith("No worker is running; none has ever reported.")
    assert "manage.py backfill work" in without_worker["message"]
    served.storage.control.report_worker(NOW)
    assert CheckedClient().get("/readyz").json()["workerSeenAt"] == "2024-03-14T09:26:53.589793Z"
    job = served.storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    served.storage.jobs.update(job.id, lambda job: replace(job.claimed("host-1", NOW + timedelta(days=1))))
    assert CheckedClient().get("/readyz").json()["workerSeenAt"] == "2024-03-15T09:26:53.589793Z"
    served.storage.control.report_worker(served.now())
    assert CheckedClient().get("/readyz").json()["message"] == ""


def test_a_pending_job_reports_whether_a_worker_is_running_and_its_etag_changes_with_it(
    api: CheckedClient, served: BackfillService
) -> None:
    path = start_job(api)["links"]["self"]
    first = api.get(path)
    assert first.json()["rateLimiter"]["reason"].startswith("Waiting for a worker; none has ever reported.")
    assert api.get(path, headers={"If-None-Match": first["ETag"]}).status_code == 304
    served.storage.control.report_worker(served.now())
    second = api.get(path, headers={"If-None-Match": first["ETag"]})
    assert second.json()["rateLimiter"]["reason"].startswith("Waiting for a worker; one is running")


# The coverage target.


def check_target(service: BackfillService, findings: Findings, *, enabled: bool = True) -> None:
    """Store a target and the result of its last check."""
    settings = TargetSettings(enabled=enabled, rules=(CoverageRule(start=date(2024, 7, 1)),))
    target = service.targets.replace(settings, by=Actor("ada", Channel.API), expected_version=None).target
    service.storage.targets.update_keeper(
        lambda state: replace(state, checked_at=service.now(), checked_version=target.version, findings=findings)
    )


def target_samples() -> Samples:
    return {name: value for name, value in scrape().items() if name.startswith("backfill_target_")}


def test_the_metrics_of_the_coverage_target_have_no_samples_until_it_was_checked(served: BackfillService) -> None:
    assert target_samples() == {}
    check_target(served, Findings(missing={"HTML_PAGE": 1}), enabled=False)
    assert target_samples() == {}


def test_missing_items_are_counted_by_reason_and_the_lag_is_that_of_the_newest_complete_date(
    served: BackfillService,
) -> None:
    two_days_ago = served.now().date() - timedelta(days=2)
    check_target(served, Findings(missing={"not-published": 12, "HTML_PAGE": 2}, complete_until=two_days_ago))
    samples = target_samples()
    lag = samples.pop("backfill_target_lag_seconds")
    assert timedelta(days=1).total_seconds() <= lag < timedelta(days=2).total_seconds() + 60
    assert samples == {
        f"backfill_target_missing_items{{reason={reason}}}": count
        for reason, count in {
            "HTML_PAGE": 2,
            "not-collected": 0,
            "not-computed": 0,
            "not-published": 12,
            "outdated": 0,
        }.items()
    }


def test_a_target_that_cannot_be_read_does_not_hide_the_other_metrics(served: BackfillService) -> None:
    models.CoverageTarget.objects.update_or_create(pk=1, defaults={"value": {"rules": "none"}})
    samples = scrape()
    assert "backfill_jobs_ended_total{job_type=data-collection,status=completed}" in samples
    assert not any(name.startswith("backfill_target_") for name in samples)
