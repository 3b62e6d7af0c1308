"""The command `import` in this process and in real processes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from backfill.domain import SUMMARY, month_ends
from backfill.service.commands import BackfillService
from tests.integration.test_command_line import error_of
from tests.integration.test_command_line_processes import ROOT, TIMEOUT, database, environment  # noqa: F401 - a fixture
from tests.integration.test_export import run_command
from tests.unit.test_import import JANUARY, a_month, exports_of, write

pytestmark = pytest.mark.django_db


def test_an_import_prints_its_counts_and_each_file_that_was_not_imported(
    tmp_path: Path,
    served: BackfillService,
) -> None:
    a_month(tmp_path)
    write(tmp_path, {"page.html": b"<html></html>"})
    code, out, _ = run_command("import", str(tmp_path), "--operator", "alice")
    assert code == 2
    assert out.startswith("2 snapshots stored from 4 files.\n")
    assert [line.split() for line in out.splitlines()[1:3]] == [["3", "imported"], ["1", "HTML_PAGE"]]
    assert f"{tmp_path / 'page.html'}: " in out
    assert served.storage.snapshots.get(JANUARY, "01") is not None
    assert served.storage.audit.page(None, limit=1, offset=0).rows[0].actor.operator == "alice"
    assert "files 4, snapshots 2" in run_command("audit")[1]


def test_an_import_whose_files_are_all_stored_exits_0(tmp_path: Path, served: BackfillService) -> None:
    assert run_command("import", str(a_month(tmp_path)))[0] == 0
    code, out, _ = run_command("import", str(tmp_path))
    assert (code, out.splitlines()[0]) == (0, "0 snapshots stored from 3 files.")


def test_a_dry_run_says_that_nothing_was_stored(tmp_path: Path, served: BackfillService) -> None:
    code, out, _ = run_command("import", "--dry-run", str(a_month(tmp_path)))
    assert code == 0
    assert out.startswith("2 snapshots would be stored from 3 files.\n")
    assert out.endswith("Dry run: nothing was stored.\n")
    assert served.storage.snapshots.get(JANUARY, "01") is None


def test_the_json_document_lists_every_file_that_was_not_imported(tmp_path: Path, served: BackfillService) -> None:
    write(a_month(tmp_path), {f"{number}.txt": b"text" for number in range(30)})
    code, out, _ = run_command("import", str(tmp_path), "--json")
    document = json.loads(out)
    assert code == 2
    assert document["files"] == {"total": 33, "NOT_CSV": 30, "imported": 3}
    assert (document["isDryRun"], document["snapshots"]) == (False, 2)
    assert {row["path"] for row in document["notImported"]} == {str(tmp_path / f"{number}.txt") for number in range(30)}
    assert "and 10 more; --json lists all" in run_command("import", str(tmp_path))[1]


def test_a_missing_path_is_one_line_with_its_name(served: BackfillService) -> None:
    assert "There is no file or folder /nowhere/reports" in error_of("import", "/nowhere/reports")


@pytest.mark.acceptance
def test_an_import_that_is_killed_is_completed_by_repeating_it(tmp_path: Path, database: Path) -> None:  # noqa: F811
    folder = tmp_path / "exports"
    months = [end for end in month_ends(date(2022, 7, 1), date(2025, 5, 31)) if end.month != 6]
    for end in months:
        for district in ("01", "F", SUMMARY):
            files = {f"{end}/{district}/{name}": content for name, content in exports_of(end, None, district).items()}
            write(folder, files)
    wanted = len(months) * 3 * 2

    def command() -> list[str]:
        return [sys.executable, "manage.py", "backfill", "import", str(folder)]

    process = subprocess.Popen(
        command(), cwd=ROOT, env=environment(database), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + TIMEOUT
    while not stored(database):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(TIMEOUT)
    before = stored(database)
    assert 0 < before < wanted
    repeated = subprocess.run(
        command(), cwd=ROOT, env=environment(database), capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert (repeated.returncode, repeated.stderr) == (0, "")
    assert repeated.stdout.startswith(f"{wanted - before} snapshots stored")
    assert stored(database) == wanted


def stored(database: Path) -> int:  # noqa: F811
    with closing(sqlite3.connect(database, timeout=TIMEOUT)) as connection:
        return int(connection.execute("SELECT count(*) FROM backfill_storedsnapshot").fetchone()[0])
