"""What was asked for: on the command line, else in the ini file, else by the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

_FINGERPRINT = ("migrations/**", "alembic/versions/**")
_MODES = ("on", "off", "verify")
_KEEP = ("failed", "none", "all")
_SLOWEST = 10


@dataclass(frozen=True)
class Options:
    """What was asked for, checked."""

    mode: str
    """on; off: nothing is checked or rewound between tests; verify: the database is hashed after each rewind."""
    keep: str
    """Of which tests the database is kept: failed, none or all."""
    report: int
    """How many tests the summary lists; 0: none."""
    strict: bool
    """Pollution is an error, not a warning."""
    rebuild: bool
    """The cached base is not used."""
    fingerprint: tuple[str, ...]
    """What the base is made of, as patterns of files."""
    explicit: bool
    """That was said, and is all of it."""
    allow: tuple[str, ...]
    """Patterns of paths that may be written to."""
    allow_remote: bool
    """So may files of network file systems."""
    allow_leaks: tuple[str, ...]
    """Patterns of tables, schema objects and counters that tests may leave changed."""


def add(parser: pytest.Parser) -> None:
    """Make the options known to pytest."""
    group = parser.getgroup("dbrewind", "dbrewind: rewind the database after each test")
    group.addoption(
        "--dbrewind", choices=_MODES, help="off: no rewinds between tests; verify: hash the database after each (on)"
    )
    group.addoption(
        "--dbrewind-keep",
        choices=_KEEP,
        help="copy the database of such tests to .dbrewind/ before the rewind (failed with -x or --pdb, else none)",
    )
    group.addoption(
        "--dbrewind-report",
        nargs="?",
        type=int,
        const=_SLOWEST,
        metavar="N",
        help=f"list the N tests that changed most (without =N: {_SLOWEST})",
    )
    group.addoption(
        "--dbrewind-strict", action="store_true", default=None, help="what a test leaves changed is an error"
    )
    group.addoption("--dbrewind-rebuild", action="store_true", help="run dbrewind_setup though its result is cached")
    group.addoption(
        "--dbrewind-allow-remote",
        action="store_true",
        default=None,
        help="use databases on network file systems, too",
    )
    for name, text in (
        ("dbrewind", "as --dbrewind"),
        ("dbrewind_keep", "as --dbrewind-keep"),
        ("dbrewind_report", "as --dbrewind-report"),
        ("dbrewind_strict", "as --dbrewind-strict: true or false"),
    ):
        parser.addini(name, text, default="")
    django = "with pytest-django: tests that commit are rewound instead of flushed (true or false)"
    parser.addini("dbrewind_django", django, type="bool", default=False)
    for name, text in (
        ("dbrewind_fingerprint", f"files that the base is made of ({' '.join(_FINGERPRINT)})"),
        ("dbrewind_allow", "patterns of paths of databases that may be used, besides those of tests"),
        ("dbrewind_allow_leaks", "patterns of tables and counters that tests may leave changed"),
    ):
        parser.addini(name, text, type="args", default=[])


def read(config: pytest.Config) -> Options:
    """The options of this run."""
    keep = _choice(config, "dbrewind_keep", _KEEP)
    if not keep:
        # Whoever stops at a failure wants to look at it.
        stops = config.getoption("maxfail", 0) == 1 or config.getoption("usepdb", False)
        keep = "failed" if stops else "none"
    fingerprint = _several(config, "dbrewind_fingerprint")
    return Options(
        mode=_choice(config, "dbrewind", _MODES) or "on",
        keep=keep,
        report=_number(config, "dbrewind_report"),
        strict=_flag(config, "dbrewind_strict"),
        rebuild=bool(config.getoption("dbrewind_rebuild")),
        fingerprint=fingerprint or _FINGERPRINT,
        explicit=bool(fingerprint),
        allow=_several(config, "dbrewind_allow"),
        allow_remote=bool(config.getoption("dbrewind_allow_remote")),
        allow_leaks=_several(config, "dbrewind_allow_leaks"),
    )


def _given(config: pytest.Config, name: str) -> Any:
    for value in (config.getoption(name, None), config.getini(name), os.environ.get(name.upper())):
        if value not in (None, "", []):
            return value
    return None


def _choice(config: pytest.Config, name: str, allowed: Sequence[str]) -> str:
    value = _given(config, name) or ""
    if value and value not in allowed:
        raise pytest.UsageError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return str(value)


def _flag(config: pytest.Config, name: str) -> bool:
    value = str(_given(config, name) or "false").lower()
    if value not in ("true", "1", "yes", "on", "false", "0", "no", "off"):
        raise pytest.UsageError(f"{name} must be true or false, not {value!r}")
    return value in ("true", "1", "yes", "on")


def _number(config: pytest.Config, name: str) -> int:
    value = str(_given(config, name) or "0").lower()
    value = {"false": "0", "off": "0", "true": str(_SLOWEST), "on": str(_SLOWEST)}.get(value, value)
    if not value.isdecimal():
        raise pytest.UsageError(f"{name} must be a number of tests, not {value!r}")
    return int(value)


def _several(config: pytest.Config, name: str) -> tuple[str, ...]:
    value = _given(config, name) or ()
    return tuple(value.split() if isinstance(value, str) else value)
