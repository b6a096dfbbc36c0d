"""Fixtures of a wider scope: what they write stays for their tests."""

from __future__ import annotations

import urllib.parse
import urllib.request
from collections.abc import Generator

import pytest
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer
from shop.models import Category, Order, Product

from dbrewind import Database


@pytest.fixture(scope="module")
def wine(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Generator[int, None, None]:
    with django_db_blocker.unblock():
        product = Product.objects.create(category=Category.objects.get(), name="wine", price=9, stock=1)
        yield product.id
        assert Product.objects.count() == 3


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.django_db(transaction=True)
def test_finds_what_its_module_set_up(wine: int, turn: int) -> None:
    assert wine == 4
    assert Product.objects.count() == 4
    assert Product.objects.filter(id=wine, stock=1).update(stock=0) == 1
    Product.objects.filter(name="bread").delete()


@pytest.mark.parametrize("turn", range(2))
@pytest.mark.django_db(databases=["default", "audit"])
def test_a_live_server_commits(live_server: LiveServer, turn: int) -> None:
    for number in (1, 2):
        data = urllib.parse.urlencode({"product": 2, "customer": "Ann"}).encode()
        with urllib.request.urlopen(f"{live_server.url}/orders/", data) as answer:  # noqa: S310
            assert answer.status == 201
        assert Order.objects.count() == number


@pytest.mark.parametrize("turn", range(2))
def test_goes_back_and_forth_within_a_test(dbrewind: Database, turn: int) -> None:
    dbrewind.mark("full")
    full = Product.objects.count()
    Product.objects.filter(name="bread").delete()
    done = dbrewind.rewind("full")
    assert Product.objects.count() == full
    dbrewind.rewind(done.undo)
    assert Product.objects.count() == full - 1
