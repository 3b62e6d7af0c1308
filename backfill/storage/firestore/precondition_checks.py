"""What holds a commit to a document that it does not change: that this is as it was seen.

Firestore has an operation for it, which takes read access only, and neither writes nor locks. Google's SDKs for
browsers and phones send it with each transaction (`verify`, field 5 of `Write` in firebase-js-sdk's
`google/firestore/v1/write.proto`); the library for servers lacks the field, so it is put on the wire by its number. A
transaction would do as well, but its locks outlive a process that is killed or frozen in it by a minute, in which
nobody could take over its job.

A server that does not know the operation must not be believed to have verified anything. So it is asked once by one
that has to be refused, of the same form as all that follow; where it is not, a write of no field takes the same
precondition, and is charged as a write.
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
    """To be given a precondition, which the document of that name must meet."""
    write: types.Write = types.Write.deserialize(_Verify.serialize(_Verify(verify=name)))
    return write


def empty_write(name: str) -> types.Write:
    """The same to every server: it writes none of the document's fields, and leaves it as it is."""
    return types.Write(update=types.Document(name=name), update_mask=types.DocumentMask())


def is_known_to(client: Client, name: str, outdated: datetime, *, timeout: float) -> bool:
    """Whether a server verifies: it is asked for a document of that name as it was before its last change."""
    write = verification(name)
    write.current_document = types.Precondition(update_time=outdated)
    batch = client.batch()
    batch._add_write_pbs([write])  # noqa: SLF001 - the library has no word for such a write
    try:
        batch.commit(retry=None, timeout=timeout)
    except (exceptions.NotFound, exceptions.FailedPrecondition):
        return True
    except (exceptions.InvalidArgument, exceptions.MethodNotImplemented) as exc:
        answer = f"it answers {exc.message}"
    else:
        answer = "it takes what it has to refuse"
    logger.warning("This Firestore does not verify without a write (%s); each snapshot costs one write more.", answer)
    return False
