"""The command `dbrewind` of the package: the program that cargo builds is the same, and its tests are in rust/cli."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
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
