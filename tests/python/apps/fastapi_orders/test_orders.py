from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import pytest
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
    async def fill() -> None:
        shop = Shop(str(dbrewind_db.path))
        await shop.migrate()
        await shop.engine.dispose()

    asyncio.run(fill())


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server(dbrewind_db: Any) -> Generator[str, None, None]:
    """uvicorn, a process of its own that knows nothing of tests, and stays for all of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "orders:from_environment"]
    command += ["--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, "DATABASE": str(dbrewind_db.path)})
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                assert process.poll() is None, "uvicorn ended"
                assert time.monotonic() < deadline, "uvicorn does not answer"
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def client(dbrewind_db: Any) -> Generator[TestClient, None, None]:
    """The application in this process, with its pool, for all tests."""
    with TestClient(create_app(Shop(str(dbrewind_db.path)))) as client:
        yield client


@pytest.mark.parametrize("turn", range(3))
def test_client(client: TestClient, turn: int) -> None:
    assert [client.post("/orders", json=BREAD).json() for _ in range(3)] == [{"order": n} for n in (1, 2, 3)]
    assert client.post("/orders", json=BREAD).status_code == 409
    assert client.get("/orders").json() == {"mailed": 3}


@pytest.mark.parametrize("turn", range(3))
def test_live_server(server: str, turn: int) -> None:
    assert httpx.post(f"{server}/orders", json={**BREAD, "item": "wine"}).json() == {"order": 1}
    assert httpx.post(f"{server}/orders", json={**BREAD, "item": "wine"}).status_code == 409


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
    assert await shop.count() == 3


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
