"""The declaration of figures, and what a section reports."""

from __future__ import annotations

import pytest

from benchmarks.bench import Bench
from benchmarks.figures import Better, Figure, Section, Target, at_least, at_most, count, ratio
from benchmarks.registry import SECTIONS, section_named

SECTION = Section(
    "one",
    "A section",
    lambda bench: bench.report("rate", 1),
    (Figure("rate", "rate", "items/s", at_least(220), digits=1), count("reads", "reads")),
)


def test_a_figure_is_written_with_its_digits_and_its_unit() -> None:
    assert Figure("a", "a", "items/s", digits=1).text(1234.56) == "1,234.6 items/s"
    assert ratio("a", "a").text(0.954) == "0.95"
    assert ratio("a", "a").text(-0.001) == "0.00"


def test_a_target_states_which_direction_is_better() -> None:
    assert Figure("a", "a", "s", at_most(3)).direction is Better.LOWER
    assert Figure("a", "a", "items/s", at_least(3)).direction is Better.HIGHER
    assert Figure("a", "a", "s", at_most(3)).target_text == "at most 3 s"


@pytest.mark.parametrize("target", [at_least(2), at_most(2)])
def test_a_target_is_met_at_its_limit(target: Target) -> None:
    assert target.is_met_by(2)
    assert target.is_met_by(3) is (target.better is Better.HIGHER)
    assert target.is_met_by(1) is (target.better is Better.LOWER)


def test_a_figure_that_is_not_declared_is_refused() -> None:
    with pytest.raises(KeyError, match=r"declares no figure 'speed'\. It declares: rate, reads"):
        Bench(SECTION).report("speed", 1)


def test_declared_figures_that_were_not_reported_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(SECTION)
    bench.report("rate", 100)
    assert bench.missing == ["reads"]
    assert "100.0 items/s   target: at least 220.0 items/s  MISSED" in capsys.readouterr().out


def test_a_scale_below_one_measures_less_but_never_nothing() -> None:
    assert Bench(SECTION, 0.1).scaled(50) == 5
    assert Bench(SECTION, 0.1).scaled(5) == 1


def test_names_of_sections_and_of_their_figures_are_unique() -> None:
    names = [section.name for section in SECTIONS]
    assert len(set(names)) == len(names)
    for section in SECTIONS:
        figures = [figure.name for figure in section.figures]
        assert len(set(figures)) == len(figures), section.name


def test_an_unknown_section_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"There is no section 'speed'\. The sections are: preview, "):
        section_named("speed")
