"""Pythons with SQLite inside the interpreter, as uv installs them: a real one, if there is any on this machine.

`uv python install 3.12` downloads one; `DBREWIND_STATIC_PYTHON` names one that is elsewhere.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dbrewind
from conftest import create
from second_process import SecondProcess

pytestmark = pytest.mark.optional

PROGRAM = """
import sqlite3, sys
assert "_sqlite3" in sys.builtin_module_names, "its SQLite is in a library of its own"
import dbrewind
wal, delete = sys.argv[1:]
db = dbrewind.open(wal)
assert db.engine == "keeper", db.engine
app = sqlite3.connect(wal, isolation_level=None)
count = lambda: app.execute("SELECT count(*) FROM users").fetchone()[0]
db.mark("seeded")
before = db.digest()
for _ in range(3):
    app.execute("DELETE FROM users")
    app.execute("DROP TABLE orders")
    undo = db.rewind("seeded").undo
    assert (count(), db.digest()) == (100, before)
    db.rewind(undo)
    assert count() == 0
    db.rewind("seeded")
# The locks of this very copy of SQLite are as they were: the other process has to wait.
app.execute("BEGIN IMMEDIATE")
app.execute("DELETE FROM users WHERE id = 1")
print("open", flush=True)
sys.stdin.readline()
app.execute("COMMIT")
print("committed", flush=True)
sys.stdin.readline()
assert count() == 0
db.rewind("seeded")
assert app.execute("PRAGMA integrity_check").fetchone() == ("ok",)
db.close()
try:
    dbrewind.open(delete)
except dbrewind.UnreachableError as error:
    assert "WAL" in str(error)
else:
    raise AssertionError("a rollback mode was recorded out of reach")
print("done", flush=True)
"""


def candidates() -> Iterator[Path]:
    """Interpreters that may be such a one."""
    if named := os.environ.get("DBREWIND_STATIC_PYTHON"):
        yield Path(named)
        return
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    folder = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    yield from sorted(folder.glob("cpython-3.*/bin/python3"), reverse=True)


@pytest.fixture
def static_python() -> Path:
    """The newest Python on this machine that was installed by uv."""
    for found in candidates():
        code = "import sys; sys.exit(sys.version_info < (3, 10))"
        if subprocess.run([found, "-c", code], check=False).returncode == 0:
            return found
    pytest.skip("no Python with SQLite inside; `uv python install 3.12` gets one where downloads are allowed")


def test_a_python_with_sqlite_inside_is_recorded_by_the_keeper(
    static_python: Path, tmp_path: Path, second: Callable[[Path], SecondProcess]
) -> None:
    wal, delete = create(tmp_path / "app.db", "wal"), create(tmp_path / "other.db", "delete")
    stranger = second(wal)
    stranger("PRAGMA busy_timeout = 0")
    environment = {**os.environ, "PYTHONPATH": str(Path(dbrewind.__file__).parents[1])}
    pipe = subprocess.PIPE
    command: list[str | Path] = [static_python, "-c", PROGRAM, wal, delete]
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(RuntimeError, match="locked"):
            stranger("BEGIN IMMEDIATE")
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "committed\n"
        assert stranger("SELECT count(*) FROM users") == [[99]]
        stranger("DELETE FROM users")
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "done\n"
        assert child.wait() == 0
    assert stranger("SELECT count(*) FROM users") == [[100]]
