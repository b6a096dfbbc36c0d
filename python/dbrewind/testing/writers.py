"""Who has written, where the records tell it, and who may have."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from dbrewind._dbrewind import Database, Lsn, Mark, Writer

_READINGS = 5
# Bytes that a connection locks for as long as its transaction writes: of the file, and of its wal-index.
_WRITING = {"": range(0x4000_0000, 0x4000_0002), "-shm": range(120, 121)}
# Writers that a line names.
_NAMED = 8
_SC_CLK_TCK = os.sysconf("SC_CLK_TCK")


class Threads:
    """The threads of this process, and the test at whose end each was seen first."""

    def __init__(self) -> None:
        self._since: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()

    def note(self, nodeid: str) -> None:
        """A test is over: those that nobody has seen are its. Without a test: nobody's."""
        if threading.active_count() > 1:
            for thread in threading.enumerate():
                self._since.setdefault(thread, "" if thread is threading.main_thread() else nodeid)

    def left_by_others(self, nodeid: str) -> list[str]:
        """Those that run now and are of tests before this one."""
        found = []
        for thread in threading.enumerate():
            since = self._since.get(thread, "")
            if since and since != nodeid:
                found.append(f"thread {thread.name!r}, left running by {since}")
        return found


def others(db: Database, since: Mark | Lsn, threads: Threads, who: str) -> list[str]:
    """Lines of a report on what `who` is said to have left since then: who has written, and who else may have."""
    found = db.writers(since)
    now = _connected(db.path)
    wrote = [_writer(one) for one in found if one.thread is not None]
    # Those that were seen and still are connected are told as such.
    seen = [one for one in found if one.thread is None and not (one.runs and one.pid in (*now, os.getpid()))]
    lines = (
        ("written by", wrote),
        ("connected when it was written", [f"{_whose(one)}, {_left(one)}" for one in seen]),
        ("also connected", _told(now)),
        ("also running", threads.left_by_others(who)),
    )
    return [f"{what}: {_listed(names)}" for what, names in lines if names]


def _left(writer: Writer) -> str:
    return "not any more" if writer.runs else "ended since"


def other_writers(db: Database, since: Mark | Lsn) -> list[str]:
    """A line on those that have written since, if there are others than the thread that runs the tests."""
    me = (os.getpid(), threading.get_native_id())
    wrote = [_writer(one) for one in db.writers(since) if one.thread is not None and (one.pid, one.thread) != me]
    return [f"written by: {_listed(wrote)}"] if wrote else []


def _listed(names: list[str]) -> str:
    return "; ".join(names[:_NAMED]) + (f"; and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _writer(writer: Writer) -> str:
    """`pid 4711 (python worker.py), ended, thread 4712`, or `this process, thread 'flusher'`."""
    thread = str(writer.thread)
    if writer.pid == os.getpid() and writer.runs:
        names = {thread.native_id: thread.name for thread in threading.enumerate()} if writer.thread_runs else {}
        name = names.get(writer.thread)
        told = thread if name is None else repr(name)
        return f"this process, thread {told}{'' if writer.thread_runs else ', which has ended'}"
    return f"{_whose(writer)}{', ended' if writer.runs is False else ''}, thread {thread}"


def _whose(writer: Writer) -> str:
    return f"pid {writer.pid} ({writer.program or 'not known'})"


def connected(path: Path) -> list[str]:
    """The other processes that have the database open now, and whether each is in a write transaction."""
    return _told(_connected(path))


def _told(pids: dict[int, bool]) -> list[str]:
    return [_process(pid) + (", in a transaction" if writes else "") for pid, writes in sorted(pids.items())]


def _connected(path: Path) -> dict[int, bool]:
    pids = _locking(path)
    if not path.with_name(path.name + "-shm").exists():
        # Outside of WAL mode nobody holds a lock between two transactions.
        pids = dict.fromkeys(_opened(path), False) | pids
    pids.pop(os.getpid(), None)
    return pids


def _opened(path: Path) -> list[int]:
    """The processes that have the file open, as far as this user may see that."""
    try:
        file = path.stat()
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _has_open(folder, file)]
    except OSError:
        return []


def _has_open(process: Path, file: os.stat_result) -> bool:
    try:
        opened = list((process / "fd").iterdir())
    except OSError:
        return False  # gone, or somebody else's
    for descriptor in opened:
        with suppress(OSError):
            if os.path.samestat(descriptor.stat(), file):
                return True
    return False


def _locking(path: Path) -> dict[int, bool]:
    """The processes that hold a lock on the database, in WAL mode who has it open; and whether it is a writer's.

    From the kernel's list, which leaves out a lock now and then while others come and go: so it is read several times.
    """
    files = {}
    for ending, writing in _WRITING.items():
        try:
            status = path.with_name(path.name + ending).stat()
        except OSError:
            continue
        files[f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"] = writing
    pids: dict[int, bool] = {}
    for _ in range(_READINGS):
        try:
            listed = Path("/proc/locks").read_text()
        except OSError:
            break
        for line in listed.splitlines():
            fields = line.split()
            if "->" in fields or len(fields) < 8 or fields[1] != "POSIX" or fields[5] not in files:
                continue
            pid, is_write = int(fields[4]), fields[3] == "WRITE" and int(fields[6]) in files[fields[5]]
            pids[pid] = pids.get(pid, False) or is_write
    return pids


def _process(pid: int) -> str:
    """Which process it is: `pid 4711 (python server.py), started by this one 3 s ago`."""
    from dbrewind._dbrewind import _program

    folder = Path(f"/proc/{pid}")
    try:
        # The second field, the program's name, may have anything in it.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        parent, began = int(fields[1]), int(fields[19]) / _SC_CLK_TCK
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - began
    except (OSError, ValueError, IndexError):
        return f"pid {pid} (gone)"
    whose = "started by this one" if parent == os.getpid() else "started"
    return f"pid {pid} ({_program(pid)}), {whose} {max(0.0, age):.0f} s ago"
