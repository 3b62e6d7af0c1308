"""Pages of long lists: a page begins behind the last document of the one before, and counts are aggregated."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from threading import Lock

from backfill.storage.firestore.database import Database, Document, Query

_KEPT = 200


class Pages:
    """Remembers where the pages that were served ended. Documents that an offset skips would be charged as read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ends: OrderedDict[tuple[Hashable, int], Document] = OrderedDict()
        self._lock = Lock()

    def page(
        self, query: Query, name: Hashable, *, limit: int, offset: int, fields: Sequence[str]
    ) -> tuple[list[Document], int]:
        """Rows of an ordered query and how many it has; `name` is equal for equal queries.

        Where the list has changed before the page, the remembered end stands at another place, and is not used.
        """
        total = self._database.count(query)
        if offset >= total:
            return [], total
        with self._lock:
            end = self._ends.get((name, offset))
        if end is not None and self._database.count(query.start_after(end)) == total - offset:
            start = query.start_after(end)
        else:
            start = query.offset(offset)
        rows = self._database.some(start.limit(limit).select(fields))
        if rows:
            with self._lock:
                self._ends[name, offset + len(rows)] = rows[-1]
                while len(self._ends) > _KEPT:
                    self._ends.popitem(last=False)
        return rows, total
