"""A complete test run runs every test exactly once."""

from __future__ import annotations

import atexit
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from tests import shared
from tests.conftest import pytest_collection_modifyitems, pytest_runtest_setup
from tests.run import FOLDERS, PACED_AT_ONCE, ROOT, RUNS


def runs_of(folder: str, *markers: str) -> list[str]:
    def is_marked(name: str, /, **_options: str | int | bool | None) -> bool:
        return name in markers

    found = []
    for run in RUNS:
        selects = Expression.compile(run.marked)
        if folder in run.folders and selects.evaluate(is_marked):
            found.append(run.title)
    return found


def an_item(folder: str, *markers: str, workers: int = 0) -> Any:
    config = SimpleNamespace(workerinput={"workercount": workers}) if workers else SimpleNamespace()
    return SimpleNamespace(
        nodeid="a test",
        path=ROOT / folder / "test_something.py",
        config=config,
        get_closest_marker=lambda name: name in markers,
    )


@pytest.mark.parametrize(
    ("folder", "markers", "run"),
    [
        *((f"tests/{name}", [], "computing") for name in ("unit", "integration", "contract")),
        ("tests/browser", ["browser"], "browser"),
        ("tests/acceptance", ["waits"], "waiting"),
        ("tests/acceptance", ["waits", "paced"], "paced"),
        ("tests/contract", ["alone"], "alone"),
    ],
)
def test_every_test_belongs_to_one_run(folder: str, markers: list[str], run: str) -> None:
    assert runs_of(folder, *markers) == [run]


def test_every_folder_of_tests_belongs_to_a_run() -> None:
    folders = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}
    assert {f"tests/{name}" for name in folders} == {folder for run in RUNS for folder in run.folders}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_marker_outside_the_folders_of_its_run_is_refused(name: str) -> None:
    pytest_collection_modifyitems([an_item(folder, name) for folder in FOLDERS[name]])
    with pytest.raises(pytest.UsageError, match=f"a test: the marker '{name}' may be used in {FOLDERS[name][0]}"):
        pytest_collection_modifyitems([an_item("tests/unit", name)])


@pytest.mark.parametrize(("marker", "at_once"), [("paced", PACED_AT_ONCE), ("alone", 1)])
def test_a_test_that_measures_fails_if_too_many_tests_run_at_a_time(marker: str, at_once: int) -> None:
    pytest_runtest_setup(an_item("tests/contract", marker))
    pytest_runtest_setup(an_item("tests/contract", marker, workers=at_once))
    pytest_runtest_setup(an_item("tests/contract", workers=at_once + 1))
    with pytest.raises(pytest.fail.Exception, match=f"no more than {at_once} may run"):
        pytest_runtest_setup(an_item("tests/contract", marker, workers=at_once + 1))


def test_threads_that_ask_at_the_same_time_get_one_shared_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shared.VARIABLE, "")
    monkeypatch.setattr(atexit, "register", lambda *_: None)
    threads = 8
    barrier = threading.Barrier(threads)

    def ask(_: int) -> Path:
        barrier.wait()
        return shared.folder()

    with ThreadPoolExecutor(threads) as pool:
        folders = set(pool.map(ask, range(threads)))
    for folder in folders:
        folder.rmdir()
    assert len(folders) == 1


def test_no_two_processes_of_a_run_get_the_same_port() -> None:
    ports = [shared.free_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
    assert all(port < 32_768 for port in ports), "outgoing connections use the ports from there"
