"""The text format of the log."""

from __future__ import annotations

import logging

from backfill.domain.text import escaped


class TextFormatter(logging.Formatter):
    """One line for each message, followed by the traceback if there is one.

    Messages contain names that other systems wrote. Control characters in them, which could forge lines or control a
    terminal, become escape sequences.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name in logging
        return escaped(super().formatMessage(record)).replace("\n", "\\n")

    def format(self, record: logging.LogRecord) -> str:
        return escaped(super().format(record))
