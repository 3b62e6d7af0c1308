"""The setting DATABASE_URL: its options are merged with those that the service needs."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ

from backfill.setting_values import flag

_SCHEMES = frozenset({"sqlite", "postgres", "postgresql"})

_SQLITE_OPTIONS = {
    "timeout": 20,
    # A transaction that reads before it writes waits for its turn instead of failing at once.
    "transaction_mode": "IMMEDIATE",
    # WAL: readers and the writer do not wait for each other. NORMAL keeps the order of commits through a kill.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

_POSTGRESQL_OPTIONS = {
    # Detects an unreachable server in seconds. By default the system retransmits for 15 minutes, and waits for two
    # hours if it has nothing to send.
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
}

_TIMEOUTS = {
    # A process that freezes within a transaction (a paused machine, a lost network) would keep its locks, so
    # PostgreSQL ends its session. The fencing token rejects its later writes.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "20s",
}

_POSTGRESQL_SETTINGS = {
    "CONN_MAX_AGE": 60,
    "CONN_HEALTH_CHECKS": True,
    # A cursor on the server lives longer than a transaction, so it gets lost in a pooler.
    "DISABLE_SERVER_SIDE_CURSORS": True,
}

_WITHOUT_LOG = bytes([1, 1])
"""The bytes of the header of a SQLite file that say that it has no write-ahead log."""

REPLACED = "REPLACED_OPTIONS"
"""The key of a database under which the replaced options are listed, for `manage.py check`."""


def database_of(url: str, folder: Path) -> dict[str, Any]:
    """Return Django's settings of the database. A relative SQLite path is relative to the folder, which is created.

    Raises ValueError with a message that does not contain the value, since it may contain a password.
    """
    database: dict[str, Any] = {}
    if url.partition("://")[0] in _SCHEMES:
        with suppress(ValueError):  # a port that is not a number
            database = environ.Env.db_url_config(url)
    if _has_unescaped_password(url):
        raise ValueError(
            "DATABASE_URL cannot be read: its user name or password contains a character that has a meaning in an "
            "address. Percent-encode these characters: write / as %2F, ? as %3F, # as %23, [ as %5B and % as %25."
        )
    if database.get("NAME", "") in {"", ":memory:"}:
        raise ValueError(
            "DATABASE_URL names no database; write it like sqlite:///FOLDER/FILE or postgres://USER:PASSWORD@HOST/NAME."
        )
    if database["ENGINE"] == "django.db.backends.sqlite3":
        return _sqlite(database, folder)
    return _postgresql(database)


def _has_unescaped_password(url: str) -> bool:
    """Whether a character before the @ of the host ends the user name and password for a parser."""
    scheme, _, rest = url.partition("://")
    head = rest.partition("?")[0]
    is_cut_by_query = "@" not in head and "/" not in head  # otherwise the @ is that of an option
    credentials = (rest if is_cut_by_query else head).rpartition("@")[0]
    return scheme in {"postgres", "postgresql"} and any(char in credentials for char in "/?#[]")


def _sqlite(database: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = folder / str(database["NAME"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ValueError(f"DATABASE_URL: {path.parent} cannot be created: {exc.strerror}.") from exc
    if _has_foreign_log(path):
        raise ValueError(
            f"DATABASE_URL: {path}-wal does not belong to {path}, which is a backup that was not opened yet. SQLite "
            f"would damage it. Stop all servers, and remove {path}-wal and {path}-shm."
        )
    if os.access(path, os.R_OK) and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return database | _read_only(path)
    options, replaced = _merged(_SQLITE_OPTIONS, database.get("OPTIONS", {}))
    return database | {"NAME": str(path), "OPTIONS": options, REPLACED: replaced}


def _has_foreign_log(path: Path) -> bool:
    """Whether there is a write-ahead log next to a file that has none, as a backup has before it is opened."""
    try:
        has_log = Path(f"{path}-wal").stat().st_size > 0  # before the header: a log is created after it
        with path.open("rb") as file:
            versions = file.read(20)[18:]
    except OSError:  # missing, or not readable by this process
        return False
    return has_log and versions == _WITHOUT_LOG


def _read_only(path: Path) -> dict[str, Any]:
    """Return the options of a SQLite file that this process may not write, so that reading commands work.

    Without a write-ahead log no process has the file open for writing. SQLite cannot create the log to read, so
    `immutable` states that the file does not change.
    """
    is_in_use = Path(f"{path}-wal").exists()
    uri = f"file:{quote(str(path))}?mode=ro" + ("" if is_in_use else "&immutable=1")
    return {"NAME": uri, "OPTIONS": {"timeout": 20}}


def _postgresql(database: dict[str, Any]) -> dict[str, Any]:
    theirs = database.get("OPTIONS", {})
    options, replaced = _merged(_POSTGRESQL_OPTIONS, {name: theirs[name] for name in theirs if name != "options"})
    text = str(theirs.get("options", ""))
    parameters = parameters_of(text)
    if parameters is None:  # flags other than -c: PostgreSQL reads ours first
        options["options"] = f"{options_of(_TIMEOUTS)} {text}"
    else:
        merged, more = _merged(_TIMEOUTS, parameters)
        options["options"], replaced = options_of(merged), replaced + more
    found = _POSTGRESQL_SETTINGS | {name: database[name] for name in _POSTGRESQL_SETTINGS if name in database}
    for name, value in found.items():
        found[name] = _age(value) if name == "CONN_MAX_AGE" else _flag(name, value)
    replaced += [f"{name.lower()}={found[name]}" for name in found if found[name] != _POSTGRESQL_SETTINGS[name]]
    return database | found | {"ENGINE": "backfill_site.postgresql", "OPTIONS": options, REPLACED: replaced}


def _merged(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return both, where theirs take precedence, and a text for each value of ours that they replace."""
    replaced = [f"{name}={theirs[name]}" for name in ours if theirs.get(name, ours[name]) != ours[name]]
    return {**ours, **theirs}, replaced


def _age(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError("DATABASE_URL: conn_max_age must be a number of seconds, or None.")
    return value


def _flag(name: str, value: Any) -> bool:
    try:
        return flag(str(value))
    except ValueError:
        raise ValueError(f"DATABASE_URL: {name.lower()} must be true or false.") from None


def parameters_of(options: str) -> dict[str, str] | None:
    """Return the parameters of a server that the connection option `options` sets, None if it has other flags."""
    found = {}
    words = iter(re.split(r"(?<!\\)\s+", options.strip()) if options.strip() else [])
    for word in words:
        if word == "-c":
            text = next(words, "")
        elif word.startswith(("-c", "--")):
            text = word[2:]
        else:
            return None
        name, equals, value = text.partition("=")
        if not equals:
            return None
        found[name.replace("-", "_").lower()] = value
    return found


def options_of(parameters: dict[str, str]) -> str:
    """Return the connection option `options` that sets these parameters."""
    return " ".join(f"-c {name}={value}" for name, value in parameters.items())
