"""Bases that were built before, and whether one of them is what the set-up would build now (rust/docs/pytest.md)."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from dbrewind._dbrewind import Database, Mark

_KEPT = 4
# A program or a server may read anything.
_OUTSIDE = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
_SKIPPED = {"__pycache__", ".pytest_cache", ".git", ".dbrewind"}


@dataclass
class Recipe:
    """What a base is made of, as far as it is known before it is built."""

    root: Path
    versions: list[str]
    setup: str
    files: dict[str, str]
    """What the patterns match, and what defines the set-up, with hashes."""
    explicit: bool
    """That is all that counts."""

    @property
    def key(self) -> str:
        """The same for all bases among which one may fit."""
        return _hash(json.dumps([self.setup, self.versions, self.explicit]).encode())[:16]


@dataclass
class Seen:
    """What a set-up read while it ran."""

    root: Path
    ignored: str
    """The database."""
    opened: set[str] = field(default_factory=set)
    outside: bool = False
    """It started a program, connected somewhere, or read another database."""

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        """One event of the interpreter."""
        if event in _OUTSIDE:
            self.outside = True
        elif event == "open" and isinstance(args[0], (str, bytes)):
            mode, flags = args[1], args[2]
            writes = any(c in mode for c in "wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
            if not writes:
                self.opened.add(os.fsdecode(args[0]))
        elif event == "sqlite3.connect" and not os.fsdecode(args[0]).startswith((self.ignored, f"file:{self.ignored}")):
            # Not to be hashed: closing the file would drop the locks of this process on it.
            self.outside = True

    def files(self, but: Iterable[Path]) -> dict[str, str]:
        """The files below the root folder, with hashes: those that were read, and of all modules but these."""
        without = {str(path) for path in but}
        names = {name for module in list(sys.modules.values()) if (name := getattr(module, "__file__", None))}
        found = {}
        for name in (names - without) | self.opened:
            path = Path(name).absolute()
            inside = path.is_relative_to(self.root) and not _SKIPPED & set(path.parts)
            ours = "site-packages" not in path.parts and not str(path).startswith(self.ignored)
            if inside and ours and path.is_file():
                found[str(path.relative_to(self.root))] = hash_of(path)
        return found


class Cache:
    """A folder of bases. `run` is the name of a run of pytest-xdist, in which one is built for all workers."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self.run = run

    @contextmanager
    def locked(self, recipe: Recipe) -> Generator[None, None, None]:
        """Nobody else builds this base, or looks for it, meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{recipe.key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def find(self, recipe: Recipe, rebuild: bool) -> tuple[Path, dict[str, Any]] | None:
        """A base that fits: its file, and what is known of it."""
        for path in sorted(self.folder.glob(f"{recipe.key}-*.json"), key=_age):
            try:
                known = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
            here = bool(self.run) and known["run"] == self.run
            if (rebuild or known["only_run"]) and not here:
                continue
            seen = known["seen"].items()
            if known["files"] == recipe.files and all(hash_of(recipe.root / name) == was for name, was in seen):
                return path.with_suffix(".db"), known
        return None

    def keep(
        self,
        recipe: Recipe,
        seen: dict[str, str],
        only_run: bool,
        db: Database,
        mark: Mark,
        sequences: dict[str, int],
    ) -> str:
        """Copy the state of the mark. Answers its name. `sequences`: where `dbrewind.factory_boy` said they stand."""
        known = {
            "files": recipe.files,
            "seen": {} if recipe.explicit else seen,
            "run": self.run,
            "only_run": only_run,
            "digest": db.digest(),
            "sequences": sequences,
        }
        text = json.dumps(known, sort_keys=True)
        name = _hash(text.encode())[:6]
        path = self.folder / f"{recipe.key}-{name}.db"
        path.unlink(missing_ok=True)
        db.clone(mark, path)
        path.with_suffix(".json").write_text(text)
        for old in sorted(self.folder.glob(f"{recipe.key}-*.json"), key=_age)[_KEPT:]:
            old.unlink(missing_ok=True)
            old.with_suffix(".db").unlink(missing_ok=True)
        return name


@contextmanager
def watching(root: Path, ignored: Path) -> Generator[Seen, None, None]:
    """Note what is read meanwhile, by this process."""
    global _watcher, _installed
    if not _installed:
        sys.addaudithook(_audit)
        _installed = True
    _watcher = seen = Seen(root, str(ignored))
    try:
        yield seen
    finally:
        _watcher = None


_watcher: Seen | None = None
_installed = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watcher is not None:
        _watcher.note(event, args)


def hash_of(path: Path) -> str:
    """Of a file's content; nothing if it cannot be read."""
    try:
        return _hash(path.read_bytes())
    except OSError:
        return ""


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _age(path: Path) -> float:
    """Newest first."""
    return -path.stat().st_mtime
