"""Write operations that check the precondition of a document without changing it.

Firestore's `verify` operation checks a precondition without a write and without a lock. Google's client SDKs for
browsers and phones send it in transactions (`verify`, field 5 of `Write` in firebase-js-sdk's
`google/firestore/v1/write.proto`). The server library lacks the field, so this module encodes it by number. A
transaction is no alternative: if its process is killed or frozen, its locks block a takeover of the job for a minute.

A server that ignores the unknown field would accept any commit. Therefore `is_supported` first sends an operation that
a supporting server must refuse. Otherwise an empty update with the same precondition is used; it costs a write.
"""

from __future__ import annotations

import logging
from datetime import datetime

import proto
from google.api_core import exceptions
from google.cloud.firestore_v1 import types

from backfill.storage.firestore.client import Client

logger = logging.getLogger(__name__)


class _Verify(proto.Message):  # type: ignore[misc]  # proto-plus is not typed
    """The part of `google.firestore.v1.Write` that is not in the library."""

    verify = proto.Field(proto.STRING, number=5)


def verification(name: str) -> types.Write:
    """Return the `verify` operation for a document; the caller adds the precondition."""
    write: types.Write = types.Write.deserialize(_Verify.serialize(_Verify(verify=name)))
    return write


def empty_write(name: str) -> types.Write:
    """Return an update without fields, which leaves the document unchanged; the caller adds the precondition."""
    return types.Write(update=types.Document(name=name), update_mask=types.DocumentMask())


def is_supported(client: Client, name: str, outdated: datetime, *, timeout: float) -> bool:
    """Return whether the server supports `verify`.

    `outdated` is a time before the last change of the document, so that a supporting server refuses the commit.
    """
    write = verification(name)
    write.current_document = types.Precondition(update_time=outdated)
    batch = client.batch()
    batch._add_write_pbs([write])  # noqa: SLF001 - the library has no method for it
    try:
        batch.commit(retry=None, timeout=timeout)
    except (exceptions.NotFound, exceptions.FailedPrecondition):
        return True
    except (exceptions.InvalidArgument, exceptions.MethodNotImplemented) as exc:
        cause = exc.message
    else:
        cause = "a commit with an outdated precondition succeeded"
    logger.warning(
        "This Firestore does not support the verify operation (%s). Each snapshot costs one more write.", cause
    )
    return False
