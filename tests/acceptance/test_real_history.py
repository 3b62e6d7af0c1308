"""The real closings of district 91, collected through real processes."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path

from tests.acceptance.harness import PEER, Dashboard, Site

REPORTS = ("clubperformance", "districtperformance", "divisionperformance")


def served_files(report: str) -> dict[date, Path]:
    folder = PEER.parent / "real" / report / "91"
    return {date.fromisoformat(path.name[:10]): path for path in folder.glob("*.csv.gz")}


def test_ten_years_of_closes_are_collected_byte_for_byte_and_not_requested_again(
    real_world: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R2.1, R2.2, R2.4: a data-collection job stores the reports of the dashboard for its range."""
    site = new_site(real_world)
    client = site.serve()
    client.set_limits()
    job = client.start("2014-07-31", "2024-11-30", targetDistricts=["91"])
    ended = client.ended(job["jobId"])
    assert ended["status"] == "completed"
    assert ended["progress"]["failedItems"] == 0

    for report in REPORTS:
        files = served_files(report)
        assert len(files) == 124
        for day, path in files.items():
            response = client.ask("GET", f"/api/snapshots/{day}/91/{report}.csv")
            assert response.status_code == 200
            assert response.content == gzip.decompress(path.read_bytes())

    # The as-of date of a close is a snapshot date in addition to the month-end.
    days = [row["date"] for row in client.items(job["jobId"], district="91", outcome="processed")]
    closes = [path.name[:21].split("_") for path in served_files(REPORTS[0]).values()]
    assert len(days) == len(set(days))
    assert set(days) == {day for close in closes for day in close if day <= "2024-11-30"}

    real_world.forget()
    again = client.start("2014-07-31", "2024-11-30", targetDistricts=["91"])
    ended = client.ended(again["jobId"])
    assert ended["progress"]["skipped"] == {"stored": job["progress"]["totalItems"]}
    assert ended["result"]["requestsMade"] == 0
    assert real_world.log() == []
