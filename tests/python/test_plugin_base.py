"""The base: built once for each fingerprint, kept between runs."""

from __future__ import annotations

import pytest

from plugin_scene import CONFTEST, OVERRIDE, run

COUNTED = CONFTEST.replace(
    "    with closing",
    "    with open('built', 'a') as file:\n        file.write('x')\n    import shop\n    with closing",
    1,
).replace("('Ann')", "('Ann')")

ONE = """
def test_it(dbrewind, app):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
"""


def built(pytester: pytest.Pytester) -> int:
    return len((pytester.path / "built").read_text())


@pytest.mark.parametrize("named", [True, False])
def test_a_base_is_built_anew_when_what_it_is_made_of_changes(pytester: pytest.Pytester, named: bool) -> None:
    """Modules, files that were opened, migrations, the conftest; not the tests."""
    override = OVERRIDE.format(body="return 'test.db'") if named else ""
    pytester.makeconftest(COUNTED + override)
    pytester.makepyfile(shop="open('seed.txt').read()", test_it=ONE)
    (pytester.path / "seed.txt").write_text("1")
    (pytester.path / "migrations").mkdir()
    first = run(pytester)
    first.stdout.fnmatch_lines(['dbrewind: base "*" built in * s (*'])
    again = run(pytester)
    again.stdout.fnmatch_lines(['dbrewind: base "*" cached (*', "dbrewind: 0 rewinds; 1 clean tests; base * cached *"])
    pytester.makepyfile(test_it=ONE + "\n\ndef test_more(dbrewind): pass\n")
    run(pytester).assert_outcomes(passed=2)
    assert built(pytester) == 1
    times = 1
    for name, text in (
        ("shop.py", "open('seed.txt').read()  # other"),
        ("seed.txt", "2"),
        ("migrations/0001.sql", "-- new"),
        ("conftest.py", COUNTED + override + "\n"),
    ):
        (pytester.path / name).write_text(text)
        times += 1
        for _ in range(2):
            run(pytester).assert_outcomes(passed=2)
            assert built(pytester) == times, name
    run(pytester, "--dbrewind-rebuild").assert_outcomes(passed=2)
    assert built(pytester) == times + 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("        db.commit()\n", "        db.commit()\n    yield\n"),
        ("        db.commit()\n", "        db.commit()\n    return 7\n"),
        ("    with closing", "    import subprocess; subprocess.run(['true'])\n    with closing"),
    ],
    ids=["yields", "returns", "starts a program"],
)
def test_a_set_up_of_which_not_all_is_known_runs_each_time(pytester: pytest.Pytester, old: str, new: str) -> None:
    pytester.makeconftest(COUNTED.replace(old, new, 1))
    pytester.makepyfile(shop="", test_it=ONE)
    for times in (1, 2):
        run(pytester).assert_outcomes(passed=1)
        assert built(pytester) == times


def test_a_fingerprint_that_is_given_is_all_that_counts(pytester: pytest.Pytester) -> None:
    program = "    import subprocess; subprocess.run(['true'])\n    with closing"
    pytester.makeconftest(COUNTED.replace("    with closing", program, 1))
    pytester.makeini("[pytest]\ndbrewind_fingerprint = sql/*.sql")
    pytester.makepyfile(shop="", test_it=ONE)
    (pytester.path / "sql").mkdir()
    for name, times in (("shop.py", 1), ("sql/1.sql", 2), ("shop.py", 2)):
        run(pytester).assert_outcomes(passed=1)
        (pytester.path / name).write_text(f"# {times}" if name.endswith("py") else f"-- {times}")
    run(pytester).assert_outcomes(passed=1)
    assert built(pytester) == 2


def test_who_asks_for_the_set_up_does_not_run_it_again(pytester: pytest.Pytester) -> None:
    """It would fill a database that is full."""
    pytester.makeconftest(COUNTED)
    pytester.makepyfile(
        shop="", test_it="def test_it(dbrewind, dbrewind_setup): pass\ndef test_more(dbrewind_setup): pass"
    )
    for _ in range(2):
        run(pytester, "-W", "error").assert_outcomes(passed=2)
    assert built(pytester) == 1


def test_an_override_in_a_folder_of_tests_is_cached_too(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("tests")
    (folder / "conftest.py").write_text(COUNTED.replace("import shop", "pass"))
    (folder / "test_it.py").write_text(ONE)
    pytester.makeini("[pytest]")
    for _ in range(2):
        run(pytester).assert_outcomes(passed=1)
    assert built(pytester) == 1


def test_a_cached_base_that_is_damaged_is_not_used(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(COUNTED)
    pytester.makepyfile(shop="", test_it=ONE)
    run(pytester).assert_outcomes(passed=1)
    (kept,) = (pytester.path / ".pytest_cache/d/dbrewind").glob("*.db")
    content = bytearray(kept.read_bytes())
    at = content.index(b"Ann")
    content[at : at + 3] = b"Eve"
    kept.write_bytes(content)
    run(pytester).assert_outcomes(passed=1)
    assert built(pytester) == 2


def test_a_new_file_of_the_session_warns_of_no_next_one(pytester: pytest.Pytester) -> None:
    """A transaction that is left open is the test's failure; the file is gone with the session."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import sqlite3
        left = []
        def test_it(dbrewind):
            left.append(sqlite3.connect(dbrewind.path))
            left[0].execute("DELETE FROM users")
    """)
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*DBR004*"])
    result.stdout.no_fnmatch_line("*next session*")


@pytest.mark.parametrize("how", ["off", "unwritable", "workers"])
def test_a_base_that_no_later_run_finds_is_said_once(pytester: pytest.Pytester, how: str) -> None:
    pytester.makeconftest(COUNTED.replace("import shop", "pass"))
    pytester.makepyfile(test_it=ONE)
    arguments = ["-p", "no:cacheprovider", "-q"]
    plugins: tuple[str, ...] = ()
    reason = "pytest's cache is switched off"
    if how == "unwritable":
        (pytester.path / ".pytest_cache").touch()
        arguments, reason = ["-W", "ignore::pytest.PytestCacheWarning"], "pytest's cache cannot be written to (*)"
    elif how == "workers":
        pytest.importorskip("xdist")
        arguments, plugins = [*arguments, "-n", "2"], ("xdist",)
    for times in (1, 2):
        result = run(pytester, *arguments, plugins=plugins)
        result.assert_outcomes(passed=1)
        assert built(pytester) == times
        result.stdout.fnmatch_lines([f"dbrewind: *base* built in * s (*), and again in each run: {reason}*"])
        assert result.stdout.str().count("again in each run") == 1


def test_a_set_up_that_is_none_is_not_said_to_be_built_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_it(dbrewind): pass")
    result = run(pytester, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "again in each run" not in result.stdout.str()
