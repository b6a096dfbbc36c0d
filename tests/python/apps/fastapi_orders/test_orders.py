from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import orders
import pytest
import serving
from alembic import command
from journal import dbrewind_db as dbrewind_db
from orders import Item, Shop, Wanted, create_app
from sqlalchemy import select, text

import dbrewind.sqlalchemy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which HTTP library it would rather have
    from fastapi.testclient import TestClient

BREAD = {"item": "bread", "customer": "Ann"}
pytestmark = pytest.mark.usefixtures("dbrewind")


@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db: Any) -> None:
    orders.migrate(str(dbrewind_db.path))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["1", "2"])
def server(dbrewind_module: Any, request: pytest.FixtureRequest) -> Generator[str, None, None]:
    """uvicorn, one process or one with two workers, knows nothing of tests, and stays for all of them."""
    command = ["uvicorn", "--factory", "orders:from_environment", "--port", "{port}", "--log-level", "warning"]
    with serving.process(dbrewind_module.path, *command, "--workers", request.param) as url:
        yield url


@pytest.fixture(scope="module")
def client(dbrewind_db: Any) -> Generator[TestClient, None, None]:
    """The application in this process, with its pool, for all tests."""
    with TestClient(create_app(Shop(str(dbrewind_db.path)))) as client:
        yield client


@pytest.mark.parametrize("turn", range(3))
def test_client(client: TestClient, turn: int) -> None:
    assert [client.post("/orders", json=BREAD).json() for _ in range(3)] == [{"order": n} for n in (1, 2, 3)]
    assert client.post("/orders", json=BREAD).status_code == 409
    serving.until(lambda: client.get("/orders").json() == {"mailed": 3, "packed": 3})


@pytest.mark.parametrize("turn", range(3))
def test_live_server(server: str, turn: int) -> None:
    url = f"{server}/orders"
    assert serving.ask(url, {**BREAD, "item": "wine"})[:2] == (201, {"order": 1})
    assert serving.ask(url, {**BREAD, "item": "wine"})[0] == 409
    serving.until(lambda: serving.ask(url)[1] == {"mailed": 1, "packed": 1})


@pytest.mark.parametrize("server", ["2"], indirect=True)
@pytest.mark.parametrize("turn", range(2))
def test_two_workers(server: str, turn: int) -> None:
    """Each with a pool and a thread of its own."""
    url = f"{server}/orders"
    seen = serving.of_two_workers(url)
    assert [counts for answers in seen.values() for counts in answers if any(counts.values())] == []
    answers = [answer for told in serving.of_two_workers(url, BREAD).values() for answer in told]
    assert sorted(answer["order"] for answer in answers if "order" in answer) == [1, 2, 3]
    serving.until(lambda: serving.ask(url)[1] == {"mailed": 3, "packed": 3})


@pytest.mark.parametrize("turn", range(2))
def test_migrations_go_back_and_forth(dbrewind: Any, turn: int) -> None:
    """While an application is connected, or will be."""
    config = orders.migrations(str(dbrewind.path))
    command.downgrade(config, "0001")
    assert "table orders" in dbrewind.changes().schema
    if turn:
        command.downgrade(config, "base")


@pytest.fixture(scope="module")
async def shop(dbrewind_db: Any) -> AsyncGenerator[Shop, None]:
    shop = Shop(str(dbrewind_db.path))
    dbrewind.sqlalchemy.bind(shop.sessions)
    yield shop
    await shop.engine.dispose()


@pytest.mark.anyio
@pytest.mark.parametrize("turn", range(3))
async def test_tasks_at_once(shop: Shop, turn: int) -> None:
    wanted = Wanted(item="bread", customer="Bob")
    assert sorted(await asyncio.gather(*(shop.order(wanted) for _ in range(3)))) == [1, 2, 3]
    await asyncio.gather(*(shop.mail(number) for number in (1, 2, 3)))
    assert await shop.count() == {"mailed": 3, "packed": 0}


@pytest.mark.anyio
@pytest.mark.parametrize("turn", range(2))
async def test_async_client(shop: Shop, turn: int) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(shop)), base_url="http://shop") as client:
        assert (await client.post("/orders", json=BREAD)).json() == {"order": 1}


@pytest.mark.anyio
async def test_a_session_reads_anew(shop: Shop, dbrewind: Any) -> None:
    """A session that stays open across a rewind has no rows from before."""
    async with shop.sessions() as session:
        bread = await session.scalar(select(Item).where(Item.name == "bread"))
        assert bread is not None
        bread.stock = 99
        await session.commit()
        await session.refresh(bread)
        dbrewind.rewind("base")
        await session.refresh(bread)
        assert bread.stock == 3
        await session.execute(text("DELETE FROM item"))
        await session.commit()
