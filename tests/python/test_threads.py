"""Threads: the interpreter lock is free while a call waits, and any thread may call."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind


@pytest.fixture
def no_preemption() -> Generator[None, None, None]:
    """A thread runs until it gives the interpreter lock away by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("no_preemption")
def test_the_interpreter_lock_is_free_while_a_rewind_waits(app_db: Path) -> None:
    """The transaction that the rewind waits for is ended by another thread of this very interpreter.

    If the lock were kept, that thread could not run, and the rewind would end as Busy.
    """
    with (
        dbrewind.open(app_db) as db,
        closing(sqlite3.connect(app_db, isolation_level=None, check_same_thread=False)) as app,
    ):
        db.mark("seeded")
        begun, end = threading.Event(), threading.Event()

        def transaction() -> None:
            app.execute("BEGIN IMMEDIATE")
            app.execute("DELETE FROM users")
            begun.set()
            end.wait()
            app.execute("COMMIT")

        thread = threading.Thread(target=transaction)
        thread.start()
        begun.wait()
        end.set()
        try:
            db.rewind("seeded", timeout=10)
        finally:
            thread.join()
        # The commit came before the rewind: the rewind waited for it.
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)


def test_many_threads_share_a_handle(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        before = db.digest()

        def work(number: int) -> None:
            with closing(sqlite3.connect(wal_db, isolation_level=None, timeout=60)) as app:
                for turn in range(10):
                    db.mark(f"{number}.{turn}")
                    app.execute("UPDATE users SET name = ? WHERE id = ?", (f"{turn}", number))
                    assert db.dirty_since(f"{number}.{turn}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(1, 5)))
        assert len(db.marks()) == 40
        db.rewind(db.marks()[0])
        assert db.digest() == before


def test_close_in_one_thread_ends_calls_of_others_properly(wal_db: Path) -> None:
    db = dbrewind.open(wal_db)
    db.mark("seeded")
    stop = threading.Event()
    odd: list[BaseException] = []

    def work() -> None:
        while not stop.is_set():
            try:
                db.dirty_since("seeded")
                db.digest()
            except dbrewind.ClosedError:
                return
            except BaseException as error:
                odd.append(error)
                return

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    db.close()
    for thread in threads:
        thread.join(60)
    stop.set()
    assert odd == []
