"""Pages of lists: by offset, or behind a cursor that names the last row of the page before.

A walk by cursor returns each row that is stored during the whole walk once, whatever is stored or removed meanwhile.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Generic, NotRequired, Protocol, TypedDict, TypeVar, Unpack
from uuid import UUID

from backfill.domain import AuditEntry, Job, JobFilter, Outcome, OutcomeFilter, Snapshot, SnapshotFilter
from backfill.domain.digest import stable_digest
from backfill.errors import InvalidRequest
from backfill.storage import (
    AuditStorage,
    JobStorage,
    LedgerStorage,
    Page,
    SnapshotKey,
    SnapshotStorage,
    TimedKey,
)

T = TypeVar("T")
K = TypeVar("K")

_VERSION = 1
_CURSOR = re.compile("[A-Za-z0-9_-]{1,512}")
_FOREIGN = (
    "cursor belongs to another list, or to other filters or another order. Repeat the parameters of the request that "
    "returned it (only limit may change), or leave the cursor out to begin again."
)
_DISTRICT = re.compile("[A-Za-z0-9]{1,8}")


class Pagination(TypedDict):
    """Which page of a list to read. `offset` (default: 0) and `cursor` exclude each other."""

    limit: int
    offset: NotRequired[int]
    cursor: NotRequired[str]
    """`next_cursor` of the page before; empty for the first page."""


@dataclass(frozen=True, slots=True)
class ListPage(Page[T]):
    """A page of a list, and where the next one begins."""

    limit: int
    offset: int | None
    """None for a page behind a cursor, whose place in the list is not known."""
    next_cursor: str | None
    """None on the last page."""


# Keys.


@dataclass(frozen=True, slots=True)
class KeyType(Generic[K]):
    """Conversion of the keys of a list to JSON values and back. `parse` raises TypeError or ValueError."""

    values: Callable[[K], Sequence[str | int]]
    parse: Callable[..., K]


def _snapshot_key(day: str, district: str) -> SnapshotKey:
    if _DISTRICT.fullmatch(district) is None:
        raise ValueError("not a district")
    return date.fromisoformat(day), district


def _timed_key(at: str, row_id: str) -> TimedKey:
    if not isinstance(row_id, str):
        raise TypeError("not an id")
    return datetime.fromisoformat(at).astimezone(UTC), UUID(row_id)


def _place(place: int) -> int:
    if type(place) is not int or place < 0:
        raise ValueError("not a place")
    return place


SNAPSHOT_KEYS: KeyType[SnapshotKey] = KeyType(lambda key: [key[0].isoformat(), key[1]], _snapshot_key)
TIMED_KEYS: KeyType[TimedKey] = KeyType(lambda key: [key[0].astimezone(UTC).isoformat(), str(key[1])], _timed_key)
PLACES: KeyType[int] = KeyType(lambda place: [place], _place)
"""The places of the outcomes that match a filter, in the order in which they were recorded. A place does not change,
because outcomes are only appended to a ledger."""


# Cursors.


@dataclass(frozen=True, slots=True)
class Cursors(Generic[K]):
    """The cursors of one list with one filter."""

    scope: str
    """Digest of the list and its filter, which is part of each cursor."""
    keys: KeyType[K]

    def encode(self, key: K) -> str:
        """Return the cursor of the rows behind a key."""
        body = json.dumps([_VERSION, self.scope, *self.keys.values(key)], separators=(",", ":"))
        return urlsafe_b64encode(body.encode()).rstrip(b"=").decode()

    def decode(self, cursor: str) -> K:
        """Return the key of a cursor. Raises InvalidRequest unless `encode` returned the cursor for this scope."""
        try:
            version, scope, *values = _decoded(cursor)
            is_foreign = version == _VERSION and scope != self.scope
            key = None if is_foreign else self.keys.parse(*values)
        except (TypeError, ValueError, OverflowError) as exc:
            raise _invalid(cursor) from exc
        if is_foreign:
            raise InvalidRequest({"cursor": [_FOREIGN]})
        if key is None or self.encode(key) != cursor:  # another version, or not in the form that `encode` writes
            raise _invalid(cursor)
        return key


def _decoded(cursor: str) -> Any:
    if _CURSOR.fullmatch(cursor) is None:
        raise ValueError("not base64url")
    return json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def _invalid(cursor: str) -> InvalidRequest:
    text = f"cursor must be the nextCursor of a response; it was {cursor[:40]!r}. Leave it out to begin again."
    return InvalidRequest({"cursor": [text]})


def scope_of(name: str, wanted: Any = None, **more: str) -> str:
    """Return the digest of a list and of the fields of its filter, a dataclass, that have no default value."""
    named = {
        field.name: _plain(value)
        for field in (fields(wanted) if wanted is not None else ())
        if (value := getattr(wanted, field.name)) != field.default
    }
    return stable_digest({"list": name, **more, **named}, size=6)


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return value.isoformat() if isinstance(value, date) else str(value)


# Pages.


def read_jobs(storage: JobStorage, wanted: JobFilter, **pagination: Unpack[Pagination]) -> ListPage[Job]:
    cursors = Cursors(scope_of("jobs", wanted), TIMED_KEYS)
    return _read(partial(storage.page, wanted), lambda job: (job.created_at, job.id), cursors, pagination)


def read_audit_log(
    storage: AuditStorage, job_id: UUID | None, **pagination: Unpack[Pagination]
) -> ListPage[AuditEntry]:
    cursors = Cursors(scope_of("audit", job=str(job_id or "")), TIMED_KEYS)
    return _read(partial(storage.page, job_id), lambda entry: (entry.at, entry.id), cursors, pagination)


def read_snapshots(
    storage: SnapshotStorage, wanted: SnapshotFilter, **pagination: Unpack[Pagination]
) -> ListPage[Snapshot]:
    cursors = Cursors(scope_of("snapshots", wanted), SNAPSHOT_KEYS)
    return _read(
        partial(storage.page, wanted), lambda snapshot: (snapshot.date, snapshot.district), cursors, pagination
    )


class _ReadPage(Protocol[T]):
    """Reads a page of a list in the order of its keys."""

    def __call__(self, *, limit: int, offset: int, after: Any) -> Page[T]: ...


def _read(read: _ReadPage[T], key_of: Callable[[T], K], cursors: Cursors[K], pagination: Pagination) -> ListPage[T]:
    """Read a page and one row more, because a total that is counted earlier or later does not say what follows."""
    limit = pagination["limit"]
    after, offset = _start(cursors, pagination)
    found = read(limit=limit + 1, offset=offset or 0, after=after)
    rows = found.rows[:limit]
    next_cursor = cursors.encode(key_of(rows[-1])) if len(found.rows) > limit else None
    return ListPage(rows, found.total, limit, offset, next_cursor)


def _start(cursors: Cursors[K], pagination: Pagination) -> tuple[K, None] | tuple[None, int]:
    """Return the key behind which a page begins, or its offset."""
    offset, cursor = pagination.get("offset", 0), pagination.get("cursor", "")
    if not cursor:
        return None, offset
    key = cursors.decode(cursor)
    if offset:
        raise InvalidRequest({"offset": ["offset and cursor exclude each other; leave offset out."]})
    return key, None


def read_outcomes(
    ledger: LedgerStorage, job_id: UUID, wanted: OutcomeFilter, *, newest_first: bool, **pagination: Unpack[Pagination]
) -> ListPage[Outcome]:
    limit, order = pagination["limit"], "newest" if newest_first else "oldest"
    cursors = Cursors(scope_of("items", wanted, job=str(job_id), order=order), PLACES)
    after, offset = _start(cursors, pagination)
    if after is None:
        found = ledger.outcomes(job_id, wanted, limit=limit, offset=offset or 0, newest_first=newest_first)
        passed = (offset or 0) + len(found.rows)
        last = found.total - passed if newest_first else passed - 1
    elif newest_first:  # the places before `after`, which are the same however many outcomes were added since
        last = max(after - limit, 0)
        oldest_first = ledger.outcomes(job_id, wanted, limit=after - last, offset=last)
        found = Page(oldest_first.rows[::-1], oldest_first.total)
    else:
        found = ledger.outcomes(job_id, wanted, limit=limit, offset=after + 1)
        last = after + len(found.rows)
    has_more = bool(found.rows) and (last > 0 if newest_first else last + 1 < found.total)
    return ListPage(found.rows, found.total, limit, offset, cursors.encode(last) if has_more else None)
