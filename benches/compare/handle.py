"""A worker process as the scheduler sees it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from .channel import Child, Message
from .connection import Setting
from .database import SCRATCH, Size


@dataclass(frozen=True)
class Options:
    """What `make bench` was asked for."""

    quick: bool
    pinned: bool
    sizes: list[Size]
    settings: list[Setting]
    rivals: list[str]


class Handle:
    """Starts a worker in a directory of its own; its files are removed at the end."""

    def __init__(self, name: str, setting: Setting, size: Size, pinned: bool, label: str) -> None:
        self.name = name
        self.size = size
        self.directory: Path = SCRATCH / "run" / f"{label}-{name}-{size.megabytes}-{setting}".replace("/", "-")
        shutil.rmtree(self.directory, ignore_errors=True)
        mode = "pinned" if pinned else "free"
        self._child = Child(
            "compare.worker",
            *(name, setting.journal, setting.synchronous, str(size.megabytes), str(self.directory), mode),
        )
        try:
            self.versions: Message = self._child.ask("start")
        except Exception:
            self.discard()
            raise

    @property
    def live(self) -> Path:
        """The database at work. Never opened by this process while the worker runs."""
        return self.directory / "live.db"

    def ask(self, request: str, /, **fields: object) -> Message:
        """Send a request and wait for the answer."""
        return self._child.ask(request, **fields)

    def disk(self) -> int:
        """Bytes allocated by all files of this rival but its template."""
        return sum(
            entry.stat().st_blocks * 512
            for entry in self.directory.rglob("*")
            if entry.is_file() and entry.name != "template.db"
        )

    def wal_frames(self) -> int:
        """Frames in the WAL by the wal-index header. This process holds no SQLite locks to lose."""
        index = Path(f"{self.live}-shm")
        if not index.exists():
            return 0
        with index.open("rb") as file:
            header = file.read(20)
        return int.from_bytes(header[16:20], "little") if len(header) == 20 else 0

    def discard(self) -> None:
        """End the worker and remove its files."""
        self._child.close()
        shutil.rmtree(self.directory, ignore_errors=True)
