"""Real closes that are imported, and a collection of the same range."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path

from tests.acceptance.harness import PEER, Dashboard, Site

REPORTS = ("clubperformance", "districtperformance", "divisionperformance")
FIRST, LAST = date(2014, 7, 31), date(2024, 11, 30)
MISSING = "2019-03-31"


def test_a_collection_after_an_import_requests_only_what_is_missing_and_stores_the_same(
    real_world: Dashboard,
    new_site: Callable[..., Site],
    tmp_path: Path,
) -> None:
    real = PEER.parent / "real"
    files = {path for report in REPORTS for path in (real / report / "91").glob("*.csv.gz")}
    summaries = set((real / "districtsummary").rglob("*.csv.gz"))
    assert (len(files), len(summaries)) == (3 * 124, 148)
    left_out = {path for path in files if path.name.startswith(MISSING)}
    exports = tmp_path / "exports"
    exports.mkdir()
    for number, path in enumerate(sorted((files | summaries) - left_out)):
        (exports / str(number)).symlink_to(path)
    site = new_site(real_world)
    client = site.serve()
    client.set_limits()
    site.manage("backfill", "coverage", "--read-calendar", "--from", str(FIRST.replace(day=1)), "--to", str(LAST))
    site.manage("backfill", "import", str(exports))
    ended = client.ended(client.start(str(FIRST), str(LAST), targetDistricts=["91"])["jobId"])
    assert (ended["status"], ended["progress"]["failedItems"]) == ("completed", 0)
    requested = [entry["report"] for entry in real_world.log() if entry["report"]]
    assert sorted(report.split("~")[0] for report in requested) == sorted(REPORTS)
    assert all("~3/31/2019~" in report for report in requested)
    for path in files:
        response = client.ask("GET", f"/api/snapshots/{path.name[:10]}/91/{path.parts[-3]}.csv")
        assert response.content == gzip.decompress(path.read_bytes())
