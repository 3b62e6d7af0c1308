"""Work items, their keys, and plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from backfill.domain import (
    SUMMARY,
    Plan,
    PlannedDay,
    SkipReason,
    WorkItem,
    district_order,
    normalised_district,
    parsed_district,
)
from backfill.errors import InvalidRequest
from tests.unit.fakes import DAY, a_plan, all_items, an_edition

ANOTHER = date(2024, 1, 30)


@pytest.mark.parametrize(
    ("text", "district"),
    [("1", "01"), ("01", "01"), (" 01 ", "01"), ("001", "01"), ("91", "91"), ("120", "120"), ("f", "F"), (" u", "U")],
)
def test_district_ids_are_normalised(text: str, district: str) -> None:
    assert normalised_district(text) == district


@pytest.mark.parametrize(
    "text", ["", "0", "00", "all", "FF", "1F", "-1", "12345", "1.0", "\u0663", "1\u0663", "\u017f", "F1"]
)
def test_an_invalid_district_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number like 91"):
        normalised_district(text)


def test_the_summary_is_accepted_as_a_district_only_if_it_is_allowed() -> None:
    assert parsed_district("all") == SUMMARY
    assert parsed_district("7") == "07"
    with pytest.raises(InvalidRequest, match="'all' is not a district") as raised:
        parsed_district("all", "targetDistricts", may_be_summary=False)
    assert set(raised.value.details or ()) == {"targetDistricts"}


def test_districts_are_ordered_summary_then_numbers_then_letters() -> None:
    assert sorted(["U", "100", "F", "09", "all", "91"], key=district_order) == ["all", "09", "91", "100", "F", "U"]


def test_the_key_of_an_item_consists_of_date_and_district() -> None:
    assert WorkItem(DAY, "91").key == "2024-01-31/91"
    assert WorkItem(DAY, SUMMARY).key == "2024-01-31/all"


def test_a_plan_counts_its_items_in_total_and_per_district_in_order() -> None:
    """R5.1, R11.3"""
    plan = Plan((PlannedDay(ANOTHER, (SUMMARY, "02", "F")), PlannedDay(DAY, (SUMMARY, "01", "02"))))
    assert plan.total_items == 6
    assert list(plan.district_totals.items()) == [(SUMMARY, 2), ("01", 1), ("02", 2), ("F", 1)]
    assert sum(plan.district_totals.values()) == plan.total_items


def test_a_plan_may_be_empty() -> None:
    assert (Plan(()).total_items, Plan(()).district_totals, Plan(()).skipped_items) == (0, {}, 0)


def test_a_narrowed_plan_keeps_only_the_days_editions_and_order_of_its_items() -> None:
    plan = a_plan(3, (SUMMARY, "01", "F"))
    items = all_items(plan)
    requested = [items[8], items[0], WorkItem(date(2001, 1, 1), "01"), WorkItem(DAY, "99")]
    narrowed = plan.only(requested)
    assert all_items(narrowed) == [items[0], items[8]]
    assert narrowed.days[0] == replace(plan.days[0], districts=(SUMMARY,))
    assert plan.only([]).days == ()


def test_equal_plans_have_the_same_digest() -> None:
    """R11.4"""
    assert a_plan(3).digest == a_plan(3).digest == a_plan(3).digest
    assert len(a_plan().digest) == 16
    assert Plan(()).digest == Plan(()).digest


EDITION = an_edition()
DIFFERENT = {
    "another date": PlannedDay(ANOTHER, (SUMMARY, "01"), EDITION),
    "another district": PlannedDay(DAY, (SUMMARY, "02"), EDITION),
    "fewer districts": PlannedDay(DAY, (SUMMARY,), EDITION),
    "another order": PlannedDay(DAY, ("01", SUMMARY), EDITION),
    "districts that read alike": PlannedDay(DAY, (SUMMARY + "', '01",), EDITION),
    "no edition": PlannedDay(DAY, (SUMMARY, "01")),
    "another month": PlannedDay(DAY, (SUMMARY, "01"), replace(EDITION, month_end=date(2023, 12, 31))),
    "another as-of date": PlannedDay(DAY, (SUMMARY, "01"), replace(EDITION, as_of=date(2024, 2, 8))),
    "not final": PlannedDay(DAY, (SUMMARY, "01"), replace(EDITION, is_final=False)),
    "in the archive": PlannedDay(DAY, (SUMMARY, "01"), replace(EDITION, is_archived=True)),
    "requested with a blank as-of date": PlannedDay(DAY, (SUMMARY, "01"), replace(EDITION, asks_blank=True)),
}


def test_the_digest_depends_on_every_field_of_a_day() -> None:
    """R11.4"""
    plans = [Plan((PlannedDay(DAY, (SUMMARY, "01"), EDITION),)), *(Plan((day,)) for day in DIFFERENT.values())]
    plans += [Plan(()), Plan((*plans[0].days, *plans[1].days)), Plan((*plans[1].days, *plans[0].days))]
    assert len({plan.digest for plan in plans}) == len(plans)


def test_the_digest_depends_on_the_districts_of_each_day() -> None:
    """R11.4: this includes groups of the same size."""
    one, other = (SUMMARY, "01"), (SUMMARY, "02")

    def plan(*groups: tuple[str, ...]) -> Plan:
        return Plan(tuple(PlannedDay(date(2024, 1, 1 + n), group) for n, group in enumerate(groups)))

    assert plan(one, other, one).digest != plan(one, other, other).digest


def test_the_digest_depends_on_the_skipped_items() -> None:
    """R11.4"""
    reasons: list[dict[str, int]] = [{}, {SkipReason.STORED: 1}, {SkipReason.STORED: 2}, {SkipReason.UNCHANGED: 1}]
    plans = [replace(a_plan(), skipped=skipped) for skipped in reasons]
    assert len({plan.digest for plan in plans}) == 4


def test_the_digest_of_a_plan_does_not_change_between_versions() -> None:
    edition = an_edition(as_of=date(2024, 2, 9), is_final=True)
    plan = Plan((PlannedDay(date(2024, 1, 31), ("all", "01"), edition),), skipped={"stored": 1})
    assert plan.digest == "515f25fd292b3986"
