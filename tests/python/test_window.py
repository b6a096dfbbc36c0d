"""How far back the store reaches: what is evicted, what a pin keeps, and what `status()` says."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import dbrewind

Connect = Callable[[Path], sqlite3.Connection]


def test_a_new_store_has_the_default_window(app_db: Path, connect: Connect) -> None:
    before = datetime.now(timezone.utc)
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        connect(app_db).execute("DELETE FROM users")
        status = db.status()
        assert (status.state, status.target, status.limit) == ("ok", timedelta(hours=72), 16 << 30)
        assert repr(status).endswith(" s of 72 h>")
        assert timedelta() <= status.window < timedelta(minutes=5)
        assert status.earliest is not None
        assert status.earliest <= db.now()
        assert status.earliest_time is not None
        assert before - timedelta(seconds=1) < status.earliest_time <= datetime.now(timezone.utc)
        assert status.used == status.raw + status.sealed
        assert status.used > 0
        assert sum(status.marks.values()) == 1
        assert status.marks["lost"] == 0
        assert status.forecast is not None
        # No more was recorded than the store takes, and not for a shorter time than it reaches back.
        assert status.forecast >= status.window * (status.limit / status.raw)
        assert list(status.pins) == []
        with pytest.raises(AttributeError):
            status.used = 1  # type: ignore[misc]


@pytest.mark.parametrize("window", [timedelta(days=7), 7 * 86400, 7 * 86400.0])
def test_the_window_is_the_stores(wal_db: Path, window: timedelta | float) -> None:
    with dbrewind.open(wal_db, window=window) as db:
        assert db.status().target == timedelta(days=7)
    with dbrewind.open(wal_db) as db:
        assert db.status().target == timedelta(days=7)


@pytest.mark.parametrize("window", [0, -1, 0.5, timedelta(0), timedelta(seconds=-5), float("nan"), "1 h"])
def test_a_window_that_cannot_be(wal_db: Path, window: Any) -> None:
    with pytest.raises(dbrewind.InvalidArgumentError, match=r"\[DBR022\] window must be "):
        dbrewind.open(wal_db, window=window)
    assert not wal_db.with_name("app.db-rewind").exists()


@pytest.mark.parametrize("engine", ["inside", "keeper"])
def test_a_pinned_mark_says_so(wal_db: Path, engine: Any) -> None:
    with dbrewind.open(wal_db, engine=engine) as db:
        assert not db.mark("plain").pinned
        mark = db.mark("kept", pin=True)
        assert mark.pinned
        assert [(other.name, other.pinned) for other in db.marks()] == [("plain", False), ("kept", True)]
        (pin,) = db.status().pins
        assert (pin.name, pin.lsn, pin.time, pin.bytes) == ("kept", mark.lsn, mark.time, 0)
        db.drop("kept")
        assert list(db.status().pins) == []
        assert db.status().target == timedelta(hours=72)


RECORDS = """
import sys, dbrewind
with dbrewind.open(sys.argv[1]) as db, db.at("seeded"):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("engine", ["inside", "keeper"])
def test_a_stopped_process_is_named_while_it_may_hold_things_up(wal_db: Path, engine: Any) -> None:
    with dbrewind.open(wal_db, engine=engine) as db:
        db.mark("seeded")
        command = [sys.executable, "-c", RECORDS, str(wal_db)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin
            assert other.stdout
            assert other.stdout.readline() == "ready\n"
            assert list(db.status().waits_for) == []
            other.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
            (process,) = db.status().waits_for
            other.send_signal(signal.SIGCONT)
            assert (process.pid, process.stopped) == (other.pid, True)
            assert list(process.holds) == ["reads a past moment"]
            assert repr(process) == f"<Process {other.pid} ({process.name}), stopped, reads a past moment>"
            other.stdin.close()
            assert other.wait(60) == 0
        assert list(db.status().waits_for) == []


def test_the_forecast_follows_what_is_recorded(app_db: Path, connect: Connect) -> None:
    """So many bytes since the recording began: the limit holds that much longer a time."""
    before = datetime.now(timezone.utc)
    limit = 1 << 30
    with dbrewind.open(app_db, limit=limit) as db:
        app = connect(app_db)
        app.execute("UPDATE orders SET note = hex(randomblob(20000))")
        db.mark("written")
        # The images of what is overwritten, if not those of what is written.
        app.execute("UPDATE orders SET note = hex(randomblob(20000))")
        db.mark("overwritten")
        recorded = 40_000 * app.execute("SELECT count(*) FROM orders").fetchone()[0]
        status = db.status()
        elapsed = datetime.now(timezone.utc) - before
        assert status.used > recorded > 1 << 20
        assert status.forecast is not None
        least, most = status.window * (limit / status.used), elapsed * (limit / recorded)
        assert least <= status.forecast <= most
        assert status.state == "ok"


def test_what_is_evicted_before_its_time_is_an_alert(app_db: Path, connect: Connect) -> None:
    """For want of room, with a target of 72 h: the store says so, and what the present rate holds."""
    with dbrewind.open(app_db, limit=4 << 20) as db:
        app = connect(app_db)
        db.mark("first")
        status = db.status()
        assert (status.state, status.marks["evicted"]) == ("ok", 0)
        for turn in range(2000):
            app.execute("UPDATE orders SET note = hex(randomblob(1000))")
            db.mark(f"turn {turn}")
            status = db.status()
            assert status.used <= 4 << 20
            if status.marks["evicted"]:
                break
            time.sleep(0.01)
        assert status.marks["evicted"], status
        assert status.state == "alert"
        assert status.window < status.target == timedelta(hours=72)
        # The rate that has filled it: it holds what it held, and not the target.
        assert status.forecast is not None
        assert status.window <= status.forecast < status.target
        assert {mark.name: mark.state for mark in db.marks()}["first"] == "evicted"


def test_a_window_of_a_second_evicts_and_a_pin_keeps(app_db: Path, connect: Connect) -> None:
    """What is older than the window goes, also in a store with room for it; a rewind there says why."""
    with dbrewind.open(app_db, window=1, limit=64 << 20) as db:
        app = connect(app_db)
        db.mark("first")
        seen = False
        for turn in range(400):
            app.execute("UPDATE orders SET note = hex(randomblob(1000))")
            db.mark(f"turn {turn}")
            time.sleep(0.02)
            status = db.status()
            assert status.used <= 64 << 20
            # What is left reaches back a second: nothing went before its time.
            assert status.state == "ok"
            if status.marks["evicted"]:
                seen = True
                break
        assert seen, db.status()
        assert {mark.name: mark.state for mark in db.marks()}["first"] == "evicted"
        with pytest.raises(dbrewind.BeforeWindowError, match=r"\[DBR027\]"):
            db.rewind("first")
        app.execute("DELETE FROM users")
        newest = f"turn {turn}"
        db.rewind(newest)
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
        # A pin keeps three times what the window asks for, and is gone to.
        app.execute("DELETE FROM users WHERE id > 60")
        db.mark("kept", pin=True)
        deadline = time.monotonic() + 60
        while db.status().window < timedelta(seconds=3):
            assert time.monotonic() < deadline, db.status()
            app.execute("UPDATE orders SET note = hex(randomblob(10))")
            db.mark(f"turn {(turn := turn + 1)}")
            time.sleep(0.02)
        app.execute("DELETE FROM users")
        db.rewind("kept")
        assert app.execute("SELECT count(*) FROM users").fetchone() == (60,)
