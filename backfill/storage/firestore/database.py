"""What every part of the adapter needs of Firestore: paths, reads, changes that are decided by preconditions, errors.

    {prefix}/v1/state/{slot, limits, timeline, totals, worker, calendar_claim}     one document each
    {prefix}/v1/jobs/{job id}/segments/{number}                    the ledger beside its job
    {prefix}/v1/plans/{job id}
    {prefix}/v1/audit/{entry id}
    {prefix}/v1/snapshots/{date}_{district}
    {prefix}/v1/results/{date}_{district}
    {prefix}/v1/registers/{snapshots, results}_{month}             copies of what is known of them, see `monthly_index`
    {prefix}/v1/calendar/{month's end}

Names of collections are the same under every prefix, so that one set of indexes serves all.
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
from backfill.storage.firestore.client import Client, Connection

T = TypeVar("T")
Document = DocumentSnapshot[Any]
"""What was read where a document may be: it may not exist."""
Query = Any
"""A query of Google's client; its classes share no useful type."""

_TIMEOUT = 10.0
"""Seconds that one call may take."""

PATIENCE = 3.0
"""Seconds for which a call that met trouble is tried again, before the store counts as one that does not answer."""

_CONTENTION_LIMIT = 30.0
"""Seconds for which a change is tried again that others came before."""

_LONGEST_PAUSE = 0.5

_MARKS = 8
"""How many of the last changes of a document can be told apart, so that one whose answer was lost is not done twice."""

_PAGE = 300
"""Documents that are read, or removed, with one call."""

_TROUBLE = (
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.ResourceExhausted,
    exceptions.InternalServerError,
    exceptions.Unknown,
    exceptions.Cancelled,
)


class Overtaken(Exception):
    """What an attempt has read cannot be of one moment: another writer came between."""


_CONTENTION = (
    Overtaken,
    exceptions.Aborted,
    exceptions.AlreadyExists,
    exceptions.FailedPrecondition,
    exceptions.NotFound,
)
"""What a commit answers where a document is no longer as it was read."""


@contextmanager
def answering() -> Iterator[None]:
    """Every error of the driver leaves as StorageUnavailable, chained."""
    try:
        yield
    except (exceptions.GoogleAPIError, GoogleAuthError, grpc.RpcError, Overtaken) as exc:
        sentence = " ".join(str(exc).split()).rstrip(".") or type(exc).__name__
        raise StorageUnavailable(f"The job store does not answer: {sentence}.") from exc


def plain(instant: datetime | None) -> datetime | None:
    """Without the driver's own type of instant."""
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
    """One try of a change. It reads, prepares its writes, and commits them together or not at all."""

    def __init__(self, database: Database, mark: str, *, number: int, may_be_done: bool) -> None:
        """`mark` names the change, in every try of it."""
        self._database, self._mark = database, mark
        self.number = number
        self.may_be_done = may_be_done
        """An earlier try was sent, and its answer never came."""
        self.writes: WriteBatch = database.client.batch()

    def read(self, reference: DocumentReference, fields: Iterable[str] | None = None) -> Document:
        return self.read_all([reference], fields)[0]

    def read_all(self, references: Sequence[DocumentReference], fields: Iterable[str] | None = None) -> list[Document]:
        return self._database.read_all(references, fields)

    def verify(self, seen: Document) -> None:
        """Commit only if a document is as it was seen, though nothing of it is written."""
        self.writes._add_write_pbs([self._database.verification(seen)])  # noqa: SLF001 - the library has no word for it

    def write(self, seen: Document, value: dict[str, Any]) -> None:
        """Put a document in the place of the one that was seen, or there where none was."""
        if not seen.exists:
            self.writes.create(seen.reference, value)
        else:
            # An update of every field that there was, since only an update takes a precondition.
            gone = dict.fromkeys(set(seen.to_dict() or {}) - set(value), DELETE_FIELD)
            self.writes.update(seen.reference, {**value, **gone}, self._database.unchanged(seen))

    def has_come_through(self, seen: Document) -> bool:
        """Whether an earlier try was committed though its answer was lost; of a document that is written `marked`."""
        return self._mark in (seen.to_dict() or {}).get("marks", ())

    def marked(self, seen: Document, value: dict[str, Any]) -> dict[str, Any]:
        """The value with the marks of the last changes of its document."""
        return {**value, "marks": [*(seen.to_dict() or {}).get("marks", ()), self._mark][-_MARKS:]}

    def commit(self) -> None:
        self.writes.commit(retry=None, timeout=_TIMEOUT)


class Database:
    """The documents under one prefix."""

    def __init__(self, connection: Connection, prefix: str, *, max_wait: float = PATIENCE) -> None:
        self._connection, self._root, self._max_wait = connection, (prefix, "v1"), max_wait
        self._verifies: bool | None = None
        self._retry = Retry(
            predicate=if_exception_type(*_TROUBLE, exceptions.Aborted),
            initial=0.1,
            maximum=_LONGEST_PAUSE,
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
        """The precondition that a document is as it was seen."""
        return self.client.write_option(last_update_time=seen.update_time)

    def verification(self, seen: Document) -> types.Write:
        """What fails a commit where a document is no longer as it was seen."""
        name = f"{self.client.root}/{seen.reference.path}"
        if self._verifies is None:
            outdated = seen.update_time - timedelta(microseconds=1)
            self._verifies = precondition_checks.is_known_to(self.client, name, outdated, timeout=_TIMEOUT)
        write = precondition_checks.verification(name) if self._verifies else precondition_checks.empty_write(name)
        self.unchanged(seen).modify_write(write)
        return write

    # Reading.

    def read(self, reference: DocumentReference, fields: Iterable[str] | None = None) -> Document:
        return self.read_all([reference], fields)[0]

    def read_all(self, references: Sequence[DocumentReference], fields: Iterable[str] | None = None) -> list[Document]:
        """In the order asked for; those that there are not come as such."""
        by_path = {}
        for start in range(0, len(references), _PAGE):
            some = list(references[start : start + _PAGE])
            for document in self.client.get_all(some, fields, retry=self._retry, timeout=_TIMEOUT):
                by_path[document.reference.path] = document
        return [by_path[reference.path] for reference in references]

    def rows(self, query: Query, *, page: int = _PAGE) -> Iterator[Document]:
        """Everything that a query finds, a page at a time, each after the last document of the one before."""
        after = query
        while True:
            found = self.some(after.limit(page))
            yield from found
            if len(found) < page:
                return
            after = query.start_after(found[-1])

    def some(self, query: Query) -> list[Document]:
        return list(query.stream(retry=self._retry, timeout=_TIMEOUT))

    def first(self, query: Query) -> Document | None:
        found = self.some(query.limit(1))
        return found[0] if found else None

    def count(self, query: Query) -> int:
        return self._aggregated(query.count())

    def sum(self, query: Query, field: str) -> int:
        """Of a field of integers; documents without it add nothing."""
        return self._aggregated(query.sum(field))

    def _aggregated(self, query: Query) -> int:
        answer: Any = query.get(retry=self._retry, timeout=_TIMEOUT)
        return int(answer[0][0].value)

    # Changing.

    def decide(self, attempt: Callable[[Attempt], T]) -> T:
        """What `attempt` returns once its commit succeeds, or it commits nothing.

        It is called again where another writer came first, and for a while where the service is in trouble. Then an
        earlier commit may have happened though its answer was lost: an attempt looks whether it did.
        """
        began = time.monotonic()
        tries = troubles = 0
        mark = secrets.token_hex(4)
        while True:
            trying = Attempt(self, mark, number=tries, may_be_done=troubles > 0)
            tries += 1
            try:
                return attempt(trying)
            except _CONTENTION:
                pause, limit = 0.005 * 2 ** min(tries, 7), _CONTENTION_LIMIT
                if time.monotonic() - began > limit:
                    raise
            except _TROUBLE:
                troubles += 1
                pause, limit = 0.1 * 2**troubles, self._max_wait
                if time.monotonic() - began > limit:
                    raise
            time.sleep(min(pause, _LONGEST_PAUSE) * (0.5 + random.random()))

    def remove(self, references: Iterable[DocumentReference]) -> None:
        """Delete documents, many with one call; deleting twice does no harm."""
        some: list[DocumentReference] = []
        for reference in references:
            some.append(reference)
            if len(some) == _PAGE:
                self._remove(some)
                some = []
        if some:
            self._remove(some)

    def _remove(self, references: Sequence[DocumentReference]) -> None:
        def attempt(trying: Attempt) -> None:
            for reference in references:
                trying.writes.delete(reference)
            trying.commit()

        self.decide(attempt)
