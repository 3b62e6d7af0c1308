"""Packed bytes of any size. What would bring a document near its limit of 1 MiB lies in parts beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any

from google.cloud.firestore import DocumentReference

from backfill.storage.firestore.database import Attempt, Database, Document, Query

PARTS = "parts"
_LONGEST = 400_000
"""Bytes of a part. A district of 331 clubs has 60,000; the parts of a commit may have 10 million."""


def fields_for(
    packed: bytes, trying: Attempt, owner: DocumentReference, *, expires_at: datetime | None = None
) -> dict[str, Any]:
    """The fields that hold the bytes; parts are added to the writes of the attempt.

    `expires_at` is for a TTL policy, which does not remove parts with their owner. Parts are named by what they hold,
    so that nobody reads those of two contents as one.
    """
    if len(packed) <= _LONGEST:
        return {"body": packed}
    chunks = [packed[start : start + _LONGEST] for start in range(0, len(packed), _LONGEST)]
    digest = blake2b(packed, digest_size=8).hexdigest()
    names = [f"{digest}-{number}" for number in range(len(chunks))]
    for name, chunk in zip(names, chunks, strict=True):
        trying.writes.set(owner.collection(PARTS).document(name), {"body": chunk, "expires_at": expires_at})
    return {"body": b"", PARTS: names}


def forget_parts(before: Document, trying: Attempt, kept: dict[str, Any]) -> None:
    """Remove the parts of what a document held before, in the commit that replaces it."""
    held = (before.to_dict() or {}).get(PARTS, ())
    for name in set(held) - set(kept.get(PARTS, ())):
        trying.writes.delete(before.reference.collection(PARTS).document(name))


def body_of(document: Document, database: Database) -> bytes:
    """Truncated where a part is missing, so that unpacking it says that it is damaged."""
    value = document.to_dict() or {}
    if PARTS not in value:
        return bytes(value["body"])
    parts = database.read_all([document.reference.collection(PARTS).document(name) for name in value[PARTS]])
    return b"".join(bytes(part.get("body")) for part in parts if part.exists)


def with_parts(found: Query, database: Database) -> Iterator[DocumentReference]:
    """What a query finds, each after its parts: what is to be removed, in that order."""
    for document in database.rows(found.select([PARTS])):
        for name in (document.to_dict() or {}).get(PARTS, ()):
            yield document.reference.collection(PARTS).document(name)
        yield document.reference


def of_document(owner: DocumentReference, database: Database) -> Iterator[DocumentReference]:
    """A document and its parts: what is to be removed."""
    for name in (database.read(owner, [PARTS]).to_dict() or {}).get(PARTS, ()):
        yield owner.collection(PARTS).document(name)
    yield owner
