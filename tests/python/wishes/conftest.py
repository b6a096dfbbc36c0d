"""A shop, filled once; each wish is a test of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing

import pytest

from dbrewind import Database
from dbrewind.pytest_plugin.target import DatabaseUnderTest

REWOUND: list[tuple[str, str]] = []


def pytest_dbrewind_after_rewind(db: Database, mark: str) -> None:
    REWOUND.append((db.path.name, mark))


@pytest.fixture
def rewound() -> list[tuple[str, str]]:
    return REWOUND


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: DatabaseUnderTest) -> None:
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        for number in range(200):
            db.execute(f"CREATE TABLE t{number}(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
        db.execute("INSERT INTO t0(name) VALUES ('Ann'), ('Bob')")
        db.commit()


@pytest.fixture
def shop(dbrewind_db: DatabaseUnderTest) -> Generator[sqlite3.Connection, None, None]:
    with closing(sqlite3.connect(dbrewind_db.path, isolation_level=None)) as db:
        yield db
