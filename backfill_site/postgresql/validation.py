"""What `manage.py check --database default` reports about PostgreSQL."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Info
from django.db import Error
from django.db.backends.base.validation import BaseDatabaseValidation


class DatabaseValidation(BaseDatabaseValidation):
    def check(self, **_: Any) -> list[CheckMessage]:
        """Report the time-outs that a pooler drops."""
        try:
            self.connection.ensure_connection()
        except Error:
            return []  # reported by the first query of the command
        dropped: dict[str, str] = getattr(self.connection, "dropped_timeouts", {})
        if not dropped:
            return []
        statements = " ".join(f"ALTER ROLE CURRENT_USER SET {name} = '{value}';" for name, value in dropped.items())
        return [
            Info(
                f"The connection drops {' and '.join(dropped)}, as PgBouncer does, so each transaction sets them with "
                "one more query.",
                hint=f"To save it, run as the user of DATABASE_URL: {statements}",
                id="backfill.I002",
            )
        ]
