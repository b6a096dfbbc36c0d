"""One module for each way to reset a database."""

from __future__ import annotations

from .backup import Backup
from .base import Files, Rival
from .copy import Copy
from .doltlite import DoltLite
from .ours import Keeper, Ours
from .plain import Plain
from .savepoint import Rollback, Savepoint
from .session import Session

RIVALS: dict[str, type[Rival]] = {
    rival.name: rival for rival in (Ours, Keeper, Copy, Backup, Session, DoltLite, Savepoint, Rollback, Plain)
}

RESETTING = [name for name, rival in RIVALS.items() if rival is not Plain]
"""The names of those that can reset, ours first."""

__all__ = ["RESETTING", "RIVALS", "Files", "Ours", "Rival"]
