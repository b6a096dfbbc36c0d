"""What was left behind, and how that is said."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dbrewind._dbrewind import Diff

_SHOWN = 8


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


def told(which: str, who: str, others: Iterable[str], found: Iterable[str]) -> str:
    """What is said of a leak: which database was changed, who has done it, and may have; and the changes."""
    said = f"[DBR008] {which} was changed outside of a test that is rewound, and was rewound."
    return "\n  ".join([said, f"by: {who}", *others, *found])


def count(diff: Diff) -> int:
    """How many rows differ."""
    return sum(len(rows.inserted) + len(rows.deleted) + len(rows.updated) for rows in diff.tables.values())


def _is_allowed(name: str, allowed: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in allowed)
