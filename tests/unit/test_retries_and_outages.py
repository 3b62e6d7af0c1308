"""The retry policy, the circuit breaker, and the response policy that connects them."""

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


def test_the_circuit_breaker_opens_and_closes_independently_of_the_retry_policy() -> None:
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


def test_the_retry_policy_gives_up_items_independently_of_the_circuit_breaker() -> None:
    retries = RetryPolicy()
    retries.begin("A")
    for _ in range(ATTEMPTS):
        retries.failed("A")
    assert (retries.is_unresolved("A"), retries.are_all_unresolved(), retries.is_given_up("A")) == (True, True, False)
    retries.resolve(are_counted=False)
    assert retries.failures("A") == 0
    retries.count("A", ATTEMPTS)
    assert retries.is_given_up("A")


def test_a_failure_counts_when_a_later_request_succeeds() -> None:
    policy = failing(policy_of("A", "B"), "A", "A")
    assert (policy.retries.counted("A"), policy.retries.failures("A")) == (0, 2)
    policy.succeeded()
    assert (policy.retries.counted("A"), policy.retries.failures("A"), policy.retries.counted("B")) == (2, 2, 0)


def test_an_item_is_given_up_after_five_failures_while_others_succeed() -> None:
    policy = policy_of("A", "B")
    for _ in range(ATTEMPTS):
        assert not policy.retries.is_given_up("A")
        failing(policy, "A")
        policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert not policy.breaker.is_down


def test_five_failures_in_a_row_of_different_items_open_the_circuit_breaker() -> None:
    policy = failing(policy_of("A", "B", "C"), "A", "B", "A", "C")
    assert not policy.breaker.is_down
    failing(policy, "A")
    assert policy.breaker.is_down
    assert policy.breaker.down_since == NOW  # when the first of them failed


def test_five_failures_of_one_item_do_not_open_the_breaker_while_others_are_requested() -> None:
    policy = failing(policy_of("A", "B"), *"AAAAA")
    assert not policy.breaker.is_down
    assert policy.is_unresolved("A")
    policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert not policy.is_unresolved("A")


def test_a_success_between_failures_ends_the_row() -> None:
    policy = failing(policy_of("A", "B", "C"), "A", "B", "C", "A")
    policy.succeeded()
    assert not failing(policy, "B", "C", "B", "C").breaker.is_down


def test_failures_before_and_during_an_outage_count_against_no_item() -> None:
    policy = failing(policy_of("A", "B", "C"), *"ABCAB")
    for _ in range(20):
        policy.breaker.probe_failed()
        policy.item_failed("C", NOW)  # a request that started before the outage
    policy.succeeded()
    assert not policy.breaker.is_down
    assert [policy.retries.failures(item) for item in "ABC"] == [0, 0, 0]


def test_if_the_first_probe_succeeds_there_was_no_outage_and_the_failures_count() -> None:
    policy = failing(policy_of("A", "B"), *"AABAB")
    assert policy.breaker.probes_known
    policy.succeeded()
    assert (policy.retries.counted("A"), policy.retries.counted("B"), policy.breaker.is_down) == (3, 2, False)


def test_the_first_probe_and_each_eighth_one_request_a_known_report() -> None:
    policy = failing(policy_of("A", "B"), *"ABABA")
    probes = []
    for _ in range(17):
        probes.append(policy.breaker.probes_known)
        policy.breaker.probe_failed()
    assert [n for n, is_known in enumerate(probes) if is_known] == [0, 8, 16]


def test_a_single_failing_item_is_decided_by_a_probe_for_a_known_report() -> None:
    policy = failing(policy_of("A"), *"AAAA")
    assert not policy.breaker.is_down
    failing(policy, "A")
    assert policy.breaker.is_down
    assert policy.breaker.probes_known
    policy.succeeded()
    assert policy.retries.is_given_up("A")


def test_items_that_are_all_unresolved_are_decided_by_a_probe_for_a_known_report() -> None:
    """Each item fails four times between successes, and once more without one: a short row, but no further request."""
    policy = policy_of("A", "B")
    for _ in range(ATTEMPTS - 1):
        failing(policy, "A", "B").succeeded()
    failing(policy, "A", "B")
    assert policy.breaker.is_down
    policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert policy.retries.is_given_up("B")


def test_the_circuit_breaker_opens_when_the_last_other_item_ends() -> None:
    policy = failing(policy_of("A", "B"), *"AAAAA")
    policy.end_item("B", NOW)
    assert policy.breaker.is_down


def test_a_runner_that_starts_during_a_known_outage_probes_first() -> None:
    policy = ResponsePolicy(NOW)
    policy.retries.begin("A")
    assert (policy.breaker.is_down, policy.breaker.probes_known) == (True, False)
    policy.breaker.probe_failed()
    policy.succeeded()
    assert (policy.breaker.is_down, policy.retries.failures("A")) == (False, 0)


def test_the_failures_of_a_settled_item_are_forgotten() -> None:
    policy = failing(policy_of("A"), "A", "A")
    policy.succeeded()
    policy.end_item("A", NOW)
    assert policy.retries.counted("A") == 0


@given(st.lists(st.one_of(st.sampled_from("ABC"), st.just("answer")), max_size=60))
def test_no_item_is_given_up_without_five_failures_of_its_own_and_a_later_success(events: list[str]) -> None:
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
