"""What an operator reads about an error of the database."""

from __future__ import annotations

_DAMAGED = ("malformed", "file is not a database")
"""Texts of SQLite."""


def message_of(exc: Exception) -> str:
    text = str(exc).strip().rstrip(".") or type(exc).__name__
    if any(damage in text for damage in _DAMAGED):
        return (
            f"The database file is damaged: {text}. An older file next to the newer file -wal of a database causes it, "
            "too. Stop all servers, remove the files -wal and -shm next to the database, and restore a backup."
        )
    return f"The job store does not answer: {text}."
