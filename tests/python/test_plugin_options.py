"""Options: where they come from, and what they do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from dbrewind.pytest_plugin import guard
from dbrewind.pytest_plugin.options import Options, read
from plugin_scene import CONFTEST, DIRTY, OVERRIDE, run


def options(pytester: pytest.Pytester, *arguments: str) -> Options:
    return read(pytester.parseconfig(*arguments))


def test_the_command_line_goes_before_ini_before_the_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert options(pytester) == Options(
        mode="on",
        keep="none",
        report=0,
        strict=False,
        rebuild=False,
        fingerprint=("migrations/**", "alembic/versions/**"),
        explicit=False,
        allow=(),
        allow_remote=False,
        allow_leaks=(),
    )
    for name, value in (("", "off"), ("_KEEP", "all"), ("_REPORT", "7"), ("_STRICT", "true"), ("_ALLOW", "a b")):
        monkeypatch.setenv(f"DBREWIND{name}", value)
    found = options(pytester)
    assert (found.mode, found.keep, found.report, found.strict, found.allow) == ("off", "all", 7, True, ("a", "b"))
    pytester.makeini(
        "[pytest]\ndbrewind = verify\ndbrewind_keep = failed\ndbrewind_report = true\ndbrewind_strict = false\n"
        "dbrewind_fingerprint = a/** b"
    )
    found = options(pytester)
    assert (found.mode, found.keep, found.report, found.strict) == ("verify", "failed", 10, False)
    assert (found.fingerprint, found.explicit) == (("a/**", "b"), True)
    found = options(
        pytester,
        "--dbrewind=on",
        "--dbrewind-keep=none",
        "--dbrewind-report=3",
        "--dbrewind-strict",
        "--dbrewind-rebuild",
    )
    assert (found.mode, found.keep, found.report, found.strict, found.rebuild) == ("on", "none", 3, True, True)


def test_the_database_of_a_failed_test_is_kept_by_whoever_stops_at_it(pytester: pytest.Pytester) -> None:
    assert [options(pytester, argument).keep for argument in ("-x", "--pdb", "-v")] == ["failed", "failed", "none"]
    assert options(pytester, "-x", "--dbrewind-keep=none").keep == "none"


@pytest.mark.parametrize(
    "line", ["dbrewind = maybe", "dbrewind_keep = some", "dbrewind_report = few", "dbrewind_strict = 2"]
)
def test_a_wrong_value_is_refused(pytester: pytest.Pytester, line: str) -> None:
    pytester.makeini(f"[pytest]\n{line}")
    with pytest.raises(pytest.UsageError, match=line.partition(" ")[0]):
        options(pytester)


def test_the_header_and_the_summary_are_a_line_each(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=DIRTY, test_other="def test_other(): pass")
    result = run(pytester, "--dbrewind-report=1", "--dbrewind-keep=all", "--dbrewind=verify")
    result.assert_outcomes(passed=5)
    lines = [line for line in result.outlines if line.startswith("dbrewind: ") and " kept " not in line]
    assert [line.split()[1] for line in lines] == ["0.1.0,", "base", "4"]
    result.stdout.fnmatch_lines(
        ["dbrewind: *, sqlite *, verify, keep all", "*1 rows * ms  test_it.py::test_it?0?", "*users: 1 inserted (3)"]
    )
    assert len(list((pytester.path / ".dbrewind/failed").glob("*.db"))) == 4
    result = run(pytester, "test_other.py")
    assert "dbrewind: " not in result.stdout.str()


def test_off_rewinds_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import pytest
        @pytest.mark.parametrize("turn", range(2))
        def test_it(dbrewind, app, turn):
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3 + turn,)
    """)
    run(pytester, "--dbrewind=off").assert_outcomes(passed=2)


def test_a_rewind_that_is_not_exact_stops_the_session(pytester: pytest.Pytester) -> None:
    """Planted: the digest of the mark is another."""
    pytester.makeconftest(
        CONFTEST
        + """
@pytest.fixture(autouse=True)
def spoil(request, _dbrewind_stack):
    _dbrewind_stack.top.digest = "0" * 32
"""
    )
    pytester.makepyfile(DIRTY)
    result = run(pytester, "--dbrewind=verify")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*DBR009*The session stops*", "! Interrupted: dbrewind: *DBR009*"])
    assert sorted(path.name for path in (pytester.path / ".dbrewind/differs").glob("*")) == [
        "test-is.db",
        "test-was.db",
    ]


@pytest.mark.parametrize(
    ("path", "is_test"),
    [
        ("/srv/shop/test.db", True),
        ("/srv/shop/app_test.sqlite3", True),
        ("/srv/shop/Tests/app.db", True),
        ("/srv/shop/testing.db", True),
        (f"{tempfile.gettempdir()}/app.db", True),
        ("/srv/shop/app.db", False),
        ("/srv/shop/latest.db", False),
        ("/srv/test/app.db", False),
        ("/srv/other/contest.db", False),
        ("/srv/shop/allowed.db", True),
    ],
)
def test_a_database_of_tests_is_told_by_its_path(pytester: pytest.Pytester, path: str, is_test: bool) -> None:
    pytester.makeini("[pytest]\ndbrewind_allow = /srv/*/allowed.db")
    assert guard.is_of_tests(Path(path), options(pytester), Path("/srv/shop")) is is_test


def test_a_network_file_system_is_told_by_its_mount() -> None:
    mounts = "/dev/sda / ext4 rw 0 0\nserver:/x /srv/my\\040data nfs4 rw 0 0\n"
    assert guard.remote(Path("/srv/my data/test.db"), mounts) == "nfs4"
    assert guard.remote(Path("/srv/test.db"), mounts) == ""


def test_a_database_that_is_no_tests_is_refused_unopened(pytester: pytest.Pytester) -> None:
    path = Path(__file__).parents[2] / "target" / "app.db"
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body=f"return {str(path)!r}"))
    pytester.makepyfile("def test_it(dbrewind): pass")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*DBR007*app.db does not look like a database of tests*'test_app.db'*dbrewind_allow = *"]
    )
    assert not path.exists()
