"""Plain transactional tests and those with serialized_rollback in one suite.

In plain Django whatever comes after the first flush finds no rows of migrations, and those with
serialized_rollback end in an error: they reload rows that others have left, or that `flush` made anew.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.test import TransactionTestCase
from shop import services
from shop.models import Category, Entry, Order, Product


def check_and_write() -> None:
    """Starts from exactly what migrations left, and leaves nothing as it was."""
    assert list(Product.objects.values_list("id", "name", "stock")) == [
        (1, "bread", 5),
        (2, "cheese", 5),
        (3, "olives", 5),
    ]
    assert ContentType.objects.get_for_model(Product).id == ContentType.objects.get(model="product").id
    assert Site.objects.get_current().domain == "example.com"
    assert Permission.objects.count() == 4 * ContentType.objects.count()
    assert services.place(1, "Ann") == 1
    assert User.objects.create_user("ann").id == 1
    Site.objects.update(domain="example.org")
    Category.objects.create(name="more")
    ContentType.objects.create(app_label="shop", model="phantom")


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.django_db(transaction=True, databases=["default", "audit"])
def test_commits(turn: int) -> None:
    check_and_write()
    assert list(Entry.objects.values_list("id", flat=True)) == [1]


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_commits_and_asks_for_what_migrations_left(turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Entry.objects, "create", lambda **_: None)
    check_and_write()


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.django_db(databases=["default", "audit"])
def test_rolls_back(turn: int) -> None:
    check_and_write()


@pytest.mark.parametrize("turn", range(4))
def test_asks_by_fixture(transactional_db: None, turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Entry.objects, "create", lambda **_: None)
    check_and_write()
    Order.objects.all().delete()


class Flushes(TransactionTestCase):
    """Django's own flushes; what it took is there for the next test nevertheless."""

    def test_flushes(self) -> None:
        assert Product.objects.count() == 3
        Product.objects.all().delete()

    def test_flushes_again(self) -> None:
        self.test_flushes()
