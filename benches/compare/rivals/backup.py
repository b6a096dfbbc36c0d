"""SQLite's backup API from an open template into the live connection."""

from __future__ import annotations

import importlib
from typing import Any

from ..connection import Setting, connect
from .base import Files, Rival


class Backup(Rival):
    """`template.backup(live)`, all pages in one step."""

    name = "backup"
    title = "backup API"
    needs_template = True

    def __init__(self, files: Files, setting: Setting) -> None:
        super().__init__(files, setting)
        importlib.import_module("sqlite3")
        self._template: Any = connect("sqlite3", str(files.template), setting)

    def reset(self) -> dict[str, str | int | float]:
        """The template's connection stays open between rounds."""
        self._template.backup(self.connection)
        return {}

    def close(self) -> None:
        """Close both connections."""
        self._template.close()
        super().close()
