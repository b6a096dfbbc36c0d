"""Arguments that make no sense are refused with what would, and nothing is made."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

import dbrewind


@pytest.mark.parametrize("limit", ["1GB", 1.5, True, [1]])
def test_a_limit_that_is_no_number(app_db: Path, limit: object) -> None:
    with pytest.raises(TypeError, match=r"limit must be a number of bytes, .* such as 2 \* 1024\*\*3, not ") as caught:
        dbrewind.open(app_db, limit=limit)  # type: ignore[arg-type]
    assert repr(limit) in str(caught.value)


@pytest.mark.parametrize(("argument", "given"), [("path", None), ("path", sqlite3.Row), ("store", 7)])
def test_a_path_that_is_none(app_db: Path, argument: str, given: object) -> None:
    with pytest.raises(TypeError, match=f"^{argument} must be a str, bytes or os.PathLike object, not "):
        dbrewind.open(**{"path": app_db, argument: given})  # type: ignore[arg-type]


@pytest.mark.parametrize("argument", ["path", "store", "copy"])
@pytest.mark.parametrize("given", ["", "a\0b"])
def test_a_path_that_names_no_file(app_db: Path, argument: str, given: str) -> None:
    def name_it() -> None:
        if argument == "copy":
            db.clone(db.now(), given)
        else:
            dbrewind.open(**{"path": app_db, argument: given})  # type: ignore[arg-type]

    with dbrewind.open(app_db) as db, pytest.raises(dbrewind.Error) as caught:
        name_it()
    assert caught.value.code == "DBR022"


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_what_is_no_file_is_no_database(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "app.db"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    with pytest.raises(dbrewind.NotADatabaseError, match="a device, a pipe or a socket"):
        dbrewind.open(path)
    assert [found.name for found in tmp_path.iterdir()] == ["app.db"]
    assert not Path("/dev/null-rewind").exists()


@pytest.mark.parametrize("limit", [-1, 1000, 1 << 70])
def test_a_limit_that_cannot_be(app_db: Path, limit: int) -> None:
    with pytest.raises(dbrewind.InvalidArgumentError, match=f"limit must be a number of bytes, .*, not {limit}"):
        dbrewind.open(app_db, limit=limit)
