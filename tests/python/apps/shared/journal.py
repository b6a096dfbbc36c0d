"""The journal mode in which a suite runs: `JOURNAL=delete pytest`, or WAL."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

MODE = os.environ.get("JOURNAL", "wal")


@pytest.fixture(scope="session")
def dbrewind_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new file. The plugin itself makes one in WAL mode, if there is none."""
    path = tmp_path_factory.mktemp("database") / "test.db"
    if MODE != "wal":
        with closing(sqlite3.connect(path)) as db:
            assert db.execute(f"PRAGMA journal_mode = {MODE}").fetchone() == (MODE,)
            db.execute("PRAGMA user_version = 0")  # else there is no file yet
    return path


def recorded(database: Path, *command: str) -> list[str]:
    """How to start a program that writes: in WAL mode as it is, else so that it records what it writes."""
    if MODE == "wal":
        return [*command]
    return [sys.executable, "-m", "dbrewind", "run", str(database), "--", *command]
