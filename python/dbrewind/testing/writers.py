"""Who may have written: a commit does not say whose it is, so what is said is who could have made it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from dbrewind._dbrewind import Database

_READINGS = 5
# Bytes that a connection locks for as long as its transaction writes: of the file, and of its wal-index.
_WRITING = {"": range(0x4000_0000, 0x4000_0002), "-shm": range(120, 121)}
_LONGEST = 40
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


def others(db: Database, threads: Threads, who: str) -> list[str]:
    """Lines of a report: who else may have written what `who` is said to have left."""
    processes, running = connected(db.path), threads.left_by_others(who)
    said = [f"also connected: {', '.join(processes)}"] if processes else []
    return said + [f"also running: {', '.join(running)}"] * bool(running)


def connected(path: Path) -> list[str]:
    """The other processes that have the database open now, and whether each is in a write transaction."""
    pids = _locking(path)
    if not path.with_name(path.name + "-shm").exists():
        # Outside of WAL mode nobody holds a lock between two transactions.
        pids = dict.fromkeys(_opened(path), False) | pids
    pids.pop(os.getpid(), None)
    return [_process(pid) + (", in a transaction" if writes else "") for pid, writes in sorted(pids.items())]


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
    folder = Path(f"/proc/{pid}")
    try:
        program = (folder / "comm").read_text().strip()
        argv = [os.fsdecode(part) for part in (folder / "cmdline").read_bytes().split(b"\0")]
        # The second field, the program's name, may have anything in it.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        parent, began = int(fields[1]), int(fields[19]) / _SC_CLK_TCK
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - began
    except (OSError, ValueError, IndexError):
        return f"pid {pid} (gone)"
    whose = "started by this one" if parent == os.getpid() else "started"
    return f"pid {pid} ({_command(program, argv)}), {whose} {max(0.0, age):.0f} s ago"


def _command(program: str, argv: list[str]) -> str:
    """The program, and the first argument that says more: `python server.py`. Others may hold what is secret."""
    rest = iter(argv[1:])
    said = ""
    for argument in rest:
        if argument in ("-X", "-W"):
            next(rest, None)
        elif argument == "-m":
            said = f"-m {next(rest, '')}"
            break
        elif argument == "-c":
            said = "-c ..."
            break
        elif argument and not argument.startswith("-"):
            said = argument if len(argument) <= _LONGEST else f"...{argument[-_LONGEST:]}"
            break
    return f"{program} {said}".strip()
