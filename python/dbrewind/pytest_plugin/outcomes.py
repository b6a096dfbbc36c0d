"""What pytest makes of the phases of a test: looked at only where somebody wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbrewind.pytest_plugin.report import FAILED, numbers

if TYPE_CHECKING:
    from collections.abc import Generator

_NAME = "dbrewind-outcomes"


class _Outcomes:
    def __init__(self) -> None:
        self.lasting = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Remember failures; and take the time of building the base out of the set-up of the test that came first."""
        report = yield
        if call.excinfo is not None and call.when != "call" and hasattr(report, "wasxfail"):
            from dbrewind.testing.errors import tells_of_a_test

            if tells_of_a_test(call.excinfo.value):
                # The test was expected to fail, not to leave something behind.
                report.outcome = "failed"
                del report.wasxfail
        if report.failed:
            item.stash[FAILED] = True
        elif call.when == "setup":
            item.stash[FAILED] = False
            here = numbers(item.config)
            if here.building:
                report.duration = max(0.0, report.duration - here.building)
                here.building = 0.0
        if call.when == "teardown" and not self.lasting:
            item.config.pluginmanager.unregister(self)
        return report


def watch(config: pytest.Config, lasting: bool = False) -> None:
    """Look at those of the present test, or (`lasting`) of it and of all that come."""
    known = config.pluginmanager.get_plugin(_NAME)
    if known is None:
        known = _Outcomes()
        config.pluginmanager.register(known, _NAME)
    known.lasting |= lasting
