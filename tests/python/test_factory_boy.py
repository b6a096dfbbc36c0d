"""Sequences of factory_boy go back with the database, if that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from django_scene import copied
from django_scene import run as run_django
from plugin_scene import run

pytest.importorskip("factory")

PEOPLE = """
import sqlite3
from contextlib import closing

import factory

class User(factory.Factory):
    class Meta:
        model = dict
    name = factory.Sequence(lambda n: f"user {n}")

class Admin(User):
    role = "admin"

class Order(factory.Factory):
    class Meta:
        model = dict
    number = factory.Sequence(lambda n: n)

def create(target, kind=User):
    name = kind()["name"]
    with closing(sqlite3.connect(target.path)) as db:
        db.execute("INSERT INTO users(name) VALUES (?)", (name,))
        db.commit()
    return name
"""
CONFTEST = """
import sqlite3
from contextlib import closing

import pytest

import dbrewind.factory_boy
from people import Order, User, create

dbrewind.factory_boy.bind(User)

@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    with closing(sqlite3.connect(dbrewind_db.path)) as db:
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    create(dbrewind_db)
    create(dbrewind_db)

@pytest.fixture(scope="module")
def three(dbrewind_module, dbrewind_db):
    assert create(dbrewind_db) == "user 2"
"""


def test_they_stand_where_they_stood_at_the_mark(pytester: pytest.Pytester) -> None:
    """That of the base, built or cached; of a layer; and of the base again when the layer is gone."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        people=PEOPLE,
        test_1="""
        import pytest
        from people import Admin, User, create

        @pytest.mark.parametrize("turn", range(3))
        def test_base(dbrewind, dbrewind_db, turn):
            assert create(dbrewind_db) == "user 2"
            assert create(dbrewind_db, Admin) == "user 3"  # derived: one sequence

        def test_a_rewind_of_the_test(dbrewind, dbrewind_db):
            assert create(dbrewind_db) == "user 2"
            dbrewind.rewind("base")
            assert create(dbrewind_db) == "user 2"
        """,
        test_2="""
        import pytest
        from people import create

        @pytest.mark.parametrize("turn", range(2))
        def test_layer(three, dbrewind, dbrewind_db, turn):
            assert create(dbrewind_db) == "user 3"
        """,
        test_3="""
        from people import create

        def test_base(dbrewind, dbrewind_db):
            assert create(dbrewind_db) == "user 2"
        """,
    )
    run(pytester).assert_outcomes(passed=7)
    again = run(pytester)
    again.assert_outcomes(passed=7)
    again.stdout.fnmatch_lines(["dbrewind: base * cached *"])
    run(pytester, "-n", "2", "--dbrewind-rebuild", plugins=("xdist",)).assert_outcomes(passed=7)


def test_where_that_is_not_known_no_number_is_given_twice(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        people=PEOPLE,
        test_it="""
        from people import create

        def test_rewound(dbrewind, dbrewind_db):
            for number in (2, 3, 4):
                with dbrewind.rewound():
                    assert create(dbrewind_db) == f"user {number}"

        def test_back_and_forth(dbrewind, dbrewind_db):
            assert create(dbrewind_db) == "user 2"
            undo = dbrewind.rewind("base").undo
            dbrewind.rewind(undo)
            assert create(dbrewind_db) == "user 5"  # as far as the test before went

        def test_base(dbrewind, dbrewind_db):
            assert create(dbrewind_db) == "user 2"
        """,
    )
    run(pytester).assert_outcomes(passed=3)


def test_others_go_on(pytester: pytest.Pytester) -> None:
    """Those that were not bound; and all, when a database is rewound that is not the one of dbrewind_db."""
    pytester.makeconftest(
        CONFTEST
        + """
from dbrewind.testing import fixture

def fill(target):
    with closing(sqlite3.connect(target.path)) as db:
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT UNIQUE)")

further = fixture("further", setup=fill)
"""
    )
    pytester.makepyfile(
        people=PEOPLE,
        test_it="""
        import pytest
        from people import Order, create

        @pytest.mark.parametrize("turn", range(3))
        def test_not_bound(dbrewind, dbrewind_db, turn):
            create(dbrewind_db)
            assert Order()["number"] == turn

        @pytest.mark.parametrize("turn", range(2))
        def test_further(further, turn):
            assert create(further) == f"user {2 + turn}"
        """,
    )
    run(pytester).assert_outcomes(passed=5)


def test_no_factory_is_refused() -> None:
    from dbrewind.factory_boy import bind

    with pytest.raises(TypeError, match="a factory of factory_boy is wanted, not 'User'"):
        bind("User")  # type: ignore[arg-type]


def test_of_djangos_models(tmp_path: Path) -> None:
    pytest.importorskip("pytest_django")
    shop = copied(tmp_path)
    (shop / "test_it.py").write_text("""
import factory.django
import pytest

import dbrewind.factory_boy
from shop.models import Category

class CategoryFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Category
    name = factory.Sequence(lambda n: f"category {n}")

dbrewind.factory_boy.bind(CategoryFactory)

@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", range(3))
def test_it(turn):
    assert [CategoryFactory().name for _ in range(2)] == ["category 0", "category 1"]
""")
    said = run_django(shop, "-m", "pytest", "test_it.py", "-p", "no:shuffled", "-o", "addopts=")
    assert " 3 passed" in said
