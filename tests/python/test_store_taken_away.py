"""A store that somebody takes away while it is recorded into."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import dbrewind
from conftest import create
from error_scene import assert_code

Connect = Callable[[Path], sqlite3.Connection]


def test_a_store_that_was_removed_while_open(app_db: Path, connect: Connect) -> None:
    db = dbrewind.open(app_db)
    db.mark("seeded")
    connect(app_db).execute("DELETE FROM users")
    shutil.rmtree(db.store)
    with pytest.raises(dbrewind.StoreDamagedError) as caught:
        db.rewind("seeded")
    assert_code(caught, "DBR015", str(db.store), "removed or renamed", "open a new one")
    with suppress(dbrewind.StoreDamagedError):
        db.close()
    with dbrewind.open(app_db) as db:
        assert db.marks() == []


def test_closing_says_that_it_is_closed(wal_db: Path, connect: Connect) -> None:
    """Once, for nobody else may have said that what was committed last is recorded nowhere."""
    db = dbrewind.open(wal_db)
    db.mark("seeded")
    connect(wal_db).execute("DELETE FROM users")
    shutil.rmtree(db.store)
    with pytest.raises(dbrewind.StoreDamagedError) as caught:
        db.close()
    assert_code(caught, "DBR015", str(db.store), "the recording is closed", "removed or renamed", "open a new one")
    assert "close this" not in str(caught.value)
    db.close()


def test_every_call_says_that_the_store_is_gone(app_db: Path) -> None:
    """Not only those that would write to it: a list of marks that nobody can rewind to would mislead."""
    db = dbrewind.open(app_db)
    db.mark("seeded")
    shutil.rmtree(db.store)
    calls: list[Callable[[], object]] = [
        lambda: db.rewind("seeded"),
        lambda: db.mark("other"),
        db.marks,
        db.status,
        lambda: db.diff("seeded"),
        lambda: db.at("seeded"),
        lambda: db.clone("seeded", app_db.with_name("copy.db")),
        lambda: db.dirty_since("seeded"),
        lambda: db.drop("seeded"),
    ]
    for call in calls:
        with pytest.raises(dbrewind.StoreDamagedError) as caught:
            call()
        assert_code(caught, "DBR015", str(db.store), "removed or renamed")
    with suppress(dbrewind.StoreDamagedError):
        db.close()


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced"])
def test_a_mark_in_a_store_that_was_taken_away_is_refused(app_db: Path, how: str) -> None:
    db = dbrewind.open(app_db)
    db.mark("seeded")
    if how == "renamed":
        db.store.rename(db.store.with_name("elsewhere"))
    else:
        shutil.rmtree(db.store)
    if how == "replaced":
        # A store of the same name, as another process would make it.
        dbrewind.open(create(app_db.with_name("other.db"), "wal"), store=db.store).close()
    with pytest.raises(dbrewind.StoreDamagedError) as caught:
        db.mark("lost on arrival")
    assert_code(caught, "DBR015", str(db.store), "removed or renamed")


def test_a_second_handle_does_not_record_into_a_store_that_was_removed(app_db: Path, connect: Connect) -> None:
    first = dbrewind.open(app_db)
    shutil.rmtree(first.store)
    if first.journal == "rollback":
        with pytest.raises(dbrewind.InvalidArgumentError, match="another store"):
            dbrewind.open(app_db)
        with suppress(dbrewind.StoreDamagedError):
            first.close()
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        app = connect(app_db)
        app.execute("DELETE FROM users")
        db.rewind("seeded")
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
