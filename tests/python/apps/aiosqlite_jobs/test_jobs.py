from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import aiosqlite
import jobs
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("dbrewind")]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: Any) -> None:
    asyncio.run(jobs.migrate(str(dbrewind_db.path)))


@pytest.fixture(scope="module")
async def db(dbrewind_db: Any) -> AsyncGenerator[aiosqlite.Connection, None]:
    """One connection for all tests, with its thread."""
    async with aiosqlite.connect(dbrewind_db.path) as db:
        yield db


@pytest.mark.parametrize("turn", range(3))
async def test_workers_share_the_jobs(dbrewind: Any, db: aiosqlite.Connection, turn: int) -> None:
    assert await jobs.add(db, "sweep") == 4
    path = str(dbrewind.path)
    done = await asyncio.gather(jobs.work(path, "one"), jobs.work(path, "two"))
    assert sorted(done[0] + done[1]) == [1, 2, 3, 4]


@pytest.mark.parametrize("turn", range(2))
async def test_a_block_within_a_test(dbrewind: Any, db: aiosqlite.Connection, turn: int) -> None:
    with dbrewind.rewound():
        await db.execute("DELETE FROM job")
        await db.commit()
    assert await jobs.add(db, "sweep") == 4
