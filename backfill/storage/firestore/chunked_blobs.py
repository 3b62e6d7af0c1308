"""Packed bytes of any size. Bytes that would exceed the limit of 1 MiB per document are stored in a subcollection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any

from google.cloud.firestore import DocumentReference

from backfill.storage.firestore.database import Attempt, Database, Document, Query

PARTS = "parts"
_MAX_PART_BYTES = 400_000
"""Maximum bytes of a part. A district of 331 clubs has 60,000 bytes; one commit may have 10 million."""


def fields_for(
    packed: bytes, attempt: Attempt, owner: DocumentReference, *, expires_at: datetime | None = None
) -> dict[str, Any]:
    """Return the fields that store the bytes; add the writes of the parts to the attempt.

    `expires_at` is for a TTL policy, which does not remove the parts of a document. The names of the parts contain a
    digest of the bytes, so that a reader never combines parts of two versions.
    """
    if len(packed) <= _MAX_PART_BYTES:
        return {"body": packed}
    chunks = [packed[start : start + _MAX_PART_BYTES] for start in range(0, len(packed), _MAX_PART_BYTES)]
    digest = blake2b(packed, digest_size=8).hexdigest()
    names = [f"{digest}-{number}" for number in range(len(chunks))]
    for name, chunk in zip(names, chunks, strict=True):
        attempt.writes.set(owner.collection(PARTS).document(name), {"body": chunk, "expires_at": expires_at})
    return {"body": b"", PARTS: names}


def delete_parts(before: Document, attempt: Attempt, kept: dict[str, Any]) -> None:
    """Delete the parts of the previous version of a document, in the commit that replaces it."""
    held = (before.to_dict() or {}).get(PARTS, ())
    for name in set(held) - set(kept.get(PARTS, ())):
        attempt.writes.delete(before.reference.collection(PARTS).document(name))


def body_of(document: Document, database: Database) -> bytes:
    """Return the bytes. If a part is missing they are truncated, so that unpacking them raises CorruptRecord."""
    value = document.to_dict() or {}
    if PARTS not in value:
        return bytes(value["body"])
    parts = database.read_all([document.reference.collection(PARTS).document(name) for name in value[PARTS]])
    return b"".join(bytes(part.get("body")) for part in parts if part.exists)


def references_with_parts(found: Query, database: Database) -> Iterator[DocumentReference]:
    """Yield the references of a query's documents, each after the references of its parts, in order of deletion."""
    for document in database.rows(found.select([PARTS])):
        for name in (document.to_dict() or {}).get(PARTS, ()):
            yield document.reference.collection(PARTS).document(name)
        yield document.reference


def references_of(owner: DocumentReference, database: Database) -> Iterator[DocumentReference]:
    """Yield the references of a document's parts and then its own, in order of deletion."""
    for name in (database.read(owner, [PARTS]).to_dict() or {}).get(PARTS, ()):
        yield owner.collection(PARTS).document(name)
    yield owner
