"""Whether a failure counts against its item, or against none because the dashboard is down."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from backfill.rate_limit.circuit_breaker import CircuitBreaker
from backfill.rate_limit.response_policy import ResponsePolicy
from backfill.rate_limit.retry_policy import ATTEMPTS, RetryPolicy
from tests.unit.fakes import NOW


def policy_of(*items: str) -> ResponsePolicy:
    policy = ResponsePolicy()
    for item in items:
        policy.retries.begin(item)
    return policy


def failing(policy: ResponsePolicy, *items: str) -> ResponsePolicy:
    for n, item in enumerate(items):
        policy.item_failed(item, NOW + timedelta(seconds=n))
    return policy


def test_the_breaker_opens_and_closes_without_knowing_of_retries() -> None:
    breaker = CircuitBreaker()
    for item in "ABABA":
        assert not breaker.is_down
        breaker.failed(item, NOW)
    assert breaker.is_down
    assert breaker.close() is False  # no probe failed, so it was no outage
    assert (breaker.is_down, breaker.is_failing) == (False, False)
    breaker.open(NOW)
    breaker.probe_failed()
    assert breaker.close() is True


def test_the_retry_policy_gives_items_up_without_knowing_of_the_breaker() -> None:
    retries = RetryPolicy()
    retries.begin("A")
    for _ in range(ATTEMPTS):
        retries.failed("A")
    assert (retries.is_unresolved("A"), retries.are_all_unresolved(), retries.is_given_up("A")) == (True, True, False)
    retries.resolve(are_counted=False)
    assert retries.failures("A") == 0
    retries.count("A", ATTEMPTS)
    assert retries.is_given_up("A")


def test_a_failure_counts_once_the_source_has_answered_something_after_it() -> None:
    policy = failing(policy_of("A", "B"), "A", "A")
    assert (policy.retries.counted("A"), policy.retries.failures("A")) == (0, 2)
    policy.succeeded()
    assert (policy.retries.counted("A"), policy.retries.failures("A"), policy.retries.counted("B")) == (2, 2, 0)


def test_an_item_that_fails_five_times_while_others_succeed_has_failed() -> None:
    policy = policy_of("A", "B")
    for _ in range(ATTEMPTS):
        assert not policy.retries.is_given_up("A")
        failing(policy, "A")
        policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert not policy.breaker.is_down


def test_five_failures_in_a_row_over_different_items_mean_that_the_source_is_down() -> None:
    policy = failing(policy_of("A", "B", "C"), "A", "B", "A", "C")
    assert not policy.breaker.is_down
    failing(policy, "A")
    assert policy.breaker.is_down
    assert policy.breaker.down_since == NOW  # when the first of them failed


def test_five_failures_of_one_item_do_not_mean_it_while_others_are_being_asked_for() -> None:
    policy = failing(policy_of("A", "B"), *"AAAAA")
    assert not policy.breaker.is_down
    assert policy.is_unresolved("A")
    policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert not policy.is_unresolved("A")


def test_an_answer_between_the_failures_ends_the_row() -> None:
    policy = failing(policy_of("A", "B", "C"), "A", "B", "C", "A")
    policy.succeeded()
    assert not failing(policy, "B", "C", "B", "C").breaker.is_down


def test_what_failed_before_and_while_the_source_was_down_counts_against_nobody() -> None:
    policy = failing(policy_of("A", "B", "C"), *"ABCAB")
    for _ in range(20):
        policy.breaker.probe_failed()
        policy.item_failed("C", NOW)  # a request that had begun before
    policy.succeeded()
    assert not policy.breaker.is_down
    assert [policy.retries.failures(item) for item in "ABC"] == [0, 0, 0]


def test_where_the_first_probe_is_answered_the_source_was_never_down_and_the_failures_count() -> None:
    policy = failing(policy_of("A", "B"), *"AABAB")
    assert policy.breaker.probes_known
    policy.succeeded()
    assert (policy.retries.counted("A"), policy.retries.counted("B"), policy.breaker.is_down) == (3, 2, False)


def test_the_first_probe_and_each_eighth_ask_for_something_known() -> None:
    policy = failing(policy_of("A", "B"), *"ABABA")
    asked = []
    for _ in range(17):
        asked.append(policy.breaker.probes_known)
        policy.breaker.probe_failed()
    assert [n for n, is_known in enumerate(asked) if is_known] == [0, 8, 16]


def test_a_lone_item_is_judged_by_something_known() -> None:
    policy = failing(policy_of("A"), *"AAAA")
    assert not policy.breaker.is_down
    failing(policy, "A")
    assert policy.breaker.is_down
    assert policy.breaker.probes_known
    policy.succeeded()
    assert policy.retries.is_given_up("A")


def test_items_that_all_wait_for_a_verdict_are_judged_by_something_known() -> None:
    """Each has failed four times among answers, and once more without one: the row is short, and nobody asks on."""
    policy = policy_of("A", "B")
    for _ in range(ATTEMPTS - 1):
        failing(policy, "A", "B").succeeded()
    failing(policy, "A", "B")
    assert policy.breaker.is_down
    policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert policy.retries.is_given_up("B")


def test_the_last_one_that_could_have_shown_it_may_leave() -> None:
    policy = failing(policy_of("A", "B"), *"AAAAA")
    policy.end_item("B", NOW)
    assert policy.breaker.is_down


def test_a_runner_that_comes_after_one_that_found_the_source_down_probes_first() -> None:
    policy = ResponsePolicy(NOW)
    policy.retries.begin("A")
    assert (policy.breaker.is_down, policy.breaker.probes_known) == (True, False)
    policy.breaker.probe_failed()
    policy.succeeded()
    assert (policy.breaker.is_down, policy.retries.failures("A")) == (False, 0)


def test_what_is_settled_is_forgotten() -> None:
    policy = failing(policy_of("A"), "A", "A")
    policy.succeeded()
    policy.end_item("A", NOW)
    assert policy.retries.counted("A") == 0


@given(st.lists(st.one_of(st.sampled_from("ABC"), st.just("answer")), max_size=60))
def test_nobody_has_failed_without_as_many_failures_of_its_own_and_an_answer_after_them(events: list[str]) -> None:
    policy, own, answers = policy_of(*"ABC"), dict.fromkeys("ABC", 0), 0
    for event in events:
        if event == "answer":
            policy.succeeded()
            answers += 1
        else:
            policy.item_failed(event, NOW)
            own[event] += 1
        for item in "ABC":
            assert policy.retries.counted(item) <= own[item]
            assert not (policy.retries.is_given_up(item) and (own[item] < ATTEMPTS or not answers))
