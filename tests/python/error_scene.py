"""What tests of errors have in common."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import dbrewind

Connect = Callable[[Path], sqlite3.Connection]


def assert_code(caught: pytest.ExceptionInfo[dbrewind.Error], code: str, *words: str) -> None:
    """The error has this code, in its text, too, and says these words."""
    text = str(caught.value)
    assert caught.value.code == code
    assert text.startswith(f"[{code}] ")
    for word in words:
        assert word in text
