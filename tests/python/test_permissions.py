"""Who may read and write a database, its folder and its store; and what is said where this user may not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import dbrewind
from conftest import create


@pytest.mark.parametrize(("database", "folder"), [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755)])
def test_the_store_is_open_to_no_more_users_than_the_database(tmp_path: Path, database: int, folder: int) -> None:
    path = create(tmp_path / "app.db", "wal")
    path.chmod(database)
    before = os.umask(0)
    try:
        dbrewind.open(path).close()
    finally:
        os.umask(before)
    assert (tmp_path / "app.db-rewind").stat().st_mode & 0o777 == folder


def test_a_folder_that_cannot_be_written(wal_db: Path) -> None:
    if os.geteuid() == 0:
        # Root writes anywhere; /proc is a folder even root cannot create anything in.
        with pytest.raises(dbrewind.Error) as caught:
            dbrewind.open(wal_db, store="/proc/dbrewind-store")
        assert caught.value.code in ("DBR012", "DBR014")
        return
    wal_db.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as denied:
            dbrewind.open(wal_db)
        assert isinstance(denied.value, dbrewind.NotWritableError)
        assert denied.value.code == "DBR014"
    finally:
        wal_db.parent.chmod(0o700)


AS_NOBODY = """
import os, sys, dbrewind
path, mode = sys.argv[1], int(sys.argv[2], 8)
os.chmod(path, mode)
try:
    # Imports what it needs, which somebody else may not be able to read.
    dbrewind.open(path + ".none")
except FileNotFoundError:
    pass
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    dbrewind.open(path)
except PermissionError as error:
    print(error.code, error)
"""


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("mode", ["0", "200", "400"])
def test_a_database_that_is_for_others(journal: str, mode: str) -> None:
    with TemporaryDirectory() as folder:
        # Somebody else shall find the file.
        Path(folder).chmod(0o755)
        path = create(Path(folder) / "app.db", journal)
        run = [sys.executable, "-c", AS_NOBODY, str(path), mode]
        said = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        assert said.startswith("DBR014 "), said
        assert f"{path} cannot be read and written by this user; check owner" in said
        assert not Path(f"{path}-rewind").exists()


def test_a_folder_in_which_no_history_can_be_made() -> None:
    with TemporaryDirectory() as folder:
        path = create(Path(folder) / "app.db", "wal")
        path.chmod(0o666)
        Path(folder).chmod(0o555)
        run = [sys.executable, "-c", AS_NOBODY, str(path), "666"]
        said = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        assert said.startswith("DBR014 "), said
        assert f"cannot create {path}-rewind: Permission denied" in said
        assert "check owner, mode and mount of it and of the folder that it is in" in said
        assert "or keep the history in another place (store=)" in said
        Path(folder).chmod(0o755)


DOCTOR = """
import os, sys
from dbrewind._dbrewind import command_main
if os.geteuid() == 0:
    os.seteuid(65534)
sys.exit(command_main(["dbrewind", "doctor", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("what", ["nothing", "file", "folder", "store"])
def test_a_doctor_sees_what_may_not_be_written(what: str) -> None:
    with TemporaryDirectory() as folder:
        here, elsewhere = Path(folder) / "here", Path(folder) / "elsewhere"
        path = create(here_made(here) / "app.db", "wal")
        here_made(elsewhere)
        for place in (Path(folder), here, elsewhere):
            place.chmod(0o777)
        path.chmod(0o666)
        refused = {"nothing": None, "file": path, "folder": here, "store": elsewhere}[what]
        if refused is not None:
            refused.chmod(0o444 if refused == path else 0o555)
        run = [sys.executable, "-c", DOCTOR, str(path), "--store", str(elsewhere / "history")]
        done = subprocess.run(run, capture_output=True, text=True)
        for place in (here, elsewhere):
            place.chmod(0o777)
        assert done.returncode == (0 if refused is None else 1), done
        assert done.stdout.count("[DBR014]") == (0 if refused is None else 1), done
        assert refused is None or f"{refused} cannot be written by this user" in done.stdout
        assert list(elsewhere.iterdir()) == []


def here_made(folder: Path) -> Path:
    folder.mkdir()
    return folder
