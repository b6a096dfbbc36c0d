"""Defects that are known and not repaired: each test says what ought to be. One that passes has to move elsewhere."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import create

Connect = Callable[[Path], sqlite3.Connection]


@pytest.mark.xfail(reason="locks of our own process are left out, since the engine has some too", strict=True)
def test_a_reader_from_before_the_recording_is_named(tmp_path: Path) -> None:
    create(tmp_path / "app.db", "delete")
    program = """
import sqlite3
app = sqlite3.connect("app.db")
import dbrewind
db = dbrewind.open("app.db")
db.mark("seeded")
writer = sqlite3.connect("app.db", isolation_level=None)
writer.execute("DELETE FROM users")
cursor = app.execute("SELECT id FROM orders")
cursor.fetchone()
try:
    db.rewind("seeded", timeout=0.1)
except dbrewind.BusyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("[DBR004] ")
    assert ": a connection of this process" in done.stdout
