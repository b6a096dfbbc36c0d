"""What the shop does. Each of these commits."""

from __future__ import annotations

import threading

from django.db import connection, transaction
from django.db.models import F

from shop.models import Entry, Order, Product


class OutOfStock(Exception):  # noqa: N818 - named as Django names its own
    """There is nothing left to sell."""


def place(product: int, customer: str) -> int:
    """Take one from the stock; the audit trail is written when that is committed."""
    with transaction.atomic():
        if not Product.objects.filter(id=product, stock__gt=0).update(stock=F("stock") - 1):
            raise OutOfStock(product)
        order = Order.objects.create(product_id=product, customer=customer)
        transaction.on_commit(lambda: Entry.objects.create(text=f"order {order.id} by {customer}"))
    return order.id


def pay_in_background(order: int) -> threading.Thread:
    """As a task queue would: in a thread, with a connection of its own."""

    def work() -> None:
        try:
            with transaction.atomic():
                Order.objects.filter(id=order).update(paid=True)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread
