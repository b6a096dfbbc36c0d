"""The process in which one rival works: it holds the rival's connection and starts its second process."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from . import exactness
from .channel import Child, ChildError, Message, serve
from .connection import Journal, Setting, Synchronous, library_version
from .database import Base, Size, base, working_copy
from .rivals import RIVALS, Files, Ours, Rival
from .workload import INSERT, UPDATE, Kind, digest_base, digest_rows, make_round, payload

SETTLE = 0.010
"""Seconds between a round's work and its reset in the settled rounds."""


class Worker:
    """One rival on its own copy of the base database."""

    def __init__(self, name: str, setting: Setting, size: Size, directory: Path, pinned: bool) -> None:
        self._kind: type[Rival] = RIVALS[name]
        self._setting = setting
        self._base: Base = base(self._kind.engine, size)
        self._directory = directory
        self._files = Files(directory / "live.db", directory / "template.db")
        self._pinned = pinned
        self._start()

    def _start(self) -> None:
        self._directory.mkdir(parents=True)
        working_copy(self._base, self._files.live)
        if self._setting.journal == "wal" and self._kind.engine != "doltlite":
            _make_wal(self._files.live)
        if self._kind.needs_template:
            shutil.copyfile(self._files.live, self._files.template)
        self._rival = self._kind(self._files, self._setting)
        self._peer = self._new_peer()
        self._rival.arm()
        if self._pinned:
            # Of this thread only, and after the rival has started its own.
            os.sched_setaffinity(0, {0})

    def _new_peer(self) -> Child:
        # The second process is plain SQLite for a rival that works on SQLite's own file format.
        engine = "doltlite" if self._kind.engine == "doltlite" else "sqlite3"
        core = str(os.cpu_count() and (os.cpu_count() or 1) - 1) if self._pinned else "any"
        peer = Child(
            "compare.peer",
            engine,
            str(self._files.live),
            self._setting.journal,
            self._setting.synchronous,
            core,
        )

        peer.ask("read", numbers=[1])  # It is connected, and holds the wal-index mapped, from here on.
        return peer

    def about(self) -> Message:
        """Versions, for the record."""
        return {"sqlite": library_version(self._kind.engine), "rival": self._rival.version()}

    def fresh(self) -> Message:
        """Throw the database away and begin again from the base."""
        self.close()
        shutil.rmtree(self._directory)
        self._start()
        return {}

    def rounds(self, kind: Kind, first: int, count: int) -> Message:
        """Run `count` rounds; every second one lets some time pass before its reset."""
        rows = self._base.size.rows
        return {"samples": [self._round(kind, number, rows) for number in range(first, first + count)]}

    def _round(self, kind: Kind, number: int, rows: int) -> Message:
        todo = make_round(kind, number, rows)
        expected = digest_base(todo.touched, rows)
        settled = number % 2 == 1
        sample: Message = {"kind": kind, "round": number, "settled": settled}
        began = time.perf_counter()
        self._rival.work(todo.transactions)
        sample["work"] = time.perf_counter() - began
        if settled:
            sample["peer_before"] = self._ask_peer(todo.touched, expected)["peer"]
            time.sleep(SETTLE)
        began = time.perf_counter()
        sample.update(self._rival.reset())
        sample["reset"] = time.perf_counter() - began
        query = "SELECT payload FROM item WHERE id = ?"
        began = time.perf_counter()
        self._rival.connection.execute(query, (todo.touched[0],)).fetchall()
        sample["own_first"] = time.perf_counter() - began
        own = digest_rows(self._rival.connection, sorted(todo.touched))
        sample["own"] = "base" if own == expected else "changed"
        sample.update(self._ask_peer(todo.touched, expected))
        if settled and self._rival.commits and sample["peer_before"] == "base":
            # An earlier reset cut it off: it reads files that no longer are the database's.
            sample["peer"] = "blind to the round's commits"
        if sample["peer"] != "base":
            self._repair_peer(todo.touched, expected)
        return sample

    def _ask_peer(self, touched: list[int], expected: str) -> Message:
        try:
            answer = self._peer.ask("read", numbers=sorted(touched))
        except ChildError as error:
            return {"peer": error.text, "peer_first": None}
        seen = "base" if answer["digest"] == expected else "changed"
        return {"peer": seen, "peer_first": answer["seconds"]}

    def _repair_peer(self, touched: list[int], expected: str) -> None:
        """The second process was locked out or sees something else: let it in, or replace it.

        It is killed, not closed: closing would write its stale WAL over the database, and delete a WAL by name.
        """
        self._rival.release()
        if self._rival.commits or self._ask_peer(touched, expected)["peer"] != "base":
            self._peer.kill()
            self._peer = self._new_peer()

    def one_row(self, first: int, count: int) -> Message:
        """`count` transactions that update one random row each."""
        chosen = random.Random(first)
        rows = self._base.size.rows
        todo = [(payload(first, index), chosen.randrange(1, rows + 1)) for index in range(count)]
        execute, clock = self._rival.connection.execute, time.perf_counter
        times = []
        cpu, thread = time.process_time(), time.thread_time()
        for parameters in todo:
            began = clock()
            execute(UPDATE, parameters)
            times.append(clock() - began)
        cpu, thread = time.process_time() - cpu, time.thread_time() - thread
        times.sort()
        return {
            "mean": sum(times) / count,
            "median": times[count // 2],
            "cpu": cpu / count,
            "thread": thread / count,
        }

    def bulk(self, rows: int) -> Message:
        """One transaction that inserts `rows` rows; per row."""
        first = self._base.size.rows + 1
        content = [(first + index, index, payload(index)) for index in range(rows)]
        cpu, thread = time.process_time(), time.thread_time()
        began = time.perf_counter()
        self._rival.connection.execute("BEGIN")
        self._rival.connection.executemany(INSERT, content)
        self._rival.connection.execute("COMMIT")
        seconds = time.perf_counter() - began
        thread = (time.thread_time() - thread) / rows
        return {"mean": seconds / rows, "cpu": (time.process_time() - cpu) / rows, "thread": thread}

    def reads(self, first: int, count: int) -> Message:
        """Random point queries: the mean of this process, and of the second one."""
        chosen = random.Random(first)
        numbers = [chosen.randrange(1, self._base.size.rows + 1) for _ in range(count)]
        execute = self._rival.connection.execute
        began = time.perf_counter()
        for number in numbers:
            execute("SELECT payload FROM item WHERE id = ?", (number,)).fetchall()
        seconds = time.perf_counter() - began
        return {"mean": seconds / count, "peer": self._peer.ask("reads", numbers=numbers)["seconds"]}

    def shorten(self) -> Message:
        """Make the next transaction start a WAL anew: by a rewind, or by SQLite's checkpoint."""
        if self._kind.name == "plain":
            self._rival.connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        else:
            self._rival.reset()
        return {}

    def marks(self, count: int) -> Message:
        """What naming the present moment takes."""
        assert isinstance(self._rival, Ours)
        return {"times": self._rival.mark_times(count)}

    def exactness(self, foreign: bool) -> Message:
        """One round of everything a reset can forget; see `exactness`."""
        return exactness.one_round(self._rival, self._peer, self._new_peer, self._base.size.rows, foreign)

    def close(self) -> Message:
        """Close the rival and the second process."""
        self._rival.close()
        self._peer.close()
        return {}


def _make_wal(path: Path) -> None:
    """Set the file's header to WAL without a SQLite in this process, which may not be the rival's."""
    with path.open("r+b") as file:
        file.seek(18)
        file.write(b"\x02\x02")
        os.fsync(file.fileno())


def main() -> None:
    """Serve until standard input ends."""
    name, journal, synchronous, megabytes, directory, pinned = sys.argv[1:]
    setting = Setting(cast(Journal, journal), cast(Synchronous, synchronous))
    worker: Worker | None = None

    def start() -> Message:
        nonlocal worker
        worker = Worker(name, setting, Size(int(megabytes)), Path(directory), pinned == "pinned")
        return worker.about()

    def on_worker(request: str) -> Callable[..., Message]:
        def call(**fields: object) -> Message:
            assert worker is not None
            answer: Message = getattr(worker, request)(**fields)
            return answer

        return call

    requests = ("rounds", "one_row", "bulk", "reads", "shorten", "fresh", "marks", "exactness", "close")
    serve({"start": start, **{request: on_worker(request) for request in requests}})


if __name__ == "__main__":
    main()
