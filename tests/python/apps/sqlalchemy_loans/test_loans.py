from __future__ import annotations

from collections.abc import Generator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import loans
import pytest
import serving
from alembic import command
from journal import dbrewind_db as dbrewind_db
from loans import Book, Library, Loan
from sqlalchemy import inspect

import dbrewind.sqlalchemy

pytestmark = pytest.mark.usefixtures("dbrewind")


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: Any) -> None:
    loans.migrate(dbrewind_db.url)


@pytest.fixture(scope="session")
def library(dbrewind_session: Any) -> Generator[Library, None, None]:
    """One application, with one pool and one thread that reminds, for the whole session."""
    library = Library(dbrewind_session.url)
    dbrewind.sqlalchemy.bind(library.sessions)
    library.reminding.start()
    yield library
    library.late.put(None)
    library.reminding.join()
    library.engine.dispose()


@pytest.mark.parametrize("turn", range(3))
def test_services_commit(library: Library, turn: int) -> None:
    assert [library.lend("Emma", "Ann"), library.lend("Emma", "Bob")] == [1, 2]
    with pytest.raises(loans.NoCopyError):
        library.lend("Emma", "Eve")
    library.give_back(1)
    assert library.lend("Emma", "Eve") == 3
    assert library.counts() == {"loans": 2, "reminders": 0}


@pytest.mark.parametrize("turn", range(2))
def test_the_thread_reminds(library: Library, turn: int) -> None:
    """Waited for: what it commits after the rewind would be the next test's."""
    for _ in range(2):
        library.late.put(library.lend("Emma", "Ann"))
    library.late.join()
    assert library.counts() == {"loans": 2, "reminders": 2}


@pytest.mark.parametrize("turn", range(2))
def test_a_session_that_stays_reads_anew(library: Library, dbrewind: Any, turn: int) -> None:
    with library.sessions() as session:
        book = session.get_one(Book, 1)
        assert (book.copies, book.loans) == (2, [])
        session.add(Loan(book=book, reader="Ann"))
        book.copies = 1
        session.commit()
        assert [loan.id for loan in book.loans] == [1]
        session.commit()
        dbrewind.rewind("base")
        assert (book.copies, book.loans) == (2, [])


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url(library: Library) -> Generator[str, None, None]:
    """A server that stays for all tests."""
    with serving.thread(make_server("127.0.0.1", 0, loans.application(library), handler_class=Quiet)) as url:
        yield url


@pytest.mark.parametrize("turn", range(3))
def test_a_live_server(url: str, library: Library, turn: int) -> None:
    lend = {"title": "Ulysses", "reader": "Ann"}
    assert serving.ask(url)[1] == {"loans": 0, "reminders": 0}
    assert serving.ask(url, lend)[:2] == (201, {"loan": 1})
    assert serving.ask(url, lend)[0] == 409
    library.late.join()
    assert serving.ask(url)[1] == {"loans": 1, "reminders": 1}


@pytest.mark.parametrize("turn", range(2))
def test_migrations_go_back(library: Library, dbrewind: Any, turn: int) -> None:
    """The pool of the application is connected meanwhile."""
    library.lend("Emma", "Ann")
    config = loans.migrations(dbrewind.url)
    command.downgrade(config, "-1")
    assert "reminders" not in {column["name"] for column in inspect(library.engine).get_columns("loan")}
    command.downgrade(config, "base")
    assert set(inspect(library.engine).get_table_names()) == {"alembic_version"}
