"""The code of the documentation site, run as it stands. The tutorial has a test of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from dbrewind.testing.leaks import told
from django_scene import copied
from django_scene import run as run_django
from plugin_scene import run

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "python/docs/pages"
FENCE = re.compile(r'^( *)```(\w+)(?: title="([\w.]+)")?\n(.*?)^\1```', re.MULTILINE | re.DOTALL)
# How many blocks each page has. All are run here, but those that say why not.
RUN = {
    "index.md": 1,
    "howto/pytest.md": 9,
    "howto/unittest.md": 3,
    "howto/django.md": 8,  # the first installs: test_tutorial installs the same wheel
    "howto/sqlalchemy.md": 4,
    "howto/async.md": 2,
    "howto/load.md": 5,  # the last is test_load's
    "howto/programs.md": 2,
    "tutorial.md": 7,
}
# What every test of the pages starts from: the README's order, and an application in the process.
SCENE = """
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

def connect(path):
    return closing(sqlite3.connect(str(path).removeprefix("sqlite:///"), isolation_level=None))

def migrate(path):
    with connect(path) as db:
        db.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY, refunded)")
        db.execute("CREATE TABLE customers(id INTEGER PRIMARY KEY, name)")

def seed(path):
    with connect(path) as db:
        db.execute("INSERT INTO orders VALUES (7, 0)")

class Client:
    def __init__(self, path):
        self.path = path

    def post(self, url, json=None):
        with connect(self.path) as db:
            if url == "/customers":
                made = db.execute("INSERT INTO customers(name) VALUES (?)", (json["name"],))
            elif url == "/refunds":
                made = db.execute("UPDATE orders SET refunded = 1")
            else:
                made = db.execute("INSERT INTO orders(refunded) VALUES (0)")
        return SimpleNamespace(json=lambda: {"id": made.lastrowid})

@pytest.fixture
def client(dbrewind_db):
    return Client(dbrewind_db.path)
"""
SETUP = """
@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    migrate(dbrewind_db.path)
    seed(dbrewind_db.path)
"""


def blocks(page: str) -> list[str]:
    return [textwrap.dedent(text) for _, _, _, text in FENCE.findall((PAGES / page).read_text())]


def commands(block: str) -> list[str]:
    assert all(line.startswith("$ ") for line in block.splitlines())
    return [line[2:] for line in block.splitlines()]


def test_every_block_is_known() -> None:
    found = {str(path.relative_to(PAGES)): path.read_text() for path in PAGES.rglob("*.md")}
    counted = {name: len(FENCE.findall(text)) for name, text in found.items() if "```" in text}
    assert counted == RUN
    assert all(2 * counted[name] == found[name].count("```") for name in counted)


def test_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("app.db")) as app:
        app.execute("PRAGMA journal_mode=WAL")
        names: dict[str, object] = {}
        exec(compile(blocks("index.md")[0], "index.md", "exec"), names)  # noqa: S102
        names["db"].close()  # type: ignore[attr-defined]


def test_pytest_a_database_of_ones_own(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(SCENE + blocks("howto/pytest.md")[0])
    pytester.makepyfile("""
        def test_it(dbrewind, client):
            assert dbrewind.path.name == "test.db"
            assert client.post("/orders").json() == {"id": 8}
    """)
    run(pytester).assert_outcomes(passed=1)


def test_pytest_parts_layers_changes_and_the_hook(pytester: pytest.Pytester) -> None:
    _, part, layer, changes, hypothesis, _, _, hook, _ = blocks("howto/pytest.md")
    pytester.makepyfile(
        shop="""
        from types import SimpleNamespace

        cleared = []
        prices = SimpleNamespace(cache_clear=lambda: cleared.append(1))
        """
    )
    pytester.makeconftest(SCENE + SETUP + "import shop\n" + hook)
    pytester.makepyfile(test_part=part, test_changes=changes, test_hypothesis=hypothesis)
    pytester.makepyfile(
        test_layer=f"""
import pytest
from conftest import connect
import shop

def load_catalogue(url):
    with connect(url) as db:
        db.execute("INSERT INTO customers(name) VALUES ('catalogue')")

{layer}
def test_caches_were_cleared():
    assert shop.cleared
"""
    )
    run(pytester, "-p", "no:cacheprovider", plugins=("hypothesispytest",)).assert_outcomes(passed=5)


def test_pytest_sequences(pytester: pytest.Pytester) -> None:
    pytest.importorskip("factory")
    factories = """
import factory

class CustomerFactory(factory.Factory):
    class Meta:
        model = dict
    name = factory.Sequence("customer {}".format)

class OrderFactory(CustomerFactory):
    pass
"""
    pytester.mkpydir("shop").joinpath("factories.py").write_text(factories)
    pytester.makeconftest(SCENE + SETUP + blocks("howto/pytest.md")[-1])
    pytester.makepyfile("""
        import pytest
        from shop.factories import CustomerFactory

        @pytest.mark.parametrize("turn", [1, 2])
        def test_it(dbrewind, client, turn):
            assert CustomerFactory() == {"name": "customer 0"}
            client.post("/customers", json=CustomerFactory())
    """)
    run(pytester).assert_outcomes(passed=2)


def test_pytest_a_server_that_stays_up(pytester: pytest.Pytester) -> None:
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    pytester.makepyfile(
        shop="""
        import os
        import sqlite3
        from contextlib import closing

        from fastapi import FastAPI

        app = FastAPI()

        @app.post("/orders")
        def order():
            with closing(sqlite3.connect(os.environ["DATABASE"], isolation_level=None)) as db:
                made = db.execute("INSERT INTO orders(refunded) VALUES (0)")
                return {"order": made.lastrowid - 7}
        """
    )
    _, _, _, _, _, conftest, test, _, _ = blocks("howto/pytest.md")
    pytester.makeconftest(SCENE + SETUP + conftest)
    pytester.makepyfile(test_orders=test, test_again=test)
    run(pytester).assert_outcomes(passed=2)


def test_unittest(pytester: pytest.Pytester) -> None:
    marked, alone, command = blocks("howto/unittest.md")
    pytester.makeconftest(SCENE + SETUP)
    pytester.makepyfile(test_shop=marked, test_again=marked.replace("ShopTest", "AgainTest"))
    run(pytester).assert_outcomes(passed=2)
    pytester.makepyfile(test_alone=alone)
    (line,) = commands(command)
    assert line.startswith("python ")
    done = pytester.run(sys.executable, *line.split()[1:])
    assert done.ret == 0
    done.stderr.fnmatch_lines(["Ran 2 tests*", "OK"])


def test_django(tmp_path: Path) -> None:
    pytest.importorskip("pytest_django")
    _, ini, layer, marked, settings, cases, examples, leak = blocks("howto/django.md")
    shop = copied(tmp_path)
    (shop / "pytest.ini").write_text(ini.replace("shop.settings", "settings"))
    (shop / "settings.py").write_text((shop / "settings.py").read_text() + settings)
    names = (
        "import pytest\nfrom shop.models import Category, Order, Product\nfrom shop.services import pay_in_background\n"
    )
    load = "def load_catalogue():\n    Product.objects.create(category_id=1, name='wine', price=9)\n"
    used = "def test_used(catalogue, transactional_db):\n    assert Product.objects.count() == 4\n"
    (shop / "test_layer.py").write_text(f"{names}\n{load}\n{layer}\n{used}\n{marked}")
    pay = "def pay_in_a_thread(order):\n    pay_in_background(order.id).join()\n"
    (shop / "tests.py").write_text(names + pay + cases.replace("objects.create()", "objects.create(product_id=1)"))
    (shop / "test_orders.py").write_text(names + examples)
    said = run_django(shop, "-m", "pytest", "test_layer.py", "tests.py", "test_orders.py", "-p", "no:asyncio")
    assert "4 passed" in said
    assert "Ran 1 test" in run_django(shop, "manage.py", "test", "tests")
    lines = leak.rstrip().split("\n  ")
    which, by = re.fullmatch(r"DbrewindPollutionWarning: \[DBR008\] (.*) was changed .*", lines[0]), lines[1]
    assert which
    assert f"DbrewindPollutionWarning: {told(which[1], by.removeprefix('by: '), lines[2:3], lines[3:])}\n" == leak


def test_sqlalchemy(pytester: pytest.Pytester) -> None:
    conftest, alembic, migrations, recipe = blocks("howto/sqlalchemy.md")
    pytester.mkpydir("shop").joinpath("models.py").write_text("""
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
""")
    pytester.makeconftest(conftest)
    pytester.makepyfile(
        test_recipe=f"""
from shop.models import Item
from sqlalchemy import func, select
from sqlalchemy.orm import Session

def application(session):
    for _ in range(3):
        session.add(Item())
        session.commit()

def count(engine):
    with engine.connect() as connection:
        return connection.scalar(select(func.count(Item.id)))

def test_recipe(dbrewind, sessions):
    engine = sessions.kw["bind"]
    with sessions.begin() as session:
        session.add(Item())
    assert count(engine) == 1
{textwrap.indent(recipe, "    ")}
    assert count(engine) == 4

def test_it(dbrewind, sessions):
    assert count(sessions.kw["bind"]) == 0
"""
    )
    run(pytester, "-p", "no:cacheprovider").assert_outcomes(passed=2)
    pytest.importorskip("alembic")
    folder = pytester.mkdir("with_alembic")
    subprocess.run([sys.executable, "-m", "alembic", "init", "alembic"], cwd=folder, check=True, capture_output=True)
    (folder / "alembic/versions/one.py").write_text("""
import sqlalchemy
from alembic import op

revision = "1"
down_revision = None

def upgrade():
    op.create_table("users", sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True))

def downgrade():
    op.drop_table("users")
""")
    (folder / "conftest.py").write_text(alembic)
    (folder / "test_migrations.py").write_text(migrations)
    (folder / "test_again.py").write_text(migrations)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir=."], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "2 passed" in done.stdout, done.stdout


def test_async(pytester: pytest.Pytester) -> None:
    anyio, asyncio = blocks("howto/async.md")
    pytester.makeconftest(SCENE + SETUP)
    pytester.makepyfile(test_anyio=anyio)
    pytester.makepyfile(test_asyncio=asyncio, test_asyncio_again=asyncio)
    run(pytester, "test_anyio.py", plugins=("anyio",)).assert_outcomes(passed=1)
    run(pytester, "test_asyncio.py", "test_asyncio_again.py", plugins=("asyncio",)).assert_outcomes(passed=2)


def environment(folder: Path) -> dict[str, str]:
    """With this package's command, and a k6 that orders once."""
    k6 = folder / "k6"
    program = (
        "import sqlite3; d = sqlite3.connect('app.db'); d.execute('INSERT INTO users(name) VALUES (1)'); d.commit()"
    )
    k6.write_text(f'#!/bin/sh\ntest "$1 $2" = "run script.js" && exec {sys.executable} -c "{program}"\n')
    k6.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"}


def shell(line: str, folder: Path) -> None:
    """As typed; what goes on in the background is the shell's last job."""
    subprocess.run(["/bin/sh", "-ec", line], cwd=folder, env=environment(folder), check=True, capture_output=True)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM users").fetchone()[0])


def test_load_any_program(wal_db: Path) -> None:
    _, after, before, _, _ = blocks("howto/load.md")
    with closing(sqlite3.connect(wal_db)) as app:  # the application stays connected
        app.execute("SELECT count(*) FROM users").fetchone()
        for line in commands(after):
            shell(line, wal_db.parent)
        assert count(wal_db) == 100
        watch, mark, again = commands(before)
        watching = subprocess.Popen(
            ["dbrewind", *watch.partition("&")[0].split()[1:]],  # noqa: S607
            cwd=wal_db.parent,
            env=environment(wal_db.parent),
            stdout=subprocess.PIPE,
        )
        try:
            assert watching.stdout is not None
            watching.stdout.readline()
            shell(mark, wal_db.parent)
            for _ in range(2):
                shell(again, wal_db.parent)
                assert count(wal_db) == 101
        finally:
            watching.terminate()
            watching.communicate()


def test_load_benchmark_and_locust(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_benchmark")
    locust, _, _, benchmark, last = blocks("howto/load.md")
    pytester.makeconftest(SCENE + SETUP)
    pytester.makepyfile(
        test_speed=f"""
import sqlite3

def test_it(dbrewind, benchmark, client):
    def work():
        assert client.post("/orders").json() == {{"id": 8}}
{textwrap.indent(benchmark, "    ")}
    test_speed(dbrewind, benchmark)
"""
    )
    run(pytester, plugins=("benchmark",)).assert_outcomes(passed=1)
    (line,) = commands(last)
    assert (ROOT / line.split()[1]).exists(), "test_load runs it"
    if importlib.util.find_spec("locust") is None:  # found, not imported: it changes the standard library
        pytest.skip("could not find locust")
    subprocess.run([sys.executable, "-c", locust], check=True)


def test_programs(wal_db: Path) -> None:
    recording, examining = blocks("howto/programs.md")
    watch, mark, rewind = commands(recording)
    (doctor,) = commands(examining)
    folder = wal_db.parent
    shell(doctor, folder)
    with closing(sqlite3.connect(wal_db, isolation_level=None)) as app:
        watching = subprocess.Popen(
            ["dbrewind", *watch.partition("&")[0].split()[1:]],  # noqa: S607
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
        )
        try:
            assert watching.stdout is not None
            watching.stdout.readline()
            shell(mark, folder)
            app.execute("DELETE FROM users")
            shell(rewind, folder)
            assert count(wal_db) == 100
        finally:
            watching.terminate()
            watching.communicate()
