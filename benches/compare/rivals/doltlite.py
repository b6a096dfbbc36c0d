"""DoltLite: a fork of SQLite with its own file format, commits and a hard reset."""

from __future__ import annotations

import importlib

from ..connection import Setting, connect
from .base import Rival


class DoltLite(Rival):
    """`dolt_commit` once (the base is built with it), then `dolt_reset('--hard')`."""

    name = "doltlite"
    title = "DoltLite hard reset"
    engine = "doltlite"
    # The journal mode means nothing to it.
    modes = ("wal",)

    def reset(self) -> dict[str, str | int | float]:
        """Back to the last commit of its history."""
        self.connection.execute("SELECT dolt_reset('--hard')").fetchall()
        return {}

    def version(self) -> str:
        """What the library says about itself."""
        connection = connect("doltlite", ":memory:", Setting("delete", "off"))
        version = str(connection.execute("SELECT dolt_version()").fetchone()[0])
        connection.close()
        return f"doltlite {importlib.import_module('doltlite').__version__} (library {version})"
