"""For tests: fixtures for further databases, and what the pytest plugin raises.

Importing this loads the compiled half of the package.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from dbrewind.testing.errors import DbrewindPollutionWarning, PollutedError, ProductionError, VerifyFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pytest

    from dbrewind._dbrewind import Database
    from dbrewind.pytest_plugin.target import DatabaseUnderTest

__all__ = ["DbrewindPollutionWarning", "PollutedError", "ProductionError", "VerifyFailedError", "fixture"]


def fixture(
    name: str,
    *,
    url: Any = None,
    setup: Callable[[DatabaseUnderTest], object] | None = None,
    scope: Literal["function", "class", "module", "session"] = "function",
) -> Any:
    """Make a fixture for a further database. Assign it in a conftest.py: pytest finds it there.

    >>> orders_db = fixture("orders_db", url="sqlite:///test_orders.db", setup=fill)

    A test that asks for it gets the handle, and the database is rewound afterwards to what `setup` left, or, with
    another scope, when that ends. `url`: all that an override of `dbrewind_db` may return; None is a new file in
    pytest's temporary folder. `setup` gets the `DatabaseUnderTest`, once in a session.
    """
    # Django's own runner tells of leaks without it.
    import pytest

    @pytest.fixture(name=name, scope=scope)
    def made(request: pytest.FixtureRequest) -> Generator[Database, None, None]:
        from dbrewind.pytest_plugin import session

        stacks = request.config.stash.setdefault(_open(), {})
        if name not in stacks:
            scene = session.further(request, name, scope, url, setup)
            stacks[name] = scene.__enter__()
            request.session.addfinalizer(lambda: _close(request.session, name, scene))
        stack = stacks[name]
        if scope == "function":
            yield stack.lend()
            stack.take()
            return
        with session.layer(stack, scope) as db:
            yield db

    made.__doc__ = f"The handle of the database {name}, which is rewound afterwards."
    return made


@cache
def _open() -> pytest.StashKey[dict[str, Any]]:
    import pytest

    return pytest.StashKey()


def _close(session: pytest.Session, name: str, scene: Any) -> None:
    session.config.stash[_open()].pop(name, None)
    scene.__exit__(None, None, None)
