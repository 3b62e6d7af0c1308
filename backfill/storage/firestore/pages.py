"""Pages of long lists, read with cursors and counted with aggregations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from threading import Lock

from google.cloud.firestore import CollectionReference

from backfill.storage.firestore.database import NAME, Database, Document, Query
from backfill.storage.ports import TimedKey

_REMEMBERED_PAGES = 200


def newest_first(collection: CollectionReference, field: str) -> Query:
    """Return the query of a collection by a time, and by id among equal times.

    The order by name needs no index: the name of the document is the last field of every index.
    """
    return collection.order_by(field, direction="DESCENDING").order_by(NAME, direction="DESCENDING")


def values_of(field: str, key: TimedKey | None) -> Mapping[str, object] | None:
    """Return the values of a key in the order of `newest_first`."""
    return {field: key[0], NAME: str(key[1])} if key else None


class Pages:
    """Reads pages. Remembers the last document of recent pages, because documents skipped by an offset are charged."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ends: OrderedDict[tuple[Hashable, int], Document] = OrderedDict()
        self._lock = Lock()

    def page(
        self,
        query: Query,
        name: Hashable,
        *,
        limit: int,
        offset: int,
        fields: Sequence[str],
        after: Mapping[str, object] | None = None,
    ) -> tuple[list[Document], int]:
        """Return the rows of a page of an ordered query, and the number of all rows. Equal queries have equal names.

        `after` contains a value for each field of the order; the page begins behind them. Without it, a remembered
        document is used only if the number of documents after it shows that its position is unchanged.
        """
        total = self._database.count(query)
        if after is not None:
            start = query.start_after(dict(after)).offset(offset)
            return self._database.fetch(start.limit(limit).select(fields)), total
        if offset >= total:
            return [], total
        with self._lock:
            end = self._ends.get((name, offset))
        if end is not None and self._database.count(query.start_after(end)) == total - offset:
            start = query.start_after(end)
        else:
            start = query.offset(offset)
        rows = self._database.fetch(start.limit(limit).select(fields))
        if rows:
            with self._lock:
                # The row before the last, too: a caller that asks whether more rows follow reads one row more.
                for place in range(max(len(rows) - 2, 0), len(rows)):
                    self._ends[name, offset + place + 1] = rows[place]
                while len(self._ends) > _REMEMBERED_PAGES:
                    self._ends.popitem(last=False)
        return rows, total
