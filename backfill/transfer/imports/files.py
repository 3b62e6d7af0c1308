"""Finds the files of an import: in folders at any depth and in archives. Names have no meaning."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from backfill.transfer.imports.archives import MAX_CONTENT, Budget, Member, is_archive, members
from backfill.transfer.imports.reasons import ImportReason, NotImported

_GZIP = b"\x1f\x8b"
_AS_GZIP = 31
"""The `wbits` of zlib for one gzip member."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file, or a member of an archive."""

    label: str
    """Printable path. Members are written `archive!member`."""
    content: bytes = b""
    path: bytes | None = None
    """Where the content can be read again; None for a member of an archive."""
    problem: NotImported | None = None


def printable_path(path: str) -> str:
    """The path with control characters and bytes that are not UTF-8 as escape sequences, on one line."""
    try:
        text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that does not stand for a byte
        text = path.encode("utf-8", "backslashreplace").decode()
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def listed(paths: Sequence[str]) -> Iterator[str | FoundFile]:
    """Yield the path of each file, in no particular order, and a FoundFile for what is not a readable file.

    Symbolic links to files are followed. Links to folders are not, because they may form a loop; a path of the
    operator may be one.
    """
    folders = []
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - names may be invalid UTF-8, which is handled as text here
            folders.append(path)
        else:
            yield path
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
                        message = "It is a symbolic link to a folder. Import that folder itself."
                        problem = NotImported(ImportReason.LINK, message)
                        yield FoundFile(printable_path(entry.path), problem=problem)
                    else:
                        yield entry.path
        except OSError as exc:
            yield FoundFile(printable_path(folder), problem=_unreadable(exc))


def read_file(path: str) -> Iterator[FoundFile]:
    """Yield the content of a file, the contents of the members if it is an archive, and problems."""
    label = printable_path(path)
    try:
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = _small_content(file, size)
            if content is not None:
                yield FoundFile(label, content, os.fsencode(path))
                return
            file.seek(0)
            is_single = True
            for member in members(file, label, Budget(size)):
                is_single = member.label == label
                yield _found(member, os.fsencode(path) if is_single else None)
    except NotImported as exc:
        yield FoundFile(label, problem=exc)
    except OSError as exc:
        yield FoundFile(label, problem=_unreadable(exc))


def read_again(path: bytes) -> bytes:
    """Return the content of a file that is no archive of several. Raises NotImported if this is not possible."""
    for found in read_file(os.fsdecode(path)):
        if found.problem is not None:
            raise found.problem
        return found.content
    raise NotImported(ImportReason.CHANGED, "It is empty now.")


def _found(member: Member, path: bytes | None) -> FoundFile:
    label = printable_path(member.label)
    return FoundFile(label, problem=member.problem) if member.problem else FoundFile(label, member.content, path)


def _opened(path: str) -> IO[bytes]:
    """Open a regular file without waiting for a writer of a FIFO. Raises NotImported and OSError."""
    _check_is_regular(os.stat(path))  # noqa: PTH116
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_is_regular(os.fstat(handle))
        return os.fdopen(handle, "rb")
    except BaseException:
        with suppress(OSError):
            os.close(handle)
        raise


def _check_is_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotImported(ImportReason.SPECIAL_FILE, "It is a device, a pipe or a socket, not a file.")


def _small_content(file: IO[bytes], size: int) -> bytes | None:
    """The content of a file that is no archive, without the copies of the general path; None if it may be one."""
    if size > MAX_CONTENT:
        return None
    packed = file.read(MAX_CONTENT + 1)
    if not packed.startswith(_GZIP):
        return None if is_archive(packed) or len(packed) > MAX_CONTENT else packed
    reader = zlib.decompressobj(_AS_GZIP)
    try:
        content = reader.decompress(packed, MAX_CONTENT + 1)
    except zlib.error:
        return None  # the general path names the error
    is_whole = reader.eof and not reader.unused_data and len(content) <= MAX_CONTENT
    return content if is_whole and not is_archive(content) and not content.startswith(_GZIP) else None


def _unreadable(exc: OSError) -> NotImported:
    return NotImported(ImportReason.UNREADABLE, f"It cannot be read: {exc.strerror or exc}.")
