"""What a round does to the database, the same for every rival: all of it follows from the round's number."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .connection import Connection, Value

Kind = Literal["small", "pages"]
Statement = tuple[str, list[tuple[Value, ...]]]

PAYLOAD = 900
"""Bytes of a row's payload: four rows fill a page of 4096 bytes."""
ROWS_PER_PAGE = 4
PAGES = 10_000
"""Pages that the heavy workload changes, or all pages of a smaller database."""
GROUPS = 1000
CHECKED = 64
"""Rows that are compared with the base state after each heavy round."""

UPDATE = "UPDATE item SET payload = ? WHERE id = ?"
INSERT = "INSERT INTO item(id, grp, payload) VALUES (?, ?, ?)"
DELETE = "DELETE FROM item WHERE id = ?"


def payload(*source: int) -> bytes:
    """Bytes that follow from `source` and do not compress."""
    return hashlib.shake_128(repr(source).encode()).digest(PAYLOAD)


def base_row(number: int) -> tuple[int, int, bytes]:
    """The row `number` of table `item` in the base state."""
    return number, number * 7919 % GROUPS, payload(number)


def base_rows(count: int) -> Iterator[tuple[int, int, bytes]]:
    """All rows of table `item` in the base state."""
    return (base_row(number) for number in range(1, count + 1))


@dataclass(frozen=True)
class Round:
    """The transactions of one round, and the rows by which its effect and its undoing are seen."""

    transactions: list[list[Statement]]
    touched: list[int]

    @property
    def changes(self) -> int:
        """How many rows the round changes."""
        return sum(len(rows) for transaction in self.transactions for _, rows in transaction)


def make_round(kind: Kind, number: int, rows: int) -> Round:
    """The round `number` on a base of `rows` rows."""
    return _small(number, rows) if kind == "small" else _pages(number, rows)


def _small(number: int, rows: int) -> Round:
    """10 transactions of 8 updates, 1 insert and 1 delete each, on rows all over the table."""
    chosen = random.Random(number).sample(range(1, rows + 1), 90)
    transactions: list[list[Statement]] = []
    for index in range(10):
        updated, deleted = chosen[index * 9 : index * 9 + 8], chosen[index * 9 + 8]
        new = rows + 1 + index
        transactions.append(
            [
                *((UPDATE, [(payload(number, row), row)]) for row in updated),
                (INSERT, [(new, number % GROUPS, payload(number, new))]),
                (DELETE, [(deleted,)]),
            ]
        )
    return Round(transactions, chosen + list(range(rows + 1, rows + 11)))


def _pages(number: int, rows: int) -> Round:
    """One transaction that changes one row on each of `PAGES` pages spread evenly over the table."""
    count = pages_changed(rows)
    pages = rows // ROWS_PER_PAGE
    chosen = [1 + ROWS_PER_PAGE * (index * pages // count) for index in range(count)]
    update: Statement = (UPDATE, [(payload(number, row), row) for row in chosen])
    return Round([[update]], chosen[:: max(1, count // CHECKED)])


def pages_changed(rows: int) -> int:
    """How many pages the heavy workload changes on a base of `rows` rows."""
    return min(PAGES, rows // ROWS_PER_PAGE)


def run(connection: Connection, transaction: list[Statement]) -> None:
    """Run the statements; beginning and committing is the rival's business."""
    for sql, rows in transaction:
        if len(rows) == 1:
            connection.execute(sql, rows[0])
        else:
            connection.executemany(sql, rows)


def digest_rows(connection: Connection, numbers: list[int]) -> str:
    """A digest of the named rows as `connection` sees them."""
    marks = ",".join("?" * len(numbers))
    sql = f"SELECT id, grp, payload FROM item WHERE id IN ({marks}) ORDER BY id"
    return _digest(connection.execute(sql, numbers).fetchall())


def digest_base(numbers: list[int], rows: int) -> str:
    """What `digest_rows` gives in the base state, computed without reading a database."""
    return _digest([base_row(number) for number in sorted(numbers) if number <= rows])


def _digest(rows: list[tuple[int, int, bytes]]) -> str:
    state = hashlib.blake2b(digest_size=16)
    for number, group, content in rows:
        state.update(f"{number},{group},".encode())
        state.update(content)
    return state.hexdigest()
