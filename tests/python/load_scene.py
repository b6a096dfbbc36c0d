"""What load tests have in common: the example's application, and whether there is a program that loads it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "python/examples/load_test"


@contextmanager
def application(database: Path) -> Generator[str, None, None]:
    """The example's application, its database made anew; gives where it listens."""
    create = "import application, sys, pathlib; application.create(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", create, database], cwd=EXAMPLE, check=True)
    command = [sys.executable, str(EXAMPLE / "application.py"), str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def orders(url: str, method: str = "GET") -> int:
    """How many there are, or the number of a new one."""
    with urllib.request.urlopen(urllib.request.Request(f"{url}/orders", method=method)) as answer:  # noqa: S310
        return int(answer.read())


def needs(module: str) -> None:
    """Found, not imported: Locust changes the standard library of the process that imports it."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"could not find {module}")
