"""The files of an import: what they are, and where their content is. Memory use does not depend on their number.

It is a temporary SQLite database. Contents of archive members are kept in it, compressed; other files are read again.
"""

from __future__ import annotations

import sqlite3
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import date
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from backfill.domain import ProgramYear, Report, ReportName, reports_of
from backfill.transfer.imports.files import FoundFile, read_again
from backfill.transfer.imports.reasons import ImportReason, NotImported
from backfill.transfer.imports.recognition import RecognisedReport
from backfill.transfer.imports.report_sets import ReportSet, Target

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -20000;
CREATE TABLE sets (
    id INTEGER PRIMARY KEY, district TEXT NOT NULL, month_end TEXT NOT NULL, as_of TEXT NOT NULL, clubs TEXT NOT NULL,
    year INTEGER, reason TEXT, message TEXT NOT NULL DEFAULT '',
    UNIQUE (district, month_end, as_of, clubs)
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, label TEXT NOT NULL, path BLOB, digest BLOB, set_id INTEGER, report TEXT, rows INTEGER,
    size INTEGER, hash TEXT, reason TEXT, message TEXT NOT NULL DEFAULT ''
);
CREATE TABLE contents (file_id INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE targets (
    id INTEGER PRIMARY KEY, set_id INTEGER NOT NULL, date TEXT NOT NULL, district TEXT NOT NULL,
    data_month TEXT NOT NULL, as_of TEXT NOT NULL, is_final INTEGER NOT NULL, footer TEXT NOT NULL, reason TEXT
);
"""

_RESOLUTION = (
    "CREATE INDEX files_of_sets ON files (set_id, report, hash, label)",
    # The same content twice.
    """
    UPDATE files SET reason = 'duplicate', message = 'It has the same content as ' || first.label || '.'
    FROM (
        SELECT id, first_value(label) OVER same AS label, row_number() OVER same AS number FROM files
        WHERE set_id IS NOT NULL WINDOW same AS (PARTITION BY set_id, report, hash ORDER BY label, id)
    ) AS first WHERE first.id = files.id AND first.number > 1
    """,
    # Different contents of the same report.
    """
    UPDATE files SET reason = 'conflict', message = 'It has other content than ' || other.label || ', for the same '
        || 'district, month and as-of date.'
    FROM (
        SELECT one.id AS id, min(two.label) AS label FROM files AS one
        JOIN files AS two ON two.set_id = one.set_id AND two.report = one.report AND two.hash <> one.hash
        WHERE one.reason IS NULL AND two.reason IS NULL GROUP BY one.id
    ) AS other WHERE other.id = files.id
    """,
)

_PAGE = 500

_TARGET_ORDER = (
    "CREATE INDEX targets_of_sets ON targets (set_id, id)",
    "CREATE INDEX targets_by_date ON targets (date, district, is_final, as_of, footer)",
    """
    UPDATE targets SET reason = 'superseded' FROM (
        SELECT id, row_number() OVER (
            PARTITION BY date, district ORDER BY is_final DESC, as_of DESC, footer DESC, set_id
        ) AS number FROM targets
    ) AS ranked WHERE ranked.id = targets.id AND ranked.number > 1
    """,
)

_SETTLEMENT = (
    """
    UPDATE sets SET reason = (
        SELECT CASE
            WHEN sum(reason = 'imported') THEN 'imported'
            WHEN sum(reason = 'changed') THEN 'changed'
            WHEN sum(reason = 'stored') THEN 'stored'
            ELSE 'superseded' END
        FROM targets WHERE targets.set_id = sets.id
    ) WHERE EXISTS (SELECT 1 FROM targets WHERE targets.set_id = sets.id)
    """,
    """
    UPDATE files SET reason = sets.reason, message = sets.message FROM sets
    WHERE sets.id = files.set_id AND (files.reason IS NULL OR files.reason IN ('imported', 'changed'))
        AND sets.reason IS NOT NULL
    """,
)


class FileIndex:
    """A context manager; the temporary folder is removed at its end, and by the system after a kill."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="backfill-import-")
        self._sql = sqlite3.connect(Path(self._folder.name) / "index.sqlite3", isolation_level=None)
        self._sql.executescript(_SCHEMA)
        self._sql.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sql.close()
        self._folder.cleanup()

    # Filling.

    def add_problem(self, label: str, problem: NotImported) -> None:
        self._sql.execute(
            "INSERT INTO files (label, reason, message) VALUES (?, ?, ?)", (label, problem.reason, problem.message)
        )

    def add(self, found: FoundFile, recognised: RecognisedReport) -> None:
        file_id = self._sql.execute(
            "INSERT INTO files (label, path, digest, set_id, report, rows, size, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                found.label,
                found.path,
                _digest(found.content),
                self._set_of(recognised),
                str(recognised.report),
                recognised.rows,
                recognised.size,
                recognised.content_hash,
            ),
        ).lastrowid
        if found.path is None:
            packed = zlib.compress(found.content, 1)
            self._sql.execute("INSERT INTO contents VALUES (?, ?)", (file_id, packed))

    def _set_of(self, recognised: RecognisedReport) -> int:
        key = (
            recognised.district,
            recognised.month_end.isoformat() if recognised.month_end else "",
            recognised.as_of.isoformat(),
            # Several years may have been downloaded on the same day.
            "" if recognised.month_end else recognised.clubs,
        )
        found = self._sql.execute(
            "INSERT INTO sets (district, month_end, as_of, clubs) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET clubs = clubs RETURNING id",
            key,
        ).fetchone()
        if recognised.year is not None:
            self._sql.execute("UPDATE sets SET year = ? WHERE id = ?", (recognised.year.start, found[0]))
        return int(found[0])

    # Sets.

    def resolve(self) -> None:
        """Find duplicates, conflicts and incomplete sets."""
        for statement in _RESOLUTION:
            self._sql.execute(statement)
        usable = self._sql.execute(
            "SELECT sets.id, sets.district, coalesce(group_concat(DISTINCT files.report), '') FROM sets "
            "LEFT JOIN files ON files.set_id = sets.id AND files.reason IS NULL GROUP BY sets.id"
        )
        incomplete = (
            (", ".join(missing), set_id)
            for set_id, district, reports in usable
            if (missing := [name for name in reports_of(district) if name not in reports.split(",")])
        )
        self._sql.executemany(
            "UPDATE sets SET reason = 'incomplete', message = 'Of its district, month and as-of date, "
            "this import lacks: ' || ? || '.' WHERE id = ?",
            incomplete,
        )

    def as_of_days(self) -> Iterator[tuple[date, date]]:
        """Yield each month with each of its as-of dates."""
        rows = self._sql.execute("SELECT DISTINCT month_end, as_of FROM sets WHERE month_end <> ''")
        return ((date.fromisoformat(month_end), date.fromisoformat(as_of)) for month_end, as_of in rows)

    def sets(self) -> Iterator[ReportSet]:
        """Yield the complete sets. The caller may reject them meanwhile."""
        last = 0
        while rows := self._sql.execute(
            "SELECT id, district, month_end, as_of, year FROM sets WHERE reason IS NULL AND id > ? ORDER BY id LIMIT ?",
            (last, _PAGE),
        ).fetchall():
            for set_id, district, month_end, as_of, year in rows:
                yield ReportSet(
                    id=set_id,
                    district=district,
                    month_end=date.fromisoformat(month_end) if month_end else None,
                    as_of=date.fromisoformat(as_of),
                    year=ProgramYear(year) if year else None,
                )
            last = rows[-1][0]

    def reject(self, set_id: int, problem: NotImported) -> None:
        self._sql.execute(
            "UPDATE sets SET reason = ?, message = ? WHERE id = ?", (problem.reason, problem.message, set_id)
        )

    def newest_set(self, district: str, year: ProgramYear) -> int | None:
        """The complete set of a district with the newest as-of date of a program year, except its June."""
        row = self._sql.execute(
            "SELECT id FROM sets WHERE district = ? AND month_end >= ? AND month_end < ? AND reason IS NULL "
            "ORDER BY month_end DESC, as_of DESC LIMIT 1",
            (district, year.month_end(7).isoformat(), year.close.isoformat()),
        ).fetchone()
        return row[0] if row else None

    def reports(self, set_id: int) -> Mapping[ReportName, Report]:
        """The reports of a complete set without their content."""
        return {name: report for name, _, _, _, report in self._reports(set_id)}

    def reports_with_content(self, set_id: int) -> Mapping[ReportName, Report]:
        """The reports of a complete set. Raises NotImported if a file has changed since it was indexed."""
        reports = {}
        for name, file_id, path, digest, report in self._reports(set_id):
            content = self._content(file_id, path)
            if _digest(content) != digest:
                raise NotImported(ImportReason.CHANGED, "A file changed during the import. Import it again.")
            reports[name] = Report(
                rows=report.rows, size=report.size, content_hash=report.content_hash, content=content
            )
        return reports

    def _content(self, file_id: int, path: bytes | None) -> bytes:
        if path is None:
            [packed] = self._sql.execute("SELECT packed FROM contents WHERE file_id = ?", (file_id,)).fetchone()
            return zlib.decompress(packed)
        try:
            return read_again(path)
        except NotImported as exc:
            raise NotImported(ImportReason.CHANGED, f"A file changed during the import. {exc.message}") from exc

    def _reports(self, set_id: int) -> Iterator[tuple[ReportName, int, bytes | None, bytes, Report]]:
        rows = self._sql.execute(
            "SELECT report, id, path, digest, rows, size, hash FROM files "
            "WHERE set_id = ? AND (reason IS NULL OR reason IN ('imported', 'changed')) ORDER BY report",
            (set_id,),
        ).fetchall()
        for name, file_id, path, digest, count, size, content_hash in rows:
            report = Report(rows=count, size=size, content_hash=content_hash)
            yield ReportName(name), file_id, path, digest, report

    # Targets.

    def add_target(self, target: Target) -> None:
        self._sql.execute(
            "INSERT INTO targets (set_id, date, district, data_month, as_of, is_final, footer) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                target.set_id,
                target.date.isoformat(),
                target.district,
                target.data_month.isoformat(),
                target.as_of.isoformat(),
                target.is_final,
                target.footer.isoformat(),
            ),
        )

    def order_targets(self) -> None:
        """Of several targets for the same date and district, keep the newest edition."""
        for statement in _TARGET_ORDER:
            self._sql.execute(statement)

    def target_months(self) -> Iterator[list[Target]]:
        """Yield the targets without an outcome of each month of snapshot dates."""
        for (month,) in self._sql.execute("SELECT DISTINCT substr(date, 1, 7) FROM targets ORDER BY 1").fetchall():
            yield self._targets(
                "reason IS NULL AND date BETWEEN ? AND ? ORDER BY date, district", f"{month}-01", f"{month}-31"
            )

    def targets_to_store(self) -> Iterator[Target]:
        """Yield the targets to be stored, those of the same set one after the other. The caller may settle them."""
        last = 0, 0
        while page := self._targets(
            "reason = ? AND (set_id, id) > (?, ?) ORDER BY set_id, id LIMIT ?", ImportReason.IMPORTED, *last, _PAGE
        ):
            yield from page
            last = page[-1].set_id, page[-1].id

    def _targets(self, condition: str, *values: object) -> list[Target]:
        rows = self._sql.execute(
            "SELECT set_id, date, district, data_month, as_of, is_final, footer, id FROM targets "  # noqa: S608
            f"WHERE {condition}",
            values,
        )
        return [
            Target(
                set_id=set_id,
                date=date.fromisoformat(day),
                district=district,
                data_month=date.fromisoformat(data_month),
                as_of=date.fromisoformat(as_of),
                is_final=bool(is_final),
                footer=date.fromisoformat(footer),
                id=target_id,
            )
            for set_id, day, district, data_month, as_of, is_final, footer, target_id in rows
        ]

    def settle(self, target_id: int, reason: ImportReason) -> None:
        self._sql.execute("UPDATE targets SET reason = ? WHERE id = ?", (str(reason), target_id))

    def settle_files(self) -> None:
        """Give each file the outcome of its set."""
        for statement in _SETTLEMENT:
            self._sql.execute(statement)

    # Results.

    def counts(self) -> dict[str, int]:
        """The number of files by reason."""
        return dict(self._sql.execute("SELECT reason, count(*) FROM files GROUP BY reason ORDER BY reason"))

    def snapshot_counts(self) -> dict[str, int]:
        """The number of snapshot dates by reason."""
        return dict(self._sql.execute("SELECT reason, count(*) FROM targets GROUP BY reason"))

    def listed(self, reason: str, limit: int = -1) -> Iterator[tuple[str, str]]:
        """Yield path and message of the files with a reason, by path."""
        rows = self._sql.execute(
            "SELECT label, message FROM files WHERE reason = ? ORDER BY label LIMIT ?", (reason, limit)
        )
        return ((label, message) for label, message in rows)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
