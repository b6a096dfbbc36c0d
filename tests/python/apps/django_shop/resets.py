"""What each test's reset took, machine-readable: `RESETS=resets.json pytest -p resets`, with dbrewind or without.

A reset is what Django calls `_fixture_teardown`: of a test that is rewound the rewind, and the end of the connections
before it; of one that Django flushes the flush. The clock stands around those methods, in this process alone.
"""

from __future__ import annotations

import json
import os
import statistics
from functools import wraps
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

TOOK: dict[str, list[float]] = {"rewind": [], "flush": []}


def clock(case: type, kind: str) -> None:
    """Note what this class's resets take, in milliseconds."""
    inner: Any = case.__dict__["_fixture_teardown"]

    @wraps(inner)
    def reset(self: Any) -> None:
        begun = perf_counter()
        try:
            inner(self)
        finally:
            TOOK[kind].append(1e3 * (perf_counter() - begun))

    case._fixture_teardown = reset  # type: ignore[attr-defined]


def pytest_collection_finish(session: pytest.Session) -> None:
    from django.test import TransactionTestCase

    clock(TransactionTestCase, "flush")
    if session.config.pluginmanager.has_plugin("dbrewind"):
        from dbrewind.django import RewindTestCase

        clock(RewindTestCase, "rewind")


def pytest_sessionfinish(session: pytest.Session) -> None:
    told = {kind: {"count": len(took), **quantiles(took), "all_ms": took} for kind, took in TOOK.items()}
    Path(os.environ["RESETS"]).write_text(json.dumps(told))


def quantiles(took: list[float]) -> dict[str, float]:
    """Median and p90; empty if there is nothing to tell of."""
    if len(took) < 2:
        return {}
    return {"median_ms": statistics.median(took), "p90_ms": statistics.quantiles(took, n=10, method="inclusive")[-1]}
