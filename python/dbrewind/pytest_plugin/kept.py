"""Where copies of databases go that somebody wants to look at after the run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 150


def place(root: Path, folder: str, name: str) -> Path:
    """A free path in `.dbrewind/<folder>` of pytest's root folder, which git ignores; an older copy is deleted."""
    path = root / ".dbrewind" / folder / (re.sub(r"[^\w.\-\[\]]+", "-", name)[-_LONGEST:] + ".db")
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / ".dbrewind" / ".gitignore").write_text("*\n")
    path.unlink(missing_ok=True)
    return path
