"""Reads zip, tar and gzip archives, which may contain each other, within limits against decompression bombs.

The kind of an archive is recognised by its first bytes.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol, cast

from backfill.transfer.imports.reasons import ImportReason, NotImported

MAX_CONTENT = 20 * 1024 * 1024
"""Bytes of one file, as for a response of the dashboard."""

MAX_DEPTH = 5
"""Levels within each other. A `.tar.gz` has two levels, and a `.csv.gz` in it is a third one."""

_MAX_RATIO = 200
"""An archive may contain so many times its own size. Reports shrink to a tenth; bombs contain 1,000 times as much."""

_ALLOWANCE = 100 * 1024 * 1024
"""Bytes that every archive may contain."""

_HEAD = 512
"""Bytes that show the kind of a file."""

_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    gzip.BadGzipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What the standard library raises for damaged archives and unknown methods."""


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """The content of a file, or why it has none."""

    label: str
    content: bytes = b""
    problem: NotImported | None = None


class Budget:
    """How many bytes may still be unpacked from an archive and the archives in it."""

    def __init__(self, size: int) -> None:
        """`size` is that of the outer archive in bytes."""
        self._left = size * _MAX_RATIO + _ALLOWANCE

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise NotImported(
                ImportReason.ARCHIVE_LIMIT,
                f"It contains more than {_MAX_RATIO} times its own size, as decompression bombs do. The rest of it was "
                "not read. If its files are reports, unpack it and import the folder.",
            )


def is_archive(head: bytes) -> bool:
    return _is_zip(head) or _is_tar(head)


def members(file: IO[bytes], label: str, budget: Budget) -> Iterator[Member]:
    """Yield the contents of a seekable file; of an archive, each of its members, labelled `archive!member`."""
    yield from _unpacked(_Counted(file, budget, is_counted=False), label, budget, depth=0, seekable=file)


def _unpacked(
    stream: _Counted, label: str, budget: Budget, *, depth: int, seekable: IO[bytes] | None = None
) -> Iterator[Member]:
    head = stream.head()
    is_gzip = head.startswith(b"\x1f\x8b")
    if not is_gzip and not is_archive(head):
        yield _content(stream, label)
        return
    if depth >= MAX_DEPTH:
        yield Member(
            label,
            problem=NotImported(ImportReason.ARCHIVE_LIMIT, f"It is more than {MAX_DEPTH} archives within each other."),
        )
        return
    try:
        if is_gzip:
            with gzip.GzipFile(fileobj=cast("IO[bytes]", stream), mode="rb") as plain:
                inner = _Counted(plain, budget)
                # The tar archive in a .tar.gz and the report in a .csv.gz have no name of their own.
                yield from _unpacked(inner, label, budget, depth=depth + 1)
        elif _is_zip(head):
            with seekable or _spooled(stream) as file:
                yield from _of_zip(file, label, budget, depth)
        else:
            yield from _of_tar(stream, label, budget, depth)
    except _ERRORS as exc:
        message = f"It is damaged, incomplete or of an unknown method: {str(exc).strip(' .') or type(exc).__name__}."
        yield Member(label, problem=NotImported(ImportReason.DAMAGED_ARCHIVE, message))


def _content(stream: _Counted, label: str) -> Member:
    parts, size = [], 0
    while part := stream.read(1024 * 1024):
        parts.append(part)
        size += len(part)
        if size > MAX_CONTENT:
            return Member(label, problem=NotImported("TOO_LARGE", f"It has more than {MAX_CONTENT:,} bytes."))
    return Member(label, b"".join(parts))


def _of_zip(file: IO[bytes], label: str, budget: Budget, depth: int) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            name = f"{label}!{info.filename}"
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                message = "It is encrypted. Unpack the archive with its password and import the folder."
                yield Member(name, problem=NotImported(ImportReason.ENCRYPTED, message))
                continue
            try:
                with archive.open(info) as member:
                    yield from _unpacked(_Counted(member, budget), name, budget, depth=depth + 1)
            except _ERRORS as exc:
                message = f"It cannot be unpacked: {str(exc).strip(' .') or type(exc).__name__}."
                yield Member(name, problem=NotImported(ImportReason.DAMAGED_ARCHIVE, message))


def _of_tar(stream: _Counted, label: str, budget: Budget, depth: int) -> Iterator[Member]:
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined] # the library remembers all members, which are not needed in a stream
            name = f"{label}!{info.name}"
            if info.isdir():
                continue
            member = archive.extractfile(info) if info.isreg() else None
            if member is None:
                message = "It is a link or a special file in an archive."
                yield Member(name, problem=NotImported(ImportReason.SPECIAL_FILE, message))
                continue
            yield from _unpacked(_Counted(member, budget), name, budget, depth=depth + 1)


def _spooled(stream: _Counted) -> IO[bytes]:
    """A copy of an archive within an archive, because reading a zip archive needs a seekable file."""
    file = cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
    while part := stream.read(1024 * 1024):
        file.write(part)
    return file


def _is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


class _Counted:
    """A stream whose first bytes can be looked at, and whose bytes are taken from a budget."""

    def __init__(self, source: Readable, budget: Budget, *, is_counted: bool = True) -> None:
        self._source, self._budget, self._is_counted = source, budget, is_counted
        self._ahead = b""

    def head(self) -> bytes:
        while len(self._ahead) < _HEAD and (part := self._source.read(_HEAD - len(self._ahead))):
            self._ahead += part
        return self._ahead

    def read(self, size: int = -1, /) -> bytes:
        if self._ahead:
            cut = len(self._ahead) if size < 0 else size
            part, self._ahead = self._ahead[:cut], self._ahead[cut:]
            if size < 0:
                part += self._source.read()
        else:
            part = self._source.read(size)
        if self._is_counted:
            self._budget.spend(len(part))
        return part
