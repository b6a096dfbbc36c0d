"""Full segments of the store become small in the background, and every mark is still exact."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Literal

import pytest

import dbrewind

ROUNDS = 8


def fill(path: Path, db: dbrewind.Database) -> list[str]:
    """Marks `m0`, `m1`, ... and what the database is at each; past the store's first segment of 4 MiB."""
    digests = []
    with sqlite3.connect(path) as app:
        app.execute("CREATE TABLE filled (id INTEGER PRIMARY KEY, text TEXT)")
        app.executemany("INSERT INTO filled VALUES (?, ?)", [(i, f"row {i} " * 40) for i in range(3000)])
        app.commit()
        for number in range(ROUNDS):
            app.execute("UPDATE filled SET text = text || ?", (f" {number}",))
            app.commit()
            db.mark(f"m{number}")
            digests.append(db.digest())
    app.close()
    return digests


def sealed(path: Path) -> list[Path]:
    return sorted(path.with_name(f"{path.name}-rewind").glob("*.zst"))


@pytest.mark.parametrize("engine", ["inside", "keeper"])
def test_a_full_segment_is_sealed_and_marks_stay_exact(wal_db: Path, engine: Literal["inside", "keeper"]) -> None:
    with dbrewind.open(wal_db, engine=engine) as db:
        digests = fill(wal_db, db)
        until = time.monotonic() + 60
        while not sealed(wal_db):
            assert time.monotonic() < until, "nothing is sealed"
            time.sleep(0.05)
        for number in (0, ROUNDS - 1, 2):
            db.rewind(f"m{number}")
            assert db.digest() == digests[number]


def test_nothing_is_sealed_if_it_is_not_to_be(wal_db: Path) -> None:
    with dbrewind.open(wal_db, seal=False) as db:
        fill(wal_db, db)
        time.sleep(2.5)
        assert sealed(wal_db) == []
