"""Which database: what an override of `dbrewind_db` means."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from dbrewind._dbrewind import Database


class DatabaseUnderTest:
    """What the fixture `dbrewind_db` gives, whatever it was overridden with.

    `path` is the file, `url` the same for SQLAlchemy, Django and their like. In a worker of pytest-xdist both name the
    worker's own file.
    """

    def __init__(self, path: Path, handle: Database | None = None, *, temporary: bool = False) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self._handle = handle
        self._temporary = temporary

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<DatabaseUnderTest {self.url}>"


def understand(value: Any, config: pytest.Config, name: str = "dbrewind_db") -> DatabaseUnderTest:
    """A URL, a path, an Engine or a `dbrewind.Database` as one type. UsageError for anything else."""
    worker = worker_of(config)
    if isinstance(value, DatabaseUnderTest):
        return value
    if hasattr(value, "rewind") and hasattr(value, "digest"):  # a Database, without importing its class
        return DatabaseUnderTest(_own(Path(value.path), worker, f"{name}: a dbrewind.Database"), value)
    url: Any = getattr(value, "url", None)  # an Engine
    if hasattr(url, "get_backend_name"):
        if url.get_backend_name() != "sqlite":
            raise pytest.UsageError(f"{name}: {url!r} is not a SQLite database")
        return DatabaseUnderTest(_own(_file(url.database, value, name), worker, f"{name}: an Engine"))
    if isinstance(value, os.PathLike):
        return DatabaseUnderTest(_for_worker(_file(os.fspath(value), value, name), worker))
    if isinstance(value, str):
        path = _path_of_url(value, name) if "://" in value else value
        return DatabaseUnderTest(_for_worker(_file(path, value, name), worker))
    raise pytest.UsageError(
        f"{name}: expected a URL, a path, an Engine or a dbrewind.Database, not {type(value).__name__}"
    )


def worker_of(config: pytest.Config) -> str:
    """The name of this worker of pytest-xdist, or nothing.

    Not from the environment: a run of pytest that a worker starts inherits that, and is no worker.
    """
    name: str = getattr(config, "workerinput", {}).get("workerid", "")
    return name


def _path_of_url(url: str, name: str) -> str:
    """The path of `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite+driver:///...`."""
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] != "sqlite" or parts.netloc:
        raise pytest.UsageError(f"{name}: {url!r} is not a URL of a SQLite file (sqlite:///file.db)")
    return unquote(parts.path[1:])


def _file(path: str | None, value: object, name: str) -> Path:
    if not path or path == ":memory:" or path.startswith("file:"):
        raise pytest.UsageError(f"{name}: {value!r} names no file; a database in memory cannot be recorded")
    return Path(path).absolute()


def _for_worker(path: Path, worker: str) -> Path:
    return path.with_name(f"{path.stem}-{worker}{path.suffix}") if worker else path


def _own(path: Path, worker: str, what: str) -> Path:
    """What is open already has its name. Under pytest-xdist the override must have given each worker another one."""
    if worker and not re.search(rf"(?<![^\W_]){re.escape(worker)}(?![^\W_])", str(path)):
        raise pytest.UsageError(
            f"{what} of {path} would be shared by all workers of pytest-xdist, and each would rewind the "
            "others' writes. Return the path or its sqlite:/// URL, to which the worker's name is added, and make the "
            f"engine from dbrewind_db.url; or put the worker's name, {worker}, into the path (fixture worker_id)"
        )
    return path
