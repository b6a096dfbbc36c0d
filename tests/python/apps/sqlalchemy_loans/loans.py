"""A library's loans over HTTP: SQLAlchemy's ORM and Alembic, plain WSGI, a thread that reminds."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import ForeignKey, create_engine, func, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)
    copies: Mapped[int]
    loans: Mapped[list[Loan]] = relationship(back_populates="book")


class Loan(Base):
    __tablename__ = "loan"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))
    reader: Mapped[str]
    reminders: Mapped[int] = mapped_column(default=0)
    book: Mapped[Book] = relationship(back_populates="loans")


def migrations(url: str) -> Config:
    """For Alembic's commands."""
    config = Config(Path(__file__).with_name("alembic.ini"))
    config.set_main_option("sqlalchemy.url", url)
    return config


def migrate(url: str) -> None:
    command.upgrade(migrations(url), "head")


class NoCopyError(Exception):
    """All are lent."""


class Library:
    """The services. Each opens a session, and commits."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        self.sessions = sessionmaker(self.engine)
        self.late: queue.Queue[int | None] = queue.Queue()
        self.reminding = threading.Thread(target=self._remind)

    def lend(self, title: str, reader: str) -> int:
        with self.sessions.begin() as session:
            taken = update(Book).where(Book.title == title, Book.copies > 0).values(copies=Book.copies - 1)
            book = session.scalar(taken.returning(Book))
            if book is None:
                raise NoCopyError(title)
            loan = Loan(book=book, reader=reader)
            session.add(loan)
            session.flush()
            return loan.id

    def give_back(self, loan: int) -> None:
        with self.sessions.begin() as session:
            found = session.get_one(Loan, loan)
            found.book.copies += 1
            session.delete(found)

    def _remind(self) -> None:
        while (loan := self.late.get()) is not None:
            with self.sessions.begin() as session:
                session.execute(update(Loan).where(Loan.id == loan).values(reminders=Loan.reminders + 1))
            self.late.task_done()

    def counts(self) -> dict[str, int]:
        with self.sessions() as session:
            loans, reminders = session.execute(select(func.count(Loan.id), func.sum(Loan.reminders))).one()
            return {"loans": loans, "reminders": reminders or 0}


def application(library: Library) -> Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]:
    """POST lends, and reminds at once: it is a strict library. GET counts."""

    def answer(environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if environ["REQUEST_METHOD"] == "GET":
            return "200 OK", library.counts()
        sent = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        try:
            loan = library.lend(sent["title"], sent["reader"])
        except NoCopyError:
            return "409 Conflict", {"error": "all are lent"}
        library.late.put(loan)
        return "201 Created", {"loan": loan}

    def serve(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        status, body = answer(environ)
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    return serve
