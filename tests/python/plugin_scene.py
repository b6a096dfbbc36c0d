"""What tests of the pytest plugin have in common: a session of its own, and an application in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CONFTEST = """
import sqlite3
from contextlib import closing

import pytest

@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
        db.execute("INSERT INTO users(name) VALUES ('Ann'), ('Bob')")
        db.commit()

@pytest.fixture
def app(dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path, isolation_level=None)) as db:
        yield db
"""

OVERRIDE = """
@pytest.fixture(scope="session")
def dbrewind_db():
    {body}
"""

DIRTY = """
import pytest

@pytest.mark.parametrize("turn", range(4))
def test_it(dbrewind, app, turn):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
    assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)
"""

# Plugins that only cost time; named ones are loaded.
OTHERS = (
    "xdist",
    "rerunfailures",
    "random_order",
    "randomly",
    "faker",
    "asyncio",
    "anyio",
    "hypothesispytest",
    "benchmark",
    "django",
    "locust",
)


def program() -> str:
    """What the system calls this Python."""
    return Path("/proc/self/comm").read_text().strip()


def run(
    pytester: pytest.Pytester, *arguments: str, plugins: tuple[str, ...] = (), stdin: bytes | None = None
) -> pytest.RunResult:
    """Run pytest in a process of its own, with our plugin and these."""
    without = [part for name in OTHERS if name not in plugins for part in ("-p", f"no:{name}")]
    without += ["-p", "no:xdist.looponfail"]
    command = (sys.executable, "-m", "pytest", *without, *arguments)
    return pytester.run(*command) if stdin is None else pytester.run(*command, stdin=stdin)
