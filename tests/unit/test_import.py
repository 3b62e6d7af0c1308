"""Imports of exports that were saved elsewhere, into a store in memory."""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from backfill.dashboard.reports import parse
from backfill.domain import SUMMARY, Actor, CalendarMonth, Channel, ReportName, Snapshot, reports_of
from backfill.errors import InvalidRequest, JobConflict
from backfill.transfer.imports import HARMLESS, FileImport, ImportProgress
from sample_dashboard.program_year import ProgramYear as SampleYear
from sample_dashboard.world import SampleWorld
from tests.factories import JobFactory, PlanFactory, reports_for
from tests.memory_storage import MemoryStorage

NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
BY = Actor("alice", Channel.CLI)
WORLD = SampleWorld(NOW.date(), districts=3, clubs=4)
JANUARY, JUNE = date(2025, 1, 31), date(2025, 6, 30)
REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "dashboard" / "real"
needs_real_exports = pytest.mark.skipif(not REAL.is_dir(), reason="The real exports of ../shared/dashboard are absent.")


def export_of(name: ReportName, month_end: date, as_of: date | None, district: str = "01") -> bytes:
    """The export of a closed program year of the sample dashboard; the close of June has no as-of date."""
    year = SampleYear.of(month_end)
    parts = [name] if name is ReportName.SUMMARY else [name, district]
    days = [f"{day.month}/{day.day}/{day.year}" if day else "" for day in (month_end, as_of)]
    content = WORLD.report("~".join([*parts, *days, str(year)]), year)
    assert content is not None
    return content


def exports_of(month_end: date, as_of: date | None = None, district: str = "01") -> dict[ReportName, bytes]:
    """The reports of a district for the close of a month, or for an as-of date."""
    day = as_of or WORLD.close_of(month_end)
    return {name: export_of(name, month_end, day, district) for name in reports_of(district)}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def a_month(folder: Path, month_end: date = JANUARY) -> Path:
    return write(folder, {f"{name}.csv": content for name, content in exports_of(month_end).items()})


class Imported:
    """The outcome of an import."""

    def __init__(self, storage: MemoryStorage, paths: Sequence[Path | str], *, is_dry_run: bool = False) -> None:
        with FileImport(storage, lambda: NOW, self.report) as imported:
            self.storage, self.import_ = storage, imported
            imported.run([str(path) for path in paths], by=BY, is_dry_run=is_dry_run)
            self.counts, self.snapshots = imported.counts(), imported.snapshots()
            self.listed = {
                Path(path).name: (reason, message)
                for reason in self.counts
                for path, message in imported.listed(reason)
            }

    def report(self, progress: ImportProgress) -> None:
        """Called with the progress."""


def imported(*paths: Path | str, storage: MemoryStorage | None = None, is_dry_run: bool = False) -> Imported:
    return Imported(storage or MemoryStorage(), paths, is_dry_run=is_dry_run)


def contents(storage: MemoryStorage) -> dict[tuple[date, str], object]:
    """What is stored, without the id of the import."""
    return {key: replace(row, job_id=row.job_id.__class__(int=0)) for key, row in storage.snapshots.rows.items()}


def test_the_reports_of_a_close_are_stored_byte_for_byte_for_its_as_of_date_and_for_the_end_of_the_month(
    tmp_path: Path,
) -> None:
    done = imported(a_month(tmp_path))
    close = WORLD.close_of(JANUARY)
    assert (done.counts, done.snapshots) == ({"imported": 3}, 2)
    assert set(done.storage.snapshots.rows) == {(JANUARY, "01"), (close, "01")}
    for snapshot in done.storage.snapshots.rows.values():
        assert {name: report.content for name, report in snapshot.reports.items()} == exports_of(JANUARY)
        assert (snapshot.data_month, snapshot.as_of) == (JANUARY, close)
        assert snapshot.is_final == (snapshot.date == JANUARY)
        assert {report.content_hash for report in snapshot.reports.values()} == {
            parse(content, subject="It").content_hash for content in exports_of(JANUARY).values()
        }


def test_the_import_is_audited_with_its_counts_by_the_operator(tmp_path: Path) -> None:
    done = imported(a_month(tmp_path))
    [entry] = done.storage.audit.page(None, limit=10, offset=0).rows
    assert (entry.action, entry.actor, entry.job_id) == ("imported", BY, None)
    changes = {name: after for name, (_, after) in entry.changes.items()}
    assert changes.pop("importId") == str(next(iter(done.storage.snapshots.rows.values())).job_id)
    assert changes == {"files": 3, "snapshots": 2, "imported": 3}


def scrambled(exports: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """The exports in another order under names without meaning."""
    shuffled = random.Random(7).sample(exports, len(exports))
    return ((f"{number:05x}", content) for number, content in enumerate(shuffled))


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload] # `mode` is a text
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_names_folders_and_archives_make_no_difference(tmp_path: Path) -> None:
    districts = ("01", "F", SUMMARY)
    exports = [content for district in districts for content in exports_of(JANUARY, district=district).values()]
    plain = dict(scrambled(exports))
    packed = {f"{name}.gz": gzip.compress(content) for name, content in plain.items()}
    forms = {
        "folder": {f"a/{name[-1]}/b/{name}": content for name, content in plain.items()},
        "gzip": packed,
        "zip": {"x.csv": zipped({f"deep/{name}": content for name, content in packed.items()})},
        "tar": {"y": tarred(plain)},
        "nested": {"z.bin": zipped({"inner.tgz": tarred(packed), "empty/": b""})},
    }
    stored = {}
    for form, files in forms.items():
        done = imported(write(tmp_path / form, files))
        assert (form, done.counts) == (form, {"imported": len(exports)})
        stored[form] = contents(done.storage)
    assert len(stored["folder"]) == 2 * len(districts)
    assert all(snapshots == stored["folder"] for snapshots in stored.values())


def test_a_dry_run_reports_the_same_and_stores_nothing(tmp_path: Path) -> None:
    folder, storage = a_month(tmp_path), MemoryStorage()
    dry = imported(folder, storage=storage, is_dry_run=True)
    assert not storage.snapshots.rows
    assert storage.audit.page(None, limit=1, offset=0).total == 0
    real = imported(folder, storage=storage)
    assert (dry.counts, dry.snapshots) == (real.counts, real.snapshots) == ({"imported": 3}, 2)


def test_a_repeated_import_stores_and_audits_nothing_again(tmp_path: Path) -> None:
    folder, storage = a_month(tmp_path), MemoryStorage()
    imported(folder, storage=storage)
    before = dict(storage.snapshots.rows)
    again = imported(folder, storage=storage)
    assert (again.counts, again.snapshots) == ({"stored": 3}, 0)
    assert storage.snapshots.rows == before
    assert storage.audit.page(None, limit=10, offset=0).total == 1


def test_an_interrupted_import_is_completed_by_repeating_it(tmp_path: Path) -> None:
    whole, storage = imported(a_month(tmp_path)).storage, MemoryStorage()
    part = whole.snapshots.rows[JANUARY, "01"]
    storage.snapshots.rows[JANUARY, "01"] = part
    assert imported(tmp_path, storage=storage).snapshots == 1
    assert contents(storage) == contents(whole)


def test_an_incomplete_set_is_listed_with_the_reports_that_are_missing(tmp_path: Path) -> None:
    exports = exports_of(JANUARY)
    del exports[ReportName.DIVISIONS]
    done = imported(write(tmp_path, {f"{name}.csv": content for name, content in exports.items()}))
    assert done.counts == {"incomplete": 2}
    assert "lacks: divisionperformance." in done.listed["clubperformance.csv"][1]
    assert not done.storage.snapshots.rows


def test_the_same_content_twice_is_a_duplicate_and_different_contents_are_a_conflict(tmp_path: Path) -> None:
    a_month(tmp_path)
    write(tmp_path, {"copy.csv": exports_of(JANUARY)[ReportName.CLUBS]})
    done = imported(tmp_path)
    assert done.counts == {"imported": 3, "duplicate": 1}
    assert done.listed["copy.csv"][1].endswith("clubperformance.csv.")

    changed = exports_of(JANUARY)[ReportName.CLUBS].replace(b"01", b"1", 1)
    assert changed != exports_of(JANUARY)[ReportName.CLUBS]
    done = imported(write(tmp_path, {"other.csv": changed}))
    assert done.counts["conflict"] == 2
    assert not done.storage.snapshots.rows


def test_files_whose_figures_are_older_than_the_stored_ones_are_superseded(tmp_path: Path) -> None:
    storage = imported(a_month(tmp_path)).storage
    newer = {
        key: replace(row, as_of=row.as_of + timedelta(days=1), reports=reports_for("01"))
        for key, row in storage.snapshots.rows.items()
    }
    storage.snapshots.rows = dict(newer)
    assert imported(tmp_path, storage=storage).counts == {"superseded": 3}
    assert storage.snapshots.rows == newer


def hostile_files() -> dict[str, tuple[str, bytes]]:
    """Files by name that are no reports, with the expected reason."""
    clubs = exports_of(JANUARY)[ReportName.CLUBS]
    lines = clubs.splitlines(keepends=True)
    old_header = exports_of(date(2019, 1, 31))[ReportName.CLUBS].splitlines(keepends=True)[0]
    packed = gzip.compress(clubs)
    return {
        "empty.csv": ("TRUNCATED", b""),
        "page.html": ("HTML_PAGE", b"<!DOCTYPE html><html><body>Error</body></html>"),
        "image.png": ("NOT_CSV", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4),
        "no-footer.csv": ("TRUNCATED", b"".join(lines[:-1])),
        "half-a-line.csv": ("TRUNCATED", clubs[: len(clubs) // 2]),
        "utf-16.csv": ("NOT_CSV", clubs.decode().encode("utf-16")),
        "notes.txt": ("NOT_CSV", b"Some notes about the archive.\r\n"),
        "truncated.csv.gz": ("damaged-archive", packed[: len(packed) // 2]),
        "broken.zip": ("damaged-archive", b"PK\x03\x04" + bytes(100)),
        "other-table.csv": ("unknown-report", b'"a","b"\r\n"1","2"\r\nMonth of Jan, As of 02/09/2025\r\n'),
        "future.csv": ("WRONG_AS_OF", clubs.replace(lines[-1], b"Month of Jan, As of 02/09/2031\r\n")),
        "wrong-month.csv": ("WRONG_MONTH", clubs.replace(lines[-1], b"Month of Jan, As of 09/09/2025\r\n")),
        "mixed-eras.csv": ("MALFORMED_ROW", old_header + b"".join(lines[1:])),
    }


def test_each_hostile_file_is_counted_under_its_reason_and_stores_nothing(tmp_path: Path) -> None:
    files = hostile_files()
    write(tmp_path, {name: content for name, (_, content) in files.items()})
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    done = imported(tmp_path)
    found = {name: reason for name, (reason, _) in done.listed.items()}
    assert found == {
        **{name: reason for name, (reason, _) in files.items()},
        "fifo": "special-file",
        "loop": "link",
        "nowhere": "unreadable",
    }
    assert all(message for _, message in done.listed.values())
    assert not done.storage.snapshots.rows


def test_hostile_files_do_not_keep_the_reports_among_them_from_being_stored(tmp_path: Path) -> None:
    a_month(tmp_path)
    write(tmp_path / "more", {name: content for name, (_, content) in hostile_files().items()})
    done = imported(tmp_path)
    assert done.counts["imported"] == 3
    assert contents(done.storage) == contents(imported(a_month(tmp_path / "only")).storage)


@pytest.mark.parametrize("era", [date(2016, 1, 31), date(2021, 1, 31), date(2025, 9, 30), date(2026, 9, 30)], ids=str)
def test_reports_with_the_columns_of_every_era_are_recognised(tmp_path: Path, era: date) -> None:
    world = SampleWorld(era + timedelta(days=60), districts=3, clubs=4)
    close = world.close_of(era)
    year = SampleYear.of(era)
    archive = None if year == world.live_year else year
    for name in reports_of("F"):
        text = f"{name}~F~{era.month}/{era.day}/{era.year}~{close.month}/{close.day}/{close.year}~{year}"
        content = world.report(text, archive)
        assert content is not None
        (tmp_path / name).write_bytes(content)
    storage = MemoryStorage()
    with FileImport(storage, lambda: datetime.combine(world.today, NOW.timetz()), lambda _: None) as done:
        done.run([str(tmp_path)], by=BY, is_dry_run=False)
        assert done.counts() == {"imported": 3}
    assert (close, "F") in storage.snapshots.rows


def test_a_decompression_bomb_is_not_unpacked(tmp_path: Path) -> None:
    zeros = gzip.compress(bytes(50_000_000), 9)
    inner = zipped({f"{number}.gz": zeros for number in range(40)})
    done = imported(write(tmp_path, {"bomb.zip": zipped({"inner.zip": inner}), "big.gz": zeros}))
    assert {reason for reason, _ in done.listed.values()} <= {"archive-limit", "TOO_LARGE"}
    assert not done.storage.snapshots.rows


def test_an_encrypted_member_is_listed_with_the_advice_to_unpack_it(tmp_path: Path) -> None:
    data = bytearray(zipped({"secret.csv": b"x"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of the two headers
        data[data.index(signature) + offset] |= 1
    done = imported(write(tmp_path, {"a.zip": bytes(data)}))
    assert done.counts == {"encrypted": 1}
    assert "password" in done.listed["a.zip!secret.csv"][1]


def test_names_with_control_characters_and_bytes_that_are_not_utf_8_are_escaped(tmp_path: Path) -> None:
    name = os.fsdecode(b"red\x1b[31m-\xff.csv")
    done = imported(write(tmp_path, {name: b"x"}))
    assert [*done.listed] == ["red\\x1b[31m-\\xff.csv"]


def test_a_missing_path_and_an_empty_folder_are_refused_with_their_name(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "gone", "no file or folder"), (tmp_path, "no files in")):
        with pytest.raises(InvalidRequest, match=message) as caught:
            imported(path)
        assert str(path) in str(caught.value.details)


# Jobs


def start_a_job(storage: MemoryStorage) -> None:
    storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None)


def test_an_import_is_refused_while_a_job_is_active_but_a_dry_run_is_not(tmp_path: Path) -> None:
    folder, storage = a_month(tmp_path), MemoryStorage()
    start_a_job(storage)
    with pytest.raises(JobConflict):
        imported(folder, storage=storage)
    assert not storage.snapshots.rows
    assert imported(folder, storage=storage, is_dry_run=True).snapshots == 2


def test_a_job_that_starts_during_the_import_ends_it_and_the_message_says_how_to_continue(tmp_path: Path) -> None:
    class Interrupted(Imported):
        def report(self, progress: ImportProgress) -> None:
            if progress.unit == "file" and progress.done == progress.total:
                start_a_job(storage)

    storage = MemoryStorage()
    with pytest.raises(JobConflict, match="0 of 2 snapshots are imported; then repeat the import to continue"):
        Interrupted(storage, [a_month(tmp_path)])
    assert not storage.snapshots.rows


def test_a_file_that_changes_during_the_import_is_not_stored(tmp_path: Path) -> None:
    class Changing(Imported):
        def report(self, progress: ImportProgress) -> None:
            if progress.unit == "file" and progress.done == progress.total:
                (tmp_path / "clubperformance.csv").write_bytes(b"changed")

    done = Changing(MemoryStorage(), [a_month(tmp_path)])
    assert done.counts == {"changed": 3}
    assert not done.storage.snapshots.rows


# The close of June, which is requested without an as-of date and has the date of the download in its footer


def june_exports() -> dict[str, bytes]:
    return {f"{name}.csv": export_of(name, JUNE, None) for name in reports_of("01")}


def june_calendar(*, is_closed: bool = True) -> CalendarMonth:
    return CalendarMonth(
        month_end=JUNE,
        districts=("01",),
        as_of_days=WORLD.as_of_days(JUNE),
        is_archived=True,
        is_closed=is_closed,
        has_blank_close=True,
        fetched_at=NOW,
    )


def test_a_june_downloaded_after_the_close_of_its_year_is_the_final_close(tmp_path: Path) -> None:
    storage = MemoryStorage()
    storage.calendars.save(june_calendar())
    write(tmp_path, june_exports())
    a_month(tmp_path / "may", date(2025, 5, 31))  # has the club bases that show the program year
    done = imported(tmp_path, storage=storage)
    assert done.counts == {"imported": 6}
    snapshot: Snapshot = storage.snapshots.rows[JUNE, "01"]
    assert (snapshot.data_month, snapshot.as_of, snapshot.is_final) == (JUNE, WORLD.close_of(JUNE), True)
    assert snapshot.reports[ReportName.CLUBS].content == june_exports()["clubperformance.csv"]


@pytest.mark.parametrize("calendar", [None, june_calendar(is_closed=False)], ids=["unknown", "still open"])
def test_a_june_is_not_stored_before_the_calendar_says_that_its_year_is_closed(
    tmp_path: Path, calendar: CalendarMonth | None
) -> None:
    storage = MemoryStorage()
    if calendar:
        storage.calendars.save(calendar)
    write(tmp_path, june_exports())
    done = imported(tmp_path, storage=storage)
    assert done.counts == {"june-close": 3}
    assert "alendar" in done.listed["clubperformance.csv"][1]
    assert not storage.snapshots.rows


# The real exports


@needs_real_exports
def test_the_real_exports_are_imported_completely_from_a_folder_and_from_a_zip_with_scrambled_names(
    tmp_path: Path,
) -> None:
    folder = imported(REAL)
    assert folder.counts == {"imported": 520}
    rows = folder.storage.snapshots.rows
    finals = {day for (day, district), row in rows.items() if district == "91" and day == row.data_month}
    files = {name: sorted((REAL / name / "91").glob("*.csv.gz")) for name in reports_of("91")}
    closes = [path.name[:10] for path in files[ReportName.CLUBS]]
    assert (len(closes), {str(day) for day in finals}) == (124, set(closes))
    for name, paths in files.items():
        for path in paths:
            stored = rows[date.fromisoformat(path.name[:10]), "91"].reports[name]
            assert stored.content == gzip.decompress(path.read_bytes())

    exports = [path.read_bytes() for path in sorted(REAL.rglob("*.csv.gz"))]
    (tmp_path / "all").write_bytes(zipped(dict(scrambled(exports))))
    archive = imported(tmp_path / "all")
    assert archive.counts == {"imported": 520}
    assert contents(archive.storage) == contents(folder.storage)


def test_every_reason_that_is_harmless_means_that_figures_are_stored() -> None:
    assert {str(reason) for reason in HARMLESS} == {"imported", "stored", "superseded", "duplicate"}
