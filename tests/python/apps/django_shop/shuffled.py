"""Order and dirt for the suite of the shop."""

from __future__ import annotations

import os
import random

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of all kinds in any order; pytest-django would run those that roll back first."""
    random.Random(os.environ.get("SHUFFLE", "1")).shuffle(items)
