"""Test cases in Django's own style; run by pytest and by `manage.py test`."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.parse
import urllib.request

from django.db import connection, connections
from django.test import Client, TestCase
from shop import services
from shop.models import Category, Entry, Order, Product

from dbrewind.django import RewindLiveServerTestCase, RewindTestCase

BASE = [(1, "bread", 5), (2, "cheese", 5), (3, "olives", 5)]


def products() -> list[tuple[int, str, int]]:
    return list(Product.objects.values_list("id", "name", "stock"))


class Checkout(RewindTestCase):
    databases = {"default", "audit"}
    serialized_rollback = True  # means nothing

    def order(self) -> None:
        assert products() == BASE
        assert Entry.objects.count() == 0
        number = services.place(3, "Ann")
        assert number == 1
        services.pay_in_background(number).join()
        assert Order.objects.get().paid
        assert Entry.objects.get().id == 1

    def test_pays_in_a_thread(self) -> None:
        self.order()

    def test_pays_in_a_thread_again(self) -> None:
        self.order()

    def test_a_second_program_writes(self) -> None:
        program = (
            "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('DELETE FROM shop_product'); d.commit()"
        )
        name = connection.settings_dict["NAME"]
        subprocess.run([sys.executable, "-c", program, str(name)], check=True)
        assert products() == []

    def test_leaves_a_transaction_open(self) -> None:
        assert products() == BASE
        connections["default"].set_autocommit(False)
        Product.objects.all().delete()

    def test_changes_the_schema(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE shop_order")
            cursor.execute("PRAGMA user_version")
            assert cursor.fetchone() == (0,)
            cursor.execute("PRAGMA user_version = 7")


class OwnCatalogue(RewindTestCase):
    """What the class sets up stays for its tests and goes with it."""

    databases = {"default", "audit"}
    wine: Product

    @classmethod
    def setUpTestData(cls) -> None:
        cls.wine = Product.objects.create(category=Category.objects.get(), name="wine", price=9, stock=1)

    def sell(self) -> None:
        assert (self.wine.id, self.wine.stock) == (4, 1)
        assert services.place(self.wine.id, "Ann") == 1
        self.wine.refresh_from_db()
        assert self.wine.stock == 0

    def test_sells_the_last(self) -> None:
        self.sell()

    def test_sells_the_last_again(self) -> None:
        self.sell()


class Http(RewindLiveServerTestCase):
    databases = {"default", "audit"}

    def post(self) -> int:
        data = urllib.parse.urlencode({"product": 1, "customer": "Ann"}).encode()
        with urllib.request.urlopen(f"{self.live_server_url}/orders/", data) as answer:  # noqa: S310
            return int(json.load(answer)["order"])

    def check(self) -> None:
        assert [self.post() for _ in range(3)] == [1, 2, 3]
        with urllib.request.urlopen(f"{self.live_server_url}/orders/") as answer:  # noqa: S310
            assert json.load(answer) == {"orders": 3, "stock": 2}

    def test_orders(self) -> None:
        self.check()

    def test_orders_again(self) -> None:
        self.check()


class RollsBack(TestCase):
    """Stays what it is."""

    @classmethod
    def setUpTestData(cls) -> None:
        Product.objects.filter(name="bread").update(stock=1)

    def test_orders_the_last(self) -> None:
        assert Client().post("/orders/", {"product": 1, "customer": "Ann"}).status_code == 201
        assert Client().post("/orders/", {"product": 1, "customer": "Bob"}).status_code == 409

    def test_orders_the_last_again(self) -> None:
        self.test_orders_the_last()
