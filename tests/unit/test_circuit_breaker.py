"""Against whom a failure counts: the item, or nobody because the source is down."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import ATTEMPTS, CircuitBreaker
from tests.unit.fakes import NOW


def health_of(*items: str) -> CircuitBreaker:
    health = CircuitBreaker()
    for item in items:
        health.begin(item)
    return health


def failing(health: CircuitBreaker, *items: str) -> CircuitBreaker:
    for n, item in enumerate(items):
        health.failed(item, NOW + timedelta(seconds=n))
    return health


def test_a_failure_counts_once_the_source_has_answered_something_after_it() -> None:
    health = failing(health_of("A", "B"), "A", "A")
    assert (health.counted("A"), health.failures("A")) == (0, 2)
    health.answered()
    assert (health.counted("A"), health.failures("A"), health.counted("B")) == (2, 2, 0)


def test_an_item_that_fails_five_times_while_others_succeed_has_failed() -> None:
    health = health_of("A", "B")
    for _ in range(ATTEMPTS):
        assert not health.has_failed("A")
        failing(health, "A")
        health.answered()
    assert health.has_failed("A")
    assert not health.is_down


def test_five_failures_in_a_row_over_different_items_mean_that_the_source_is_down() -> None:
    health = failing(health_of("A", "B", "C"), "A", "B", "A", "C")
    assert not health.is_down
    failing(health, "A")
    assert health.is_down
    assert health.down_since == NOW  # when the first of them failed


def test_five_failures_of_one_item_do_not_mean_it_while_others_are_being_asked_for() -> None:
    health = failing(health_of("A", "B"), *"AAAAA")
    assert not health.is_down
    assert health.awaits_verdict("A")
    health.answered()
    assert health.has_failed("A")
    assert not health.awaits_verdict("A")


def test_an_answer_between_the_failures_ends_the_row() -> None:
    health = failing(health_of("A", "B", "C"), "A", "B", "C", "A")
    health.answered()
    assert not failing(health, "B", "C", "B", "C").is_down


def test_what_failed_before_and_while_the_source_was_down_counts_against_nobody() -> None:
    health = failing(health_of("A", "B", "C"), *"ABCAB")
    for _ in range(20):
        health.probe_failed()
        health.failed("C", NOW)  # a request that had begun before
    health.answered()
    assert not health.is_down
    assert [health.failures(item) for item in "ABC"] == [0, 0, 0]


def test_where_the_first_probe_is_answered_the_source_was_never_down_and_the_failures_count() -> None:
    health = failing(health_of("A", "B"), *"AABAB")
    assert health.asks_for_known
    health.answered()
    assert (health.counted("A"), health.counted("B"), health.is_down) == (3, 2, False)


def test_the_first_probe_and_each_eighth_ask_for_something_known() -> None:
    health = failing(health_of("A", "B"), *"ABABA")
    asked = []
    for _ in range(17):
        asked.append(health.asks_for_known)
        health.probe_failed()
    assert [n for n, is_known in enumerate(asked) if is_known] == [0, 8, 16]


def test_a_lone_item_is_judged_by_something_known() -> None:
    health = failing(health_of("A"), *"AAAA")
    assert not health.is_down
    failing(health, "A")
    assert health.is_down
    assert health.asks_for_known
    health.answered()
    assert health.has_failed("A")


def test_items_that_all_wait_for_a_verdict_are_judged_by_something_known() -> None:
    """Each has failed four times among answers, and once more without one: the row is short, and nobody asks on."""
    health = health_of("A", "B")
    for _ in range(ATTEMPTS - 1):
        failing(health, "A", "B").answered()
    failing(health, "A", "B")
    assert health.is_down
    health.answered()
    assert health.has_failed("A")
    assert health.has_failed("B")


def test_the_last_one_that_could_have_shown_it_may_leave() -> None:
    health = failing(health_of("A", "B"), *"AAAAA")
    health.forget("B", NOW)
    assert health.is_down


def test_a_runner_that_comes_after_one_that_found_the_source_down_probes_first() -> None:
    health = CircuitBreaker(NOW)
    health.begin("A")
    assert (health.is_down, health.asks_for_known) == (True, False)
    health.probe_failed()
    health.answered()
    assert (health.is_down, health.failures("A")) == (False, 0)


def test_what_is_settled_is_forgotten() -> None:
    health = failing(health_of("A"), "A", "A")
    health.answered()
    health.forget("A", NOW)
    assert health.counted("A") == 0


@given(st.lists(st.one_of(st.sampled_from("ABC"), st.just("answer")), max_size=60))
def test_nobody_has_failed_without_as_many_failures_of_its_own_and_an_answer_after_them(events: list[str]) -> None:
    health, own, answers = health_of(*"ABC"), dict.fromkeys("ABC", 0), 0
    for event in events:
        if event == "answer":
            health.answered()
            answers += 1
        else:
            health.failed(event, NOW)
            own[event] += 1
        for item in "ABC":
            assert health.counted(item) <= own[item]
            assert not (health.has_failed(item) and (own[item] < ATTEMPTS or not answers))
