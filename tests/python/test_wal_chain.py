"""SQLite 3.40 may leave frames outside the WAL's chain of checksums: what was committed must not get lost by that."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind
from second_process import SecondProcess

WRITTEN = 20


@pytest.mark.parametrize("ends", ["close", "rewind", "killed"])
def test_a_rollback_to_a_savepoint_behind_spilled_pages(
    tmp_path: Path, connect: Callable[[Path], sqlite3.Connection], ends: str
) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as app:
        app.executescript("PRAGMA journal_mode=wal; CREATE TABLE wide(id INTEGER PRIMARY KEY, b); CREATE TABLE t(x)")
        rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
        app.execute(f"{rows} INSERT INTO wide SELECT i, randomblob(1500) FROM n")
    db = dbrewind.open(path)
    db.mark("seeded")
    first = connect(path)
    first.execute("UPDATE wide SET b = randomblob(4412) WHERE id % 2 = 0")
    app = connect(path)
    app.execute("PRAGMA cache_size=5")
    spoiled = ["BEGIN", "INSERT INTO t VALUES(1)", "SAVEPOINT s", "DELETE FROM wide WHERE id % 3 = 1", "ROLLBACK TO s"]
    for statement in [*spoiled, "COMMIT", *["INSERT INTO t VALUES(2)"] * WRITTEN]:
        app.execute(statement)
    committed = db.mark("committed")
    whole = db.digest()
    if ends == "rewind":
        db.rewind("seeded")
        assert app.execute("SELECT count(*) FROM t").fetchone() == (0,)
        db.rewind(committed)
    assert db.digest() == whole
    if ends == "killed":
        # What others find when nobody has closed anything.
        # Copied by another process: closing the file in this one would drop SQLite's locks.
        copy = tmp_path / "copy.db"
        for name in ("", "-wal"):
            program = "import shutil, sys; shutil.copyfile(*sys.argv[1:])"
            subprocess.run([sys.executable, "-c", program, f"{path}{name}", f"{copy}{name}"], check=True)
        path = copy
    else:
        first.close()
        app.close()
        db.close()
    with SecondProcess(path) as other:
        assert other("SELECT count(*) FROM t") == [[WRITTEN + 1]]
        assert other("PRAGMA integrity_check") == [["ok"]]
