"""Test cases that commit, and are rewound."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.test import LiveServerTestCase, TransactionTestCase
from django.test.testcases import TestData  # type: ignore[attr-defined]  # the stubs leave it out

from dbrewind.django import databases

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("dbrewind.django")
# A list: the ends of tests are put there instead of being done. Whoever set it does them.
deferred: list[Callable[[], None]] | None = None


class RewindTestCase(TransactionTestCase):
    """A TransactionTestCase whose databases are rewound after each test.

    They go back to what migrations, `fixtures` and `setUpTestData` left: the latter two run once for the class.
    `databases`, `available_apps` and `reset_sequences` are as in Django. `serialized_rollback` is accepted and has no
    meaning: rows of migrations are always there.

    >>> class Checkout(RewindTestCase):
    ...     @classmethod
    ...     def setUpTestData(cls):
    ...         cls.order = Order.objects.create()
    ...
    ...     def test_pays(self):
    ...         pay(self.order)  # commits, in any thread or process
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.serialized_rollback:
            cls.serialized_rollback = False
            _log.info("%s: serialized_rollback has no meaning here, a rewind keeps rows of migrations", cls.__name__)

    @classmethod
    def setUpTestData(cls) -> None:
        """Override: what all tests of the class find."""

    @classmethod
    def setUpClass(cls) -> None:
        """Fill the databases once."""
        super().setUpClass()
        before = databases.depth()
        super()._fixture_setup()  # type: ignore[misc]
        known = dict(cls.__dict__)
        cls.setUpTestData()
        # As in Django's TestCase: each test gets a copy, so that what it does to one is gone with it.
        for name, value in tuple(cls.__dict__.items()):
            if name not in known or known[name] is not value:
                setattr(cls, name, TestData(name, value))
        if databases.settle():
            cls.addClassCleanup(databases.unwind, before)

    @classmethod
    def _fixture_setup(cls) -> None:
        for alias in cls._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
            databases.must_rewind(alias)
        databases.look_before()

    def _post_teardown(self) -> None:
        end: Callable[[], None] = super()._post_teardown  # type: ignore[misc]
        if deferred is None:
            end()
        else:
            deferred.append(end)

    def _fixture_teardown(self) -> None:
        # A transaction that the test left open would keep the rewind waiting. Django closes them after this anyway.
        for connection in connections.all(initialized_only=True):
            connection.close()
        databases.rewind(thorough=True)


class RewindLiveServerTestCase(RewindTestCase, LiveServerTestCase):
    """A LiveServerTestCase whose databases are rewound after each test. The server and its connections stay.

    For static files: `class Mine(RewindTestCase, StaticLiveServerTestCase)`.
    """
