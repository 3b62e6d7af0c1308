"""Selection of a page of a ledger from the outcome counts of its segments, for all adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from backfill.domain import Outcome, OutcomeFilter, Segment
from backfill.storage.ports import Page

K = TypeVar("K")


def select_outcomes_page(
    counts: Sequence[tuple[K, int]],
    read: Callable[[list[K]], Iterable[Segment]],
    wanted: OutcomeFilter,
    *,
    limit: int,
    offset: int,
    newest_first: bool = False,
) -> Page[Outcome]:
    """Return a page of the matching outcomes.

    `counts` contains the key of each segment in order, and the number of its outcomes of the wanted kind. `read` is
    called at most once, with the keys of the segments that contain the page. A filter by district or error code
    reads all segments that contain the kind, because the counts do not include them.
    """
    if wanted.district is not None or wanted.codes:
        found = _matching(read([key for key, count in counts if count]), wanted)
        return Page((found[::-1] if newest_first else found)[offset : offset + limit], len(found))
    if newest_first:  # the same rows, counted from the other end
        length = sum(count for _, count in counts)
        last = max(length - offset, 0)
        first = max(last - limit, 0)
        page = select_outcomes_page(counts, read, wanted, limit=last - first, offset=first)
        return Page(page.rows[::-1], page.total)
    total = first_offset = 0
    keys: list[K] = []
    for key, count in counts:
        if count and total + count > offset and total < offset + limit:
            first_offset = first_offset if keys else total
            keys.append(key)
        total += count
    found = _matching(read(keys), wanted) if keys else []
    return Page(found[offset - first_offset :][:limit], total)


def _matching(segments: Iterable[Segment], wanted: OutcomeFilter) -> list[Outcome]:
    return [outcome for segment in segments for outcome in segment.outcomes if wanted.matches(outcome)]
