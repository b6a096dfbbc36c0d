"""Django's own test runner, recording."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from django.db import connections
from django.test.runner import DiscoverRunner, ParallelTestSuite

from dbrewind.django import databases


def _init_worker(*arguments: Any, **options: Any) -> None:
    ParallelTestSuite.init_worker(*arguments, **options)
    databases.forget()
    used = options.get("used_aliases") or (arguments[6] if len(arguments) > 6 else None)
    databases.attach(list(connections) if used is None else used)


class _RewindParallelTestSuite(ParallelTestSuite):
    init_worker = _init_worker


class RewindRunner(DiscoverRunner):
    """`TEST_RUNNER = "dbrewind.django.RewindRunner"`: what RewindTestCase needs in `manage.py test`.

    Test databases that would be in memory get a file in a temporary folder. After migrations they are recorded.
    """

    parallel_test_suite = _RewindParallelTestSuite

    def setup_databases(self, **options: Any) -> Any:
        """Create the test databases as Django does, then mark them."""
        self._folder = tempfile.mkdtemp(prefix="dbrewind-django-")
        databases.place_in(Path(self._folder))
        old = super().setup_databases(**options)
        if self.parallel <= 1:  # else each worker records its own copies
            databases.attach()
        return old

    def teardown_databases(self, old_config: Any, **options: Any) -> None:
        """Record no more, then destroy the test databases as Django does."""
        databases.detach(keep=self.keepdb)
        super().teardown_databases(old_config, **options)
        shutil.rmtree(self._folder, ignore_errors=True)
