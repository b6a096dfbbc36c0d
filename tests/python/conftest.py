"""Databases and companions for the tests of the Python package."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import dbrewind._dbrewind  # noqa: F401 - else a test of the plugin that loads it unloads it, too, and its exceptions are two
from load_scene import application
from second_process import SecondProcess

# It would have every session of pytest that a test starts begin anew with another order.
os.environ["PYTEST_ADDOPTS"] = f"{os.environ.get('PYTEST_ADDOPTS', '')} -p no:randomly".strip()

pytest_plugins = ["pytester"]
collect_ignore = ["apps"]  # suites of their own, which tests here run

MODES = ["wal", "delete"]


def create(path: Path, mode: str, rows: int = 100) -> Path:
    """A database with the tables users and orders."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA journal_mode={mode}")
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)")
        db.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY, user INTEGER, note TEXT)")
        counter = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        db.execute(f"{counter} INSERT INTO users SELECT i, 'user ' || i FROM n", (rows,))
        db.execute(f"{counter} INSERT INTO orders SELECT i, i, hex(zeroblob(100)) FROM n", (rows,))
    return path


@pytest.fixture(params=MODES)
def app_db(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A seeded database, once in WAL mode and once in DELETE mode."""
    return create(tmp_path / "app.db", request.param)


@pytest.fixture
def wal_db(tmp_path: Path) -> Path:
    """A seeded database in WAL mode."""
    return create(tmp_path / "app.db", "wal")


@pytest.fixture
def connect() -> Generator[Callable[[Path], sqlite3.Connection], None, None]:
    """Opens connections of the standard module that commit each statement; closed after the test."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))


@pytest.fixture
def second() -> Generator[Callable[[Path], SecondProcess], None, None]:
    """Starts processes that never heard of this package and hold one connection each."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(SecondProcess(path))


@pytest.fixture
def shop(tmp_path: Path) -> Generator[tuple[Path, str], None, None]:
    """The application of the load test's example: its database, and where it listens."""
    database = tmp_path / "app.db"
    with application(database) as url:
        yield database, url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Under CI nothing may be missing but what is optional: a skipped test is a failed one."""
    report = yield
    may_be_missing = hasattr(report, "wasxfail") or item.get_closest_marker("optional")
    if report.skipped and not may_be_missing and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but CI is set: {call.excinfo and call.excinfo.value}"
    return report


@pytest.fixture(scope="session")
def extension() -> Path:
    """The loadable extension, as `cargo build --package dbrewind-extension` makes it."""
    target = Path(__file__).parents[2] / "target"
    built = [target / profile / "libdbrewind_sqlite_extension.so" for profile in ("debug", "release")]
    found = sorted((path for path in built if path.exists()), key=lambda path: path.stat().st_mtime)
    if not found:
        assert "CI" not in os.environ, "make test builds the extension first"
        pytest.skip("the extension is not built: cargo build --package dbrewind-extension")
    return found[-1]
