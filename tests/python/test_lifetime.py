"""What ends a recording: close, the end of a block, collection, the end of Python."""

from __future__ import annotations

import gc
import json
import sqlite3
import subprocess
import sys
import weakref
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind
from conftest import create


def checkpoint_is_refused(path: Path) -> bool:
    """While a recording runs, nobody else may bring the WAL back into the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as app:
        return bool(app.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def test_a_closed_recording_lets_go(wal_db: Path) -> None:
    db = dbrewind.open(wal_db)
    db.mark("seeded")
    assert checkpoint_is_refused(wal_db)
    db.close()
    assert not checkpoint_is_refused(wal_db)


def files_of(store: Path) -> list[str]:
    """What this process has open, or mapped, of a store."""
    mapped = Path("/proc/self/maps").read_text().splitlines()
    open_ones = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return [line for line in [*mapped, *open_ones] if str(store) in line]


def test_a_closed_handle_has_nothing_open(app_db: Path) -> None:
    """Who has the store open counts as a recording: the command line says so of every process that has."""
    db = dbrewind.open(app_db)
    app = sqlite3.connect(app_db, isolation_level=None)
    db.mark("seeded")
    at = db.at("seeded")
    then = sqlite3.connect(at.uri, uri=True)
    assert then.execute("SELECT count(*) FROM users").fetchone() == (100,)
    app.execute("DELETE FROM users")
    assert files_of(db.store)
    db.close()
    assert files_of(db.store) == []
    assert (db.path, db.store.name, at.lsn.number > 0) == (app_db, "app.db-rewind", True)
    status = subprocess.run(
        [sys.executable, "-m", "dbrewind", "status", app_db, "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(status.stdout)["recorders"] == []
    then.close()
    app.close()


@pytest.mark.parametrize("connected", [False, True])
def test_a_database_that_was_deleted_can_be_closed(app_db: Path, connected: bool) -> None:
    db = dbrewind.open(app_db)
    app = sqlite3.connect(app_db, isolation_level=None)
    db.mark("seeded")
    app.execute("DELETE FROM users")
    if not connected:
        app.close()
    for path in app_db.parent.glob("app.db*"):
        if path.is_file():
            path.unlink()
    db.close()
    app.close()


def test_a_database_that_was_moved_away_says_so_when_it_is_closed(app_db: Path) -> None:
    db = dbrewind.open(app_db)
    db.mark("seeded")
    app_db.rename(app_db.with_name("elsewhere.db"))
    with pytest.raises(dbrewind.FileReplacedError):
        db.close()
    db.close()


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_handle_whose_file_is_gone_says_so(app_db: Path, tmp_path: Path, how: str) -> None:
    db = dbrewind.open(app_db)
    db.mark("seeded")
    if how == "removed":
        app_db.unlink()
    else:
        create(tmp_path / "other.db", "delete").replace(app_db)
    for call in (db.marks, db.status, db.now, db.digest, lambda: db.diff("seeded"), lambda: db.drop("seeded")):
        with pytest.raises(dbrewind.FileReplacedError, match=r"\[DBR018\] .*app.db is not the file"):
            call()
    db.close()


def test_a_collected_recording_lets_go(wal_db: Path) -> None:
    db = dbrewind.open(wal_db)
    db.mark("seeded")
    alive = weakref.ref(db)
    del db
    gc.collect()
    assert alive() is None
    assert not checkpoint_is_refused(wal_db)


LOOK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute(sys.argv[2]).fetchone()[0])
connection.commit()
connection.close()
"""


def look(path: Path, statement: str) -> str:
    """What another process finds that is alone with the database, and has the standard module only."""
    run = [sys.executable, "-I", "-S", "-c", LOOK, str(path), statement]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("app_first", [True, False])
def test_marks_outlast_a_close_and_a_reader(wal_db: Path, app_first: bool) -> None:
    db = dbrewind.open(wal_db)
    app = sqlite3.connect(wal_db, isolation_level=None)
    db.mark("seeded")
    app.execute("DELETE FROM users WHERE id > 10")
    db.mark("ten")
    for close in (app.close, db.close) if app_first else (db.close, app.close):
        close()
    for _ in range(2):
        assert look(wal_db, "SELECT count(*) FROM users") == "10"
    with dbrewind.open(wal_db) as db:
        for name, rows in [("seeded", 100), ("ten", 10)]:
            db.rewind(name)
            with closing(sqlite3.connect(wal_db)) as app:
                assert app.execute("SELECT count(*) FROM users").fetchone() == (rows,)


def test_marks_are_lost_by_a_close_and_a_writer(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
    look(wal_db, "INSERT INTO users(name) VALUES('foreign') RETURNING id")
    with dbrewind.open(wal_db) as db:
        assert [mark.state for mark in db.marks()] == ["lost"]
        with pytest.raises(dbrewind.MarkLostError):
            db.rewind("seeded")


def test_a_scope_keeps_its_database(wal_db: Path) -> None:
    scope = dbrewind.open(wal_db).rewound()
    gc.collect()
    with scope, closing(sqlite3.connect(wal_db, isolation_level=None)) as app:
        app.execute("DELETE FROM users")
    with closing(sqlite3.connect(wal_db)) as app:
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)


def test_marks_and_results_outlive_the_handle(wal_db: Path) -> None:
    db = dbrewind.open(wal_db)
    mark = db.mark("seeded")
    done = db.rewind(mark)
    db.close()
    del db
    gc.collect()
    assert mark.name == "seeded"
    assert done.to == mark.lsn


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "1 / 0"])
def test_marks_survive_a_program_that_just_ends(app_db: Path, ending: str) -> None:
    program = f"""
import dbrewind, sys
keep = {{}}
keep["db"] = dbrewind.open(sys.argv[1])
keep["self"] = keep
keep["db"].mark("seeded")
{ending}
"""
    subprocess.run([sys.executable, "-c", program, str(app_db)], check=False, capture_output=True)
    with dbrewind.open(app_db) as db:
        assert [(mark.name, mark.state == "lost") for mark in db.marks()] == [("seeded", False)]
        db.rewind("seeded")


def test_many_handles_one_after_the_other(wal_db: Path) -> None:
    for turn in range(20):
        with dbrewind.open(wal_db) as db:
            db.mark(f"{turn}")
    with dbrewind.open(wal_db) as db:
        assert len(db.marks()) == 20


def test_a_killed_recorder_leaves_an_ordinary_database(app_db: Path) -> None:
    program = """
import dbrewind, os, signal, sqlite3, sys
db = dbrewind.open(sys.argv[1])
db.mark("seeded")
app = sqlite3.connect(sys.argv[1], isolation_level=None)
app.execute("DELETE FROM users WHERE id > 10")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, str(app_db)], check=False)
    with closing(sqlite3.connect(app_db)) as app:
        assert app.execute("SELECT count(*) FROM users").fetchone() == (10,)
        assert app.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with dbrewind.open(app_db) as db:
        # Kept or lost, but never a wrong state.
        (mark,) = db.marks()
        if mark.state == "lost":
            with pytest.raises(dbrewind.MarkLostError):
                db.rewind("seeded")
        else:
            db.rewind("seeded")
            with closing(sqlite3.connect(app_db)) as app:
                assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
