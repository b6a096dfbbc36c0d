"""The second process: plain SQLite on the same file. It knows nothing of the rival, and never of dbrewind."""

from __future__ import annotations

import os
import sys
import time
from typing import cast

from . import state
from .channel import Message, serve
from .connection import Connection, Engine, Journal, Setting, Synchronous, connect
from .workload import digest_rows


class Peer:
    """Holds one connection open for the whole measurement."""

    def __init__(self, engine: Engine, path: str, setting: Setting) -> None:
        # Short: a rival that locks the other process out is to be noticed, not waited for.
        self._connection: Connection = connect(engine, path, setting, timeout=0.05)

    def read(self, numbers: list[int]) -> Message:
        """The time of one point query, and a digest of the rows."""
        began = time.perf_counter()
        self._connection.execute("SELECT payload FROM item WHERE id = ?", (numbers[0],)).fetchall()
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "digest": digest_rows(self._connection, numbers)}

    def reads(self, numbers: list[int]) -> Message:
        """The mean time of a point query over all of `numbers`."""
        began = time.perf_counter()
        for number in numbers:
            self._connection.execute("SELECT payload FROM item WHERE id = ?", (number,)).fetchall()
        return {"seconds": (time.perf_counter() - began) / len(numbers)}

    def write(self, sql: str) -> Message:
        """Run one statement and commit."""
        self._connection.execute(sql)
        return {}

    def state(self) -> Message:
        """The whole logical state as the open connection sees it."""
        return {"state": state.read(self._connection)}


def main() -> None:
    """Serve until standard input ends."""
    engine, path, journal, synchronous, core = sys.argv[1:]
    if core != "any":
        os.sched_setaffinity(0, {int(core)})
    setting = Setting(cast(Journal, journal), cast(Synchronous, synchronous))
    peer = Peer(cast(Engine, engine), path, setting)
    serve(
        {
            "read": peer.read,
            "reads": peer.reads,
            "write": peer.write,
            "state": peer.state,
        }
    )


if __name__ == "__main__":
    main()
