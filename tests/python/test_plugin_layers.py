"""The stack of marks: session, module, class, test."""

from __future__ import annotations

import pytest

from conftest import create
from plugin_scene import CONFTEST, OVERRIDE, run

LAYERS = """
import sqlite3
from contextlib import closing

import pytest

def write(target, name):
    with closing(sqlite3.connect(target.path)) as db:
        db.execute("INSERT INTO users(name) VALUES (?)", (name,))
        db.commit()

def names(target):
    with closing(sqlite3.connect(target.path)) as db:
        return [name for name, in db.execute("SELECT name FROM users WHERE id > 2 ORDER BY id")]
"""

CONFTEST_LAYERS = (
    CONFTEST
    + """
from layers import write

@pytest.fixture(scope="session")
def country(dbrewind_session, dbrewind_db):
    write(dbrewind_db, "session")

@pytest.fixture(scope="module")
def town(country, dbrewind_module, dbrewind_db):
    write(dbrewind_db, "module")

@pytest.fixture(scope="class")
def street(town, dbrewind_class, dbrewind_db):
    write(dbrewind_db, "class")
"""
)

ONE = """
from layers import names, write
import pytest

class TestStreet:
    @pytest.mark.parametrize("turn", range(2))
    def test_all_layers(self, street, dbrewind, dbrewind_db, turn):
        assert names(dbrewind_db) == ["session", "module", "class"]
        write(dbrewind_db, "test")

    def test_a_mark_of_a_layer_is_not_to_be_dropped(self, street, dbrewind):
        import dbrewind as package
        for mark in dbrewind.marks():
            with pytest.raises(package.UnsupportedError):
                dbrewind.drop(mark)

def test_the_class_is_gone(town, dbrewind, dbrewind_db):
    assert names(dbrewind_db) == ["session", "module"]
    write(dbrewind_db, "test")

def test_and_the_test(town, dbrewind, dbrewind_db):
    assert names(dbrewind_db) == ["session", "module"]
"""

TWO = """
from layers import names, write

def test_the_module_is_gone(dbrewind, dbrewind_db):
    assert names(dbrewind_db) == ["session"]

def test_a_test_that_asks_for_a_layer_writes_into_it(dbrewind_module, dbrewind_db):
    write(dbrewind_db, "first")

def test_and_the_next_one_finds_it(dbrewind_module, dbrewind_db):
    assert names(dbrewind_db) == ["session", "first"]

def test_marks_of_a_test_beside_layers(dbrewind, dbrewind_db):
    write(dbrewind_db, "test")
    dbrewind.mark("mine")

def test_as_one_that_is_rewound(dbrewind, dbrewind_db):
    assert names(dbrewind_db) == ["session", "first"]
    assert [mark.name for mark in dbrewind.marks()] == ["base", "pytest: session", "pytest: module"]
    write(dbrewind_db, "test")

def test_the_session_ends_with_a_layer_that_a_test_wrote_into(dbrewind_module, dbrewind_db):
    write(dbrewind_db, "last")
"""


def test_layers_hold_as_long_as_their_scope(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST_LAYERS)
    pytester.makepyfile(layers=LAYERS, test_1=ONE, test_2=TWO)
    run(pytester, "-W", "error").assert_outcomes(passed=11)


def test_a_layer_below_one_that_has_rows_is_refused(pytester: pytest.Pytester) -> None:
    """What lies between could not be told apart any more, and would outlive the module."""
    pytester.makeconftest(CONFTEST_LAYERS.replace("def town(country, ", "def town("))
    pytester.makepyfile(
        layers=LAYERS,
        test_it="""
        from layers import names
        def test_one(town, dbrewind): pass
        def test_two(country, dbrewind): pass
        def test_three(dbrewind, dbrewind_db):
            assert names(dbrewind_db) == ["module"]
        """,
    )
    result = run(pytester)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*the fixture country wrote into the layer of the session, while*of the module*"])


def test_a_fixture_without_a_layer_is_named(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST_LAYERS.replace("def town(country, dbrewind_module, ", "def town(dbrewind_setup, "))
    pytester.makepyfile(layers=LAYERS, test_it="def test_it(town, dbrewind): pass")
    result = run(pytester)
    result.stdout.fnmatch_lines(["*DBR008*", "*by: the fixture town (scope module); *let it ask for dbrewind_module*"])


def test_the_marker_asks_and_is_checked(pytester: pytest.Pytester) -> None:
    conftest = CONFTEST.replace(
        "        db.commit()\n",
        "        db.commit()\n        db.execute('CREATE TABLE orders(id)')\n",
    )
    pytester.makeconftest(conftest)
    pytester.makepyfile("""
        import pytest

        @pytest.mark.dbrewind
        @pytest.mark.parametrize("turn", range(2))
        def test_it_is_rewound(app, turn):
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)

        @pytest.mark.dbrewind(keep="sometimes")
        def test_value(): pass

        @pytest.mark.dbrewind(marks="base")
        def test_name(): pass

        @pytest.mark.dbrewind("base")
        def test_position(): pass

        @pytest.mark.dbrewind(mark="bse")
        def test_no_such_mark(): pass
    """)
    result = run(pytester, "--strict-markers")
    result.assert_outcomes(passed=2, errors=4)
    result.stdout.fnmatch_lines(
        [
            "*keep must be one of failed, on-failure, none, all, not 'sometimes'*",
            "*dbrewind(*mark: *keep: *unexpected keyword argument 'marks'*",
            "*positional argument*",
            "*DBR003*bse*base*",
        ]
    )


def test_a_test_begins_at_a_mark_of_the_set_up(pytester: pytest.Pytester) -> None:
    """The set-up has no handle: it opens one, and marks what it passes."""
    body = """
@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    import dbrewind
    with closing(sqlite3.connect(dbrewind_db.path)) as db, dbrewind.open(dbrewind_db.path) as handle:
        db.execute("CREATE TABLE users(id)")
        db.commit()
        handle.mark("empty")
        db.execute("INSERT INTO users VALUES (1)")
        db.commit()
"""
    pytester.makeconftest(CONFTEST.partition("@pytest")[0] + body)
    pytester.makepyfile("""
        import sqlite3, pytest
        def count(dbrewind):
            db = sqlite3.connect(dbrewind.path)
            found = db.execute("SELECT count(*) FROM users").fetchone()[0]
            db.close()
            return found
        @pytest.mark.dbrewind(mark="empty")
        def test_empty(dbrewind):
            assert count(dbrewind) == 0
        def test_seeded(dbrewind):
            assert count(dbrewind) == 1
    """)
    run(pytester).assert_outcomes(passed=2)


def test_a_further_database_has_a_fixture_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        CONFTEST
        + """
from dbrewind.testing import fixture

def fill(target):
    with closing(sqlite3.connect(target.path)) as db:
        db.execute("CREATE TABLE logs(id INTEGER PRIMARY KEY)")
        db.commit()

logs_db = fixture("logs_db", setup=fill)
kept_db = fixture("kept_db", url="sqlite:///test_kept.db", setup=fill, scope="module")
"""
    )
    pytester.makepyfile("""
        import sqlite3, pytest
        @pytest.mark.parametrize("turn", range(2))
        def test_it(dbrewind, app, logs_db, turn):
            db = sqlite3.connect(logs_db.path, isolation_level=None)
            assert db.execute("SELECT count(*) FROM logs").fetchone() == (0,)
            db.execute("INSERT INTO logs DEFAULT VALUES")
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)
            db.close()
        @pytest.mark.parametrize("turn", range(2))
        def test_of_a_module(kept_db, turn):
            db = sqlite3.connect(kept_db.path, isolation_level=None)
            assert db.execute("INSERT INTO logs DEFAULT VALUES RETURNING id").fetchone() == (turn + 1,)
            db.close()
    """)
    for _ in range(2):
        run(pytester, "-W", "error").assert_outcomes(passed=4)


PARAMETERS = """
@pytest.fixture(scope="{scope}", params=["one", "two"])
def town(request, dbrewind_{scope}, dbrewind_db):
    write(dbrewind_db, request.param)
    yield request.param
    write(dbrewind_db, "end of " + request.param)
"""


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_rows_of_one_parameter_go_before_the_next(pytester: pytest.Pytester, scope: str) -> None:
    pytester.makeconftest(
        CONFTEST_LAYERS.partition('@pytest.fixture(scope="module")')[0] + PARAMETERS.format(scope=scope)
    )
    pytester.makepyfile(
        layers=LAYERS,
        test_it="""
        import pytest
        from layers import names, write

        class TestTowns:
            def test_before(self, dbrewind, dbrewind_db):
                assert names(dbrewind_db) == []

            @pytest.mark.parametrize("turn", range(2))
            def test_town(self, country, town, dbrewind, dbrewind_db, turn):
                assert names(dbrewind_db) == ["session", town]
                write(dbrewind_db, "test")
        """,
        test_later=f"""
        from layers import names

        def test_after(dbrewind, dbrewind_db):
            assert names(dbrewind_db) == ["session", "two"][: 2 if "{scope}" == "session" else 1]
        """,
    )
    run(pytester, "-W", "error").assert_outcomes(passed=6)


def test_who_depends_on_a_parameter_writes_anew_for_the_next(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        CONFTEST_LAYERS.partition('@pytest.fixture(scope="module")')[0]
        + PARAMETERS.format(scope="module")
        + """
@pytest.fixture(scope="module")
def street(town, dbrewind_module, dbrewind_db):
    write(dbrewind_db, "street of " + town)

@pytest.fixture(scope="class")
def house(street, dbrewind_class, dbrewind_db):
    write(dbrewind_db, "house")
"""
    )
    pytester.makepyfile(
        layers=LAYERS,
        test_it="""
        from layers import names, write

        class TestHouse:
            def test_one(self, town, house, dbrewind, dbrewind_db):
                assert names(dbrewind_db) == [town, "street of " + town, "house"]
                assert len(dbrewind.marks()) == 4

        def test_rows_of_a_test(town, street, dbrewind_module, dbrewind_db):
            write(dbrewind_db, "kept")

        def test_they_are_there_as_long_as_the_parameter(town, dbrewind, dbrewind_db):
            assert names(dbrewind_db) == [town, "street of " + town, "kept"]
        """,
        test_next="""
        from layers import names
        def test_it(dbrewind, dbrewind_db):
            assert names(dbrewind_db) == []
            assert [mark.name for mark in dbrewind.marks()] == ["base"]
        """,
    )
    run(pytester, "-W", "error").assert_outcomes(passed=7)


@pytest.mark.parametrize("strict", [False, True])
def test_a_fixture_that_wrote_after_a_parameter_and_outlives_it_is_named(
    pytester: pytest.Pytester, strict: bool
) -> None:
    pytester.makeconftest(
        CONFTEST_LAYERS.partition('@pytest.fixture(scope="module")')[0]
        + PARAMETERS.format(scope="module")
        + """
@pytest.fixture(scope="module")
def weather(dbrewind_module, dbrewind_db):
    write(dbrewind_db, "weather")
"""
    )
    pytester.makepyfile(
        layers=LAYERS,
        test_it="""
        from layers import names
        def test_it(town, weather, dbrewind, dbrewind_db):
            assert town not in ("one", "two") or names(dbrewind_db) in ([town, "weather"], [town])
        """,
    )
    result = run(pytester, *(["--dbrewind-strict"] if strict else []))
    result.assert_outcomes(**({"passed": 1, "errors": 1} if strict else {"passed": 2, "warnings": 1}))
    result.stdout.fnmatch_lines(
        ["*DBR008*what the fixture weather wrote is gone*after the fixture town*Let town ask for*"]
    )


def test_a_layer_ends_though_its_rewind_has_to_wait(pytester: pytest.Pytester) -> None:
    """Its mark must not be in the way of the next class's."""
    body = "import dbrewind\n    with dbrewind.open('test.db', timeout=0.1) as db:\n        yield db"
    create(pytester.path / "test.db", "wal", rows=2)
    pytester.makeconftest(
        CONFTEST.partition("@pytest")[0]
        + OVERRIDE.format(body=body)
        + """
@pytest.fixture(scope="class")
def street(dbrewind_class, dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        db.execute("INSERT INTO users(name) VALUES ('street')")
        db.commit()
"""
    )
    pytester.makepyfile("""
        import sqlite3
        left = []

        class TestOne:
            def test_leaves_a_transaction_open(self, street, dbrewind_db):
                left.append(sqlite3.connect(dbrewind_db.path))
                left[0].execute("DELETE FROM users")

        def test_ends_it():
            left.pop().close()

        class TestTwo:
            def test_begins_as_the_first(self, street, dbrewind, dbrewind_db):
                app = sqlite3.connect(dbrewind_db.path)
                assert app.execute("SELECT count(*) FROM users").fetchone() == (3,)
                app.close()
    """)
    result = run(pytester)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*DBR004*"])


def test_a_fixture_that_cannot_begin_yet_is_tried_again_for_the_next_test(pytester: pytest.Pytester) -> None:
    """A rewind that is owed may fail before somebody else's fixture, such as pytest-django's for each class."""
    create(pytester.path / "test.db", "wal")
    body = "import dbrewind\n    yield dbrewind.open('test.db', timeout=0.1)"
    pytester.makeconftest(
        "import pytest\n"
        + OVERRIDE.format(body=body)
        + """
left = []

@pytest.fixture(scope="class", autouse=True)
def others(request):
    yield request.node.name

def pytest_runtest_setup(item):
    if item.name == "test_after_its_end":
        left.pop().close()
"""
    )
    pytester.makepyfile("""
        import sqlite3
        from conftest import left

        class TestOne:
            def test_leaves_a_transaction_open(self, dbrewind):
                left.append(sqlite3.connect(dbrewind.path))
                left[0].execute("DELETE FROM users")

        class TestTwo:
            def test_cannot_begin(self):
                pass

        class TestThree:
            def test_after_its_end(self, others, dbrewind):
                assert others == "TestThree"
    """)
    result = run(pytester)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.no_fnmatch_line("*AssertionError*")
    result.stdout.fnmatch_lines(["*has waited to be rewound since *::TestOne::test_leaves_a_transaction_open."])
