"""A session has one `dbrewind_db` and one `dbrewind_setup`: overrides that differ between folders are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMES = ("dbrewind_db", "dbrewind_setup")


def check(items: Iterable[pytest.Item], config: pytest.Config) -> None:
    """Have tests that are rewound fail at their set-up if they see other overrides than the first one does.

    pytest sets a fixture of the session up once. With the first one's database under test the others would write to
    theirs, and nothing would be rewound.
    """
    first: dict[str, Any] = {}
    seen = {}
    for item in items:
        # All tests of a class, or of a file, see the same.
        if item.parent is not None and item.parent not in seen:
            seen[item.parent] = _other(item, first)
    refused = {parent: text for parent, text in seen.items() if text}
    if refused:
        config.pluginmanager.register(_Refusal(refused), "dbrewind-one-database")


def _other(item: pytest.Item, first: dict[str, Any]) -> str:
    """What is wrong with what this test sees, or nothing."""
    for name in _NAMES:
        found = item.session._fixturemanager.getfixturedefs(name, item)
        made = found[-1] if found else None
        if first.setdefault(name, made) is not made:
            return (
                f"dbrewind: {_where(made)} overrides {name}, and so does {_where(first[name])}, but a session has one "
                "of each. Give the database that fewer tests use a fixture of its own name (dbrewind.testing.fixture), "
                "or run pytest once for each"
            )
    return ""


def _where(made: Any) -> str:
    code = getattr(getattr(made, "func", None), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else "another file"


class _Refusal:
    def __init__(self, texts: dict[Any, str]) -> None:
        self.texts = texts

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        asks = "dbrewind" in getattr(item, "fixturenames", ()) or "_dbrewind_stack" in getattr(item, "fixturenames", ())
        if asks and item.parent in self.texts:
            pytest.fail(self.texts[item.parent], pytrace=False)
