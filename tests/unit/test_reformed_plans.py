"""Plans across the district reformation, with servers that implement the dashboard's protocol."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest

from backfill.dashboard.client import DashboardClient
from backfill.domain import SUMMARY, Cadence, JobConfig, Plan
from backfill.domain.clock import Clock
from backfill.job_types.collection.calendars import Calendars
from backfill.job_types.collection.handler import CollectionHandler
from sample_dashboard.server import SampleServer
from sample_dashboard.world import SampleWorld
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import a_calendar_reader

PEER = Path(__file__).resolve().parents[2] / ".." / "shared" / "dashboard" / "dashboard_peer.py"
TODAY, NOW = date(2026, 11, 15), datetime(2026, 11, 15, 12, tzinfo=UTC)
UnknownId = Literal["error", "other"]


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    if not PEER.exists():
        pytest.skip("The stand-in dashboard is not here (../shared/dashboard is no part of the project).")
    spec = importlib.util.spec_from_file_location("reformed_peer", PEER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # the shared folder is read-only
        spec.loader.exec_module(module)
    return module


@contextmanager
def serving(peer: ModuleType, unknown_id: UnknownId) -> Iterator[str]:
    peer.Handler.journal, peer.Handler.unknown_id = peer.Journal(), unknown_id
    peer.Handler.world = peer.SyntheticWorld("peer", 5, 3, TODAY, 2026)
    with peer.Server(("127.0.0.1", 0), peer.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def planned(url: str, first: date, last: date, *districts: str) -> Plan:
    storage = MemoryStorage()
    config = JobConfig(start_date=first, end_date=last, cadence=Cadence.MONTH_ENDS, target_districts=districts)
    with closing(DashboardClient(url)) as client:
        calendars = Calendars(client, storage.calendars)
        reader = a_calendar_reader(storage, calendars, clock=Clock(now=lambda: NOW))
        return CollectionHandler(client, storage, calendars, reader, now=lambda: NOW).plan(config, NOW)


def districts_of(plan: Plan) -> dict[date, tuple[str, ...]]:
    return {day.date: day.districts for day in plan.days}


@pytest.mark.parametrize("unknown_id", ["error", "other"])
def test_the_months_around_the_reformation_have_the_districts_of_their_own_year(
    peer: ModuleType, unknown_id: UnknownId
) -> None:
    before, after = (SUMMARY, "01", "02", "03", "F", "U"), (SUMMARY, "03", "201", "202", "F", "U")
    ends = (date(2026, 7, 31), date(2026, 8, 31), date(2026, 9, 30), date(2026, 10, 31))
    with serving(peer, unknown_id) as url:
        plan = planned(url, date(2026, 6, 1), date(2026, 10, 31))
        assert districts_of(plan) == {date(2026, 6, 30): before, **dict.fromkeys(ends, after)}
        june = plan.days[0].edition
        assert june is not None
        assert (june.is_archived, june.asks_blank) == (True, True)
        assert districts_of(planned(url, ends[0], ends[-1], "202")) == dict.fromkeys(ends, (SUMMARY, "202"))
        assert districts_of(planned(url, date(2026, 6, 1), date(2026, 6, 30), "01")) == {
            date(2026, 6, 30): (SUMMARY, "01")
        }


@pytest.mark.parametrize("unknown_id", ["error", "other"])
def test_the_sample_dashboard_is_planned_in_the_same_way(unknown_id: UnknownId) -> None:
    world = SampleWorld(TODAY, districts=6, clubs=3, unknown_id=unknown_id)
    with SampleServer(world) as server:
        plan = planned(server.url, date(2026, 6, 1), date(2026, 7, 31))
    assert districts_of(plan) == {
        date(2026, 6, 30): (SUMMARY, "01", "02", "03", "04", "F", "U"),
        date(2026, 7, 31): (SUMMARY, "02", "03", "04", "201", "F", "U"),
    }
