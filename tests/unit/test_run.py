"""The phases of a whole test run leave no test out and run none twice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from tests.conftest import pytest_collection_modifyitems, pytest_runtest_setup
from tests.run import FOLDERS, PHASES, ROOT


def phases_of(folder: str, *markers: str) -> list[str]:
    def is_marked(name: str, /, **_options: str | int | bool | None) -> bool:
        return name in markers

    found = []
    for phase in PHASES:
        selects = Expression.compile(phase.options[phase.options.index("-m") + 1])
        if folder in phase.folders and selects.evaluate(is_marked):
            found.append(phase.title)
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
    ("folder", "markers", "phase"),
    [
        *((f"tests/{name}", [], "computing") for name in ("unit", "integration", "contract", "browser")),
        ("tests/acceptance", ["waits"], "waiting"),
        ("tests/acceptance", ["waits", "alone"], "alone"),
        ("tests/contract", ["alone"], "alone"),
    ],
)
def test_every_test_belongs_to_one_phase(folder: str, markers: list[str], phase: str) -> None:
    assert phases_of(folder, *markers) == [phase]


def test_every_folder_of_tests_belongs_to_a_phase() -> None:
    folders = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}
    assert {f"tests/{name}" for name in folders} == {folder for phase in PHASES for folder in phase.folders}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_marker_where_no_phase_looks_for_it_stops_the_run(name: str) -> None:
    pytest_collection_modifyitems([an_item(folder, name) for folder in FOLDERS[name]])
    with pytest.raises(pytest.UsageError, match=f"a test: the marker '{name}' may be used in tests/acceptance"):
        pytest_collection_modifyitems([an_item("tests/unit", name)])


def test_a_test_that_must_run_alone_fails_beside_other_workers() -> None:
    pytest_runtest_setup(an_item("tests/contract", "alone"))
    pytest_runtest_setup(an_item("tests/contract", "alone", workers=1))
    pytest_runtest_setup(an_item("tests/contract", workers=2))
    with pytest.raises(pytest.fail.Exception, match="no other test may run meanwhile"):
        pytest_runtest_setup(an_item("tests/contract", "alone", workers=2))
