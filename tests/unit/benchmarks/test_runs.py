"""A run of the benchmarks: its sections, what they measured, and what failed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from benchmarks import child, isolated, results
from benchmarks.__main__ import measured_all
from benchmarks.bench import Bench
from benchmarks.figures import NotAvailable, Section, ratio

EMPTY: results.Json = {"sections": {}}


def section(name: str, run: Callable[[Bench], None] = lambda bench: bench.report("ratio", 1)) -> Section:
    return Section(name, f"Section {name}", run, (ratio("ratio", "a ratio"),))


def measured(value: float, *failures: str) -> Any:
    return {"figures": {"ratio": value}, "stores": {}, "series": {}, "failures": list(failures)}


def test_a_section_that_fails_does_not_stop_the_others_and_keeps_its_figures() -> None:
    before = measured_all([section("one")], EMPTY, lambda _: measured(0.9)).content
    answers = {"one": None, "two": measured(1.1)}
    outcome = measured_all([section("one"), section("two")], before, lambda asked: answers[asked.name])
    assert outcome.failures == ["The section one failed."]
    assert [row.name for row in outcome.rows] == ["two.ratio"]
    assert {name: value.value for name, value in results.values(outcome.content).items()} == {
        "one.ratio": 0.9,
        "two.ratio": 1.1,
    }


def test_sections_that_wait_run_at_the_same_time_and_are_reported_in_their_order() -> None:
    both_run = threading.Barrier(2)

    def measure(asked: Section) -> Any:
        if asked.is_waiting:
            both_run.wait(30)
        return measured(1.1)

    sections = [section("one"), replace(section("two"), is_waiting=True), replace(section("three"), is_waiting=True)]
    before = measured_all(sections, EMPTY, lambda _: measured(0.9)).content
    outcome = measured_all(sections, before, measure)
    assert [row.name for row in outcome.rows] == ["one.ratio", "two.ratio", "three.ratio"]


def test_a_section_that_could_not_run_is_listed_and_not_compared() -> None:
    before = measured_all([section("one")], EMPTY, lambda _: measured(0.9)).content
    outcome = measured_all([section("one")], before, lambda _: {"not_run": "PostgreSQL does not answer."})
    assert (outcome.rows, outcome.failures) == ([], [])
    assert outcome.not_run == ["one: PostgreSQL does not answer."]
    assert results.values(outcome.content)["one.ratio"].value == 0.9


def test_a_statement_of_a_section_that_is_not_true_fails_the_run() -> None:
    outcome = measured_all([section("one")], EMPTY, lambda _: measured(1, "The time of a poll is not flat."))
    assert outcome.failures == ["The time of a poll is not flat."]
    assert [row.after for row in outcome.rows] == [1]


def run_child(asked: Section, output: Path) -> Any:
    with (
        mock.patch.object(child, "section_named", return_value=asked),
        mock.patch.object(child, "environment", return_value=nullcontext()),
    ):
        child.main(asked.name, str(output), "1")
    return json.loads(output.read_text())


def test_the_process_of_a_section_writes_what_it_measured(tmp_path: Path) -> None:
    assert run_child(section("one"), tmp_path / "measured.json") == measured(1)


def test_the_process_of_a_section_without_its_service_writes_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: Bench) -> None:
        raise NotAvailable("PostgreSQL does not answer.")

    assert run_child(section("one", run), tmp_path / "measured.json") == {"not_run": "PostgreSQL does not answer."}
    assert "Not run: PostgreSQL does not answer." in capsys.readouterr().out


def test_the_process_of_a_section_that_leaves_out_a_figure_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="did not report: ratio"):
        run_child(section("one", lambda _: None), tmp_path / "measured.json")
    assert not (tmp_path / "measured.json").exists()


def test_the_peak_of_a_process_is_not_that_of_the_process_that_started_it() -> None:
    """Linux passes `ru_maxrss` on to a child process."""
    ballast = bytearray(300 * 1024 * 1024)
    try:
        assert isolated.peak_mb() > 300
        with mock.patch.dict("os.environ", {"DJANGO_SETTINGS_MODULE": "tests.settings"}):
            assert isolated.measured("tests.unit.benchmarks.test_runs:nothing").peak_mb < 200
    finally:
        del ballast


def nothing() -> None:
    """Called in its own process."""
