"""Reports that differ from the requested ones, for fault injection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from sample_dashboard.control import FaultKind
from sample_dashboard.reports import footer

_OLD_DAY = date(2020, 1, 31)
_FOOTER_LENGTH = len(b"01/31/2020\r\n")


def _without_rows(body: bytes) -> bytes:
    lines = body.splitlines(keepends=True)
    return lines[0] + lines[-1]


def _with_old_footer(body: bytes) -> bytes:
    return body[: body.rindex(b"Month of")] + footer(_OLD_DAY, _OLD_DAY)


def _with_old_day(body: bytes) -> bytes:
    """Keep the month."""
    return body[:-_FOOTER_LENGTH] + f"{_OLD_DAY:%m/%d/%Y}\r\n".encode("ascii")


def _of_another_district(body: bytes) -> bytes:
    header, *rows, last = body.splitlines(keepends=True)
    other = b'"F"' if rows and rows[0].startswith(b'"U"') else b'"U"'
    return header + b"".join(other + row[row.index(b",") :] for row in rows) + last


def _with_other_columns(body: bytes) -> bytes:
    header, separator, rest = body.partition(b"\r\n")
    return header.replace(b'","', b'","New ') + separator + rest


WRONG_REPORTS: Mapping[FaultKind, Callable[[bytes], bytes]] = {
    FaultKind.EMPTY: _without_rows,
    FaultKind.STALE_FOOTER: _with_old_footer,
    FaultKind.WRONG_AS_OF: _with_old_day,
    FaultKind.WRONG_DISTRICT: _of_another_district,
    FaultKind.MISSING_COLUMN: _with_other_columns,
}
"""Functions that change a correct report."""
