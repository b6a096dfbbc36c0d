"""Transactions that are never committed: the lower bound, for one connection only."""

from __future__ import annotations

from ..workload import Statement, run
from .base import Rival


class Savepoint(Rival):
    """`ROLLBACK TO` a savepoint in one open transaction, as test fixtures of many frameworks do."""

    name = "savepoint"
    title = "SAVEPOINT rollback"
    commits = False
    _open = False

    def work(self, transactions: list[list[Statement]]) -> None:
        """Each transaction becomes a nested savepoint. A new outer transaction: an old one gets slower."""
        self.release()
        self.begin()
        for transaction in transactions:
            self.connection.execute("SAVEPOINT nested")
            run(self.connection, transaction)
            self.connection.execute("RELEASE nested")

    def step(self, sql: str) -> None:
        """Part of the outer transaction."""
        self.begin()
        self.connection.execute(sql)

    def begin(self) -> None:
        """Start the outer transaction unless it runs."""
        if not self._open:
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.execute("SAVEPOINT base")
            self._open = True

    def release(self) -> None:
        """End the outer transaction."""
        if self._open:
            self.connection.execute("ROLLBACK")
            self._open = False

    def reset(self) -> dict[str, str | int | float]:
        """The outer transaction and the savepoint stay."""
        self.connection.execute("ROLLBACK TO base")
        return {}

    def close(self) -> None:
        """End the outer transaction."""
        self.release()
        super().close()


class Rollback(Savepoint):
    """`ROLLBACK` of the whole transaction: what SQLite can do at its fastest."""

    name = "rollback"
    title = "BEGIN .. ROLLBACK"

    def reset(self) -> dict[str, str | int | float]:
        """The next round begins a new transaction."""
        self.connection.execute("ROLLBACK")
        self._open = False
        return {}
