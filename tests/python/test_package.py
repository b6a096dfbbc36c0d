"""What importing the package costs and shows."""

from __future__ import annotations

import ctypes
import pickle
import re
import subprocess
import sys
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest

import dbrewind
from dbrewind.testing import PollutedError, ProductionError, VerifyFailedError

ROOT = Path(__file__).parents[2]
CODES = re.findall(r'^    \d+ "DBR(\d{3})" (\w+): "', (ROOT / "rust/core/src/error/code.rs").read_text(), re.MULTILINE)


def test_the_plugin_imports_nothing_that_takes_time() -> None:
    program = """
import sys, pytest, time
before, start = set(sys.modules), time.perf_counter()
import dbrewind.pytest_plugin
took = time.perf_counter() - start
print(f"{took * 1e3:.2f} ms", file=sys.stderr)
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    sys.stdout.write(f"importing dbrewind.pytest_plugin took {done.stderr}")
    new = done.stdout.split()
    assert [name for name in new if name.startswith("dbrewind")] == ["dbrewind", "dbrewind.pytest_plugin"]
    for heavy in ("_sqlite3", "sqlite3", "sqlalchemy", "django", "ctypes", "asyncio"):
        assert heavy not in new


@pytest.mark.parametrize("name", dbrewind.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(dbrewind, name) is not None
    assert name in dir(dbrewind)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'snapshot'"):
        dbrewind.snapshot  # noqa: B018


def test_the_table_of_codes_was_found() -> None:
    assert len(CODES) > 20


# In Python a signal handler's own exception ends a wait, for which Rust has a code.
@pytest.mark.parametrize(("number", "name"), [code for code in CODES if code[1] != "Interrupted"])
def test_each_code_has_a_class_that_pickles(number: str, name: str) -> None:
    kind = getattr(dbrewind, f"{name}Error")
    error = kind(f"[DBR{number}] text")
    assert error.code == f"DBR{number}"
    assert kind.__module__ == "dbrewind"
    assert f"DBR{number}" in kind.__doc__
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is kind
    assert str(again) == f"[DBR{number}] text"
    with pytest.raises(dbrewind.Error):
        raise error


@pytest.mark.parametrize(
    ("kind", "built_in"),
    [
        (dbrewind.FileMissingError, FileNotFoundError),
        (dbrewind.NotWritableError, PermissionError),
        (dbrewind.BusyError, TimeoutError),
        (dbrewind.MarkNotFoundError, LookupError),
        (dbrewind.InvalidArgumentError, ValueError),
        (dbrewind.StoreFullError, OSError),
        (dbrewind.IoError, OSError),
    ],
)
def test_errors_are_the_built_in_ones_too(kind: type[Exception], built_in: type[Exception]) -> None:
    assert issubclass(kind, built_in)


def test_the_library_exports_no_sqlite() -> None:
    """Symbols of a second SQLite would be taken for the host's by other extensions: TwoSqlites, DBR017."""
    from dbrewind import _dbrewind

    library = ctypes.CDLL(_dbrewind.__file__)
    assert library.PyInit__dbrewind
    for symbol in ("sqlite3_open", "sqlite3_open_v2", "sqlite3_vfs_find", "sqlite3_libversion"):
        with pytest.raises(AttributeError):
            getattr(library, symbol)


def test_every_code_of_the_readme_is_in_the_table() -> None:
    named = set(re.findall(r"DBR(\d{3})", (ROOT / "README.md").read_text()))
    of_the_plugin = {error.code[3:] for error in (ProductionError, PollutedError, VerifyFailedError)}
    assert named <= {number for number, _ in CODES} | of_the_plugin


def test_what_is_installed() -> None:
    distribution = metadata.distribution("dbrewind")
    assert distribution.version == dbrewind.__version__
    points = distribution.entry_points.select(group="pytest11")
    assert [(point.name, point.value) for point in points] == [("dbrewind", "dbrewind.pytest_plugin")]
    assert (files("dbrewind") / "py.typed").is_file()
    assert (files("dbrewind") / "_dbrewind.pyi").is_file()
    assert (files("dbrewind") / "libdbrewind_preload.so").is_file()
