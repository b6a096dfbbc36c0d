"""A queue of jobs in a table: aiosqlite alone, several workers, each commits."""

from __future__ import annotations

import asyncio

import aiosqlite

SCHEMA = """
CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, worker TEXT);
INSERT INTO job (name) VALUES ('send mail'), ('make thumbnails'), ('send invoice');
"""


async def migrate(path: str) -> None:
    async with aiosqlite.connect(path) as db:
        await db.executescript(SCHEMA)


async def add(db: aiosqlite.Connection, name: str) -> int:
    cursor = await db.execute("INSERT INTO job (name) VALUES (?)", (name,))
    await db.commit()
    assert cursor.lastrowid is not None
    return cursor.lastrowid


async def work(path: str, worker: str) -> list[int]:
    """Take jobs until none is left."""
    done: list[int] = []
    take = "UPDATE job SET worker = ? WHERE id = (SELECT min(id) FROM job WHERE worker IS NULL) RETURNING id"
    async with aiosqlite.connect(path) as db:
        while row := await (await db.execute(take, (worker,))).fetchone():
            await db.commit()
            done.append(row[0])
            await asyncio.sleep(0)
    return done
