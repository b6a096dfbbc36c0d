from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Generator
from typing import Any

import ledger
import pytest

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
    subprocess.run([sys.executable, ledger.__file__, str(dbrewind.path)], check=True)
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
