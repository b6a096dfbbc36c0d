"""dbrewind: a mark, then a rewind to it after every round."""

from __future__ import annotations

import importlib
import time
from typing import Any, ClassVar

from ..connection import Connection
from .base import Rival


class Ours(Rival):
    """Attached in the working process; the second process is not."""

    name = "dbrewind"
    title = "dbrewind rewind"
    where: ClassVar[str] = "auto"
    _database: Any = None

    def open(self) -> Connection:
        """Attach first: a rollback mode is recorded only for connections opened after that."""
        module = importlib.import_module("dbrewind")
        options: dict[str, str] = {"synchronous": self.setting.synchronous, "engine": self.where}
        if self.setting.journal == "wal":
            options["journal"] = "wal"
        self._database = module.open(str(self.files.live), **options)
        return super().open()

    def arm(self) -> None:
        """Name the present state."""
        self._database.mark("base")

    def mark_times(self, count: int) -> list[float]:
        """The seconds that each of `count` new marks took, every one after a commit of its own."""
        times = []
        for number in range(count):
            self.connection.execute("UPDATE tag SET value = value + 1 WHERE name = 'tag 1'")
            began = time.perf_counter()
            self._database.mark(f"mark {number}")
            times.append(time.perf_counter() - began)
        return times

    def reset(self) -> dict[str, str | int | float]:
        """The mark stays; nothing is armed anew."""
        done = self._database.rewind("base")
        return {"method": str(done.method), "pages": int(done.pages), "own_seconds": float(done.seconds)}

    def close(self) -> None:
        """The application's connection first, as an application would."""
        super().close()
        self._database.close()

    def version(self) -> str:
        """The package's version, and where its engine runs."""
        return f"dbrewind {importlib.import_module('dbrewind').__version__}, engine {self._database.engine}"


class Keeper(Ours):
    """The same with the engine in the keeper process, as for a SQLite that cannot be reached."""

    name = "keeper"
    title = "dbrewind, engine in the keeper"
    where = "keeper"
    modes = ("wal",)
