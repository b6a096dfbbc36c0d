"""Copy the template over the database file and open it again: what most test suites do."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..connection import Connection
from .base import Rival


class Copy(Rival):
    """Close, remove the journal files, copy, reopen. Never syncs, whatever the setting."""

    name = "copy"
    title = "file copy + reopen"
    needs_template = True

    def reset(self) -> dict[str, str | int | float]:
        """The first query is part of it: a reopened connection has read nothing yet."""
        self.connection.close()
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{self.files.live}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self.files.template, self.files.live)
        reopened: Connection = self.open()
        reopened.execute("SELECT count(*) FROM tag").fetchall()
        self.connection = reopened
        return {}
