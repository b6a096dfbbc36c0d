"""Async: tests, views and ORM calls in a loop, in Django's thread for synchronous code, and in threads of their own.

Not collected by itself: pytest-asyncio has to be there (`-p asyncio -o asyncio_mode=auto`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction
from django.test import AsyncClient
from shop import services
from shop.models import Category, Entry, Order, Product

from dbrewind.django import RewindTestCase

BASE = [(1, "bread", 5), (2, "cheese", 5), (3, "olives", 5)]
DATABASES = ["default", "audit"]
TURNS = pytest.mark.parametrize("turn", range(3))


async def begin() -> None:
    """What migrations left, and nothing else."""
    assert [row async for row in Product.objects.order_by("id").values_list("id", "name", "stock")] == BASE
    assert await Order.objects.acount() == await Entry.objects.acount() == 0
    assert await Category.objects.acount() == 1


async def order(client: AsyncClient, product: int) -> Any:
    answer = await client.post("/async/orders/", {"product": product, "customer": "Ann"})
    assert answer.status_code == 201
    return answer.json()["order"]


@TURNS
@pytest.mark.django_db(transaction=True, databases=DATABASES)
async def test_an_async_view_commits(async_client: AsyncClient, turn: int) -> None:
    await begin()
    assert [await order(async_client, 1) for _ in range(3)] == [1, 2, 3]
    assert (await async_client.get("/async/orders/")).json() == {"orders": 3, "stock": 2}
    assert await Entry.objects.acount() == 3


@TURNS
@pytest.mark.django_db(transaction=True, databases=DATABASES)
async def test_several_requests_at_once(async_client: AsyncClient, turn: int) -> None:
    await begin()
    numbers = await asyncio.gather(*(order(async_client, product) for product in (1, 2, 3)))
    assert sorted(numbers) == [1, 2, 3]


@TURNS
@pytest.mark.django_db(transaction=True, databases=DATABASES)
async def test_the_orm_s_own_calls(turn: int) -> None:
    await begin()
    assert (await Category.objects.acreate(name="more")).id == 2
    assert (await Product.objects.acreate(category_id=2, name="wine", price=9)).id == 4
    await Product.objects.filter(name="bread").adelete()
    await Entry.objects.acreate(text="one")


@TURNS
@pytest.mark.django_db(transaction=True, databases=DATABASES)
async def test_synchronous_code_in_its_thread_and_in_others(turn: int) -> None:
    """Their connections stay open: nobody closes them after the test."""
    await begin()
    await sync_to_async(services.place)(1, "Ann")
    await sync_to_async(services.place, thread_sensitive=False)(2, "Bob")
    await asyncio.to_thread(services.place, 3, "Eve")
    assert [number async for number in Order.objects.order_by("id").values_list("id", flat=True)] == [1, 2, 3]


@TURNS
@pytest.mark.django_db(transaction=True, databases=DATABASES)
async def test_a_task_that_is_cancelled(turn: int) -> None:
    await begin()

    def half() -> None:
        with transaction.atomic():
            Product.objects.all().delete()
            raise RuntimeError

    async def work() -> None:
        await sync_to_async(services.place)(1, "Ann")
        await asyncio.sleep(60)

    with pytest.raises(RuntimeError):
        await sync_to_async(half)()
    task = asyncio.create_task(work())
    while not await Order.objects.acount():
        await asyncio.sleep(0.01)
    task.cancel()


@TURNS
@pytest.mark.django_db(transaction=True)
async def test_the_schema(turn: int) -> None:
    def change() -> None:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE shop_order")
            cursor.execute("CREATE TABLE left_over(x)")

    assert "left_over" not in await sync_to_async(lambda: connection.introspection.table_names())()
    await sync_to_async(change)()


@pytest.fixture
async def placed(transactional_db: None) -> int:
    return await sync_to_async(services.place)(1, "Ann")


@TURNS
@pytest.mark.django_db(transaction=True, databases=DATABASES)
async def test_an_async_fixture_writes(placed: int, turn: int) -> None:
    assert placed == 1
    assert await Order.objects.acount() == 1


@TURNS
@pytest.mark.django_db(databases=DATABASES)
def test_one_that_rolls_back_finds_the_base(turn: int) -> None:
    assert list(Product.objects.values_list("id", "name", "stock")) == BASE
    Product.objects.all().delete()
    connections.close_all()


class Checkout(RewindTestCase):
    """Django runs async methods of a TestCase in a loop of their own."""

    databases = {"default", "audit"}

    async def check(self) -> None:
        await begin()
        assert await order(self.async_client, 2) == 1

    async def test_orders(self) -> None:
        await self.check()

    async def test_orders_again(self) -> None:
        await self.check()
