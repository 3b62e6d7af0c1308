"""Reads the rows of a program year from the store, date by date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from backfill.analytics import SCHEMA_VERSION, UnreadableSnapshot
from backfill.analytics.dictionary import Table
from backfill.domain import SUMMARY, ProgramYear, Result, Snapshot, SnapshotMetadata
from backfill.errors import BackfillError, CorruptRecord, DashboardError, SnapshotNotFound, ValueOutOfRange
from backfill.storage import Storage
from backfill.transfer.dataset.inputs import DayInputs, Input, YearInputs, days_of
from backfill.transfer.dataset.records import Chunk, district_chunks, world_chunk

OnProblem = Callable[[str, BackfillError], None]
Chunks = Mapping[Table, Chunk]


class YearSource:
    """The rows of a program year, as they are when they are read."""

    def __init__(self, storage: Storage, year: ProgramYear, on_problem: OnProblem) -> None:
        self._storage, self._year, self._on_problem = storage, year, on_problem
        self.inputs = YearInputs()
        """The inputs that were read. They differ from the stored ones if some are unreadable or change meanwhile."""

    def chunks(self, *, with_districts: bool) -> Iterator[Chunks]:
        """Yield the rows of each district and date; without districts, those of all districts only.

        Records that cannot be read are left out and passed to `on_problem`.
        """
        for day in days_of(self._storage, self._year):
            self.inputs.without_result += day.without_result
            yield from self._chunks_of(day, with_districts=with_districts)

    def _chunks_of(self, day: DayInputs, *, with_districts: bool) -> Iterator[Chunks]:
        districts = [one.snapshot.district for one in day.inputs if one.snapshot.district != SUMMARY]
        is_read = with_districts and bool(districts)
        snapshots = self._storage.snapshots.get_several(day.day, districts) if is_read else {}
        results = self._storage.results.get_several(day.day, districts) if is_read else {}
        for one in day.inputs:
            is_summary = one.snapshot.district == SUMMARY
            if not is_summary and not with_districts:
                continue
            try:
                chunks = self._world(one) if is_summary else self._district(one, snapshots, results)
            except (CorruptRecord, DashboardError, SnapshotNotFound, UnreadableSnapshot, ValueOutOfRange) as exc:
                self._on_problem(f"{day.day}/{one.snapshot.district}", exc)
                continue
            if chunks is None:
                self.inputs.without_result += 1
            else:
                yield chunks

    def _world(self, one: Input) -> Chunks | None:
        result = self._storage.results.get(one.snapshot.date, SUMMARY)
        if result is None or result.source_hash != one.snapshot.content_hash or result.schema_version != SCHEMA_VERSION:
            return None
        chunks = world_chunk(result)
        self.inputs.add(Input(one.snapshot, result.input_digest))
        return chunks

    def _district(self, one: Input, snapshots: Mapping[str, Snapshot], results: Mapping[str, Result]) -> Chunks | None:
        day, district = one.snapshot.date, one.snapshot.district
        # Unreadable records are missing; reading one of them again raises the error.
        snapshot = snapshots.get(district) or self._storage.snapshots.get(day, district)
        result = results.get(district) or self._storage.results.get(day, district)
        if snapshot is None or result is None or result.schema_version != SCHEMA_VERSION:
            return None
        chunks = district_chunks(snapshot, result)
        if chunks is not None:
            self.inputs.add(Input(_metadata(snapshot), result.input_digest))
        return chunks


def _metadata(snapshot: Snapshot) -> SnapshotMetadata:
    return SnapshotMetadata(
        snapshot.date,
        snapshot.district,
        snapshot.data_month,
        snapshot.as_of,
        snapshot.is_final,
        snapshot.content_hash,
    )
