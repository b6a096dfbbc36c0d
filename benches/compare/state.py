"""The logical state of a database in parts, so that a difference can be named."""

from __future__ import annotations

import hashlib
from typing import Any

from .connection import Connection

State = dict[str, str]

FOREIGN = "written by the other process"
"""The name of the row of `tag` that the second process inserts."""

TABLES = {
    "item": "rows of a table with INTEGER PRIMARY KEY",
    "tag": "rows of a WITHOUT ROWID table",
    "alias": "rows whose key is NULL",
    "keyless": "rows of a table without a primary key",
    "ticket": "rows of an AUTOINCREMENT table",
    "note": "a column added to a table, and its rows",
    "retired": "a dropped table",
}
"""What each table of the base database stands for."""


def read(connection: Connection) -> State:
    """Digests of every table, the schema, the counters, and SQLite's own integrity check."""
    found: State = {}
    for table, meaning in TABLES.items():
        own = f" WHERE name <> '{FOREIGN}'" if table == "tag" else ""
        found[meaning] = _rows(connection, f"SELECT * FROM {table}{own} ORDER BY 1, 2")
    found["a row that the other process wrote"] = _rows(connection, f"SELECT * FROM tag WHERE name = '{FOREIGN}'")
    found["an id counter (sqlite_sequence)"] = _rows(connection, "SELECT * FROM sqlite_sequence ORDER BY 1")
    found["a table and an index created in the round"] = _rows(
        connection, "SELECT type, name FROM sqlite_master WHERE name LIKE 'added%' ORDER BY 1, 2"
    )
    found["user_version"] = str(connection.execute("PRAGMA user_version").fetchone()[0])
    found["integrity_check"] = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    return found


def next_row_id(connection: Connection) -> str:
    """The id that the next inserted row would get; the row is taken back."""
    connection.execute("SAVEPOINT probe")
    try:
        connection.execute("INSERT INTO item(grp, payload) VALUES (0, x'00')")
        return str(connection.execute("SELECT last_insert_rowid()").fetchone()[0])
    finally:
        connection.execute("ROLLBACK TO probe")
        connection.execute("RELEASE probe")


def differences(expected: State, found: State) -> list[str]:
    """The parts that are not as expected."""
    return [part for part, digest in expected.items() if found.get(part) != digest]


def _rows(connection: Connection, sql: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    try:
        rows: list[Any] = connection.execute(sql).fetchall()
    except Exception as error:
        # A missing table is a state too; the bindings raise different types for it.
        if "no such table" not in str(error):
            raise
        return "no such table"
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()
