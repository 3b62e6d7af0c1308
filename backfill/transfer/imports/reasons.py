"""Why a file of an import was stored or not."""

from __future__ import annotations

from enum import StrEnum


class ImportReason(StrEnum):
    """The outcome of a file. Reports that fail the validation of fetched reports have the code of that error instead,
    such as `TRUNCATED`.
    """

    IMPORTED = "imported"
    STORED = "stored"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"

    INCOMPLETE = "incomplete"
    CONFLICT = "conflict"
    NOT_PUBLISHED = "not-published"
    JUNE_CLOSE = "june-close"
    UNKNOWN_REPORT = "unknown-report"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    LINK = "link"
    SPECIAL_FILE = "special-file"
    ENCRYPTED = "encrypted"
    DAMAGED_ARCHIVE = "damaged-archive"
    ARCHIVE_LIMIT = "archive-limit"


HARMLESS = frozenset({ImportReason.IMPORTED, ImportReason.STORED, ImportReason.SUPERSEDED, ImportReason.DUPLICATE})
"""The figures of these files are stored, or newer ones are."""


class NotImported(Exception):
    """A file cannot be imported. `reason` is an ImportReason or the code of a DashboardError."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
