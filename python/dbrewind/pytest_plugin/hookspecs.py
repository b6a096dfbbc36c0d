"""The hook that this plugin calls: for what an application keeps outside of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dbrewind._dbrewind import Database


@pytest.hookspec
def pytest_dbrewind_after_rewind(db: Database, mark: str) -> None:
    """Forget what was read before: `db` was rewound to its mark `mark`, and everything newer is gone from it.

    Called in the thread that rewound, after every rewind through a handle of this plugin that changed something: those
    of the plugin between tests, `dbrewind.rewind(...)` of a test, and each end of `with dbrewind.rewound()`. Not called
    after a test that wrote nothing, since nothing is rewound then. `mark` is empty for a rewind to a moment or a time.

    An exception that is raised here fails the test that is being torn down, or the call of the test.
    """
