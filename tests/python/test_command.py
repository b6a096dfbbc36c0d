"""The command `dbrewind` of the package: the program that cargo builds is the same, and its tests are in rust/cli."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import dbrewind
from conftest import create


def command(*arguments: str | Path, module: bool = False) -> list[str]:
    """What starts it: the script that pip made, or the interpreter."""
    script = Path(sys.executable).parent / "dbrewind"
    start = [sys.executable, "-m", "dbrewind"] if module else [str(script)]
    return [*start, *map(str, arguments)]


def run(*arguments: str | Path, status: int = 0, module: bool = False) -> Any:
    done = subprocess.run([*command(*arguments, module=module), "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done
    return json.loads(done.stdout)


def test_the_script_is_installed() -> None:
    points = metadata.distribution("dbrewind").entry_points.select(group="console_scripts")
    assert [(point.name, point.value) for point in points] == [("dbrewind", "dbrewind.__main__:main")]
    done = subprocess.run(command("--version"), capture_output=True, text=True, check=True)
    assert done.stdout == f"dbrewind {dbrewind.__version__}\n"


@pytest.mark.parametrize("module", [False, True])
def test_a_rewind_beside_a_recording_in_python(app_db: Path, connect: Any, module: bool) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        seeded = db.mark("seeded")
        app.execute("DELETE FROM users")
        done = run("rewind", app_db, "seeded", module=module)
        assert done["to"] == seeded.lsn.number
        # The fields are those of Rewound.
        fields = {name for name in dir(dbrewind.Rewound) if not name.startswith("_")}
        assert set(done) == fields | {"path"}
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
        assert db.rewind(dbrewind.Lsn(str(app_db), done["undo"])).pages >= 1
        assert app.execute("SELECT count(*) FROM users").fetchone() == (0,)
        status = run("status", app_db, module=module)
        assert [process["pid"] for process in status["recorders"]] == [os.getpid()]
        # Those of Status, too.
        own = {name for name in dir(dbrewind.Status) if not name.startswith("_")}
        assert own <= set(status)


def test_errors_and_statuses(tmp_path: Path) -> None:
    failed = run("list", tmp_path / "none.db", status=1)
    assert failed["error"]["code"] == "DBR012"
    path = create(tmp_path / "app.db", "wal")
    run("mark", path, "seeded")
    assert run("mark", path, "seeded", status=3)["error"]["code"] == "DBR023"


def test_ctrl_c_ends_a_watch_in_order(wal_db: Path) -> None:
    with subprocess.Popen(command("watch", wal_db, "--json"), stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["event"] == "recording"
        watch.send_signal(signal.SIGINT)
        assert json.loads(watch.stdout.readline())["event"] == "end"
        assert watch.wait(60) == 0


def under_run(path: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a Python script as the program of `dbrewind run`, with the library of the package."""
    program = [sys.executable, "-c", f"import dbrewind, sqlite3\npath = {str(path)!r}\n{script}"]
    environment = {name: text for name, text in os.environ.items() if name != "DBREWIND_PRELOAD"}
    start = command("run", path, *options, "--", *program)
    return subprocess.run(start, capture_output=True, text=True, timeout=60, env=environment)


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM users").fetchone()[0])


def test_a_program_in_a_rollback_mode_is_recorded_by_what_is_in_the_package(tmp_path: Path) -> None:
    path = create(tmp_path / "app.db", "delete")
    write = "with sqlite3.connect(path) as db: db.execute('DELETE FROM users')\nprint(db.total_changes)"
    ran = under_run(path, write, "--rewind=after")
    assert (ran.returncode, ran.stdout, rows(path)) == (0, "100\n", 100), ran
    assert "undo: dbrewind rewind" in ran.stderr
    ran = under_run(path, write)
    assert (ran.returncode, rows(path)) == (0, 0), ran


def test_a_handle_is_refused_where_run_records_already(tmp_path: Path) -> None:
    path = create(tmp_path / "app.db", "delete")
    script = """
db = sqlite3.connect(path)
assert db.execute("SELECT count(*) FROM users").fetchone() == (100,)
try:
    dbrewind.open(path)
except dbrewind.InvalidArgumentError as error:
    print(error)
with db: db.execute("DELETE FROM users")
"""
    ran = under_run(path, script, "--rewind=after")
    assert (ran.returncode, rows(path)) == (0, 100), ran
    assert "[DBR022] this process records what it writes to" in ran.stdout
    assert "without `dbrewind run`" in ran.stdout


def test_a_handle_that_is_there_first_records_in_place_of_run(tmp_path: Path) -> None:
    path = create(tmp_path / "app.db", "delete")
    script = """
handle = dbrewind.open(path)
handle.mark("inner")
db = sqlite3.connect(path, isolation_level=None)
db.execute("DELETE FROM users WHERE id > 50")
handle.mark("half")
db.execute("DELETE FROM users")
handle.rewind("half")
print(db.execute("SELECT count(*) FROM users").fetchone()[0])
handle.rewind("inner")
print(db.execute("SELECT count(*) FROM users").fetchone()[0])
db.execute("DELETE FROM users")
db.close()
handle.close()
"""
    ran = under_run(path, script, "--rewind=after")
    assert (ran.returncode, ran.stdout, rows(path)) == (0, "50\n100\n", 100), ran


def test_a_handle_of_another_database_goes_on_under_run(tmp_path: Path) -> None:
    path, other = create(tmp_path / "app.db", "delete"), create(tmp_path / "other.db", "delete")
    script = f"""
other = {str(other)!r}
first = sqlite3.connect(path, isolation_level=None)
first.execute("DELETE FROM users WHERE id = 1")
handle = dbrewind.open(other)
handle.mark("seeded")
first.execute("DELETE FROM users WHERE id = 2")
second = sqlite3.connect(other, isolation_level=None)
second.execute("DELETE FROM users")
third = sqlite3.connect(path, isolation_level=None)
third.execute("DELETE FROM users WHERE id = 3")
handle.rewind("seeded")
count = "SELECT count(*) FROM users"
print(second.execute(count).fetchone()[0], first.execute(count).fetchone()[0])
"""
    ran = under_run(path, script, "--rewind=after")
    assert (ran.returncode, ran.stdout, rows(path), rows(other)) == (0, "100 97\n", 100, 100), ran


def test_a_handle_of_another_database_that_is_there_first_keeps_nothing_from_run(tmp_path: Path) -> None:
    path, other = create(tmp_path / "app.db", "delete"), create(tmp_path / "other.db", "delete")
    script = f"""
other, more = {str(other)!r}, {str(other)!r} + "2"
handle = dbrewind.open(other)
handle.mark("seeded")
first = sqlite3.connect(path, isolation_level=None)
first.execute("DELETE FROM users WHERE id = 1")
second = sqlite3.connect(other, isolation_level=None)
second.execute("DELETE FROM users")
# Another handle makes its VFS the one of connections from then on.
sqlite3.connect(more, isolation_level=None).execute("CREATE TABLE t (x)")
again = dbrewind.open(more)
third = sqlite3.connect(path, isolation_level=None)
third.execute("DELETE FROM users WHERE id = 2")
handle.rewind("seeded")
count = "SELECT count(*) FROM users"
print(second.execute(count).fetchone()[0], first.execute(count).fetchone()[0])
try:
    dbrewind.open(path)
except dbrewind.InvalidArgumentError as error:
    print("[DBR022] this process records" in str(error))
"""
    ran = under_run(path, script, "--rewind=after")
    assert (ran.returncode, ran.stdout, rows(path), rows(other)) == (0, "100 98\nTrue\n", 100, 100), ran
