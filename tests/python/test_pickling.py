"""What goes to another process, by pickle, and what does not."""

from __future__ import annotations

import multiprocessing
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import dbrewind
from conftest import create


def again(value: object) -> object:
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def told(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in dir(type(value)) if not name.startswith("_")}


@pytest.mark.parametrize("pin", [False, True])
def test_a_mark_says_the_same_and_can_be_gone_to(
    app_db: Path, connect: Callable[[Path], sqlite3.Connection], pin: bool
) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        mark = db.mark("seeded", pin=pin)
        copy = again(mark)
        assert isinstance(copy, dbrewind.Mark)
        assert told(copy) == told(mark)
        assert repr(copy) == repr(mark)
        app.execute("DELETE FROM users")
        db.rewind(copy)
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
        db.drop(copy)
        with pytest.raises(dbrewind.MarkNotFoundError):
            db.drop(again(mark))  # type: ignore[arg-type]


def test_a_mark_of_another_database_stays_one(app_db: Path, tmp_path: Path) -> None:
    with dbrewind.open(create(tmp_path / "other.db", "wal")) as other, dbrewind.open(app_db) as db:
        mark = again(other.mark("seeded"))
        with pytest.raises(dbrewind.InvalidArgumentError, match=r"other\.db"):
            db.rewind(mark)  # type: ignore[arg-type]


def test_a_lost_mark_stays_lost(wal_db: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    with dbrewind.open(wal_db, journal="delete") as db:
        db.mark("seeded")
    connect(wal_db).execute("DELETE FROM users")
    with dbrewind.open(wal_db) as db:
        (mark,) = db.marks()
        assert (mark.state, told(again(mark))) == ("lost", told(mark))


def test_what_a_rewind_did_says_the_same(app_db: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("seeded")
        nothing = db.rewind("seeded")
        app.execute("DELETE FROM users")
        done = db.rewind("seeded")
        for one in (nothing, done):
            copy = again(one)
            assert isinstance(copy, dbrewind.Rewound)
            assert told(copy) == told(one)
            assert repr(copy) == repr(one)
            # Whatever it did: `benchmark.pedantic(work, setup=db.rewind)`.
            assert (bool(one), bool(copy)) == (False, False)
        undone = again(done)
        assert isinstance(undone, dbrewind.Rewound)
        db.rewind(undone.undo)
        assert app.execute("SELECT count(*) FROM users").fetchone() == (0,)


def go(mark: dbrewind.Mark) -> dbrewind.Rewound:
    """In another process, with a recording of its own."""
    with dbrewind.open(mark.lsn.path) as db:
        return db.rewind(mark)


def test_another_process_goes_to_a_mark_and_tells_what_it_did(
    wal_db: Path, connect: Callable[[Path], sqlite3.Connection]
) -> None:
    with dbrewind.open(wal_db) as db:
        app = connect(wal_db)
        mark = db.mark("seeded")
        app.execute("DELETE FROM users")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            done = pool.apply(go, (mark,))
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
        assert done.to == mark.lsn
        db.rewind(done.undo)
        assert app.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_what_belongs_to_its_process_says_so(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        with pytest.raises(TypeError, match=rf"a Database is .* cannot be pickled; .*{wal_db.name}.* dbrewind\.open"):
            pickle.dumps(db)
        with db.at("seeded") as at, pytest.raises(TypeError, match=r"an At is .* cannot be pickled; give .* its lsn"):
            pickle.dumps(at)


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("_mark", ("/a.db", 3, "x", 5, 7, "warm", False), "a mark of another version"),
        ("_rewound", ("/a.db", 3, 5, 4, 7, 0.5, "teleported"), "a result of another version"),
    ],
)
def test_a_word_that_this_version_does_not_know(name: str, given: tuple[object, ...], text: str) -> None:
    from dbrewind import _dbrewind

    with pytest.raises(ValueError, match=text):
        getattr(_dbrewind, name)(*given)
