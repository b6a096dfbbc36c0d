"""Django's own test runner, recording."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django import conf
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test.runner import DiscoverRunner, ParallelTestSuite

from dbrewind.django import databases
from dbrewind.django.suite import RewindTestSuite, TestsWatch

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _init_worker(*arguments: Any, **options: Any) -> None:
    ParallelTestSuite.init_worker(*arguments, **options)
    databases.forget()
    used = options.get("used_aliases") or (arguments[6] if len(arguments) > 6 else None)
    databases.attach(list(connections) if used is None else used)


class _RewindParallelTestSuite(ParallelTestSuite):
    init_worker = _init_worker


class RewindRunner(DiscoverRunner):
    """`TEST_RUNNER = "dbrewind.django.RewindRunner"`: what RewindTestCase needs in `manage.py test`.

    Test databases that would be in memory get a file in a temporary folder. After migrations they are recorded. What
    a test leaves that nothing takes back is told as a warning (DBR008): tables, primary keys, who wrote it or may have;
    with `--dbrewind-strict`, or `DBREWIND_STRICT` in the settings or the environment, it is an error of the test.
    `--dbrewind-allow-leaks PATTERN`, `DBREWIND_ALLOW_LEAKS`: tables, schema objects and counters that may differ.
    """

    test_suite = RewindTestSuite
    parallel_test_suite = _RewindParallelTestSuite

    def __init__(
        self, *, dbrewind_strict: bool | None = None, dbrewind_allow_leaks: Sequence[str] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.dbrewind_strict = _flag(dbrewind_strict, "DBREWIND_STRICT")
        allowed = _given(dbrewind_allow_leaks, "DBREWIND_ALLOW_LEAKS") or ()
        self.dbrewind_allow_leaks = tuple(allowed.split() if isinstance(allowed, str) else allowed)

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Options of `manage.py test`."""
        super().add_arguments(parser)
        parser.add_argument(
            "--dbrewind-strict",
            action="store_true",
            default=None,
            help="What a test leaves changed is its error, not a warning.",
        )
        parser.add_argument(
            "--dbrewind-allow-leaks",
            action="append",
            metavar="PATTERN",
            help="A table, schema object or counter that tests may leave changed. Can be given several times.",
        )

    def setup_databases(self, **options: Any) -> Any:
        """Create the test databases as Django does, then mark them."""
        self._folder = tempfile.mkdtemp(prefix="dbrewind-django-")
        databases.place_in(Path(self._folder))
        old = super().setup_databases(**options)
        watch = TestsWatch(self.dbrewind_strict, self.dbrewind_allow_leaks)
        databases.watch(watch)
        watch.leaks.threads.note("")
        if self.parallel <= 1:  # else each worker records its own copies
            databases.attach()
        return old

    def teardown_databases(self, old_config: Any, **options: Any) -> None:
        """Record no more, then destroy the test databases as Django does."""
        databases.watch(None)
        databases.detach(keep=self.keepdb)
        super().teardown_databases(old_config, **options)
        shutil.rmtree(self._folder, ignore_errors=True)


def _given(option: Any, name: str) -> Any:
    """What was asked for: on the command line, else in the settings, else by the environment."""
    for value in (option, getattr(conf.settings, name, None), os.environ.get(name)):
        if value not in (None, "", []):
            return value
    return None


def _flag(option: bool | None, name: str) -> bool:
    value = str(_given(option, name) or "false").lower()
    if value not in _FLAGS:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}")
    return _FLAGS[value]
