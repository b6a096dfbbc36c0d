"""`dbrewind doctor` of the package: the SQLite of this Python, and by which way the database is recorded.

More of it is in rust/cli.
"""

from __future__ import annotations

import _sqlite3
import os
import platform
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dbrewind
from conftest import create
from test_command import command, run

# A Python whose SQLite is out of reach, as uv installs them: the module is in the interpreter, and has no file.
STATIC = """
import sys, types
sys.modules["_sqlite3"] = module = types.ModuleType("_sqlite3")
module.sqlite_version = "3.99.1"
from dbrewind._dbrewind import command_main
sys.exit(command_main(["dbrewind", "doctor", *sys.argv[1:]]))
"""


def own_library() -> str:
    """The file from which this process has its SQLite."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    paths = [line[line.index("/") :] for line in maps if "/" in line]
    return next((path for path in paths if Path(path).name.startswith("libsqlite3.so")), _sqlite3.__file__)


@pytest.mark.parametrize("module", [False, True])
@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"])
def test_it_takes_a_url_and_tells_which_sqlite_it_has_reached(app_db: Path, scheme: str, module: bool) -> None:
    told = run("doctor", f"{scheme}:///{app_db}", module=module)
    assert told["path"] == str(app_db.resolve())
    assert told["sqlite"] == {
        "of": f"Python {platform.python_version()}",
        "version": sqlite3.sqlite_version,
        "library": own_library(),
        "reached": True,
        "why": None,
    }
    assert (told["route"], told["recorded"], told["problems"]) == (None, False, [])
    assert told["preload"] == str(Path(dbrewind.__file__).resolve().parent / "libdbrewind_preload.so")


def test_it_tells_who_records(app_db: Path, connect: Any) -> None:
    with dbrewind.open(app_db) as db:
        connect(app_db).execute("DELETE FROM users")
        told = run("doctor", db.url)
        assert told["route"] == {"wal": "wal", "rollback": "vfs"}[told["journal"]]
        done = subprocess.run(command("doctor", db.url), capture_output=True, text=True, check=True)
    (route,) = [line for line in done.stdout.splitlines() if line.startswith("route ")]
    assert f" {os.getpid()} (" in route, done
    library = own_library()
    if told["journal"] == "rollback" and "libsqlite3" in library:
        assert library in route, done
    assert f"of Python {platform.python_version()}, reached: {library}" in done.stdout


def test_a_sqlite_out_of_reach_is_a_problem_in_a_rollback_mode(tmp_path: Path) -> None:
    for mode, problems in (("wal", 0), ("delete", 1)):
        path = create(tmp_path / f"{mode}.db", mode)
        start = [sys.executable, "-c", STATIC, f"sqlite:///{path}"]
        done = subprocess.run(start, capture_output=True, text=True)
        assert done.returncode == problems, done
        assert f"\nsqlite    3.99.1 of Python {platform.python_version()}, not reached (this Python has" in done.stdout
        assert done.stdout.count("[DBR002]") == problems, done
        assert ("records by its keeper process" in done.stdout) == (mode == "wal"), done
        if problems:
            assert f"`dbrewind watch {path} --journal wal`" in done.stdout


def test_a_url_of_something_else_is_refused(tmp_path: Path) -> None:
    for name, code, status in (
        ("postgresql+psycopg://ann:hunter2@localhost/shop", "DBR021", 4),
        ("sqlite://", "DBR021", 4),
        ("sqlite+aiosqlite:///:memory:", "DBR021", 4),
        ("sqlite://shop.db", "DBR022", 2),
        (f"sqlite:///{tmp_path}/none.db", "DBR012", 1),
    ):
        told = run("doctor", name, status=status)
        assert told["error"]["code"] == code, name
        assert "hunter2" not in str(told)
