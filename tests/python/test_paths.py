"""Paths that lead to no database, or to one by another name: which error each is; and that it changed nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest

import dbrewind
from conftest import create
from error_scene import Connect, assert_code


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        dbrewind.open(tmp_path / "no.db")
    assert isinstance(caught.value, dbrewind.FileMissingError)
    assert_code(caught, "DBR012", "no.db", "check the path")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("id,name\n" * 200)
    with pytest.raises(dbrewind.NotADatabaseError) as caught:
        dbrewind.open(tmp_path / "app.db")
    assert_code(caught, "DBR013", "app.db")
    assert [path.name for path in tmp_path.iterdir()] == ["app.db"]


def test_a_folder_for_a_database(tmp_path: Path) -> None:
    with pytest.raises(dbrewind.NotADatabaseError) as caught:
        dbrewind.open(tmp_path)
    assert_code(caught, "DBR013", str(tmp_path), "folder")


@pytest.mark.parametrize("engine", ["auto", "keeper"])
@pytest.mark.parametrize("path", [":memory:", "file:shop?mode=memory&cache=shared"])
def test_a_database_in_memory(path: str, engine: Literal["auto", "keeper"]) -> None:
    with pytest.raises(dbrewind.UnsupportedError) as caught:
        dbrewind.open(path, engine=engine)
    assert_code(caught, "DBR021", "memory", "use a file")


@pytest.mark.parametrize("engine", ["auto", "keeper"])
def test_an_empty_path_is_no_database_in_memory(engine: Literal["auto", "keeper"]) -> None:
    """Which SQLite takes it for: but who writes it has forgotten to set something."""
    with pytest.raises(dbrewind.InvalidArgumentError) as caught:
        dbrewind.open("", engine=engine)
    assert_code(caught, "DBR022", "the path is empty", "name the file")
    assert "memory" not in str(caught.value)


def test_a_path_of_a_wrong_type() -> None:
    with pytest.raises(TypeError):
        dbrewind.open(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["inside", "keeper"])
@pytest.mark.parametrize("path", ["sqlite:///app.db", "file:app.db"])
def test_a_url_for_a_path(
    wal_db: Path, monkeypatch: pytest.MonkeyPatch, path: str, engine: Literal["inside", "keeper"]
) -> None:
    monkeypatch.chdir(wal_db.parent)
    with pytest.raises(dbrewind.FileMissingError) as caught:
        dbrewind.open(path, engine=engine)
    assert_code(caught, "DBR012", path, "not a URL")


@pytest.mark.parametrize("name", [b"app \xff.db", b"app?mode=ro&x=%20#1.db"])
def test_a_path_in_bytes(tmp_path: Path, connect: Connect, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    create(path, "wal")
    with dbrewind.open(os.fsencode(path)) as db:
        assert db.path == path
        db.mark("seeded")
        app = connect(path)
        app.execute("DELETE FROM users")
        db.rewind("seeded")
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)


def test_a_second_name_of_a_file_that_is_open_by_another_one(wal_db: Path, connect: Connect) -> None:
    """SQLite itself says "disk I/O error": it has a wal-index for the file, and a WAL for each name."""
    app = connect(wal_db)
    app.execute("DELETE FROM users")
    second = wal_db.with_name("link.db")
    second.hardlink_to(wal_db)
    with pytest.raises(dbrewind.IoError) as caught:
        dbrewind.open(second, engine="inside")
    assert_code(caught, "DBR025", "link.db is one of 2 names of its file (hard links)", "open it by one name")
    app.close()


def test_a_store_that_is_a_file(wal_db: Path) -> None:
    there = wal_db.with_name("notes.txt")
    there.write_text("mine")
    with pytest.raises(dbrewind.InvalidArgumentError) as caught:
        dbrewind.open(wal_db, store=there)
    assert_code(caught, "DBR022", "store must name a folder", "notes.txt is a file")
    # Below a file, and beside the database under the name of its history.
    beside = wal_db.with_name("app.db-rewind")
    beside.write_text("mine")
    for store in (there / "below", None):
        with pytest.raises(OSError, match=r"a file is where the history's folder would be: move it away") as failed:
            dbrewind.open(wal_db, store=store)
        assert "(store=)" in str(failed.value)
    assert there.read_text() == beside.read_text() == "mine"


def test_a_clone_into_a_folder_that_is_missing(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        for folder in (wal_db.with_name("nowhere"), wal_db):
            with pytest.raises(dbrewind.FileMissingError) as caught:
                db.clone("seeded", folder / "copy.db")
            assert_code(caught, "DBR012", f"there is no folder {folder} for the copy", "create it first")
    assert not wal_db.with_name("nowhere").exists()
