"""`@pytest.mark.dbrewind(...)`: what a test asks for itself."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from dbrewind.pytest_plugin.options import Options


def marked(*, mark: str | None = None, keep: Literal["failed", "on-failure", "none", "all"] | None = None) -> None:
    """The arguments of `@pytest.mark.dbrewind`: its signature is what checks them."""
    if mark is not None and not isinstance(mark, str):
        raise TypeError(f"mark must be the name of a mark, not {mark!r}")
    if keep not in (None, "failed", "on-failure", "none", "all"):
        raise TypeError(f"keep must be one of failed, on-failure, none, all, not {keep!r}")


def arguments(node: pytest.Item, chosen: Options) -> tuple[str, str | None]:
    """Of which outcome a test's database is kept, and the mark that it begins at: what its markers say."""
    given: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers("dbrewind"))):  # the closest one last
        try:
            marked(*marker.args, **marker.kwargs)
        except TypeError as error:
            signature = inspect.signature(marked)
            text = str(error).replace("marked()", "it")
            pytest.fail(f"@pytest.mark.dbrewind{signature}: {text}".replace(" -> 'None'", ""), pytrace=False)
        given.update(marker.kwargs)
    keep = given.get("keep") or chosen.keep
    return "failed" if keep == "on-failure" else keep, given.get("mark")
