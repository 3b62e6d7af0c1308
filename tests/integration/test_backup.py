"""`backfill backup`, and the messages about damaged database files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from backfill.errors import StorageUnavailable
from backfill.storage import Storage
from backfill.storage.database_messages import message_of
from backfill_site.database_url import database_of
from tests.contract.backends import Backend
from tests.factories import JobFactory, PlanFactory

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def back_up(target: Path) -> None:
    call_command("backfill", "backup", str(target))


def test_a_backup_has_what_is_stored_and_is_readable_by_its_owner_only(storage: Storage, tmp_path: Path) -> None:
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    target = tmp_path / "a backup' ?#.sqlite3"
    back_up(target)
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT id FROM backfill_backfilljob").fetchall() == [(job.id.hex,)]
    assert target.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [target]


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_backup_replaces_nothing(storage: Storage, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "backup.sqlite3"
    match kind:
        case "file":
            target.write_text("precious")
        case "folder":
            target.mkdir()
        case _:
            target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(CommandError, match=r"exists\. A backup does not replace a file"):
        back_up(target)
    assert [*tmp_path.iterdir()] == [target]


def test_a_file_that_appears_while_the_backup_is_written_is_kept(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup.sqlite3"
    monkeypatch.setattr("backfill.transfer.backup._verify", lambda _: target.write_text("precious"))
    with pytest.raises(CommandError, match=r"exists\. A backup does not replace a file"):
        back_up(target)
    assert target.read_text() == "precious"
    assert [*tmp_path.iterdir()] == [target]


def test_a_backup_that_cannot_be_written_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        back_up(tmp_path / "nowhere" / "backup.sqlite3")
    with (
        connection.execute_wrapper(_full_disk),
        pytest.raises(CommandError, match=r"The backup failed: database or disk is full. Nothing was written to"),
    ):
        back_up(tmp_path / "backup.sqlite3")
    assert [*tmp_path.iterdir()] == []


def _full_disk(_execute: object, _sql: str, params: list[str], *_: object) -> None:
    """SQLite leaves its journal next to the incomplete file."""
    Path(f"{params[0]}-journal").touch()
    raise sqlite3.OperationalError("database or disk is full")


def test_a_backup_of_firestore_names_its_export(storage: Storage, tmp_path: Path, settings: Settings) -> None:
    settings.BACKFILL_STORAGE = "firestore"
    from backfill.transfer.backup import back_up

    with pytest.raises(ValueError, match="gcloud firestore export gs://BUCKET"):
        back_up(tmp_path / "backup")


def test_a_damaged_file_is_reported_with_what_to_do(storage: Storage, backend: Backend) -> None:
    def damaged(*_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with connection.execute_wrapper(damaged), pytest.raises(StorageUnavailable) as raised:
        storage.jobs.active()
    assert raised.value.message == message_of(sqlite3.DatabaseError("database disk image is malformed"))
    assert "Stop all servers, remove the files -wal and -shm" in raised.value.message


def test_a_database_with_its_own_log_is_opened(storage: Storage, tmp_path: Path) -> None:
    database = tmp_path / "jobs.sqlite3"
    url = f"sqlite:///{database}"
    database_of(url, tmp_path)  # no file yet
    with closing(sqlite3.connect(database)) as owner:
        owner.execute("CREATE TABLE jobs (id)")
        database_of(url, tmp_path)  # not in WAL mode, no log
        owner.execute("PRAGMA journal_mode=WAL")
        owner.execute("INSERT INTO jobs VALUES (1)")
        owner.commit()
        assert Path(f"{database}-wal").stat().st_size
        database_of(url, tmp_path)
