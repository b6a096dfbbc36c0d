from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import aiosqlite
import jobs
import pytest
import serving
from journal import dbrewind_db as dbrewind_db

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


@pytest.mark.parametrize("turn", range(2))
def test_a_thread_with_a_loop_of_its_own(dbrewind: Any, turn: int) -> None:
    jobs.work_in_a_thread(str(dbrewind.path)).join()
    assert asyncio.run(jobs.counts(str(dbrewind.path))) == {"jobs": 3, "done": 3}


@pytest.fixture(scope="module")
def url(dbrewind_module: Any) -> Generator[str, None, None]:
    """uvicorn stays for all tests."""
    command = ["uvicorn", "jobs:application", "--lifespan", "off", "--port", "{port}", "--log-level", "warning"]
    with serving.process(dbrewind_module.path, *command) as url:
        yield url


@pytest.mark.parametrize("turn", range(3))
def test_a_live_server(url: str, turn: int) -> None:
    """What its thread does comes after the answer, and is waited for: later it would be the next test's."""
    assert serving.ask(url)[1] == {"jobs": 3, "done": 0}
    assert serving.ask(url, {"name": "sweep"})[:2] == (201, {"job": 4})
    serving.until(lambda: serving.ask(url)[1] == {"jobs": 4, "done": 4})


@pytest.mark.parametrize("turn", range(2))
async def test_a_migration_that_is_missing_is_made_up_for(dbrewind: Any, db: aiosqlite.Connection, turn: int) -> None:
    await db.executescript("DROP INDEX job_worker; ALTER TABLE job DROP COLUMN worker; PRAGMA user_version = 1;")
    await jobs.migrate(str(dbrewind.path))
    assert dbrewind.changes().counters == {}
