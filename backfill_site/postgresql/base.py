"""Connections to PostgreSQL, also through a pooler such as PgBouncer."""

from __future__ import annotations

import selectors
import time
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg import pq, sql

from backfill_site.database_url import parameters_of
from backfill_site.postgresql.validation import DatabaseValidation

_TIMEOUTS = ("idle_in_transaction_session_timeout", "lock_timeout")
_OFF = "0"
"""The value of a time-out that is not set."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Two things differ if a pooler is between the service and PostgreSQL.

    The pooler accepts a connection before it has one to the server. A query would wait for that without a limit that
    the client knows, so the first one is limited to `connect_timeout` seconds.

    PgBouncer drops the connection option `options`. The time-outs in it are then set in each transaction.
    """

    validation_class = DatabaseValidation

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dropped_timeouts: dict[str, str] = {}
        """The time-outs that are not effective in the session; those of the latest connection."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        try:
            found = _first_answer(connection, float(conn_params.get("connect_timeout") or 0))
        except BaseException:
            connection.close()
            raise
        wanted = parameters_of(str(conn_params.get("options", ""))) or {}
        self.dropped_timeouts = {
            name: wanted[name]
            for name, value in zip(_TIMEOUTS, found, strict=True)
            if value == _OFF and wanted.get(name, _OFF) != _OFF
        }
        return connection

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]  # missing in the stubs
        if not autocommit and self.dropped_timeouts:
            try:
                with self.wrap_database_errors:
                    self.connection.execute(_set_local(self.dropped_timeouts))
            except BaseException:
                self.close()  # otherwise Django would take the connection for one in autocommit mode
                raise


def _set_local(timeouts: dict[str, str]) -> sql.Composed:
    settings = [
        sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
        for name, value in timeouts.items()
    ]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(settings))


def _first_answer(connection: psycopg.Connection[Any], seconds: float) -> list[str]:
    """Return the present values of the time-outs. Raises OperationalError if the server does not answer in time.

    `seconds`: 0 for no limit.
    """
    server = connection.pgconn
    columns = ", ".join(f"current_setting('{name}')" for name in _TIMEOUTS)
    server.send_query(f"SELECT {columns}".encode())
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(server.socket, selectors.EVENT_READ)
        while server.is_busy():
            if not selector.select(max(0.0, deadline - time.monotonic()) if seconds else None):
                raise psycopg.OperationalError(
                    f"the connection is open, but PostgreSQL did not answer within {seconds:g} s. If a pooler is "
                    "between, its pool is too small for the number of threads"
                )
            server.consume_input()
    result = server.get_result()
    while server.get_result() is not None:
        pass
    if result is None or result.status != pq.ExecStatus.TUPLES_OK:
        reason = (result.error_message if result else server.error_message).decode(errors="replace")
        raise psycopg.OperationalError(reason.strip())
    return [(result.get_value(0, column) or b"").decode() for column in range(len(_TIMEOUTS))]
