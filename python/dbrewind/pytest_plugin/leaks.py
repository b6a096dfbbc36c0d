"""What was left behind, and who may have written it."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbrewind._dbrewind import Diff

_SHOWN = 8
_READINGS = 5


def lines(diff: Diff, allowed: Sequence[str] = ()) -> list[str]:
    """What differs, a line for each table, part of the schema and counter; without what is allowed."""
    found = []
    for what, how in diff.schema.items():
        if not _is_allowed(what.partition(" ")[2], allowed):
            found.append(f"{what}: {how}")
    for table, rows in diff.tables.items():
        if _is_allowed(table, allowed):
            continue
        parts = [
            f"{len(keys)} {how} ({', '.join(map(repr, keys[:_SHOWN]))}{', ...' if len(keys) > _SHOWN else ''})"
            for how, keys in (("inserted", rows.inserted), ("deleted", rows.deleted), ("updated", rows.updated))
            if keys
        ]
        found.append(f"{table}: {', '.join(parts)}")
    for counter, (before, after) in diff.counters.items():
        if not _is_allowed(counter, allowed) and not _is_allowed(counter.partition(".")[2], allowed):
            found.append(f"{counter}: {before} -> {after}")
    return found


def count(diff: Diff) -> int:
    """How many rows differ."""
    return sum(len(rows.inserted) + len(rows.deleted) + len(rows.updated) for rows in diff.tables.values())


def connected(path: Path) -> list[str]:
    """The other processes that hold a lock on the database now: in WAL mode those that have it open.

    From the kernel's list, which leaves out a lock now and then while others come and go: so it is read several times.
    """
    files = set()
    for name in (path, path.with_name(path.name + "-shm")):
        try:
            status = name.stat()
        except OSError:
            continue
        files.add(f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}")
    pids: set[int] = set()
    for _ in range(_READINGS):
        try:
            listed = Path("/proc/locks").read_text()
        except OSError:
            break
        for line in listed.splitlines():
            fields = line.split()
            if "->" not in fields and len(fields) > 5 and fields[1] == "POSIX" and fields[5] in files:
                pids.add(int(fields[4]))
    return [f"pid {pid} ({_program(pid)})" for pid in sorted(pids - {os.getpid()})]


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def _is_allowed(name: str, allowed: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in allowed)
