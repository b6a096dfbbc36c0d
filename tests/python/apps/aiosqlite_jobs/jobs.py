"""A queue of jobs in a table: aiosqlite alone, several workers, each commits; served by plain ASGI.

`DATABASE=jobs.db uvicorn jobs:application`
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiosqlite

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


async def migrate(path: str) -> None:
    """The files of `migrations` not yet applied, each in a transaction with its number."""
    steps = sorted(Path(__file__).with_name("migrations").glob("*.sql"))
    async with aiosqlite.connect(path) as db:
        (row,) = await db.execute_fetchall("PRAGMA user_version")
        for number, step in enumerate(steps[row[0] :], row[0] + 1):
            await db.executescript(f"BEGIN; {step.read_text()} PRAGMA user_version = {number}; COMMIT;")


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


def work_in_a_thread(path: str) -> threading.Thread:
    """With an event loop of its own."""
    thread = threading.Thread(target=lambda: asyncio.run(work(path, "thread")))
    thread.start()
    return thread


async def counts(path: str) -> dict[str, int]:
    async with aiosqlite.connect(path) as db:
        (row,) = await db.execute_fetchall("SELECT count(*), count(worker) FROM job")
        return {"jobs": row[0], "done": row[1]}


async def application(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    """POST adds a job, and has a thread do all there are after the answer. GET counts."""
    assert scope["type"] == "http", "it has nothing to do when the server begins or ends"
    path = os.environ["DATABASE"]
    if scope["method"] == "GET":
        status, body = 200, await counts(path)
    else:
        async with aiosqlite.connect(path) as db:
            status, body = 201, {"job": await add(db, json.loads((await receive())["body"])["name"])}
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
    if status == 201:
        work_in_a_thread(path)
