"""Which test is rewound, and what it asked for."""

from __future__ import annotations

from typing import Any

import pytest

from dbrewind.pytest_plugin.marker import arguments
from dbrewind.pytest_plugin.report import FAILED
from dbrewind.pytest_plugin.session import options

# The test is one that is rewound, and no TestCase.
COMMITS = pytest.StashKey[bool]()
_NO_FAILURES = (pytest.skip.Exception, pytest.xfail.Exception)


def is_kept(item: pytest.Item) -> bool:
    """Whether a copy of what this test left is wanted. It has ended, its fixtures have not."""
    keep, _ = arguments(item, options(item.config))
    # Of a TestCase, which Django ends before pytest tells of it.
    raised = [info for info in getattr(item, "_excinfo", None) or () if not info.errisinstance(_NO_FAILURES)]
    return keep == "all" or (keep == "failed" and (item.stash.get(FAILED, False) or bool(raised)))


def is_case(item: pytest.Item) -> bool:
    """Whether a test is a method of a RewindTestCase."""
    from dbrewind.django import RewindTestCase

    return issubclass(getattr(item, "cls", None) or object, RewindTestCase)


def is_django(item: pytest.Item) -> bool:
    """Whether a test is a method of any TestCase of Django's."""
    from django.test import SimpleTestCase

    return issubclass(getattr(item, "cls", None) or object, SimpleTestCase)


def uses_database(item: pytest.Item) -> bool:
    """Whether a test looks at Django's databases, be it in a transaction that is rolled back."""
    names = getattr(item, "fixturenames", ())
    return is_django(item) or "db" in names or bool(item.get_closest_marker("django_db")) or asked_for(item) is not None


def asked_for(item: pytest.Item) -> dict[str, Any] | None:
    """What a test with committing database access asked for, as attributes of its class; None for every other test."""
    from pytest_django.fixtures import validate_django_db

    if is_django(item):
        return None
    marker = item.get_closest_marker("django_db")
    transaction, sequences, databases, serialized, apps = (
        validate_django_db(marker) if marker else (False, False, None, False, None)
    )
    names = getattr(item, "fixturenames", ())
    sequences = sequences or "django_db_reset_sequences" in names
    if not (transaction or sequences or {"transactional_db", "live_server", "dbrewind"}.intersection(names)):
        return None
    asked: dict[str, Any] = {
        "reset_sequences": sequences,
        "serialized_rollback": serialized or "django_db_serialized_rollback" in names,
    }
    if databases is not None:
        asked["databases"] = databases
    if apps is not None:
        asked["available_apps"] = apps
    return asked
