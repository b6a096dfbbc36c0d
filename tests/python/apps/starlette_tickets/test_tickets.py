from __future__ import annotations

import warnings
from collections.abc import Generator
from typing import Any

import pytest
import serving
import tickets
from journal import dbrewind_db as dbrewind_db
from tickets import Desk, create_app

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which HTTP library it would rather have
    from starlette.testclient import TestClient

COLD = {"text": "the office is cold"}


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: Any) -> None:
    tickets.migrate(str(dbrewind_db.path))


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


@pytest.fixture(scope="module")
def url(dbrewind_module: Any, desk: Desk) -> Generator[str, None, None]:
    """uvicorn stays for all tests, and so does what its lifespan has written."""
    before = desk.counts()["runs"]
    command = ["uvicorn", "--factory", "tickets:from_environment", "--port", "{port}", "--log-level", "warning"]
    with serving.process(dbrewind_module.path, *command) as url:
        assert desk.counts()["runs"] == before + 1
        yield url


@pytest.mark.parametrize("turn", range(3))
def test_a_live_server(url: str, desk: Desk, dbrewind: Any, turn: int) -> None:
    """Mail and words come after the answer, and are waited for: later they would be the next test's."""
    before = serving.ask(f"{url}/counts")[1]
    assert (before["mailed"], before["words"]) == (1, 2)
    assert serving.ask(f"{url}/tickets", COLD)[:2] == (201, {"ticket": 2})
    serving.until(lambda: desk.counts() == {**before, "mailed": 2, "words": 6})
