"""Lsn: a moment of one database."""

from __future__ import annotations

import pickle

import pytest

from dbrewind import Lsn


def test_moments_of_one_database_are_ordered() -> None:
    assert Lsn("/a.db", 3) < Lsn("/a.db", 4)
    assert Lsn("/a.db", 4) >= Lsn("/a.db", 4)
    assert max(Lsn("/a.db", 3), Lsn("/a.db", 9)).number == 9


def test_moments_of_different_databases_are_not() -> None:
    with pytest.raises(TypeError, match="no order"):
        _ = Lsn("/a.db", 3) < Lsn("/b.db", 4)
    assert Lsn("/a.db", 3) != Lsn("/b.db", 3)


def test_a_moment_is_no_number() -> None:
    assert Lsn("/a.db", 3) != 3
    with pytest.raises(TypeError):
        _ = Lsn("/a.db", 3) < 4  # type: ignore[operator]


def test_a_moment_is_a_key_and_pickles() -> None:
    moment = Lsn("/a.db", 3)
    assert {moment: 1}[Lsn("/a.db", 3)] == 1
    assert pickle.loads(pickle.dumps(moment)) == moment  # noqa: S301
    assert repr(moment) == 'Lsn("/a.db", 3)'
    assert moment.path == "/a.db"


def test_a_moment_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Lsn("/a.db", 3).number = 4  # type: ignore[misc]
