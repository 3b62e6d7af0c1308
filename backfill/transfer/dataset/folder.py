"""The folder of a dataset: its lock, its partitions, and the files in it that are not part of the dataset.

    FOLDER/_dataset.json                                    marks the folder and names its format
    FOLDER/clubs/program_year=2023-2024/clubs.parquet       a partition
    FOLDER/clubs/program_year=2023-2024/_inputs.json        the digest of its inputs

Readers of Parquet ignore names that begin with an underscore or a dot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from backfill.analytics.dictionary import Table
from backfill.domain import ProgramYear
from backfill.errors import DatasetFolderRefused
from backfill.transfer.dataset.writers import DatasetFormat

_MARKER = "_dataset.json"
_LOCK = ".dataset.lock"
_INPUTS = "_inputs.json"
_PART = ".part"
_IGNORED = {"lost+found"}
"""Folders of file systems, which may be in an otherwise empty folder."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Translate errors of the file system."""
    try:
        yield
    except OSError as exc:
        raise DatasetFolderRefused(f"{exc.filename or path} cannot be written: {exc.strerror or exc}.") from exc


@dataclass(frozen=True, slots=True)
class Partition:
    """The file of a table and program year. It is replaced as a whole or not at all."""

    folder: Path
    table: Table
    year: ProgramYear
    suffix: str

    @property
    def path(self) -> Path:
        return self.folder / str(self.table) / f"program_year={self.year}"

    @property
    def data(self) -> Path:
        return self.path / f"{self.table}.{self.suffix}"

    @property
    def _part(self) -> Path:
        return self.path / f".{self.data.name}{_PART}"

    @property
    def _inputs(self) -> Path:
        return self.path / _INPUTS

    def has_inputs(self, digest: str) -> bool:
        """Whether the file is complete and was made from inputs with this digest."""
        try:
            stored = json.loads(self._inputs.read_text())
            return bool(stored == {"digest": digest, "bytes": self.data.stat().st_size})
        except (OSError, ValueError):  # missing or damaged, so the partition is written again
            return False

    @contextmanager
    def writing(self) -> Iterator[IO[bytes]]:
        """Yield a file in the same folder, which `replace` puts in place. It is removed if an error occurs."""
        with translated(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            out = self._part.open("wb")
        try:
            with translated(self._part), out:
                yield out
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise

    def replace(self, digest: str) -> None:
        """Put the written file in place, then store its digest.

        The old digest is removed first: if the process is killed in between, the file has no digest and is written
        again, even if the inputs change back.
        """
        with translated(self.path):
            self._inputs.unlink(missing_ok=True)
            self._part.replace(self.data)
            _write_whole(self._inputs, json.dumps({"digest": digest, "bytes": self.data.stat().st_size}))

    def remove(self) -> None:
        """Remove the files of the partition, and its folder if nothing else is in it."""
        with translated(self.path):
            for file in (self._inputs, self.data, self._part):
                file.unlink(missing_ok=True)
            with suppress(OSError):  # it contains files that are not part of the dataset
                self.path.rmdir()


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    path: Path
    file_format: DatasetFormat

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create or check the folder, and lock it. Raises DatasetFolderRefused."""
        self._check()
        with translated(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / _LOCK, timeout=0)
            try:
                lock.acquire()
            except Timeout as exc:
                raise DatasetFolderRefused(
                    f"Another export writes into {self.path}. Wait until it has ended, then run the command again."
                ) from exc
        try:
            self._check()
            with translated(self.path):
                _write_whole(self.path / _MARKER, json.dumps({"dataset": "backfill", "format": self.file_format}))
                self._remove_leftovers()
            yield
        finally:
            lock.release()

    def partition(self, table: Table, year: ProgramYear) -> Partition:
        return Partition(self.path, table, year, self.file_format.suffix)

    def partitions(self) -> Iterator[Partition]:
        """Yield the stored partitions, also incomplete ones."""
        for table in Table:
            for path in sorted((self.path / str(table)).glob("program_year=*")):
                with suppress(ValueError):  # a folder with another name is not part of the dataset
                    partition = self.partition(table, ProgramYear.parse(path.name.partition("=")[2]))
                    if partition.data.exists():
                        yield partition

    def foreign_files(self) -> list[Path]:
        """The files among the tables that are not part of the dataset, but that readers may take for it."""
        own = {partition.data for partition in self.partitions()}
        found = [path for table in Table for path in sorted((self.path / str(table)).rglob("*")) if path.is_file()]
        return [path for path in found if path not in own and not path.name.startswith((".", "_"))]

    def _check(self) -> None:
        """Refuse a path that is no folder, a folder with other files, and a dataset of another format."""
        with translated(self.path):
            if not self.path.exists():
                return
            if not self.path.is_dir():
                raise DatasetFolderRefused(f"{self.path} is a file. Name a folder.")
            names = sorted(entry.name for entry in self.path.iterdir())
        if _MARKER in names:
            self._check_marker()
        elif others := [name for name in names if not name.startswith(".") and name not in _IGNORED]:
            more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
            raise DatasetFolderRefused(
                f"{self.path} contains files that are not a dataset: {', '.join(others[:3])}{more}. Name a new "
                "or empty folder."
            )

    def _check_marker(self) -> None:
        try:
            stored = json.loads((self.path / _MARKER).read_text())["format"]
        except (OSError, ValueError, LookupError, TypeError) as exc:
            raise DatasetFolderRefused(
                f"{self.path / _MARKER} cannot be read. Name a new or empty folder, or remove this file and the tables."
            ) from exc
        if stored != self.file_format:
            raise DatasetFolderRefused(
                f"{self.path} contains a dataset with the format {str(stored)[:40]}, not {self.file_format}. Name "
                "another folder."
            )

    def _remove_leftovers(self) -> None:
        """Remove the files that killed exports did not complete."""
        for table in Table:
            for path in (self.path / str(table)).glob(f"program_year=*/.*{_PART}"):
                path.unlink(missing_ok=True)


def _write_whole(path: Path, text: str) -> None:
    """Replace a small file, so that a reader sees the old or the new text, and write the folder to the disk."""
    part = path.with_name(f".{path.name}{_PART}")
    with part.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
