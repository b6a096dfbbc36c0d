"""What `help` shows is what the stub tells an editor."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import dbrewind

STUB = ast.parse((Path(dbrewind.__file__).parent / "_dbrewind.pyi").read_text())


def told() -> dict[str, str]:
    """The docstrings of `open`, of Database, and of its methods."""
    docs: dict[str, str] = {}
    for node in STUB.body:
        if isinstance(node, ast.FunctionDef) and node.name == "open":
            docs[node.name] = ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef) and node.name == "Database":
            docs[node.name] = ast.get_docstring(node) or ""
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    docs[f"Database.{method.name}"] = ast.get_docstring(method) or ""
    return docs


@pytest.mark.parametrize("name", told())
def test_help_says_what_the_stub_says(name: str) -> None:
    found: object = dbrewind
    for part in name.split("."):
        found = getattr(found, part)
    assert inspect.getdoc(found) == told()[name]


def test_a_rewind_is_explained() -> None:
    text = inspect.getdoc(dbrewind.Database.rewind) or ""
    for word in ("`to`", "seconds", "5 minutes ago", "Errors:", ">>> "):
        assert word in text
