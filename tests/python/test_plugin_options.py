"""Options: where they come from, and what they do."""

from __future__ import annotations

import re
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
        [
            "dbrewind: *, sqlite *, verify, keep all",
            'dbrewind: base "*" built in * s (* kB), wal recording',
            "*1 rows * pages compared * ms  test_it.py::test_it?0?",
            "*users: 1 inserted (3)",
        ]
    )
    (pages,) = re.findall(r"(\d+) pages compared", result.stdout.str())
    assert int(pages) > 1
    assert len(list((pytester.path / ".dbrewind/failed").glob("*.db"))) == 4
    result = run(pytester, "test_other.py")
    assert "dbrewind: " not in result.stdout.str()


@pytest.mark.parametrize("report", [False, True])
def test_the_summary_says_where_it_names_who_polluted(pytester: pytest.Pytester, report: bool) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it="def test_one(dbrewind): pass\ndef test_two(app): app.execute('DELETE FROM users')\n")
    result = run(pytester, *(["--dbrewind-report"] if report else []))
    (line,) = [line for line in result.outlines if "rewinds" in line]
    assert line.endswith("; 1 polluted" if report else "; 1 polluted (see --dbrewind-report)")
    assert ("  polluted: test_it.py::test_two" in result.outlines) is report


LAYER = """
@pytest.fixture(scope="module")
def users_of_the_module(dbrewind_module):
    with closing(sqlite3.connect(dbrewind_module.path, isolation_level=None)) as db:
        db.execute("INSERT INTO users(name) VALUES ('Mia')")
"""


@pytest.mark.parametrize("ends", ["session", "module"])
def test_the_table_has_what_the_last_test_of_a_scope_left(pytester: pytest.Pytester, ends: str) -> None:
    """It is taken back with all of that scope, not by a rewind of its own."""
    pytester.makeconftest(CONFTEST + LAYER)
    asks = "users_of_the_module, " if ends == "module" else ""
    leaks = "def test_two(app): app.execute('DELETE FROM users WHERE id = 1')"
    pytester.makepyfile(test_it=f"def test_one({asks}dbrewind): pass\n\n{leaks}")
    if ends == "module":
        pytester.makepyfile(test_next="def test_three(dbrewind): pass")
    result = run(pytester, "--dbrewind-report")
    result.assert_outcomes(passed=3 if ends == "module" else 2, warnings=1)
    (at,) = [at for at, line in enumerate(result.outlines) if re.search(r"rows .* test_it\.py::test_two$", line)]
    assert re.fullmatch(r" +1 rows +\d+ pages compared +-  +test_it\.py::test_two", result.outlines[at])
    assert result.outlines[at + 1].strip() == "users: 1 deleted (1)"


def test_a_database_in_a_rollback_mode_is_recorded_by_the_vfs(pytester: pytest.Pytester) -> None:
    body = """path = tmp_path_factory.mktemp("old") / "old.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=0")
    return path"""
    pytester.makeconftest(
        CONFTEST + OVERRIDE.format(body=body).replace("dbrewind_db()", "dbrewind_db(tmp_path_factory)")
    )
    pytester.makepyfile(DIRTY)
    result = run(pytester)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["dbrewind: base * built in * s (*), vfs recording"])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("none", {"passes-all", "fails-all", "fails-failed", "fails-on-failure"}),
        ("all", {"passes-all", "fails-all", "fails-failed", "fails-on-failure", "passes-unsaid", "fails-unsaid"}),
    ],
)
def test_the_argument_of_the_marker_goes_before_the_command_line(
    pytester: pytest.Pytester, said: str, kept: set[str]
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import pytest

        KEEP = ["failed", "on-failure", "none", "all"]
        MARKED = [pytest.param(keep, marks=pytest.mark.dbrewind(keep=keep), id=keep) for keep in KEEP]
        MARKED.append(pytest.param("", marks=pytest.mark.dbrewind, id="unsaid"))

        @pytest.mark.parametrize("keep", MARKED)
        @pytest.mark.parametrize("end", ["passes", "fails"])
        def test_it(app, end, keep):
            app.execute("DELETE FROM users")
            assert end == "passes"
    """)
    run(pytester, f"--dbrewind-keep={said}").assert_outcomes(passed=5, failed=5)
    files = (pytester.path / ".dbrewind/failed").glob("*.db")
    assert {path.stem.partition("[")[2][:-1] for path in files} == kept


def test_the_closest_marker_says_what_is_kept(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import pytest
        pytestmark = pytest.mark.dbrewind(keep="all")

        def test_of_the_module(app):
            app.execute("DELETE FROM users")

        @pytest.mark.dbrewind(keep="none")
        def test_of_its_own(app):
            app.execute("DELETE FROM users")
    """)
    run(pytester).assert_outcomes(passed=2)
    (kept,) = (pytester.path / ".dbrewind/failed").glob("*.db")
    assert kept.stem.endswith("test_of_the_module")


@pytest.mark.parametrize("workers", [0, 1])
def test_building_the_base_is_not_blamed_on_the_first_test(pytester: pytest.Pytester, workers: int) -> None:
    if workers:
        pytest.importorskip("xdist")
    conftest = CONFTEST.replace("    with closing", "    import time; time.sleep(2)\n    with closing", 1)
    pytester.makeconftest(
        conftest
        + """
@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    with open("durations", "a") as file:
        file.write(f"{report.nodeid} {report.when} {report.duration}\\n")
"""
    )
    pytester.makepyfile(test_it="def test_first(dbrewind): pass\ndef test_second(dbrewind): pass")
    arguments = ("-n", str(workers)) if workers else ()
    result = run(pytester, *arguments, plugins=("xdist",) if workers else ())
    result.assert_outcomes(passed=2)
    assert float(re.findall(r"base .* built in ([\d.]+) s", result.stdout.str())[0]) >= 2
    durations = [line.split() for line in (pytester.path / "durations").read_text().splitlines()]
    assert {(name, when) for name, when, _ in durations} >= {("test_it.py::test_first", "setup")}
    assert all(float(took) < 2 for _, _, took in durations)


@pytest.mark.parametrize("said", ["--help", "--version", "-VV"])
@pytest.mark.parametrize("without", ["no:django", "no:dbrewind"])
def test_help_and_version_never_fail(pytester: pytest.Pytester, said: str, without: str) -> None:
    """Whatever the ini file asks for, and whatever is not installed."""
    pytester.makeini("[pytest]\ndbrewind_django = true\ndbrewind = maybe")
    pytester.makepyfile("def test_it(): pass")
    result = run(pytester, said, "-p", without)
    assert result.ret == 0
    result.stderr.no_fnmatch_line("*Error*")
    if without == "no:django" and said == "--help":
        result.stdout.fnmatch_lines(["*--dbrewind-report*"])


def test_django_without_its_plugin_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ndbrewind_django = true")
    pytester.makepyfile("def test_it(): pass")
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*dbrewind_django = true needs pytest-django*"])


def test_off_rewinds_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import pytest
        @pytest.mark.parametrize("turn", range(2))
        def test_it(dbrewind, app, turn):
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3 + turn,)
    """)
    run(pytester, "--dbrewind=off").assert_outcomes(passed=2)


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


@pytest.mark.parametrize("allowed", [False, True])
def test_a_database_on_a_network_file_system_needs_permission(pytester: pytest.Pytester, allowed: bool) -> None:
    """Planted: the system says that it is on one."""
    pytester.makeconftest(
        CONFTEST
        + OVERRIDE.format(body="return 'test.db'")
        + """
import dbrewind.pytest_plugin.guard as guard
guard.remote = lambda path: "nfs4"
"""
    )
    pytester.makepyfile("def test_it(dbrewind): pass")
    result = run(pytester, *(["--dbrewind-allow-remote"] if allowed else []))
    if allowed:
        result.assert_outcomes(passed=1)
    else:
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*DBR007*test.db is on a network file system (nfs4)*--dbrewind-allow-remote*"])
        assert not (pytester.path / "test.db").exists()


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
