"""The plugin's options, its marker and its refusals, with Django's databases."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from django_scene import copied, run

pytest.importorskip("pytest_django")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return copied(tmp_path)


SUITE = """
import pytest
from shop.models import Category, Entry, Product

from dbrewind.django import RewindTestCase

def wine():
    Product.objects.create(category_id=1, name="wine", price=9)

@pytest.mark.django_db(transaction=True, databases=["default", "audit"])
def test_passes():
    wine()
    Entry.objects.create(text="one")

@pytest.mark.django_db(transaction=True)
def test_fails():
    wine()
    assert False

@pytest.mark.dbrewind(keep="none")
def test_fails_and_is_not_kept():
    wine()
    assert False

@pytest.mark.django_db(transaction=True)
def test_reads():
    assert Product.objects.count() == 3

class Case(RewindTestCase):
    @classmethod
    def setUpTestData(cls):
        Category.objects.create(name="more")

    def test_passes(self):
        wine()

    def test_fails(self):
        wine()
        assert False

    def test_is_skipped(self):
        wine()
        self.skipTest("after it wrote")
"""


def products(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM shop_product ORDER BY id")]


def test_the_databases_of_failed_tests_are_kept(shop: Path) -> None:
    (shop / "test_it.py").write_text(SUITE)
    said = run(shop, "-m", "pytest", "test_it.py", "--dbrewind-keep=failed")
    assert "3 failed, 3 passed, 1 skipped" in said
    kept = {path.name: path for path in (shop / ".dbrewind/failed").glob("*.db")}
    assert sorted(kept) == ["test_it.py-Case-test_fails.default.db", "test_it.py-test_fails.default.db"]
    for path in kept.values():
        assert products(path) == ["bread", "cheese", "olives", "wine"]
        assert f"dbrewind: kept {path} (test_it.py::" in said


def test_whoever_stops_at_a_failure_keeps_its_database(shop: Path) -> None:
    (shop / "test_it.py").write_text(SUITE)
    said = run(shop, "-m", "pytest", "test_it.py", "-x", "-k", "test_fails and not kept and not Case")
    assert len(list((shop / ".dbrewind/failed").glob("*.db"))) == 1
    assert said.count("dbrewind: kept ") == 1


@pytest.mark.parametrize("test", ["test_fails", "Case::test_fails"])
def test_the_debugger_shows_what_the_test_left(shop: Path, test: str) -> None:
    """Django ends a TestCase before pytest calls the debugger."""
    (shop / "test_it.py").write_text(
        SUITE + "\ndef test_then(transactional_db):\n    assert Product.objects.count() == 3\n"
    )
    command = ("-m", "pytest", f"test_it.py::{test}", "test_it.py::test_then", "--pdb", "-o", "addopts=-p no:asyncio")
    said = run(shop, *command, said="import shop.models as m\np 'it left', m.Product.objects.count()\nc\n")
    assert "('it left', 4)" in said
    assert "1 failed, 1 passed" in said
    assert products(next((shop / ".dbrewind/failed").glob("*test_fails.db"))) == [
        "bread",
        "cheese",
        "olives",
        "wine",
    ]


def test_the_report_the_header_and_the_summary(shop: Path) -> None:
    (shop / "test_it.py").write_text(SUITE)
    said = run(shop, "-m", "pytest", "test_it.py", "--dbrewind-report=2", "-k", "passes or reads")
    assert re.search(r"^dbrewind: \S+, sqlite \S+, on, keep none$", said, re.MULTILINE)
    assert re.search(r"^dbrewind: 4 rewinds, median .* 1 clean tests$", said, re.MULTILINE)
    assert len(re.findall(r"^dbrewind: base built in .*, wal recording$", said, re.MULTILINE)) == 1
    table = said[said.index(" 1 clean tests") :]
    assert re.search(
        r"2 rows +\d+ pages compared +[\d.]+ ms +test_it.py::test_passes\n +\S*default\.shop_product: 1 inserted \(4\)",
        table,
    )
    assert "audit.shop_entry: 1 inserted (1)" in table
    assert re.search(r"1 rows +\d+ pages compared +[\d.]+ ms +test_it.py::Case::test_passes\n", table)
    assert "shop_category" not in table, "that is the class's, and was taken back with it"
    plain = run(shop, "-m", "pytest", "test_it.py", "-k", "nothing")
    assert "dbrewind: " not in plain


VERIFIED = """
import pytest
from shop.models import Product

from dbrewind.django import databases

@pytest.fixture
def spoilt(transactional_db):
    databases.recorded("default").top.digest = "0" * 32

@pytest.mark.parametrize("turn", range(2))
def test_is_exact(transactional_db, turn):
    Product.objects.all().delete()

def test_spoils(spoilt):
    Product.objects.all().delete()

def test_zz_does_not_run(transactional_db):
    pass
"""


def test_verify_stops_the_session_where_a_rewind_is_not_exact(shop: Path) -> None:
    """Planted: the digest of the base is another."""
    (shop / "test_it.py").write_text(VERIFIED)
    said = run(shop, "-m", "pytest", "test_it.py", "--dbrewind=verify", "-p", "no:shuffled", "-o", "addopts=")
    assert "3 passed, 1 error" in said
    assert re.search(r"Interrupted: dbrewind: \[DBR009\]", said)
    kept = {path.name: path for path in (shop / ".dbrewind/differs").glob("*")}
    assert sorted(kept) == ["default-is.db", "default-was.db"]
    assert products(kept["default-was.db"]) == ["bread", "cheese", "olives"]


def test_it_stops_though_there_is_no_room_for_the_copies(shop: Path) -> None:
    (shop / "test_it.py").write_text(VERIFIED)
    (shop / ".dbrewind").touch()
    said = run(shop, "-m", "pytest", "test_it.py", "--dbrewind=verify", "-p", "no:shuffled", "-o", "addopts=")
    assert "3 passed, 1 error" in said
    assert re.search(r"Interrupted: dbrewind: \[DBR009\].* could not be copied: ", said)


def test_off_flushes_as_django_does(shop: Path) -> None:
    (shop / "test_it.py").write_text("""
import pytest
from shop.models import Product

from dbrewind.django import RewindTestCase

@pytest.mark.parametrize("turn", range(2))
def test_flushed(transactional_db, turn):
    assert Product.objects.count() == (0 if turn else 3)

class Case(RewindTestCase):
    def test_refused(self):
        pass
""")
    said = run(shop, "-m", "pytest", "test_it.py", "--dbrewind=off", "-o", "addopts=")
    assert "2 passed, 1 error" in said
    assert "--dbrewind=off: nothing is rewound, Django flushes" in said


@pytest.mark.parametrize(
    ("arguments", "conftest", "text"),
    [
        (["--dbrewind-rebuild"], "", "--dbrewind-rebuild has no meaning with dbrewind_django = true: .*--create-db"),
        (["-o", "dbrewind_fingerprint=x"], "", "dbrewind_fingerprint has no meaning with dbrewind_django = true"),
        ([], "def dbrewind_db(): return 'test.db'", "dbrewind_db has no meaning .*dbrewind.testing.fixture"),
        ([], "def dbrewind_setup(dbrewind_db): pass", "dbrewind_setup has no meaning .*migrations fill"),
    ],
)
def test_what_has_no_meaning_is_refused(shop: Path, arguments: list[str], conftest: str, text: str) -> None:
    (shop / "conftest.py").write_text(
        f"import pytest\n@pytest.fixture(scope='session')\n{conftest}" if conftest else ""
    )
    said = run(shop, "-m", "pytest", "test_shop_mixed.py", *arguments)
    assert said.startswith("exit 4\n")
    assert re.search(text, said)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_test_database_that_looks_like_another_is_refused_untouched(
    shop: Path, tmp_path: Path, allowed: bool
) -> None:
    """Django would delete the file, and create it anew."""
    import uuid

    folder = Path(__file__).parents[2] / "target"
    folder.mkdir(exist_ok=True)
    path = folder / f"shop-{uuid.uuid4().hex}.sqlite3"
    path.write_bytes(b"precious")
    settings = shop / "settings.py"
    settings.write_text(settings.read_text() + f'DATABASES["default"]["TEST"] = {{"NAME": {str(path)!r}}}\n')
    extra = ["-o", f"dbrewind_allow={path.parent}/shop-*"] if allowed else []
    try:
        said = run(shop, "-m", "pytest", "test_shop_mixed.py", "-k", "test_commits and 0", *extra)
        if allowed:
            assert said.startswith("exit 0\n")
            assert list(folder.glob(f"{path.name}*")) == [], "neither a WAL nor a store is left"
        else:
            assert re.search(r"DBR007\] .*shop-\w+.sqlite3 does not look like a database of tests", said)
            assert path.read_bytes() == b"precious"
    finally:
        for left in folder.glob(f"{path.name}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


MARKED = """
import pytest
from shop.models import Product

@pytest.fixture(scope="module")
def cellar(dbrewind_module, django_db_blocker):
    with django_db_blocker.unblock():
        dbrewind_module.mark("empty cellar")
        Product.objects.create(category_id=1, name="wine", price=9)

@pytest.mark.parametrize("turn", range(2))
@pytest.mark.dbrewind
def test_the_marker_is_enough(turn):
    assert Product.objects.create(category_id=1, name="beer", price=4).id == 4

@pytest.mark.parametrize("turn", range(2))
@pytest.mark.dbrewind(mark="empty cellar")
def test_begins_at_a_mark(cellar, turn, dbrewind):
    assert Product.objects.count() == 3
    dbrewind.mark("here")
    Product.objects.all().delete()

def test_the_module_has_its_wine(cellar, transactional_db):
    assert Product.objects.count() == 4

@pytest.mark.dbrewind(mark="empty celler")
def test_a_mark_that_is_none():
    pass

@pytest.mark.dbrewind(keeps="all")
def test_a_word_that_is_none():
    pass

def test_where(dbrewind_db, dbrewind):
    assert dbrewind_db.path == dbrewind.path
    assert Product.objects.count() in (3, 4)
"""
AFTER = """
import pytest

def test_the_mark_went_with_its_module(dbrewind):
    assert [mark.name for mark in dbrewind.marks()] == ["base"]
"""


def test_the_marker(shop: Path) -> None:
    (shop / "test_it.py").write_text(MARKED)
    (shop / "test_then.py").write_text(AFTER)
    said = run(shop, "-m", "pytest", "test_it.py", "test_then.py", "-o", "addopts=--strict-markers")
    assert "7 passed, 2 errors" in said
    assert "MarkNotFoundError" in said
    assert "unexpected keyword argument 'keeps'" in said


LEAK = """
import pytest
from shop.models import Category, Product

def test_sets_up(db):
    pass

@pytest.mark.parametrize("turn", range(2))
def test_leaks(django_db_setup, django_db_blocker, turn):
    with django_db_blocker.unblock():
        Product.objects.create(category_id=1, name="wine", price=9)
        Category.objects.create(name="more")
"""


def test_a_leak_is_told_by_tables_and_keys_but_what_is_allowed(shop: Path) -> None:
    (shop / "test_leak.py").write_text(LEAK)
    command = ("-m", "pytest", "test_leak.py", "--dbrewind-strict")
    said = run(shop, *command)
    assert "3 passed, 2 errors" in said
    assert said.count(" shop_product: 1 inserted (4)") >= 2
    assert said.count(" shop_category: 1 inserted (2)") >= 2
    said = run(shop, *command, "-o", "dbrewind_allow_leaks=shop_product")
    assert "3 passed, 2 errors" in said
    assert "shop_product" not in said[said.index("DBR008") :]
    said = run(shop, *command, "-o", "dbrewind_allow_leaks=shop_* sqlite_sequence.*")
    assert "3 passed in" in said


RAISES = """
import pytest
from shop.models import Product

@pytest.fixture
def raises():
    yield
    raise RuntimeError("a fixture that cannot end")

def test_sets_up(db):
    pass

def test_a_leaks(django_db_setup, django_db_blocker, raises):
    with django_db_blocker.unblock():
        Product.objects.all().delete()

def test_b_is_not_blamed(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        assert Product.objects.count() == 3
"""


def test_a_fixture_that_raises_at_its_end_does_not_keep_the_rewind_from_it(shop: Path) -> None:
    (shop / "test_it.py").write_text(RAISES)
    said = run(shop, "-m", "pytest", "test_it.py", "-o", "addopts=")
    assert "3 passed, 1 warning, 1 error" in said
    assert "by: test_it.py::test_a_leaks\n" in said
    assert "between" not in said


OPEN = """
import sqlite3

import pytest
from django.db import connection
from shop.models import Product

others = []
ended = []

@pytest.fixture
def late():
    yield
    others.pop().execute("COMMIT")

@pytest.fixture
def soon(transactional_db):
    yield
    ended.append(True)

@pytest.mark.parametrize("turn", range(2))
def test_a_leaves_a_transaction_open(late, transactional_db, soon, turn):
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    others.append(other)
    Product.objects.create(category_id=1, name="wine", price=9)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM shop_product")

def test_b_leaves_one_open_and_nothing_else(late, transactional_db):
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    others.append(other)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM shop_product")

def test_c_finds_the_base(transactional_db):
    assert ended == [True, True]
    assert Product.objects.count() == 3
"""


def test_a_rewind_that_failed_is_made_up_for_and_nobody_is_blamed(shop: Path) -> None:
    (shop / "test_it.py").write_text(OPEN)
    said = run(shop, "-m", "pytest", "test_it.py", "-o", "addopts=-p no:cacheprovider")
    assert said.count(" dbrewind.BusyError: [DBR004]") >= 3
    assert "DBR008" not in said
    assert "4 passed, 3 errors" in said


def test_migrations_are_not_the_first_tests(shop: Path) -> None:
    (shop / "shop/migrations/0003_slow.py").write_text("""
import time

from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("shop", "0002_catalogue")]
    operations = [migrations.RunPython(lambda apps, editor: time.sleep(3))]
""")
    said = run(shop, "-m", "pytest", "test_shop_mixed.py", "-k", "test_rolls_back and 0", "--durations=3", "-vv")
    assert "1 passed" in said
    slowest = re.search(r"([\d.]+)s setup +test_shop_mixed", said)
    assert slowest is not None
    assert float(slowest[1]) < 3
