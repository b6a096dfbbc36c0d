"""Django: the suite of tests/python/apps/django_shop, by pytest-django and by Django's own runner."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from django_scene import copied, run

pytest.importorskip("pytest_django")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.mark.parametrize("seed", ["1", "2", "3", "4"])
def test_a_mixed_suite_in_any_order(shop: Path, seed: str) -> None:
    """What commits, what rolls back, what asks for serialized_rollback, what flushes; two databases."""
    said = run(shop, "-m", "pytest", "-p", "resets", "--dbrewind-strict", RESETS="resets.json", SHUFFLE=seed)
    assert said.startswith("exit 0\n")
    assert "45 passed" in said
    assert "serialized_rollback was ignored in 8 tests" in said
    rewinds = json.loads((shop / "resets.json").read_text())["rewind"]
    assert rewinds["count"] == len(rewinds["all_ms"]) == 36
    assert 0 < rewinds["median_ms"] <= rewinds["p90_ms"]
    assert not list(shop.glob("*.sqlite3*"))


def test_the_mixed_suite_is_none_for_plain_django(shop: Path) -> None:
    """What it passes for: without us nearly all of it fails, and serialized_rollback with a unique violation."""
    said = run(shop, "-m", "pytest", "-p", "no:dbrewind", "-p", "resets", "test_shop_mixed.py", RESETS="resets.json")
    assert said.startswith("exit 1\n")
    passed = re.search(r"(\d+) passed", said.splitlines()[-1])
    assert passed is None or int(passed[1]) <= 2, "those that come before the first flush"
    asks = "test_shop_mixed.py::test_commits_and_asks_for_what_migrations_left"
    assert len(set(re.findall(rf"^ERROR {asks}\[(\d)\]", said, re.MULTILINE))) >= 7, "of 8, one may come first of all"
    assert said.count("django.db.utils.IntegrityError: UNIQUE constraint failed") >= 7
    resets = json.loads((shop / "resets.json").read_text())
    assert resets["rewind"]["count"] == 0
    assert resets["flush"]["count"] >= 10, "of those that were set up"


def test_an_async_suite_leaves_no_rows(shop: Path) -> None:
    """Among tests that are not, in one order and another; strict, so that whatever is left is an error."""
    pytest.importorskip("pytest_asyncio")
    command = ("-m", "pytest", "-p", "asyncio", "-o", "asyncio_mode=auto", "suite_async.py", "test_shop_mixed.py")
    for seed in ("1", "2"):
        said = run(shop, *command, "--dbrewind-strict", SHUFFLE=seed)
        assert said.startswith("exit 0\n")
        assert "53 passed" in said
    plain = run(shop, *command, "-o", "dbrewind_django=false", "-k", "not Checkout")
    assert plain.startswith("exit 1\n"), "it does leave rows, where nobody rewinds them"


LEAKS_UNDER_XDIST = """
import pytest
from shop.models import Category, Product

@pytest.mark.parametrize("turn", range(6))
def test_leaks(django_db_setup, django_db_blocker, turn):
    with django_db_blocker.unblock():
        assert Product.objects.count() == 3
        if turn < 2:
            Product.objects.create(category_id=1, name="wine", price=9)

@pytest.mark.parametrize("turn", range(6))
def test_finds_the_base(transactional_db, turn):
    assert Product.objects.create(category_id=1, name="wine", price=9).id == 4
"""


def test_two_workers_of_xdist(shop: Path) -> None:
    """Nothing leaks from one test to the next, in either; and what does is named once, by the controller."""
    pytest.importorskip("xdist")
    workers = ("-m", "pytest", "-n", "2", "--dbrewind-strict")
    for seed in ("1", "2"):
        said = run(shop, *workers, "test_shop_mixed.py", "test_shop_layers.py", SHUFFLE=seed)
        assert said.startswith("exit 0\n")
        assert "34 passed" in said
        assert " polluted" not in said
    (shop / "test_leak.py").write_text(LEAKS_UNDER_XDIST)
    said = run(shop, *workers, "test_leak.py")
    assert "12 passed, 2 errors" in said
    assert re.search(r"^dbrewind: 8 rewinds, .* 2 polluted", said, re.MULTILINE)
    for turn in range(6):
        named = rf"\[DBR008\].*\n.* by: test_leak.py::test_leaks\[{turn}\]\n.* shop_product: 1 inserted \(4\)\n"
        assert bool(re.search(named, said)) == (turn < 2)


@pytest.mark.parametrize("parallel", [[], ["--parallel", "2"]])
def test_the_runner_of_django(shop: Path, parallel: list[str]) -> None:
    said = run(shop, "manage.py", "test", "test_shop_cases", *parallel)
    assert said.startswith("exit 0\n")
    assert "Ran 11 tests" in said


def test_a_case_that_nobody_records_says_what_to_do(shop: Path) -> None:
    said = run(shop, "-m", "pytest", "-o", "dbrewind_django=false", "test_shop_cases.py", "-k", "Checkout")
    assert said.startswith("exit 1\n")
    assert 'the test database "default" is not recorded' in said
    assert "dbrewind_django = true" in said


def test_a_kept_database_is_as_migrations_left_it(shop: Path) -> None:
    """--reuse-db: what the tests wrote is not in the file that the next run begins with."""
    settings = shop / "settings.py"
    settings.write_text(
        settings.read_text() + 'DATABASES["default"]["TEST"] = {"NAME": str(FOLDER / "kept.sqlite3")}\n'
    )
    for _ in range(2):
        said = run(shop, "-m", "pytest", "--reuse-db", "test_shop_mixed.py", "-k", "test_commits")
        assert said.startswith("exit 0\n")
    assert (shop / "kept.sqlite3").exists()


LATE = """
import sqlite3

import pytest
from django.contrib.sites.models import Site
from django.db import connection
from shop.models import Product

told = []

@pytest.mark.parametrize("turn", range(2))
def test_starts_from_the_base(transactional_db, turn):
    assert Product.objects.count() == 3

def test_caches_go_with_a_rewind_within_a_test(dbrewind):
    dbrewind.mark("here")
    Site.objects.update(domain="example.org")
    Site.objects.clear_cache()
    assert Site.objects.get_current().domain == "example.org"
    dbrewind.rewind("here")
    assert Site.objects.get_current().domain == "example.com"
    assert "here" in told

@pytest.fixture(scope="class")
def narrow(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        Product.objects.create(category_id=1, name="wine", price=9)

@pytest.fixture(scope="module")
def wide(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        Product.objects.create(category_id=1, name="beer", price=4)

class TestLayers:
    def test_the_wider_one_comes_later(self, transactional_db, narrow, request):
        request.getfixturevalue("wide")
        assert Product.objects.count() == 5
"""
LATE_CONFTEST = """
import sqlite3
import sys

import pytest
from django.db import connection

def pytest_dbrewind_after_rewind(db, mark):
    sys.modules["test_late"].told.append(mark)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_logfinish(nodeid):  # after the test's rewind: as a task that was still running would
    if "base[0]" in nodeid:
        other = sqlite3.connect(connection.settings_dict["NAME"])
        other.execute("DELETE FROM shop_product")
        other.commit()
        other.close()
    return (yield)
"""


def test_what_is_written_between_two_tests_is_named_and_taken_back(shop: Path) -> None:
    (shop / "test_late.py").write_text(LATE)
    (shop / "conftest.py").write_text(LATE_CONFTEST)
    said = run(shop, "-m", "pytest", "test_late.py")
    test = "test_late.py::test_starts_from_the_base"
    assert (
        "default.sqlite3) was changed outside of a test that is rewound, and was rewound.\n"
        f"    by: something between the end of {test}[0] and the beginning of {test}[1]\n"
        "    shop_product: 3 deleted (1, 2, 3)\n"
    ) in said
    assert "[DBR008] a fixture that outlives narrow wrote after it" in said
    assert "4 passed, 2 warnings" in said


LEAK = """
import pytest
from shop.models import Product

def test_leaks(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        Product.objects.create(category_id=1, name="wine", price=9)

@pytest.mark.django_db(transaction=True)
def test_commits():  # pytest-django has it run first
    Product.objects.all().delete()

def test_next(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        assert Product.objects.count() == 3

def test_is_the_last_that_leaks(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        Product.objects.all().delete()
"""


@pytest.mark.parametrize("strict", [False, True])
def test_a_leak_of_a_test_that_asks_for_no_database_is_named(shop: Path, strict: bool) -> None:
    (shop / "test_leak.py").write_text(LEAK)
    settings = shop / "settings.py"
    settings.write_text(
        settings.read_text() + 'DATABASES["default"]["TEST"] = {"NAME": str(FOLDER / "named.sqlite3")}\n'
    )
    said = run(shop, "-m", "pytest", "test_leak.py", *(["--dbrewind-strict"] if strict else []))
    for name, rows in (("test_leaks", "1 inserted (4)"), ("test_is_the_last_that_leaks", "3 deleted (1, 2, 3)")):
        where = rf"\[DBR008\] default \({shop}/named.sqlite3\) was changed outside of a test that is rewound, and was"
        assert re.search(rf"{where} rewound.\n.* by: test_leak.py::{name}\n.* shop_product: {re.escape(rows)}", said)
    assert ("4 passed, 2 errors" if strict else "4 passed, 2 warnings") in said
    assert not list(shop.glob("named.sqlite3*")), "the recording has ended, whatever was said of the last test"
