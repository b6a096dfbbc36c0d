"""Where copies of databases go that somebody wants to look at after the run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from dbrewind._dbrewind import Database, Lsn, Mark

_LONGEST = 150


def place(root: Path, folder: str, name: str) -> Path:
    """A free path in `.dbrewind/<folder>` of pytest's root folder, which git ignores; an older copy is deleted."""
    path = root / ".dbrewind" / folder / (re.sub(r"[^\w.\-\[\]]+", "-", name)[-_LONGEST:] + ".db")
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / ".dbrewind" / ".gitignore").write_text("*\n")
    path.unlink(missing_ok=True)
    return path


def keep(db: Database, root: Path, nodeid: str) -> str:
    """Copy the database as a test has left it. Answers where it is, for the summary."""
    path = place(root, "failed", nodeid)
    db.keep(path)
    return f"{path} ({nodeid})"


def differ(db: Database, moment: Mark | Lsn, told: str, name: str, config: pytest.Config) -> NoReturn:
    """Stop the session; copy what a rewind made of the database, and what it was at the moment; then say so."""
    from dbrewind import Error
    from dbrewind.testing.errors import VerifyFailedError

    session = config.pluginmanager.get_plugin("session")
    text = f"[DBR009] after a rewind {told}. The session stops."
    # Before the copies, for which there may be no room.
    _stop(session, text)
    try:
        is_, was = (place(config.rootpath, "differs", f"{name}-{which}") for which in ("is", "was"))
        db.keep(is_)
        db.clone(moment, was)
        text += f" What it is: {is_}; what it was: {was}. Please report it with both"
    except (Error, OSError) as error:
        text += f" What it is, and what it was, could not be copied: {error}. Please report it"
    _stop(session, text)
    raise VerifyFailedError(text)


def _stop(session: pytest.Session | None, text: str) -> None:
    if session is not None:
        session.shouldstop = f"dbrewind: {text}"
