from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Generator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import ledger
import pytest
import serving
from journal import dbrewind_db as dbrewind_db
from journal import recorded

pytestmark = pytest.mark.usefixtures("dbrewind", "connection")


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: Any) -> None:
    with ledger.connect(str(dbrewind_db.path)).connection_context():
        ledger.migrate()


@pytest.fixture(scope="module")
def connection(dbrewind_db: Any) -> Generator[None, None, None]:
    """Open for all tests."""
    with ledger.connect(str(dbrewind_db.path)).connection_context():
        yield


def balances() -> dict[str, int]:
    return {account.owner: account.cents for account in ledger.Account.select()}


@pytest.mark.parametrize("turn", range(3))
def test_a_transfer(turn: int) -> None:
    assert ledger.transfer("ann", "bob", 300) == 1
    assert balances() == {"ann": 700, "bob": 300}


@pytest.mark.parametrize("turn", range(2))
def test_an_overdraft_rolls_back(turn: int) -> None:
    ledger.transfer("ann", "bob", 1000)
    with pytest.raises(ledger.OverdrawnError):
        ledger.transfer("ann", "bob", 1)
    assert balances() == {"ann": 0, "bob": 1000}


@pytest.mark.parametrize("turn", range(2))
def test_another_program_books_interest(dbrewind: Any, turn: int) -> None:
    subprocess.run(recorded(dbrewind.path, sys.executable, ledger.__file__, str(dbrewind.path)), check=True)
    assert balances() == {"ann": 2000, "bob": 0}


@pytest.mark.parametrize("turn", range(2))
def test_threads(turn: int) -> None:
    def work() -> None:
        with ledger.database.connection_context():
            ledger.transfer("ann", "bob", 100)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert balances() == {"ann": 800, "bob": 200}


@pytest.fixture(scope="module")
def standing() -> Generator[queue.Queue[Any], None, None]:
    """A thread that stays for all tests."""
    orders: queue.Queue[Any] = queue.Queue()
    clerk = threading.Thread(target=ledger.carry_out, args=(orders,))
    clerk.start()
    yield orders
    orders.put(None)
    clerk.join()


@pytest.mark.parametrize("turn", range(2))
def test_a_thread_in_the_background(standing: queue.Queue[Any], turn: int) -> None:
    for _ in range(3):
        standing.put(("ann", "bob", 100))
    standing.join()
    assert balances() == {"ann": 700, "bob": 300}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url(connection: None) -> Generator[str, None, None]:
    """A server that stays for all tests."""
    with serving.thread(make_server("127.0.0.1", 0, ledger.application, handler_class=Quiet)) as url:
        yield url


@pytest.mark.parametrize("turn", range(3))
def test_a_live_server(url: str, turn: int) -> None:
    rent = {"source": "ann", "target": "bob", "cents": 600, "note": "rent"}
    assert serving.ask(url, rent)[:2] == (201, [1])
    assert serving.ask(url, rent)[:2] == (409, [])
    assert serving.ask(url)[1] == [[1, 600, "rent"]]
