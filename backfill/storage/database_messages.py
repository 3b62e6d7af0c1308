"""What an operator reads about an error of a database. The texts are those of SQLite; PostgreSQL has codes."""

from __future__ import annotations

import re

_DAMAGED = ("malformed", "file is not a database")
_SCHEMA = re.compile(r"no such (table|column)|has no column named|NOT NULL constraint failed")
_SCHEMA_CODES = frozenset({"42P01", "42703", "23502"})
"""A table is missing, a column is missing, and a column that this version does not know requires a value."""


def is_schema_error(exc: BaseException) -> bool:
    """Whether the tables are not those of this version of the service."""
    code = getattr(exc.__cause__ or exc, "sqlstate", None)
    return code in _SCHEMA_CODES if code else bool(_SCHEMA.search(str(exc)))


def schema_message(reason: str) -> str:
    return (
        f"The database does not have the schema of this version of the service: {reason}. Run manage.py migrate of "
        "the newest version in use."
    )


def message_of(exc: Exception) -> str:
    text = next(iter(str(exc).strip().splitlines()), "").rstrip(".") or type(exc).__name__
    if is_schema_error(exc):
        return schema_message(text)
    if any(damage in text for damage in _DAMAGED):
        return (
            f"The database file is damaged: {text}. An older file next to the newer file -wal of a database causes it, "
            "too. Stop all servers, remove the files -wal and -shm next to the database, and restore a backup."
        )
    return f"The job store does not answer: {str(exc).strip().rstrip('.') or text}."
