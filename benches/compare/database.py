"""Builds the base databases once, by the engine that will use them, and keeps them in `benches/scratch`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .channel import PACKAGE_PARENT, Child, Message, serve
from .connection import Engine, Setting, connect
from .workload import INSERT, base_rows, payload

SCRATCH = PACKAGE_PARENT / "scratch"
LAYOUT = 3
"""Part of the cached files' names: raise it when the schema or the rows change."""

PAGE = 4096
"""Bytes of a page: SQLite's default."""

SCHEMA = """
CREATE TABLE item(id INTEGER PRIMARY KEY, grp INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE INDEX item_grp ON item(grp);
CREATE TABLE ticket(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL);
CREATE TABLE tag(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE alias(name TEXT PRIMARY KEY, target INTEGER NOT NULL);
CREATE TABLE keyless(at INTEGER NOT NULL, message TEXT NOT NULL);
CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE retired(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Size:
    """A size of the base database, in millions of bytes."""

    megabytes: int

    @property
    def rows(self) -> int:
        """Rows of table `item`: with its index a row takes about 1,040 bytes."""
        return self.megabytes * 1_000_000 // 1040

    def __str__(self) -> str:
        return "1 GB" if self.megabytes == 1000 else f"{self.megabytes} MB"


@dataclass(frozen=True)
class Base:
    """A base database on disk."""

    path: Path
    size: Size
    engine: Engine


def base(engine: Engine, size: Size) -> Base:
    """The base database of this size, built now unless it is there. apsw shares the standard one."""
    kind = "doltlite" if engine == "doltlite" else "sqlite"
    path = SCRATCH / f"base-v{LAYOUT}-{kind}-{size.megabytes}.db"
    if not path.exists():
        SCRATCH.mkdir(parents=True, exist_ok=True)
        print(f"building {path.name} ...", end=" ", file=sys.stderr, flush=True)
        child = Child("compare.database")
        try:
            built = child.ask("build", engine=kind, path=str(path), rows=size.rows)
        finally:
            child.close()
        print(f"{built['seconds']:.1f} s", file=sys.stderr)
    return Base(path, size, engine)


def working_copy(source: Base, path: Path) -> None:
    """Copy the base to `path` and write it out, so that no write-back disturbs what is measured next.

    Page by page, as SQLite writes a database. A file that was written in large pieces lies in the page cache in large
    pieces, too, and each later sync of a few pages goes through all of a piece: no database of SQLite's is like that.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        with source.path.open("rb") as file:
            while page := file.read(PAGE):
                os.write(descriptor, page)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _build(engine: str, path: str, rows: int) -> Message:
    began = time.perf_counter()
    unfinished = path + ".building"
    for stale in (unfinished, unfinished + "-journal"):
        Path(stale).unlink(missing_ok=True)
    named: Engine = "doltlite" if engine == "doltlite" else "sqlite3"
    connection = connect(named, unfinished, Setting("delete", "off"))
    for statement in SCHEMA.strip().split(";")[:-1]:
        connection.execute(statement)
    connection.execute("PRAGMA user_version = 7")
    connection.execute("BEGIN")
    connection.executemany(INSERT, base_rows(rows))
    few = range(1, 51)
    connection.executemany("INSERT INTO ticket(title) VALUES (?)", [(f"ticket {n}",) for n in few])
    connection.executemany("INSERT INTO tag VALUES (?, ?)", [(f"tag {n}", n) for n in few])
    connection.executemany("INSERT INTO alias VALUES (?, ?)", [(f"alias {n}", n) for n in few])
    connection.executemany("INSERT INTO keyless VALUES (?, ?)", [(n, f"message {n}") for n in few])
    connection.executemany("INSERT INTO note VALUES (?, ?)", [(n, payload(-n).hex()) for n in few])
    connection.executemany("INSERT INTO retired VALUES (?, ?)", [(n, f"old {n}") for n in few])
    connection.execute("COMMIT")
    if named == "doltlite":
        connection.execute("SELECT dolt_commit('-A', '-m', 'base')").fetchall()
    connection.close()
    Path(unfinished).rename(path)
    return {"seconds": time.perf_counter() - began}


if __name__ == "__main__":
    serve({"build": _build})
