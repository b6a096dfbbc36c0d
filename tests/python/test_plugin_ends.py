"""Ends of tests at which several things go wrong."""

from __future__ import annotations

import pytest

from plugin_scene import CONFTEST, run

# pytest 8.4 takes the first entry of a group's traceback that is not hidden, and ends the session if there is none.
AS_PYTEST_8_4 = """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    if call.when == "teardown" and call.excinfo is not None:
        assert item._traceback_filter(call.excinfo), "nothing is left of the traceback"
"""
ENDS = """
import pytest

@pytest.fixture
def first():
    yield
    raise ValueError("of the first")

@pytest.fixture
def second():
    yield
    raise KeyError("of the second")

def test_before(dbrewind):
    pass

def test_it({asks}app, first, second):
    app.execute("INSERT INTO users(name) VALUES ('Zoe')")

def test_after(dbrewind, app):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
"""


def test_two_errors_of_one_end_are_told_and_the_session_goes_on(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST + AS_PYTEST_8_4)
    pytester.makepyfile(ENDS.format(asks="dbrewind, "))
    result = run(pytester)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.stdout.fnmatch_lines(["*ValueError: of the first*"])
    result.stdout.fnmatch_lines(["*KeyError: 'of the second'*"])


def test_an_error_in_a_circle_of_causes_is_told(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def circle():
            yield
            try:
                try:
                    1 / 0
                except ZeroDivisionError as cause:
                    raise RuntimeError from cause
            except RuntimeError as error:
                raise error.__cause__

        def test_it(dbrewind, circle):
            pass
    """)
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError: division by zero*"])


def test_a_leak_beside_two_errors_is_told_with_them(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST + AS_PYTEST_8_4)
    pytester.makepyfile(ENDS.format(asks=""))
    result = run(pytester, "--dbrewind-strict")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    for told in ("*ValueError: of the first*", "*KeyError: 'of the second'*", "*[[]DBR008] *", "*by: *::test_it"):
        result.stdout.fnmatch_lines([told])


def test_the_way_to_an_error_of_ours_stays_short(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        def test_before(dbrewind):
            pass

        def test_it(app):
            app.execute("INSERT INTO users(name) VALUES ('Zoe')")
    """)
    result = run(pytester, "--dbrewind-strict")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*[[]DBR008] *", "*by: *::test_it"])
    result.stdout.no_fnmatch_line("*around.py*")
