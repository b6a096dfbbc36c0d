"""`make demo`: lose data in a real database from a second process that stays connected, and rewind it.

    python tests/demo/demo.py [--megabytes 200] [--folder FOLDER]

Exits with 1 if any page differs from what it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import dbrewind

# rust/docs/format.md, "Bytes that move forward": offset and length in page 1.
MOVING = [(18, 2), (24, 4), (40, 4), (92, 8)]


def main() -> int:
    """Tell the story; 0 if it was true."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=200)
    options.add_argument("--folder", type=Path, default=None)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="dbrewind-demo-", dir=given.folder) as folder:
        return story(Path(folder), given.megabytes)


def story(folder: Path, megabytes: int) -> int:
    """Build, mark, lose, rewind, prove."""
    path = folder / "shop.db"
    said("Building a shop: users, orders, events, indexes, attachments")
    build(path, megabytes)
    size = path.stat().st_size
    fact(f"{path.name}: {size / 1e6:.0f} MB in WAL mode")

    said("An application connects (tests/demo/app.py: another process, plain sqlite3, does not know us)")
    with Application(path) as app, dbrewind.open(path) as db:
        users, orders = app.ask("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM orders)")[0]
        fact(f"pid {app.pid} sees {users:,} users, {orders:,} orders")

        start = time.perf_counter()
        db.mark("before the deploy")
        fact(f'db.mark("before the deploy")   {milliseconds(time.perf_counter() - start)}')
        before = db.digest()
        backup(path, folder / "reference.db")

        said("The application has a bad day; every statement is committed")
        for statement in DISASTER:
            app.ask(statement)
            fact(statement)
        fact(f"it now sees {app.ask('SELECT count(*) FROM users')[0][0]:,} users; orders: {app.gone('orders')}")
        lost = db.digest()

        said("Rewind, while the application stays connected")
        done = db.rewind("before the deploy")
        written = f"{done.pages} page{'s' * (done.pages != 1)} written, {done.method}"
        fact(f'db.rewind("before the deploy") {milliseconds(done.seconds)}   ({written})')
        again = app.ask("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM orders)")[0]
        check(
            f"pid {app.pid}, same connection, sees {again[0]:,} users, {again[1]:,} orders",
            again == [users, orders],
        )

        said("Is every page back?")
        check(f"digest {db.digest()[:16]}... equals the one at the mark", db.digest() == before)
        backup(path, folder / "now.db")
        pages, different = compare(folder / "reference.db", folder / "now.db")
        check(f"{pages:,} pages compared with a backup taken at the mark: {different} differ", different == 0)
        check("PRAGMA integrity_check: ok", app.ask("SELECT * FROM pragma_integrity_check") == [["ok"]])

        said("And forward again, and back: the rewind is recorded too")
        forth = db.rewind(done.undo)
        check(f"db.rewind(done.undo)           {milliseconds(forth.seconds)}   lost again", db.digest() == lost)
        back = db.rewind("before the deploy")
        check(f'db.rewind("before the deploy") {milliseconds(back.seconds)}   back', db.digest() == before)
        app.ask("INSERT INTO users(name, mail) VALUES ('Zoe', 'zoe@example.org')")
        check("the application writes on", app.ask("SELECT count(*) FROM users")[0][0] == users + 1)

    said("The same by copying the file")
    start = time.perf_counter()
    shutil.copyfile(folder / "reference.db", folder / "copy.db")
    copied = time.perf_counter() - start
    with (folder / "copy.db").open("rb") as file:
        os.fsync(file.fileno())
    synced = time.perf_counter() - start
    fact(f"shutil.copyfile: {milliseconds(copied)}   ({milliseconds(synced).strip()} with fsync)")
    fact(f"rewind:          {milliseconds(done.seconds)}   {copied / done.seconds:,.0f} times faster")
    fact("After a copy every connection must be closed and opened again; the rewind nobody noticed.")
    return 1 if FAILED else 0


DISASTER = [
    "DELETE FROM users WHERE id % 143 < 7 AND id <= 14300",
    "DROP TABLE orders",
    "ALTER TABLE events ADD COLUMN severity TEXT DEFAULT 'unknown'",
    "UPDATE events SET kind = upper(kind), at = NULL WHERE id % 9 = 0",
]
FAILED: list[str] = []


def build(path: Path, megabytes: int) -> None:
    """A database of at least this size, in the proportions of a small shop."""
    blobs = megabytes * 1_000_000 * 7 // 10 // 20_000
    rows = megabytes * 500
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-200000;")
        db.executescript("""
            CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT NOT NULL, mail TEXT NOT NULL);
            CREATE TABLE orders(id INTEGER PRIMARY KEY, user INTEGER REFERENCES users(id), cents INTEGER, note TEXT);
            CREATE TABLE events(id INTEGER PRIMARY KEY, kind TEXT, at INTEGER, detail TEXT);
            CREATE TABLE attachments(id INTEGER PRIMARY KEY, body BLOB);
        """)
        fill(db, "users(name, mail)", "'user ' || i, 'user' || i || '@example.org'", rows // 4)
        fill(db, "orders(user, cents, note)", f"i % {rows // 4} + 1, i * 37 % 10000, hex(randomblob(20))", rows)
        fill(db, "events(kind, at, detail)", "'click', 1700000000 + i, hex(randomblob(30))", rows)
        fill(db, "attachments(body)", "randomblob(20000)", blobs)
        db.executescript("""
            CREATE UNIQUE INDEX users_mail ON users(mail);
            CREATE INDEX orders_user ON orders(user);
            CREATE INDEX events_at ON events(at);
            PRAGMA wal_checkpoint(TRUNCATE);
        """)
        while path.stat().st_size < megabytes * 1_000_000:
            fill(db, "attachments(body)", "randomblob(20000)", blobs // 10)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def fill(db: sqlite3.Connection, into: str, values: str, count: int) -> None:
    """Insert `count` rows computed from i = 1, 2, 3, ..."""
    counter = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    db.execute(f"{counter} INSERT INTO {into} SELECT {values} FROM n", (count,))


class Application:
    """The second process."""

    def __init__(self, path: Path) -> None:
        program = Path(__file__).with_name("app.py")
        # -I: it cannot even see this package's settings.
        self._child = subprocess.Popen(
            [sys.executable, "-I", str(program), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._child.pid

    def ask(self, statement: str) -> Any:
        """Run one statement there."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(statement + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError(f"the application died at: {statement}")
        return json.loads(answer)

    def gone(self, table: str) -> str:
        """Whether the application sees a table."""
        return "there" if self.ask(f"SELECT 1 FROM sqlite_schema WHERE name = '{table}'") else "gone"

    def __enter__(self) -> Application:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate(timeout=60)


def backup(path: Path, to: Path) -> None:
    """Copy by SQLite's own backup API: independent of everything of ours."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def compare(left: Path, right: Path) -> tuple[int, int]:
    """Pages, and how many of them differ, byte for byte but for the counters that only grow."""
    with left.open("rb") as a, right.open("rb") as b:
        size = int.from_bytes(a.read(18)[16:18], "big")
        size = 65536 if size == 1 else size
        a.seek(0)
        pages = different = 0
        while True:
            one, other = bytearray(a.read(size)), bytearray(b.read(size))
            if not one and not other:
                return pages, different
            if pages == 0:
                for offset, length in MOVING:
                    one[offset : offset + length] = other[offset : offset + length] = bytes(length)
            pages += 1
            different += one != other


def milliseconds(seconds: float) -> str:
    """For people."""
    return f"{seconds * 1e3:9.3f} ms"


def said(text: str) -> None:
    """A heading."""
    print(f"\n{text}", flush=True)


def fact(text: str) -> None:
    """A line of the story."""
    print(f"    {text}", flush=True)


def check(text: str, holds: bool) -> None:
    """A line that must be true."""
    fact(f"{'ok  ' if holds else 'FAIL'} {text}")
    if not holds:
        FAILED.append(text)


if __name__ == "__main__":
    sys.exit(main())
