"""Accounts and transfers: peewee, with a program that books interest from outside."""

from __future__ import annotations

import sys

from peewee import AutoField, CharField, DatabaseProxy, ForeignKeyField, IntegerField, Model, SqliteDatabase

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


class OverdrawnError(Exception):
    """Not that much is left."""


def connect(path: str) -> SqliteDatabase:
    opened = SqliteDatabase(path, pragmas={"foreign_keys": 1})
    database.initialize(opened)
    return opened


def migrate() -> None:
    database.create_tables([Account, Transfer])
    Account.insert_many([{"owner": "ann", "cents": 1000}, {"owner": "bob", "cents": 0}]).execute()


def transfer(source: str, target: str, cents: int) -> int:
    with database.atomic():
        Account.update(cents=Account.cents - cents).where(Account.owner == source).execute()
        if Account.get(owner=source).cents < 0:
            raise OverdrawnError(source)
        Account.update(cents=Account.cents + cents).where(Account.owner == target).execute()
        made = Transfer.create(source=Account.get(owner=source), target=Account.get(owner=target), cents=cents)
        return int(made.id)


if __name__ == "__main__":
    with connect(sys.argv[1]).connection_context():
        Account.update(cents=Account.cents * 2).execute()
