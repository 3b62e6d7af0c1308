"""The Prometheus endpoint.

All metrics are read from the store; this process counts nothing. Any process of any server may answer a scrape, and
each knows only its own share. The multiprocess mode of prometheus_client adds up the processes of one server, but loses
what a killed process had not written and does not include other servers. The store is correct for all processes,
survives kills, and needs a few small reads per scrape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta

from django.http import HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from rest_framework.request import Request

from backfill.api import schema
from backfill.api.base import OpenView
from backfill.domain import ACTIVE, ENDED, JobType, MissingReason, OutcomeKind, TargetState, TargetStatus, WaitReason
from backfill.errors import CorruptRecord
from backfill.service.monitoring import ServiceStatus


class Metrics(OpenView):
    @schema.metrics
    def get(self, request: Request) -> HttpResponse:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_ServiceCollector(self.service.service_status()))
        registry.register(_TargetCollector(self._target_status(), self.service.now()))
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"})

    def _target_status(self) -> TargetStatus | None:
        """None if the stored target cannot be read, which the admin and the API report."""
        try:
            return self.service.targets.get().status
        except CorruptRecord:
            return None


class _ServiceCollector(Collector):
    def __init__(self, service_status: ServiceStatus) -> None:
        self._service_status = service_status

    def collect(self) -> Iterable[Metric]:
        yield from self._counters()
        yield from self._gauges()

    def _counters(self) -> Iterable[Metric]:
        counters = self._service_status.counters
        items = {f"{kind} {outcome}": 0 for kind in JobType for outcome in OutcomeKind}
        yield _counter("backfill_items", "Items settled.", ("job_type", "outcome"), {**items, **counters.items})
        jobs = {f"{kind} {status}": 0 for kind in JobType for status in sorted(ENDED)}
        yield _counter("backfill_jobs_ended", "Jobs ended.", ("job_type", "status"), {**jobs, **counters.jobs})
        yield _counter(
            "backfill_dashboard_requests",
            "Requests of jobs to the dashboard, by response status, or by the error code of an unusable response.",
            ("status",),
            {"200": 0, **counters.answers},
        )
        yield _counter(
            "backfill_waited_seconds",
            "Time for which jobs waited, by reason.",
            ("reason",),
            {**dict.fromkeys(map(str, WaitReason), 0.0), **counters.waited},
        )
        takeovers = SummaryMetricFamily(
            "backfill_takeover_seconds", "From the last heartbeat of a dead worker until another worker took over."
        )
        takeovers.add_metric((), counters.takeovers, counters.takeover_seconds)
        yield takeovers

    def _gauges(self) -> Iterable[Metric]:
        now, job, seen_at = self._service_status.at, self._service_status.active, self._service_status.worker_seen_at
        status = GaugeMetricFamily("backfill_job_status", "1 for the status of the active job.", labels=("status",))
        for one in sorted(ACTIVE):
            status.add_metric((str(one),), float(job is not None and job.status is one))
        yield status
        instants: Mapping[str, tuple[str, datetime | None]] = {
            "backfill_worker_age_seconds": ("Since the last worker heartbeat.", seen_at),
            "backfill_job_age_seconds": ("Since the active job was created.", job.created_at if job else None),
            "backfill_job_lease_age_seconds": (
                "Since the lease of the active job was renewed.",
                self._service_status.lease_renewed_at,
            ),
            "backfill_job_progress_age_seconds": (
                "Since the last progress of the active job.",
                job.progressed_at if job else None,
            ),
            "backfill_job_held_seconds": (
                "Since the active job is held up.",
                job.webhook_events.held_since if job else None,
            ),
        }
        for name, (text, instant) in instants.items():
            gauge = GaugeMetricFamily(name, text)
            if instant is not None:  # without an instant there is no age, and the metric has no sample
                gauge.add_metric((), max((now - instant).total_seconds(), 0.0))
            yield gauge
        progress = GaugeMetricFamily("backfill_job_items", "Items of the active job.", labels=("state",))
        if job is not None:
            progress.add_metric(("settled",), job.progress.settled_items)
            progress.add_metric(("total",), job.progress.total_items)
        yield progress


class _TargetCollector(Collector):
    """Without samples while the coverage target is off or was not checked yet."""

    def __init__(self, status: TargetStatus | None, now: datetime) -> None:
        self._status, self._now = status, now

    def collect(self) -> Iterable[Metric]:
        status = self._status
        missing = GaugeMetricFamily(
            "backfill_target_missing_items",
            "Items of the coverage target that are missing, by reason or error code.",
            labels=("reason",),
        )
        lag = GaugeMetricFamily(
            "backfill_target_lag_seconds",
            "Since the end (UTC) of the newest date up to which the coverage target is complete.",
        )
        if status is not None and status.state is not TargetState.OFF and status.last_check_at is not None:
            for reason, count in sorted({**dict.fromkeys(map(str, MissingReason), 0), **status.missing}.items()):
                missing.add_metric((reason,), count)
            if status.complete_until is not None:
                end = datetime.combine(status.complete_until + timedelta(days=1), time(), UTC)
                lag.add_metric((), max((self._now - end).total_seconds(), 0.0))
        yield missing
        yield lag


def _counter(name: str, text: str, labels: tuple[str, ...], counts: Mapping[str, float]) -> Metric:
    """The keys of `counts` are the label values, separated by spaces."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values.split(" "), count)
    return family
