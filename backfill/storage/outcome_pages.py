"""A page of a ledger: which segments hold what is wanted is known from their counts. The same for every adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from backfill.domain import Outcome, OutcomeFilter, Segment
from backfill.storage.ports import Page

K = TypeVar("K")


def page_of_outcomes(
    counts: Sequence[tuple[K, int]],
    read: Callable[[list[K]], Iterable[Segment]],
    wanted: OutcomeFilter,
    *,
    limit: int,
    offset: int,
    newest_first: bool = False,
) -> Page[Outcome]:
    """`counts`: the key of each segment in order, and how many of its outcomes are of the wanted kind.

    `read` is called once, for the segments of the page. Which segments hold a district or an error code is not known,
    so all of them are read.
    """
    if wanted.district is not None or wanted.codes:
        found = _matching(read([key for key, count in counts if count]), wanted)
        return Page((found[::-1] if newest_first else found)[offset : offset + limit], len(found))
    if newest_first:  # the same rows, counted from the other end
        length = sum(count for _, count in counts)
        last = max(length - offset, 0)
        first = max(last - limit, 0)
        page = page_of_outcomes(counts, read, wanted, limit=last - first, offset=first)
        return Page(page.rows[::-1], page.total)
    total = before = 0
    touched: list[K] = []
    for key, count in counts:
        if count and total + count > offset and total < offset + limit:
            before = before if touched else total
            touched.append(key)
        total += count
    found = _matching(read(touched), wanted) if touched else []
    return Page(found[offset - before :][:limit], total)


def _matching(segments: Iterable[Segment], wanted: OutcomeFilter) -> list[Outcome]:
    return [outcome for segment in segments for outcome in segment.outcomes if wanted.matches(outcome)]
