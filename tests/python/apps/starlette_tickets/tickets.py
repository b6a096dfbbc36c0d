"""A help desk: Starlette alone and the standard library's sqlite3, in threads that the event loop borrows.

Its lifespan notes when it began and runs a worker, which numbers the words of a ticket after the answer; the mail of a
ticket is a background task of its answer. `DATABASE=desk.db uvicorn --factory tickets:from_environment`
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MIGRATIONS = [
    """CREATE TABLE run (id INTEGER PRIMARY KEY AUTOINCREMENT, began TEXT DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE ticket (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL, mailed INTEGER NOT NULL DEFAULT 0);
    INSERT INTO ticket (text, mailed) VALUES ('the printer is on fire', 1);""",
    """CREATE TABLE word (word TEXT, ticket INTEGER REFERENCES ticket, PRIMARY KEY (word, ticket)) WITHOUT ROWID;
    INSERT INTO word VALUES ('printer', 1), ('fire', 1);""",
]


def migrate(path: str) -> None:
    """The steps not yet done, each in a transaction with its number."""
    with closing(sqlite3.connect(path)) as db:
        (done,) = db.execute("PRAGMA user_version").fetchone()
        for number, step in enumerate(MIGRATIONS[done:], done + 1):
            db.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")


class Desk:
    """The services. Each connects, commits and closes, in whatever thread it is called."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.unread: asyncio.Queue[int] = asyncio.Queue()

    def _execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        with closing(sqlite3.connect(self.path)) as db, db:
            return db.execute(sql, values)

    def begin(self) -> None:
        self._execute("INSERT INTO run DEFAULT VALUES")

    def file(self, text: str) -> int:
        return self._execute("INSERT INTO ticket (text) VALUES (?)", text).lastrowid or 0

    def mail(self, ticket: int) -> None:
        self._execute("UPDATE ticket SET mailed = 1 WHERE id = ?", ticket)

    def index(self, ticket: int) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            (text,) = db.execute("SELECT text FROM ticket WHERE id = ?", (ticket,)).fetchone()
            db.executemany("INSERT OR IGNORE INTO word VALUES (?, ?)", [(word, ticket) for word in text.split()])

    def counts(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.path)) as db:
            mailed, words = "SELECT 'mailed', sum(mailed) FROM ticket", "SELECT 'words', count(*) FROM word"
            return dict(db.execute(f"{mailed} UNION {words} UNION SELECT 'runs', count(*) FROM run").fetchall())

    async def work(self) -> None:
        """Index what is filed, until cancelled."""
        while True:
            ticket = await self.unread.get()
            await run_in_threadpool(self.index, ticket)
            self.unread.task_done()


def create_app(desk: Desk) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        await run_in_threadpool(desk.begin)
        worker = asyncio.create_task(desk.work())
        yield
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker

    async def file(request: Request) -> JSONResponse:
        ticket = await run_in_threadpool(desk.file, (await request.json())["text"])
        desk.unread.put_nowait(ticket)
        return JSONResponse({"ticket": ticket}, 201, background=BackgroundTask(desk.mail, ticket))

    def counts(_: Request) -> JSONResponse:
        return JSONResponse(desk.counts())

    routes = [Route("/tickets", file, methods=["POST"]), Route("/counts", counts)]
    return Starlette(routes=routes, lifespan=lifespan)


def from_environment() -> Starlette:
    return create_app(Desk(os.environ["DATABASE"]))
