"""Signals: Ctrl-C ends a wait for somebody else; nothing has changed then, and the next call goes through."""

from __future__ import annotations

import fcntl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import dbrewind
from conftest import create
from second_process import SecondProcess

SETUP = """
import os, signal, sqlite3, sys, threading, time
import dbrewind
# A job in the background of a shell starts with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
path, engine = sys.argv[1:]
db = dbrewind.open(path, engine=engine, timeout=600)
db.mark("seeded")
app = sqlite3.connect(path, isolation_level=None)
app.execute("DELETE FROM users")

def step(name):
    print(name, flush=True)
    sys.stdin.readline()

def send_soon(number):
    threading.Timer(0.3, os.kill, (os.getpid(), number)).start()

"""

AFTER = """
step("interrupted")
assert app.execute("SELECT count(*) FROM users").fetchone() == (0,)
db.rewind("seeded")
assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
db.mark("after")
assert [mark.name for mark in db.marks()] == ["seeded", "after"]
db.close()
step("done")
"""

CTRL_C = """
step("ready")
send_soon(signal.SIGINT)
try:
    db.rewind("seeded")
except KeyboardInterrupt:
    pass
"""

HANDLER = """
class Stop(Exception):
    pass

def handler(number, frame):
    try:
        db.close()  # in the middle of a call of this very thread
    except dbrewind.BusyError:
        raise Stop from None

signal.signal(signal.SIGTERM, handler)
step("ready")
send_soon(signal.SIGTERM)
try:
    db.rewind("seeded")
except Stop:
    pass
"""

HARMLESS = """
came = []
signal.signal(signal.SIGUSR1, lambda number, frame: came.append(number))
step("ready")
for _ in range(3):
    send_soon(signal.SIGUSR1)
try:
    db.rewind("seeded", timeout=1)
except dbrewind.BusyError as error:
    assert "waited 1.0" in str(error) or engine == "keeper", error
assert came
"""

BEHIND_A_THREAD = """
step("ready")
thread = threading.Thread(target=lambda: db.rewind("seeded"), daemon=True)
thread.start()
time.sleep(0.3)
send_soon(signal.SIGINT)
try:
    db.now()
except KeyboardInterrupt:
    pass
step("interrupted")
thread.join()
assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
step("done")
"""


@pytest.mark.parametrize(
    "program",
    [CTRL_C + AFTER, HANDLER + AFTER, HARMLESS + AFTER, BEHIND_A_THREAD],
    ids=["ctrl_c", "handler_that_closes", "harmless_signal", "behind_another_thread"],
)
@pytest.mark.parametrize("recorded", ["wal", "delete", "keeper"])
def test_a_signal_during_a_wait(
    tmp_path: Path, recorded: str, program: str, second: Callable[[Path], SecondProcess]
) -> None:
    path = create(tmp_path / "app.db", "delete" if recorded == "delete" else "wal")
    engine = "keeper" if recorded == "keeper" else "inside"
    stranger = second(path)
    command = [sys.executable, "-c", SETUP + program, str(path), engine]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        stranger("BEGIN IMMEDIATE")
        started = time.monotonic()
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "interrupted\n"
        # Far from the timeout of 600 s, however busy the machine is.
        assert time.monotonic() - started < 300
        stranger("ROLLBACK")
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "done\n"
        child.stdin.write("\n")
        child.stdin.close()
        assert child.wait() == 0


OPENING = """
import os, signal, sys, threading
import dbrewind
signal.signal(signal.SIGINT, signal.default_int_handler)
path, engine, journal = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    dbrewind.open(path, engine=engine, timeout=600, journal=journal or None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.readline()
with dbrewind.open(path, engine=engine, journal=journal or None) as db:
    assert [mark.name for mark in db.marks()] == ["seeded"]
    print("done", flush=True)
"""


@contextmanager
def opening(path: Path, engine: str, journal: str) -> Generator[Callable[[], str], None, None]:
    """A process that opens the recording and is interrupted while it does. Each call lets it go on to its next word."""
    command = [sys.executable, "-c", OPENING, str(path), engine, journal]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"

        def go_on() -> str:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("\n")
            child.stdin.flush()
            return child.stdout.readline()

        yield go_on
        child.stdin.close()
        assert child.wait() == 0


@pytest.mark.parametrize("byte", [0, 1], ids=["opened", "registered"])
@pytest.mark.parametrize("engine", ["inside", "keeper"])
def test_ctrl_c_while_somebody_else_opens_the_store(wal_db: Path, engine: str, byte: int) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        locks = db.store / "locks"
    # struct flock of 64-bit Linux: type, whence, start, length, pid.
    write_lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, byte, 1, 0)
    with locks.open("r+b") as file, opening(wal_db, engine, "") as go_on:
        fcntl.fcntl(file, 37, write_lock)  # F_OFD_SETLK
        started = time.monotonic()
        assert go_on() == "interrupted\n"
        # It would have given up after 30 s by itself.
        assert time.monotonic() - started < 25
        file.close()
        assert go_on() == "done\n"


def test_ctrl_c_while_entering_wal_waits(tmp_path: Path, second: Callable[[Path], SecondProcess]) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path) as db:
        db.mark("seeded")
    stranger = second(path)
    stranger("BEGIN IMMEDIATE")
    with opening(path, "inside", "wal") as go_on:
        assert go_on() == "interrupted\n"
        assert stranger("PRAGMA journal_mode") == [["delete"]]
        stranger("ROLLBACK")
        assert go_on() == "done\n"
