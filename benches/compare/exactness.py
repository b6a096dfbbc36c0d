"""What a reset fails to restore: one round with everything in it, then every part compared with the base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import state
from .channel import Child, ChildError, Message
from .rivals.base import Rival

FOREIGN_WRITE = f"INSERT INTO tag VALUES ('{state.FOREIGN}', 1)"
STEPS = [
    "UPDATE item SET payload = zeroblob(900) WHERE id IN (1, 10, 100, 1000)",
    "INSERT INTO item(grp, payload) VALUES (1, zeroblob(900)), (2, zeroblob(900))",
    "DELETE FROM item WHERE id IN (20, 200)",
    "UPDATE tag SET value = -1 WHERE name = 'tag 3'",
    "DELETE FROM tag WHERE name = 'tag 4'",
    "INSERT INTO tag VALUES ('new tag', 1)",
    "INSERT INTO alias VALUES (NULL, 77)",
    "INSERT INTO keyless VALUES (51, 'message 51')",
    "UPDATE keyless SET message = 'other' WHERE at = 7",
    "DELETE FROM keyless WHERE at = 9",
    "INSERT INTO ticket(title) VALUES ('ticket 51'), ('ticket 52')",
    "DELETE FROM ticket WHERE id = 52",
    "CREATE TABLE added(id INTEGER PRIMARY KEY, body TEXT)",
    "INSERT INTO added(body) VALUES ('new')",
    "CREATE INDEX added_index ON item(grp, id)",
    "ALTER TABLE note ADD COLUMN extra TEXT DEFAULT 'x'",
    "UPDATE note SET body = 'short' WHERE id = 5",
    "DROP TABLE retired",
    "PRAGMA user_version = 99",
]
"""The round's statements; each commits by itself where the rival lets it."""


def one_round(rival: Rival, peer: Child, new_peer: Callable[[], Child], rows: int, foreign: bool) -> Message:
    """Run the round and the reset, and report each part that is not as before.

    With `foreign`, the second process commits a write of its own in the round.
    """
    expected = state.read(rival.connection)
    peer.ask("state")  # The second process has a warm cache and a parsed schema.
    kept = id(rival.connection)
    report: Message = {"failed": [], "notes": [], "refused": ""}
    for sql in STEPS:
        try:
            rival.step(sql)
        except Exception as error:
            report["notes"].append(f"statement failed: {sql.split('(')[0].strip()}: {error}")
    if foreign:
        try:
            peer.ask("write", sql=FOREIGN_WRITE)
        except ChildError as error:
            report["notes"].append(f"the other process cannot write meanwhile ({error.text})")
    try:
        rival.reset()
    except Exception as error:
        report["refused"] = f"{type(error).__name__}: {error}"
        return report
    failed: list[str] = report["failed"]
    failed += state.differences(expected, state.read(rival.connection))
    following = state.next_row_id(rival.connection)
    if following != str(rows + 1):
        failed.append(f"the next row id ({following} instead of {rows + 1})")
    if id(rival.connection) != kept:
        failed.append("the working connection (had to be opened anew)")
    newcomer = new_peer()
    for who, process in (("a new connection", newcomer), ("the other process's open connection", peer)):
        try:
            seen = state.differences(expected, process.ask("state")["state"])
        except ChildError as error:
            failed.append(f"{who}: {error.text}")
            continue
        beyond = [part for part in seen if part not in failed]
        if beyond:
            parts = "everything" if len(beyond) > 6 else "; ".join(beyond)
            failed.append(f"{who} sees other content: {parts}")
    newcomer.close()
    return report


COUNTERS = ((24, 28), (40, 44), (92, 100))
"""Bytes of page 1 by which other connections notice change: they may only grow, so they are not compared."""


def pages_that_differ(one: Path, other: Path, page_size: int = 4096) -> tuple[int, int]:
    """How many pages of two closed databases differ, and how many the larger one has."""

    def pages(path: Path) -> list[Any]:
        content = bytearray(path.read_bytes())
        for start, end in COUNTERS:
            content[start:end] = bytes(end - start)
        content[18:20] = b"\1\1"  # The journal mode is the setting's, not the round's.
        return [bytes(content[at : at + page_size]) for at in range(0, len(content), page_size)]

    left, right = pages(one), pages(other)
    total = max(len(left), len(right))
    same = sum(a == b for a, b in zip(left, right, strict=False))
    return total - same, total
