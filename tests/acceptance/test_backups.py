"""A restore in the middle of a job."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_django import DjangoDbBlocker

from backfill.transfer.backup import back_up
from backfill_site.database_url import database_of
from tests import shared
from tests.acceptance.conftest import POSTGRES
from tests.acceptance.harness import SHORT_LEASE, Client, Dashboard, Json, Site, eventually, kill_group
from tests.contract.backends import SqliteBackend

SIDE_FILES = ("-wal", "-shm")


def start_job(client: Client, settled: int) -> Json:
    client.set_limits(maxRequestsPerMinute=600)
    job = client.start("2024-07-01", "2025-06-30", cadence="month-ends")
    return settle(client, job, settled)


def settle(client: Client, job: Json, settled: int) -> Json:
    return client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= settled, 60, "items settle")


def assert_completes(client: Client, job: Json, *, settled: int) -> None:
    """Assert that the restored job continues from what it had settled, and that each item is settled once."""
    restored = client.job(job["jobId"])
    assert settled <= restored["progress"]["processedItems"]
    ended = client.ended(job["jobId"], 90)
    assert ended["resumeCount"] == 1
    assert (ended["status"], ended["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job["jobId"])
    assert set(Counter(item["itemId"] for item in items).values()) == {1}
    assert len(items) == ended["progress"]["totalItems"]
    assert client.get("/api/snapshots?limit=1")["total"] == ended["progress"]["totalItems"]


def restore(site: Site, copy: Path, *, with_side_files: bool = False) -> None:
    """Replace the database of a stopped site."""
    database = site.folder / "site.sqlite3"
    for suffix in SIDE_FILES:
        Path(f"{database}{suffix}").unlink(missing_ok=True)
        if with_side_files:
            shutil.copy(f"{copy}{suffix}", f"{database}{suffix}")
    shutil.copy(copy, database)


@pytest.fixture
def back_up_from_here(django_db_blocker: DjangoDbBlocker) -> Callable[[Site, Path], None]:
    """Return what `backfill backup` calls. A process of its own may take longer than the job on a busy machine."""

    def back_up_site(site: Site, target: Path) -> None:
        backend = SqliteBackend(database_of(site.database_url, site.folder))
        with django_db_blocker.unblock(), backend.opened():
            back_up(target)

    return back_up_site


@pytest.fixture
def site(new_site: Callable[..., Site], sample: Dashboard) -> Site:
    return new_site(sample, **SHORT_LEASE)


def test_a_backup_of_a_serving_database_is_restored_in_the_middle_of_a_job(
    site: Site, back_up_from_here: Callable[[Site, Path], None]
) -> None:
    """R10.3: the backup is made while the job runs, and the job continues in it."""
    client = site.serve()
    job = start_job(client, 6)
    backup = site.folder / "backup.sqlite3"
    back_up_from_here(site, backup)
    settle(client, job, 18)
    kill_group(client.process)

    restore(site, backup)
    assert_completes(site.serve(), job, settled=6)


def test_a_copy_of_all_files_of_a_killed_service_loses_nothing(site: Site) -> None:
    client = site.serve()
    job = start_job(client, 12)
    kill_group(client.process)
    copy = site.folder / "copy.sqlite3"
    for suffix in ("", *SIDE_FILES):
        shutil.copy(f"{site.folder}/site.sqlite3{suffix}", f"{copy}{suffix}")
    restore(site, copy, with_side_files=True)
    assert_completes(site.serve(), job, settled=12)


def test_a_copy_of_the_main_file_alone_is_an_earlier_state_and_the_check_says_so(site: Site) -> None:
    """The job continues from the earlier state, and fetches again what the copy lacks."""
    client = site.serve()
    job = start_job(client, 6)
    with closing(sqlite3.connect(site.folder / "site.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as SQLite does after each 4 MB
    at_checkpoint = client.job(job["jobId"])["progress"]["processedItems"]
    settle(client, job, at_checkpoint + 9)
    kill_group(client.process)
    copy = site.folder / "copy.sqlite3"
    shutil.copy(site.folder / "site.sqlite3", copy)

    def report() -> str:
        checked = site.manage("check", "--database", "default")
        return checked.stdout + checked.stderr

    assert "W011" not in report(), "The -wal file has the changes."
    restore(site, copy)
    eventually(lambda: "(backfill.W011)" in report(), 30, "the lease of the killed server has ended")
    assert f"Job {job['jobId']} was running when the database was written last" in report()
    assert_completes(site.serve(), job, settled=1)


def test_a_backup_next_to_the_log_of_the_former_database_is_refused_before_it_is_damaged(
    site: Site, back_up_from_here: Callable[[Site, Path], None]
) -> None:
    client = site.serve()
    job = start_job(client, 3)
    backup = site.folder / "backup.sqlite3"
    back_up_from_here(site, backup)
    settle(client, job, 9)
    kill_group(client.process)
    database = site.folder / "site.sqlite3"
    shutil.copy(backup, database)  # the -wal file of the former database is still there

    for command in (["check", "--database", "default"], ["backfill", "status"]):
        refused = site.manage(*command, check=False)
        assert refused.returncode
        assert f"{database}-wal does not belong to {database}" in refused.stderr
    for suffix in SIDE_FILES:
        Path(f"{database}{suffix}").unlink()
    site.manage("check", "--database", "default")
    assert_completes(site.serve(), job, settled=3)


def test_an_older_main_file_next_to_a_newer_log_is_reported_as_damaged(site: Site) -> None:
    client = site.serve()
    database = site.folder / "site.sqlite3"
    old = site.folder / "old.sqlite3"
    start_job(client, 3)
    shutil.copy(database, old)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE filler (value)")
        connection.executemany("INSERT INTO filler VALUES (randomblob(4000))", [()] * 1500)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("UPDATE filler SET value = randomblob(3000) WHERE rowid % 2")
        connection.execute("DELETE FROM filler WHERE rowid % 3 = 0")
        connection.commit()
    kill_group(client.process)
    shutil.copy(old, database)
    assert Path(f"{database}-wal").stat().st_size

    checked = site.manage("check", "--database", "default", check=False)
    assert checked.returncode
    assert "(backfill.E016)" in checked.stderr
    assert f"remove {database}-wal and {database}-shm, and restore a backup" in checked.stderr


@pytest.fixture
def postgresql() -> Iterator[tuple[str, str]]:
    """The URLs of two databases that do not exist yet."""
    if shutil.which("pg_dump") is None:
        message = "pg_dump is not installed: run apt-get install postgresql-client."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    server, name = POSTGRES.rpartition("/")[0], f"backfill_backup_{uuid4().hex[:12]}"
    urls = f"{server}/{name}", f"{server}/{name}_restored"
    yield urls
    for url in urls:
        shared.drop(url)


def test_a_dump_of_a_serving_postgresql_is_restored_in_the_middle_of_a_job(
    new_site: Callable[..., Site], sample: Dashboard, postgresql: tuple[str, str]
) -> None:
    """The commands are those of docs/operations.md."""
    url, restored = postgresql
    site = new_site(sample, url, **SHORT_LEASE)
    refused = site.manage("backfill", "backup", str(site.folder / "file"), check=False)
    assert "Back it up with: pg_dump --format=custom" in refused.stderr
    client = site.serve()
    job = start_job(client, 6)
    dump = site.folder / "backup.dump"
    subprocess.run(["pg_dump", "--format=custom", f"--file={dump}", url], check=True)
    settle(client, job, 18)
    kill_group(client.process)

    server, _, name = restored.rpartition("/")
    subprocess.run(["createdb", f"--maintenance-db={server}/postgres", name], check=True)
    subprocess.run(["pg_restore", f"--dbname={restored}", str(dump)], check=True)
    site.database_url = restored
    assert_completes(site.serve(), job, settled=6)
