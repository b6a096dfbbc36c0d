"""dbrewind: a mark, then a rewind to it after every round."""

from __future__ import annotations

import importlib
from typing import Any

from ..connection import Connection
from .base import Rival


class Ours(Rival):
    """Attached in the working process; the second process is not."""

    name = "dbrewind"
    title = "dbrewind rewind"
    _database: Any = None

    def open(self) -> Connection:
        """Attach first: a rollback mode is recorded only for connections opened after that."""
        module = importlib.import_module("dbrewind")
        options: dict[str, str] = {"synchronous": self.setting.synchronous}
        if self.setting.journal == "wal":
            options["journal"] = "wal"
        self._database = module.open(str(self.files.live), **options)
        return super().open()

    def arm(self) -> None:
        """Name the present state."""
        self._database.mark("base")

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
