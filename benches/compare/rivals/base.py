"""What the benchmark asks of every rival."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..connection import Connection, Engine, Journal, Setting, connect
from ..workload import Statement, run


@dataclass(frozen=True)
class Files:
    """The files of one worker: `live` is the database at work, `template` an untouched copy of it."""

    live: Path
    template: Path


class Rival(ABC):
    """A way to bring a database back to its base state, with the connection that a test would use."""

    name: ClassVar[str]
    title: ClassVar[str]
    engine: ClassVar[Engine] = "sqlite3"
    needs_template: ClassVar[bool] = False
    commits: ClassVar[bool] = True
    """Whether the round's transactions really commit."""
    modes: ClassVar[tuple[Journal, ...]] = ("wal", "delete")
    """The journal modes that it is measured in."""

    def __init__(self, files: Files, setting: Setting) -> None:
        self.files = files
        self.setting = setting
        self.connection: Connection = self.open()

    def open(self) -> Connection:
        """The connection that does the work."""
        return connect(self.engine, str(self.files.live), self.setting)

    def arm(self) -> None:  # noqa: B027 - most have nothing to do.
        """Remember the present state as the base state. Called once, before the first round."""

    def work(self, transactions: list[list[Statement]]) -> None:
        """Run the transactions and commit each."""
        for transaction in transactions:
            self.connection.execute("BEGIN IMMEDIATE")
            run(self.connection, transaction)
            self.connection.execute("COMMIT")

    def step(self, sql: str) -> None:
        """Run one statement as a transaction of its own."""
        self.connection.execute(sql)

    @abstractmethod
    def reset(self) -> dict[str, str | int | float]:
        """Bring the base state back, and be ready for the next round; this is what is timed.

        The result is what the rival says about it, for the record.
        """

    def release(self) -> None:  # noqa: B027 - most hold nothing.
        """Let go of locks that keep other processes out after a reset. Not timed."""

    def close(self) -> None:
        """Close everything that is open."""
        self.connection.close()

    def version(self) -> str:
        """The rival's own version, apart from SQLite's."""
        return ""
