"""A rewind that is not exact: whatever it came after, nothing runs on what it left (DBR009)."""

from __future__ import annotations

import pytest

from plugin_scene import CONFTEST, run

# Planted: the digest of every mark is another.
SPOILT = (
    CONFTEST
    + """
@pytest.fixture(autouse=True)
def spoil(_dbrewind_stack):
    for layer in _dbrewind_stack.layers:
        layer.digest = "0" * 32

left = []

def pytest_runtest_logfinish():
    while left:
        left.pop().close()

@pytest.fixture
def leaves(dbrewind_db):
    yield
    left.append(sqlite3.connect(dbrewind_db.path))
    left[0].execute("DELETE FROM users")
    left[0].commit()
    left[0].execute("DELETE FROM users")
"""
)

INSERT = "app.execute(\"INSERT INTO users(name) VALUES ('Zoe')\")"
# Where the rewind comes from, a test that brings it about, and what becomes of that one.
WAYS = {
    "end of a test": (f"def test_it(dbrewind, app): {INSERT}", {"passed": 1, "errors": 1}),
    "leak": (f"def test_it(app): {INSERT}", {"passed": 1, "errors": 1}),
    "end of a layer": (f"class TestIt:\n def test_it(self, dbrewind_class, app): {INSERT}", {"passed": 1, "errors": 1}),
    # The test's own end fails with DBR004; the next one begins with the rewind that is owed.
    "rewind that was owed": (
        "def test_it(dbrewind, leaves): pass\ndef test_next(dbrewind): pass",
        {"passed": 1, "errors": 2},
    ),
}


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("way", WAYS)
def test_a_rewind_that_is_not_exact_stops_the_session(pytester: pytest.Pytester, way: str, workers: int) -> None:
    if workers:
        pytest.importorskip("xdist")
    body, outcome = WAYS[way]
    pytester.makeconftest(SPOILT)
    pytester.makepyfile(test_1=body, test_2="def test_later(): pass\ndef test_last(dbrewind): pass")
    arguments = ("-n", str(workers)) if workers else ()
    result = run(pytester, "--dbrewind=verify", *arguments, plugins=("xdist",) if workers else ())
    result.assert_outcomes(**outcome)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*DBR009*The session stops*", "! *Interrupted: dbrewind: *DBR009*What it is: *"])
    kept = sorted(path.name for path in (pytester.path / ".dbrewind/differs").glob("*"))
    assert kept == ["test-is.db", "test-was.db"]


def test_it_stops_though_there_is_no_room_for_the_copies(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(SPOILT)
    pytester.makepyfile(test_1=WAYS["leak"][0], test_2="def test_later(): pass")
    (pytester.path / ".dbrewind").touch()
    result = run(pytester, "--dbrewind=verify")
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*VerifyFailedError*DBR009*could not be copied: *", "! *Interrupted: *DBR009*"])
