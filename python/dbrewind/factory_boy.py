"""Sequences of factory_boy that go back with the database.

A rewind takes rows away; the numbers that factories count for them (`factory.Sequence`) go on, and each test sees
others. Have them go back, too, in a conftest.py:

>>> import dbrewind.factory_boy
>>> dbrewind.factory_boy.bind(UserFactory, OrderFactory)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from factory.base import Factory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["bind"]

_bound: list[Any] = []
# By database and mark: the next number of each sequence then; None: none had been given.
_noted: dict[tuple[Path, str], dict[Any, int | None]] = {}
# The next number that no sequence has given before.
_unused: dict[Any, int] = {}


def bind(*factories: type[Factory[Any]]) -> None:
    """Have the sequences of these factories, and of those derived from them, go back with each rewind of pytest's.

    They go back to where they stood when the mark was set: `base`, a layer of a session, module or class; a kept base
    brings its numbers along. Where they stood at a mark of the test's own is not known: after a rewind to it, and after
    each `with dbrewind.rewound()`, they go on with a number that was not given before, which is right for columns that
    are unique, until the test ends.

    The database is that of `dbrewind_db`. With Django it is `default`, and of its marks `base` alone is known: above
    layers they go on. Tests that roll back, or do not ask for `dbrewind`, give no number back.

    Call it before `dbrewind_setup` runs.
    """
    for one in factories:
        if not (isinstance(one, type) and issubclass(one, Factory)):
            raise TypeError(f"a factory of factory_boy is wanted, not {one!r}")
        if one not in _bound:
            _bound.append(one)


def note(path: Path, mark: str) -> None:
    """A mark was set: remember where the sequences stand."""
    _noted[path, mark] = {each: _next(each) for each in _sequences()}


def after_rewind(path: Path, mark: str) -> None:
    """The database was rewound to a mark, or to a moment without one: so are the sequences, if they are its."""
    if not any(path == noted for noted, _ in _noted):
        return
    then = _noted.get((path, mark))
    for each in _sequences():
        now = _next(each)
        if now is None:
            continue
        _unused[each] = max(now, _unused.get(each, now))
        each.reset_sequence(_unused[each] if then is None else then.get(each))


def said() -> dict[str, int]:
    """Where the sequences stand, by names that another process knows them by."""
    return {_name(each): number for each in _sequences() if (number := _next(each)) is not None}


def take(numbers: dict[str, int]) -> None:
    """Go on where another process said that they stood."""
    for each in _sequences():
        if (number := numbers.get(_name(each))) is not None:
            each.reset_sequence(number)


def _sequences() -> Iterator[Any]:
    """What counts: factories of one model, one derived from the other, have a sequence together."""
    found: dict[Any, None] = {}
    left = list(_bound)
    while left:
        one = left.pop()
        left += one.__subclasses__()
        found[one._meta.counter_reference] = None
    return iter(found)


def _next(sequence: Any) -> int | None:
    """To ask for the number would give it."""
    counter = sequence._counter
    return None if counter is None else int(counter.seq)


def _name(sequence: Any) -> str:
    return f"{sequence.factory.__module__}.{sequence.factory.__qualname__}"
