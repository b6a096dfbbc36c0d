"""Databases and stores that are moved while nobody records: marks are kept, or lost and listed as lost; never gone."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import dbrewind
from conftest import create

Connect = Callable[[Path], sqlite3.Connection]


def record(path: Path, connect: Connect, store: Path | None = None) -> None:
    """Leaves the mark "seeded", with 100 users, and a database without any."""
    with dbrewind.open(path, store=store) as db:
        db.mark("seeded")
        app = connect(path)
        app.execute("DELETE FROM users")
        app.close()


def users(path: Path, connect: Connect) -> int:
    (count,) = connect(path).execute("SELECT count(*) FROM users").fetchone()
    return int(count)


def assert_kept_or_lost(db: dbrewind.Database, connect: Connect) -> None:
    """The mark is there. Either it can be reached, or the refusal says that it was lost."""
    assert [mark.name for mark in db.marks()] == ["seeded"]
    if db.marks()[0].state == "lost":
        assert db.journal == "wal", "a rollback mode keeps marks when the file is moved"
        with pytest.raises(dbrewind.MarkLostError):
            db.rewind("seeded")
        assert users(db.path, connect) == 0
    else:
        db.rewind("seeded")
        assert users(db.path, connect) == 100


def test_database_and_store_renamed_together(app_db: Path, tmp_path: Path, connect: Connect) -> None:
    record(app_db, connect)
    moved = app_db.rename(tmp_path / "moved.db")
    (tmp_path / "app.db-rewind").rename(tmp_path / "moved.db-rewind")
    with dbrewind.open(moved) as db:
        assert_kept_or_lost(db, connect)


def test_the_database_alone_renamed(app_db: Path, tmp_path: Path, connect: Connect) -> None:
    # A file system's clock may tick 100 times a second, and what is as old as its store is not certainly what it has.
    time.sleep(0.05)
    record(app_db, connect)
    moved = app_db.rename(tmp_path / "moved.db")
    folder, expected = tmp_path / "app.db-rewind", tmp_path / "moved.db-rewind"
    for _ in range(2):
        with pytest.raises(dbrewind.FileMissingError) as caught:
            dbrewind.open(moved)
        assert caught.value.code == "DBR012"
        assert f"still in {folder}; rename that folder to {expected} to go on, or remove it" in str(caught.value)
        assert not expected.exists()
    folder.rename(expected)
    with dbrewind.open(moved) as db:
        assert_kept_or_lost(db, connect)


def test_the_database_alone_renamed_and_its_history_given_up(app_db: Path, tmp_path: Path, connect: Connect) -> None:
    record(app_db, connect)
    moved = app_db.rename(tmp_path / "moved.db")
    shutil.rmtree(tmp_path / "app.db-rewind")
    with dbrewind.open(moved) as db:
        assert db.marks() == []


def test_the_database_alone_renamed_and_its_store_named(app_db: Path, tmp_path: Path, connect: Connect) -> None:
    record(app_db, connect)
    moved = app_db.rename(tmp_path / "moved.db")
    with dbrewind.open(moved, store=tmp_path / "elsewhere") as db:
        assert db.marks() == []


def test_a_new_database_beside_the_store_of_one_that_was_deleted(
    app_db: Path, tmp_path: Path, connect: Connect
) -> None:
    """It may well get the number of the deleted file."""
    record(app_db, connect)
    for turn in range(30):
        app_db.unlink(missing_ok=True)
        path = create(tmp_path / f"new{turn}.db", "wal" if turn % 2 else "delete")
        with dbrewind.open(path) as db:
            assert db.marks() == []
        path.unlink()


def test_a_renamed_copy_is_another_database(app_db: Path, tmp_path: Path, connect: Connect) -> None:
    record(app_db, connect)
    copy = Path(shutil.copy(app_db, tmp_path / "copy.db"))
    app_db.unlink()
    with dbrewind.open(copy) as db:
        assert db.marks() == []


def test_a_new_database_took_the_place_of_a_renamed_one(app_db: Path, tmp_path: Path, connect: Connect) -> None:
    """Whose store the folder is now, nobody can tell."""
    record(app_db, connect)
    moved = app_db.rename(tmp_path / "moved.db")
    create(app_db, "wal")
    with dbrewind.open(moved) as db:
        assert db.marks() == []


def test_what_only_looks_like_a_store_is_passed_over(app_db: Path, tmp_path: Path) -> None:
    (tmp_path / "a-rewind").mkdir()
    (tmp_path / "b-rewind").write_text("no folder")
    (tmp_path / "c-rewind").mkdir()
    for name in ["locks", "control", "000.seg", "00000001.seg"]:
        (tmp_path / "c-rewind" / name).write_bytes(b"x" * 5000)
    with dbrewind.open(app_db) as db:
        assert db.marks() == []


@pytest.mark.parametrize("store", [None, "history", "deep/history"])
def test_the_folder_of_both_renamed(app_db: Path, tmp_path: Path, connect: Connect, store: str | None) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "deep").mkdir(parents=True)
    path = app_db.rename(old / "app.db")
    record(path, connect, old / store if store else None)
    old.rename(new)
    with dbrewind.open(new / "app.db", store=new / store if store else None) as db:
        assert_kept_or_lost(db, connect)


def test_the_database_alone_renamed_beside_a_store_of_its_own_name(
    app_db: Path, tmp_path: Path, connect: Connect
) -> None:
    store = tmp_path / "history"
    record(app_db, connect, store)
    moved = app_db.rename(tmp_path / "moved.db")
    for _ in range(2):
        with dbrewind.open(moved, store=store) as db:
            assert [mark.name for mark in db.marks()] == ["seeded"]
    # Another one at the old place is another one.
    create(app_db, "delete")
    with dbrewind.open(app_db, store=store) as db:
        assert db.marks() == []
    with dbrewind.open(moved, store=store) as db:
        assert_kept_or_lost(db, connect)


def test_a_copy_of_both_is_another_database(app_db: Path, tmp_path: Path, connect: Connect) -> None:
    record(app_db, connect)
    (tmp_path / "copy").mkdir()
    copy = shutil.copy(app_db, tmp_path / "copy" / "app.db")
    shutil.copytree(tmp_path / "app.db-rewind", tmp_path / "copy" / "app.db-rewind")
    with dbrewind.open(copy) as db:
        assert [(mark.name, mark.state) for mark in db.marks()] == [("seeded", "lost")]
        with pytest.raises(dbrewind.MarkLostError):
            db.rewind("seeded")


def test_a_store_of_two_databases_keeps_them_apart(app_db: Path, tmp_path: Path, connect: Connect) -> None:
    record(app_db, connect)
    other = create(tmp_path / "other.db", "delete")
    with dbrewind.open(other, store=tmp_path / "app.db-rewind") as db:
        assert db.marks() == []
        db.mark("other")
    copy = Path(shutil.copy(other, tmp_path / "copy.db"))
    with dbrewind.open(copy, store=tmp_path / "app.db-rewind") as db:
        assert db.marks() == []
    with dbrewind.open(app_db) as db:
        assert_kept_or_lost(db, connect)


def test_two_databases_whose_stores_are_links_to_one_folder(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for name in ["a.db", "b.db"]:
        path = create(tmp_path / name, "delete")
        (tmp_path / f"{name}-rewind").symlink_to(store)
        with dbrewind.open(path) as db:
            assert db.marks() == []
            db.mark(name)


def test_a_relative_store_survives_a_change_of_the_working_directory(
    app_db: Path, tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with dbrewind.open("app.db", store="history") as db:
        monkeypatch.chdir("/")
        assert db.store == tmp_path / "history"
        db.mark("seeded")
        connect(app_db).execute("DELETE FROM users")
        db.rewind("seeded")
        assert users(app_db, connect) == 100
