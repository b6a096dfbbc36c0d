"""Accounts and transfers over HTTP: peewee and playhouse's migrations, a thread for standing orders, plain WSGI.

As a program it books interest: `python ledger.py ledger.db`.
"""

from __future__ import annotations

import json
import queue
import sys
from collections.abc import Callable, Iterable
from typing import Any

from peewee import AutoField, CharField, DatabaseProxy, ForeignKeyField, IntegerField, Model, SqliteDatabase
from playhouse import migrate as playhouse  # type: ignore[import-untyped]

database = DatabaseProxy()


class Base(Model):
    class Meta:
        database = database


class Account(Base):
    id = AutoField()
    owner = CharField(unique=True)
    cents = IntegerField()


class Transfer(Base):
    id = AutoField()
    source = ForeignKeyField(Account)
    target = ForeignKeyField(Account)
    cents = IntegerField()
    note = CharField(default="")


class OverdrawnError(Exception):
    """Not that much is left."""


def connect(path: str) -> SqliteDatabase:
    opened = SqliteDatabase(path, pragmas={"foreign_keys": 1})
    database.initialize(opened)
    return opened


def _tables(_: playhouse.SqliteMigrator) -> None:
    columns = "id INTEGER PRIMARY KEY, owner TEXT NOT NULL UNIQUE, cents INTEGER NOT NULL"
    database.execute_sql(f"CREATE TABLE account ({columns})")
    ends = "source_id INTEGER NOT NULL REFERENCES account, target_id INTEGER NOT NULL REFERENCES account"
    database.execute_sql(f"CREATE TABLE transfer (id INTEGER PRIMARY KEY, {ends}, cents INTEGER NOT NULL)")


def _accounts(_: playhouse.SqliteMigrator) -> None:
    Account.insert_many([{"owner": "ann", "cents": 1000}, {"owner": "bob", "cents": 0}]).execute()


def _notes(migrator: playhouse.SqliteMigrator) -> None:
    playhouse.migrate(migrator.add_column("transfer", "note", CharField(default="")))


STEPS = [_tables, _accounts, _notes]


def migrate() -> None:
    """The steps not yet done, each in a transaction with its number."""
    (done,) = database.execute_sql("PRAGMA user_version").fetchone()
    for number, step in enumerate(STEPS[done:], done + 1):
        with database.atomic():
            step(playhouse.SqliteMigrator(database.obj))
            database.execute_sql(f"PRAGMA user_version = {number}")


def transfer(source: str, target: str, cents: int, note: str = "") -> int:
    with database.atomic():
        Account.update(cents=Account.cents - cents).where(Account.owner == source).execute()
        if Account.get(owner=source).cents < 0:
            raise OverdrawnError(source)
        Account.update(cents=Account.cents + cents).where(Account.owner == target).execute()
        ends = {"source": Account.get(owner=source), "target": Account.get(owner=target)}
        return int(Transfer.create(**ends, cents=cents, note=note).id)


def carry_out(standing: queue.Queue[tuple[str, str, int] | None]) -> None:
    """In a thread of its own: the standing orders, until there is None."""
    while (order := standing.get()) is not None:
        with database.connection_context():
            transfer(*order, note="standing order")
        standing.task_done()


def application(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    """POST transfers, GET tells all transfers. A connection for each request."""
    body: list[Any] = []
    with database.connection_context():
        if environ["REQUEST_METHOD"] == "GET":
            status, body = "200 OK", [[made.id, made.cents, made.note] for made in Transfer.select()]
        else:
            sent = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            try:
                status, body = "201 Created", [transfer(**sent)]
            except OverdrawnError:
                status = "409 Conflict"
    start(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    with connect(sys.argv[1]).connection_context():
        Account.update(cents=Account.cents * 2).execute()
