"""A copy of a serving SQLite database as one file."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.db import Error, connection

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""The errors of file systems without hard links."""


def back_up(target: Path) -> int:
    """Write the database to a new file, which appears when it is complete, and return its size in bytes.

    Other processes read and write meanwhile; the copy has the state of one moment. Raises ValueError with a message
    for the operator.
    """
    if problem := _unsupported():
        raise ValueError(problem)
    if os.path.lexists(target):
        raise ValueError(f"{target} exists. A backup does not replace a file: name another, or remove it.")
    try:
        # The file contains the hashes of passwords, so only its owner may read it. SQLite accepts an empty file.
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
    except OSError as exc:
        raise ValueError(f"{target} cannot be written: {exc.strerror}.") from exc
    part = Path(name)
    try:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(part)])
        _verify(part)
        _publish(part, target)
        return target.stat().st_size
    except FileExistsError:
        raise ValueError(f"{target} exists. A backup does not replace a file: name another, or remove it.") from None
    except OSError as exc:
        raise ValueError(f"{target} cannot be written: {exc.strerror}.") from exc
    except (Error, sqlite3.Error) as exc:
        raise ValueError(f"The backup failed: {exc}. Nothing was written to {target}.") from exc
    finally:
        part.unlink(missing_ok=True)
        Path(f"{part}-journal").unlink(missing_ok=True)  # SQLite leaves it if the disk is full


def _unsupported() -> str:
    if settings.BACKFILL_STORAGE == "firestore":
        return (
            "The job store is Firestore. Back it up with: gcloud firestore export gs://BUCKET. Users and tokens are in "
            "DATABASE_URL; back that up as well. See docs/operations.md, “Backups”."
        )
    if connection.vendor != "sqlite":
        return (
            "The database is PostgreSQL. Back it up with: pg_dump --format=custom --file=FILE DATABASE_URL. See "
            "docs/operations.md, “Backups”."
        )
    return ""


def _verify(part: Path) -> None:
    with closing(sqlite3.connect(f"{part.as_uri()}?mode=ro", uri=True)) as copy:
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"the database is damaged ({found})")


def _publish(part: Path, target: Path) -> None:
    """Give the file its name, unless that exists by now, and wait until both are on the disk."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(part, target)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        part.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
