"""SQLite's session extension: record a changeset, invert it, apply it."""

from __future__ import annotations

import importlib
from typing import Any

from .base import Rival


class Session(Rival):
    """A session on all tables of the working connection; apsw is the binding that offers it."""

    name = "session"
    title = "session changeset, inverted"
    engine = "apsw"
    _session: Any = None

    def arm(self) -> None:
        """Start recording."""
        apsw = importlib.import_module("apsw")
        self._session = apsw.Session(self.connection, "main")
        self._session.attach()

    def reset(self) -> dict[str, str | int | float]:
        """Take the changeset, stop recording, apply its inverse, record anew."""
        apsw = importlib.import_module("apsw")
        changeset = self._session.changeset()
        self._session.close()
        apsw.Changeset.apply(apsw.Changeset.invert(changeset), self.connection)
        self.arm()
        return {"changeset_bytes": len(changeset)}

    def close(self) -> None:
        """A session must end before its connection."""
        if self._session is not None:
            self._session.close()
        super().close()

    def version(self) -> str:
        """The version of apsw."""
        return f"apsw {importlib.import_module('apsw').apsw_version()}"
