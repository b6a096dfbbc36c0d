"""One view of the three SQLite bindings: the standard module, apsw, and DoltLite's preloaded library.

Nothing here is imported before the engine is known: DoltLite must be loaded before the standard module,
and a process must never hold two SQLite copies that lock the same file.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

Engine = Literal["sqlite3", "apsw", "doltlite"]
Journal = Literal["wal", "delete"]
Synchronous = Literal["off", "normal"]
Value = Any
"""What a column may hold; the bindings disagree about the type's name."""


class Cursor(Protocol):
    """The part of a cursor that both bindings share."""

    def fetchall(self) -> list[Any]:
        """All remaining rows."""
        ...

    def fetchone(self) -> Any:
        """The next row or None."""
        ...


class Connection(Protocol):
    """The part of a connection that both bindings share, in autocommit mode."""

    def execute(self, sql: str, parameters: Sequence[Value] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Value]], /) -> Cursor:
        """Run one statement for each row of parameters."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(frozen=True)
class Setting:
    """The pragmas of one measured configuration. Everything not named stays at the library's default."""

    journal: Journal
    synchronous: Synchronous

    def __str__(self) -> str:
        return f"{self.journal.upper()}/{self.synchronous.upper()}"


def connect(engine: Engine, path: str, setting: Setting, timeout: float = 5.0) -> Connection:
    """Open `path` in autocommit mode and apply the pragmas of `setting`."""
    if engine == "apsw":
        apsw = importlib.import_module("apsw")
        connection = apsw.Connection(path)
        connection.set_busy_timeout(int(timeout * 1000))
    else:
        if engine == "doltlite":
            importlib.import_module("doltlite")
        sqlite3 = importlib.import_module("sqlite3")
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    opened = cast(Connection, connection)
    if engine != "doltlite":
        # Asking for the mode that is already in force takes no lock.
        opened.execute(f"PRAGMA journal_mode={setting.journal}").fetchall()
    opened.execute(f"PRAGMA synchronous={setting.synchronous}").fetchall()
    return opened


def library_version(engine: Engine) -> str:
    """The version of the SQLite that `engine` runs in this process."""
    connection = connect(engine, ":memory:", Setting("delete", "off"))
    version = str(connection.execute("SELECT sqlite_version()").fetchone()[0])
    connection.close()
    return version
