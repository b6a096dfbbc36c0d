"""What a session says of itself before its tests: which versions and options; and, once there is one, the base."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from dbrewind.pytest_plugin.target import worker_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from dbrewind.pytest_plugin.report import Base

_AWAITED = "dbrewind-head"
# The attribute of a report with which a worker of pytest-xdist sends its line.
_SENT = "dbrewind_head"


def of_options(config: pytest.Config) -> str:
    """Versions, and what was asked for."""
    from sqlite3 import sqlite_version

    from dbrewind import __version__
    from dbrewind.pytest_plugin.session import options

    chosen = options(config)
    strict = ", strict" if chosen.strict else ""
    return f"dbrewind: {__version__}, sqlite {sqlite_version}, {chosen.mode}, keep {chosen.keep}{strict}"


def tell(config: pytest.Config, base: Base) -> None:
    """The first base is there: say so at once, or have the controller of pytest-xdist say it."""
    worker = worker_of(config)
    if worker:
        text = f"{of_options(config)}, {base.state()}, {base.route}, worker {worker}"
        config.pluginmanager.register(_Sender(text))
    else:
        _write(config, f"dbrewind: {base.state()}, {base.route}")


def await_workers(config: pytest.Config) -> None:
    """Of the workers' lines the first one is said, whose that is stands at its end."""
    if not config.pluginmanager.has_plugin(_AWAITED):
        config.pluginmanager.register(_Awaited(config), _AWAITED)


class _Sender:
    """Gives the next report of a worker the line."""

    def __init__(self, text: str) -> None:
        self.text = text

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        setattr(report, _SENT, self.text)
        item.config.pluginmanager.unregister(self)
        return report


class _Awaited:
    """Looks at the reports that the controller gets, until one has a line."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.said = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text: str = getattr(report, _SENT, "")
        if text and not self.said:
            # Stays registered: a worker that takes a crashed one's place says it again.
            self.said = True
            _write(self.config, text)


def _write(config: pytest.Config, text: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.get_verbosity() < 0:
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        reporter.ensure_newline()
        reporter.write_line(text)
