"""Pages of long lists, read with cursors and counted with aggregations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from threading import Lock

from backfill.storage.firestore.database import Database, Document, Query

_REMEMBERED_PAGES = 200


class Pages:
    """Reads pages. Remembers the last document of recent pages, because documents skipped by an offset are charged."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ends: OrderedDict[tuple[Hashable, int], Document] = OrderedDict()
        self._lock = Lock()

    def page(
        self, query: Query, name: Hashable, *, limit: int, offset: int, fields: Sequence[str]
    ) -> tuple[list[Document], int]:
        """Return the rows of a page of an ordered query, and the number of all rows. Equal queries have equal names.

        A remembered document is used only if the number of documents after it shows that its position is unchanged.
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
        rows = self._database.fetch(start.limit(limit).select(fields))
        if rows:
            with self._lock:
                self._ends[name, offset + len(rows)] = rows[-1]
                while len(self._ends) > _REMEMBERED_PAGES:
                    self._ends.popitem(last=False)
        return rows, total
