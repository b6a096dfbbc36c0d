"""Who left what under Django's own runner, without pytest: tables, keys, who, strict mode, what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from django_scene import copied, run

pytest.importorskip("django")

LEAKY = """
import threading

from django.db import connections
from django.test import SimpleTestCase, TestCase, TransactionTestCase
from shop.models import Category, Entry, Product

from dbrewind.django import RewindTestCase

go, done = threading.Event(), threading.Event()

def in_a_thread(work):
    def run():
        work()
        connections.close_all()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

def flush():
    go.wait(30)
    Product.objects.filter(id=1).delete()
    connections.close_all()
    done.set()
    threading.Event().wait(30)

class A1Rewinds(RewindTestCase):
    def test_starts_a_thread(self):
        threading.Thread(target=flush, name="flusher", daemon=True).start()
        Product.objects.all().delete()

    def test_then_finds_the_base(self):
        self.assertEqual(Product.objects.count(), 3)

class A2Flushes(TransactionTestCase):
    def test_flushes(self):
        Product.objects.all().delete()

class B1RollsBack(TestCase):
    databases = {"default", "audit"}

    @classmethod
    def setUpTestData(cls):
        Product.objects.filter(id=1).update(stock=0)

    def test_a_rolls_back(self):
        Product.objects.all().delete()

    def test_b_leaves_an_entry(self):
        def work():
            connections["audit"].ensure_connection()
            Entry.objects.create(text="one")
        in_a_thread(work)

class B2Simple(SimpleTestCase):
    databases = {"default", "audit"}

    def test_a_leaks_twice(self):
        go.set()
        assert done.wait(30)
        Category.objects.create(name="more")

    def test_b_reads(self):
        assert Product.objects.count() == 3

class B3SetsUp(SimpleTestCase):
    databases = {"default"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        Category.objects.create(name="of the class")

    def test_finds_it(self):
        assert Category.objects.count() == 2

    def test_finds_it_again(self):
        assert Category.objects.count() == 2

class B4Finds(SimpleTestCase):
    databases = {"default"}

    def test_finds_the_base(self):
        assert Category.objects.count() == 1
        Product.objects.filter(id=3).delete()
"""

FLUSHER = "also running: thread 'flusher', left running by test_leaky.A1Rewinds.test_starts_a_thread"
LEAKS = {
    "test_leaky.B1RollsBack.test_b_leaves_an_entry": (
        "audit",
        ["shop_entry: 1 inserted (1)", "sqlite_sequence.shop_entry: None -> 1"],  # Django runs a TestCase first
    ),
    "test_leaky.B2Simple.test_a_leaks_twice": (
        "default",
        [
            FLUSHER,
            "shop_category: 1 inserted (2)",
            "shop_product: 1 deleted (1)",
            "sqlite_sequence.shop_category: 1 -> 2",
        ],
    ),
    "test_leaky.B4Finds.test_finds_the_base": ("default", [FLUSHER, "shop_product: 1 deleted (3)"]),
}


def leaks(said: str) -> dict[str, tuple[str, list[str]]]:
    """By who left it: in which database, and all that is said of it, as it stands there."""
    found: dict[str, tuple[str, list[str]]] = {}
    text = r"\[DBR008\] (\w+) \(\S+\.sqlite3\) was changed outside of a test that is rewound, and was rewound\."
    for alias, who, lines in re.findall(rf"{text}\n  by: (.*)\n((?:  \S.*\n)+)", said):
        listed = [line.strip() for line in lines.splitlines() if "warnings.warn" not in line]
        assert who not in found, "told once"
        found[who] = alias, listed
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    shop = copied(tmp_path)
    (shop / "test_leaky.py").write_text(LEAKY)
    # As where nobody has installed it.
    (shop / "pytest.py").write_text("raise ImportError('no pytest')\n")
    return shop


def test_a_leak_is_a_warning_with_tables_keys_and_who(shop: Path) -> None:
    said = run(shop, "manage.py", "test", "test_leaky")
    assert said.startswith("exit 0\n")
    assert "Ran 10 tests" in said
    assert leaks(said) == LEAKS


@pytest.mark.parametrize("parallel", [[], ["--parallel", "2"]])
def test_in_strict_mode_it_is_an_error_but_for_what_is_allowed(shop: Path, parallel: list[str]) -> None:
    allow = ("--dbrewind-allow-leaks", "shop_entry", "--dbrewind-allow-leaks", "sqlite_sequence.*")
    if parallel:
        # What one class leaves running is nothing to the worker that has the other.
        leaky = LEAKY.replace(
            "        go.set()\n        assert done.wait(30)\n", "        Product.objects.get(id=1).delete()\n"
        )
        (shop / "test_leaky.py").write_text(leaky)
    said = run(shop, "manage.py", "test", "test_leaky", "--dbrewind-strict", *allow, *parallel)
    assert said.startswith("exit 1\n")
    assert "FAILED (errors=2)" in said
    assert re.search(r"^ERROR: test_a_leaks_twice \(test_leaky.B2Simple", said, re.MULTILINE)
    assert re.search(r"^dbrewind.testing.errors.PollutedError: \[DBR008\] default \(", said, re.MULTILINE)
    assert "DbrewindPollutionWarning" not in said
    found = {who: [line for line in lines if line != FLUSHER] for who, (_, lines) in leaks(said).items()}
    assert found == {
        "test_leaky.B2Simple.test_a_leaks_twice": ["shop_category: 1 inserted (2)", "shop_product: 1 deleted (1)"],
        "test_leaky.B4Finds.test_finds_the_base": ["shop_product: 1 deleted (3)"],
    }


def test_settings_say_it_too(shop: Path) -> None:
    settings = shop / "settings.py"
    settings.write_text(
        f"{settings.read_text()}DBREWIND_STRICT = True\nDBREWIND_ALLOW_LEAKS = ['shop_*', '*sequence*']\n"
    )
    said = run(shop, "manage.py", "test", "test_leaky")
    assert said.startswith("exit 0\n")
    assert "DBR008" not in said
    settings.write_text(settings.read_text().replace("True\nDBREWIND_ALLOW", "'perhaps'\nDBREWIND_ALLOW"))
    assert "DBREWIND_STRICT must be true or false, not 'perhaps'" in run(shop, "manage.py", "test", "test_leaky")
