"""The dataset is the same from every storage."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from backfill.storage import Storage
from backfill.transfer.dataset import DatasetFormat, PartitionState, write_dataset
from tests.contract.backends import Backend
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import DAY
from tests.unit.stored_results import store
from tests.unit.stored_snapshots import a_district, a_summary

SNAPSHOTS = [
    a_district(date(2023, 1, 31)),
    a_summary(DAY, {}, {"DISTRICT": "F", "REGION": ""}, {"DISTRICT": "102"}),
    *(a_district(district=district) for district in ("102", "91", "F")),
]


def fill(storage: Storage) -> None:
    store(storage, SNAPSHOTS[0])
    store(storage, *SNAPSHOTS[1:])


def written(storage: Storage, folder: Path) -> tuple[dict[str, bytes], set[PartitionState]]:
    report = write_dataset(
        storage, folder, DatasetFormat.PARQUET, on_year=lambda _: None, on_problem=lambda key, _: pytest.fail(key)
    )
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("program_year=*/*")}
    return files, {state for year in report.years for state in year.states.values()}


def test_the_dataset_has_the_same_files_from_every_storage(storage: Storage, tmp_path: Path) -> None:
    memory = MemoryStorage()
    for each in (memory, storage):
        fill(each)
    expected, _ = written(memory, tmp_path / "memory")
    found, states = written(storage, tmp_path / "stored")
    assert found == expected
    assert len(found) == 2 * 6 * 2
    assert states == {PartitionState.WRITTEN}
    assert written(storage, tmp_path / "stored") == (expected, {PartitionState.UNCHANGED})


def test_a_damaged_snapshot_is_reported_and_the_rest_is_written(
    storage: Storage, backend: Backend, tmp_path: Path
) -> None:
    fill(storage)
    backend.damage_snapshot(DAY, "F")
    problems: list[str] = []
    write_dataset(
        storage,
        tmp_path / "dataset",
        DatasetFormat.CSV,
        on_year=lambda _: None,
        on_problem=lambda key, _: problems.append(key),
    )
    assert problems == [f"{DAY}/F"]
    lines = (tmp_path / "dataset" / "clubs" / "program_year=2023-2024" / "clubs.csv").read_text().splitlines()
    assert sorted({line.split(",")[1] for line in lines[1:]}) == ["102", "91"]
