"""A store at its limit: the application goes on, the error names what to type, and marks say that they are lost.

Nothing is sealed here: what that makes smaller comes when it comes, and may be enough for recording to go on."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest

import dbrewind

Connect = Callable[[Path], sqlite3.Connection]


def outgrow(db: dbrewind.Database, app: sqlite3.Connection) -> dbrewind.StoreFullError:
    """Change and mark until recording stops. It may be the mark that finds out, before any change went unrecorded."""
    for turn in range(100):
        app.execute("UPDATE orders SET note = hex(randomblob(1000))")
        with suppress(dbrewind.StoreFullError):
            db.mark(f"turn {turn}")
        if db.status().state == "stopped":
            with pytest.raises(dbrewind.StoreFullError) as caught:
                db.rewind("seeded")
            return caught.value
    raise AssertionError("the store is not full")


def assert_works(path: Path, app: sqlite3.Connection, limit: int, engine: Literal["inside", "keeper"]) -> None:
    with dbrewind.open(path, limit=limit, engine=engine) as db:
        db.mark("anew")
        digest = db.digest()
        app.execute("UPDATE orders SET note = hex(randomblob(1000))")
        db.rewind("anew")
        assert db.digest() == digest


def test_the_error_says_what_to_type(app_db: Path, connect: Connect) -> None:
    db = dbrewind.open(app_db, limit=1 << 20, seal=False)
    app = connect(app_db)
    db.mark("seeded", pin=True)
    assert "lost" not in [mark.state for mark in db.marks()]
    error = outgrow(db, app)
    assert error.code == "DBR010"
    assert isinstance(error, OSError)
    found = re.search(r"\bits limit is 1048576\b.*\blimit=(\d+)", str(error))
    assert found, error
    assert 'pinned mark "seeded" keeps' in str(error) or db.status().pins[0].bytes == 0
    assert {mark.state for mark in db.marks()} == {"lost"}
    app.execute("DELETE FROM users")
    with pytest.raises(dbrewind.StoreFullError, match="earlier marks are lost"):
        db.rewind("seeded")
    assert app.execute("SELECT count(*) FROM users").fetchone() == (0,)
    # It has been said.
    db.close()
    app.close()
    assert_works(app_db, connect(app_db), int(found[1]), "inside")


def test_the_keeper_has_the_limit_too(wal_db: Path, connect: Connect) -> None:
    db = dbrewind.open(wal_db, limit=1 << 20, engine="keeper", seal=False)
    app = connect(wal_db)
    db.mark("seeded", pin=True)
    assert "limit=2097152" in str(outgrow(db, app))
    assert {mark.state for mark in db.marks()} == {"lost"}
    db.close()
    assert_works(wal_db, app, 2097152, "keeper")


def test_a_store_that_has_room_again_asks_for_no_higher_limit(wal_db: Path, connect: Connect) -> None:
    db = dbrewind.open(wal_db, limit=1 << 20, seal=False)
    db.mark("seeded", pin=True)
    outgrow(db, connect(wal_db))
    second = dbrewind.open(wal_db, limit=1 << 30, seal=False)
    with pytest.raises(
        dbrewind.StoreFullError, match=r"has room again.*close every recording of it, open it again"
    ) as caught:
        db.mark("late")
    assert "limit=" not in str(caught.value)
    for handle in (second, db):
        with suppress(dbrewind.StoreFullError):
            handle.close()


@pytest.mark.parametrize("limit", [0, -1, 16, (1 << 20) - 1])
def test_a_limit_that_cannot_be(wal_db: Path, limit: int) -> None:
    with pytest.raises(dbrewind.InvalidArgumentError, match=rf"\[DBR022\] limit must .* 1048576 \(1 MiB\).* {limit}$"):
        dbrewind.open(wal_db, limit=limit)
    assert not wal_db.with_name("app.db-rewind").exists()


@pytest.mark.parametrize("limit", ["1 GiB", 1.5e9])
def test_a_limit_of_a_wrong_type(wal_db: Path, limit: Any) -> None:
    with pytest.raises(TypeError):
        dbrewind.open(wal_db, limit=limit)


def fill(db: dbrewind.Database, app: sqlite3.Connection) -> list[str]:
    """Pin a mark after each change until recording stops."""
    pinned = []
    for turn in range(100):
        app.execute("UPDATE orders SET note = hex(randomblob(1000))")
        with suppress(dbrewind.StoreFullError):
            pinned.append(db.mark(f"turn {turn}", pin=True).name)
        if db.status().state == "stopped":
            # Once it has been said closing does not say so again.
            with pytest.raises(dbrewind.StoreFullError):
                db.rewind(pinned[0])
            return pinned
    raise AssertionError("the store is not full")


def test_a_full_store_can_be_looked_at_and_its_pins_dropped(app_db: Path, connect: Connect) -> None:
    db = dbrewind.open(app_db, limit=1 << 20, seal=False)
    app = connect(app_db)
    pinned = fill(db, app)
    assert {mark.state for mark in db.marks()} == {"lost"}
    assert [pin.name for pin in db.status().pins] == pinned
    db.drop(pinned[0])
    assert [mark.name for mark in db.marks()] == pinned[1:]
    db.close()


@pytest.mark.parametrize("engine", ["inside", "keeper"])
def test_a_full_store_is_opened_with_the_same_limit_and_begun_anew(
    wal_db: Path, connect: Connect, engine: Literal["inside", "keeper"]
) -> None:
    db = dbrewind.open(wal_db, limit=1 << 20, engine=engine, seal=False)
    app = connect(wal_db)
    pinned = fill(db, app)
    db.close()
    with dbrewind.open(wal_db, engine=engine, seal=False) as db:
        assert [(mark.name, mark.state) for mark in db.marks()] == [(name, "lost") for name in pinned]
        assert db.status().limit == 1 << 20
        for name in pinned:
            db.drop(name)
    assert_works(wal_db, app, 1 << 20, engine)
