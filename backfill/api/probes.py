"""Probes for load balancers and orchestrators; they need no authentication."""
# ruff: noqa: ARG002 - DRF passes the request

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import schema
from backfill.api.base import NO_STORE, OpenView
from backfill.serializers.probes import HealthSerializer, ReadinessSerializer, WorkerReport


class Health(OpenView):
    @schema.health
    def get(self, request: Request) -> Response:
        return Response(HealthSerializer.render(None), headers=NO_STORE)


class Readiness(OpenView):
    @schema.readiness
    def get(self, request: Request) -> Response:
        self.service.ping()
        seen_at = self.service.worker_seen_at()
        report = WorkerReport(seen_at, self.service.missing_worker(seen_at))
        return Response(ReadinessSerializer.render(report), headers=NO_STORE)
