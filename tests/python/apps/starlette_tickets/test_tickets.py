from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Generator
from contextlib import closing
from typing import Any

import pytest
from tickets import SCHEMA, Desk, create_app

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which HTTP library it would rather have
    from starlette.testclient import TestClient

COLD = {"text": "the office is cold"}


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: Any) -> None:
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        db.executescript(SCHEMA)


@pytest.fixture(scope="module")
def desk(dbrewind_db: Any) -> Desk:
    return Desk(str(dbrewind_db.path))


@pytest.fixture(scope="module")
def client(desk: Desk, dbrewind_module: Any) -> Generator[TestClient, None, None]:
    """One application for all tests. What its lifespan writes when it begins stays as long as the application."""
    with TestClient(create_app(desk)) as client:
        yield client


def settle(client: TestClient, desk: Desk) -> None:
    """Until the worker has done its part, which no answer waits for."""
    assert client.portal is not None
    client.portal.call(desk.unread.join)


@pytest.mark.parametrize("turn", range(3))
def test_a_ticket_is_mailed_and_indexed(client: TestClient, desk: Desk, dbrewind: Any, turn: int) -> None:
    assert client.get("/counts").json() == {"mailed": 1, "runs": 1, "words": 2}
    assert [client.post("/tickets", json=COLD).json() for _ in range(2)] == [{"ticket": 2}, {"ticket": 3}]
    settle(client, desk)
    assert client.get("/counts").json() == {"mailed": 3, "runs": 1, "words": 10}


@pytest.mark.parametrize("turn", range(2))
def test_an_application_for_one_test(desk: Desk, dbrewind: Any, turn: int) -> None:
    """It begins and ends within the test, and what its lifespan wrote goes with the test."""
    before = desk.counts()["runs"]
    with TestClient(create_app(Desk(desk.path))) as client:
        assert client.post("/tickets", json=COLD).json() == {"ticket": 2}
        assert client.get("/counts").json()["runs"] == before + 1
