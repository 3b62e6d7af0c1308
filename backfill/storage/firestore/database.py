"""Access to Firestore for all ports: paths, reads, writes with preconditions, and translation of errors.

    {prefix}/v1/state/{slot, limits, timeline, totals, worker, calendar_claim, target, keeper}     one document each
    {prefix}/v1/jobs/{job id}/segments/{number}                    the ledger of a job
    {prefix}/v1/plans/{job id}
    {prefix}/v1/audit/{entry id}
    {prefix}/v1/snapshots/{date}_{district}
    {prefix}/v1/results/{date}_{district}
    {prefix}/v1/registers/{snapshots, results}_{month}             indexes of a month, see `monthly_index`
    {prefix}/v1/calendar/{month end}

The collections have the same names under every prefix, because Firestore defines indexes by collection name.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore import DELETE_FIELD, CollectionReference, DocumentReference, DocumentSnapshot, WriteBatch
from google.cloud.firestore_v1 import types

from backfill.errors import StorageUnavailable
from backfill.storage.firestore import precondition_checks
from backfill.storage.firestore.client import Client, Connection, credentials_message, token_refused

T = TypeVar("T")
Document = DocumentSnapshot[Any]
"""A document as it was read; `exists` is False if there is none."""
Query = Any
"""A query of Google's client. Its query classes have no common base class."""

NAME = "__name__"
"""The field of the name of a document in the order of a query."""

_TIMEOUT = 10.0
"""Timeout of one call in seconds."""

MAX_WAIT = 3.0
"""Seconds for which a call is retried after transient errors, before it raises StorageUnavailable."""

_CONTENTION_LIMIT = 30.0
"""Seconds for which a change is retried because of concurrent writes."""

_MAX_PAUSE = 0.5
"""Maximum seconds between two retries."""

_CHANGE_IDS = 8
"""Number of change ids that a document keeps, so that a change whose response was lost is not applied twice."""

_PAGE = 300
"""Documents that one call reads or deletes."""

_TRANSIENT_ERRORS = (
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.ResourceExhausted,
    exceptions.InternalServerError,
    exceptions.Unknown,
    exceptions.Cancelled,
)


class StaleRead(Exception):
    """The documents that an attempt read are inconsistent, because another writer changed them in between."""


_CONTENTION_ERRORS = (
    StaleRead,
    exceptions.Aborted,
    exceptions.AlreadyExists,
    exceptions.FailedPrecondition,
    exceptions.NotFound,
)
"""Errors of a commit whose precondition failed, because a document changed after it was read."""


@contextmanager
def translating_errors() -> Iterator[None]:
    """Raise StorageUnavailable for every error of the driver."""
    try:
        yield
    except exceptions.Unauthenticated as exc:
        token_refused()
        raise StorageUnavailable(credentials_message(exc)) from exc
    except exceptions.PermissionDenied as exc:
        raise StorageUnavailable(
            f"The Google credentials may not use the Firestore database: {exc.message.rstrip('.')}. Give the service "
            "account the role roles/datastore.user in the project, and check GOOGLE_CLOUD_PROJECT."
        ) from exc
    except (exceptions.GoogleAPIError, GoogleAuthError, grpc.RpcError, StaleRead) as exc:
        sentence = " ".join(str(exc).split()).rstrip(".") or type(exc).__name__
        raise StorageUnavailable(f"The job store does not answer: {sentence}.") from exc


def to_datetime(instant: datetime | None) -> datetime | None:
    """Convert the driver's subclass of datetime to a plain datetime."""
    if instant is None:
        return None
    return datetime(
        instant.year,
        instant.month,
        instant.day,
        instant.hour,
        instant.minute,
        instant.second,
        instant.microsecond,
        UTC,
    )


class Attempt:
    """One attempt of a change: it reads documents, collects writes, and commits them atomically."""

    def __init__(self, database: Database, change_id: str, *, number: int, may_be_committed: bool) -> None:
        """All attempts of a change have the same `change_id`; `number` counts them from 0."""
        self._database, self._change_id = database, change_id
        self.number = number
        self.may_be_committed = may_be_committed
        """Whether the response to an earlier attempt was lost, so that its commit may have succeeded."""
        self.writes: WriteBatch = database.client.batch()

    def read(self, reference: DocumentReference, fields: Iterable[str] | None = None) -> Document:
        return self.read_all([reference], fields)[0]

    def read_all(self, references: Sequence[DocumentReference], fields: Iterable[str] | None = None) -> list[Document]:
        return self._database.read_all(references, fields)

    def verify(self, seen: Document) -> None:
        """Fail the commit if a document that it does not write has changed since it was read."""
        self.writes._add_write_pbs([self._database.verification(seen)])  # noqa: SLF001 - the library has no method for it

    def write(self, seen: Document, value: dict[str, Any]) -> None:
        """Replace or create a document. The commit fails if the document has changed since it was read."""
        if not seen.exists:
            self.writes.create(seen.reference, value)
        else:
            # Update all fields instead of setting the document, because only an update accepts a precondition.
            removed = dict.fromkeys(set(seen.to_dict() or {}) - set(value), DELETE_FIELD)
            self.writes.update(seen.reference, {**value, **removed}, self._database.unchanged(seen))

    def is_committed(self, seen: Document) -> bool:
        """Return whether an earlier attempt of this change was committed. Needs a document written `with_change_id`."""
        return self._change_id in (seen.to_dict() or {}).get("marks", ())

    def with_change_id(self, seen: Document, value: dict[str, Any]) -> dict[str, Any]:
        """Return the value with the ids of this and the latest changes of its document."""
        return {**value, "marks": [*(seen.to_dict() or {}).get("marks", ()), self._change_id][-_CHANGE_IDS:]}

    def change_once(self, seen: Document, before: T, change: Callable[[T], T], to_value: Callable[[T], Any]) -> T:
        """Commit a change of a document unless an earlier attempt did, and return the value after it."""
        if self.is_committed(seen):
            return before
        after = change(before)
        if after != before:
            self.write(seen, self.with_change_id(seen, to_value(after)))
            self.commit()
        return after

    def commit(self) -> None:
        self.writes.commit(retry=None, timeout=_TIMEOUT)


class Database:
    """The documents under one prefix."""

    def __init__(self, connection: Connection, prefix: str, *, max_wait: float = MAX_WAIT) -> None:
        self._connection, self._root, self._max_wait = connection, (prefix, "v1"), max_wait
        self._verifies: bool | None = None
        self._retry = Retry(
            predicate=if_exception_type(*_TRANSIENT_ERRORS, exceptions.Aborted),
            initial=0.1,
            maximum=_MAX_PAUSE,
            multiplier=2,
            timeout=max_wait,
        )

    @property
    def client(self) -> Client:
        return self._connection.client

    def collection(self, *path: str) -> CollectionReference:
        return self.client.collection(*self._root, *path)

    def document(self, *path: str) -> DocumentReference:
        return self.client.document(*self._root, *path)

    def unchanged(self, seen: Document) -> Any:
        """Return the precondition that a document has not changed since it was read."""
        return self.client.write_option(last_update_time=seen.update_time)

    def verification(self, seen: Document) -> types.Write:
        """Return a write operation that fails the commit if a document has changed since it was read."""
        name = f"{self.client.root}/{seen.reference.path}"
        if self._verifies is None:
            outdated = seen.update_time - timedelta(microseconds=1)
            self._verifies = precondition_checks.is_supported(self.client, name, outdated, timeout=_TIMEOUT)
        write = precondition_checks.verification(name) if self._verifies else precondition_checks.empty_write(name)
        self.unchanged(seen).modify_write(write)
        return write

    # Reading.

    def read(self, reference: DocumentReference, fields: Iterable[str] | None = None) -> Document:
        return self.read_all([reference], fields)[0]

    def read_all(self, references: Sequence[DocumentReference], fields: Iterable[str] | None = None) -> list[Document]:
        """Return the documents in the order of the references. Missing documents have `exists` False."""
        by_path = {}
        for start in range(0, len(references), _PAGE):
            page = list(references[start : start + _PAGE])
            for document in self.client.get_all(page, fields, retry=self._retry, timeout=_TIMEOUT):
                by_path[document.reference.path] = document
        return [by_path[reference.path] for reference in references]

    def rows(self, query: Query, *, page: int = _PAGE) -> Iterator[Document]:
        """Yield all documents of a query; one call reads `page` documents."""
        after = query
        while True:
            found = self.fetch(after.limit(page))
            yield from found
            if len(found) < page:
                return
            after = query.start_after(found[-1])

    def fetch(self, query: Query) -> list[Document]:
        """Return the documents of a query, read with one call."""
        return list(query.stream(retry=self._retry, timeout=_TIMEOUT))

    def first(self, query: Query) -> Document | None:
        found = self.fetch(query.limit(1))
        return found[0] if found else None

    def count(self, query: Query) -> int:
        return self._aggregate(query.count())

    def sum(self, query: Query, field: str) -> int:
        """Return the sum of an integer field; documents without the field are left out."""
        return self._aggregate(query.sum(field))

    def _aggregate(self, query: Query) -> int:
        answer: Any = query.get(retry=self._retry, timeout=_TIMEOUT)
        return int(answer[0][0].value)

    # Writing.

    def run(self, write: Callable[[Attempt], T]) -> T:
        """Call `write` until its commit succeeds, and return its result. `write` may also commit nothing.

        Retries with a new attempt after concurrent writes, and for `max_wait` seconds after transient errors. After a
        transient error the commit may have succeeded although its response was lost: `write` has to check this.
        """
        began = time.monotonic()
        attempts = failures = 0
        change_id = secrets.token_hex(4)
        while True:
            attempt = Attempt(self, change_id, number=attempts, may_be_committed=failures > 0)
            attempts += 1
            try:
                return write(attempt)
            except _CONTENTION_ERRORS:
                pause, limit = 0.005 * 2 ** min(attempts, 7), _CONTENTION_LIMIT
                if time.monotonic() - began > limit:
                    raise
            except _TRANSIENT_ERRORS:
                failures += 1
                pause, limit = 0.1 * 2**failures, self._max_wait
                if time.monotonic() - began > limit:
                    raise
            time.sleep(min(pause, _MAX_PAUSE) * (0.5 + random.random()))

    def remove(self, references: Iterable[DocumentReference]) -> None:
        """Delete documents in batches. Deleting a missing document has no effect."""
        batch: list[DocumentReference] = []
        for reference in references:
            batch.append(reference)
            if len(batch) == _PAGE:
                self._remove_batch(batch)
                batch = []
        if batch:
            self._remove_batch(batch)

    def _remove_batch(self, references: Sequence[DocumentReference]) -> None:
        def write(attempt: Attempt) -> None:
            for reference in references:
                attempt.writes.delete(reference)
            attempt.commit()

        self.run(write)
