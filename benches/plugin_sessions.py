"""Sessions of pytest with the plugin and without it, which work by turns, and what each of their tests took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

# Tests of a kind that a session works through while the other one waits.
BATCH = 10

CONFTEST = """
import json, os, sqlite3, time
from contextlib import closing
from pathlib import Path

import pytest

KINDS = [f"test_{kind}" for kind in (SUITE)]
TOOK = {kind: [] for kind in KINDS}
READY, GO = (int(number) for number in os.environ["BY_TURNS"].split())

def fill(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)")
        db.executemany("INSERT INTO users VALUES (?, ?)", ((i, "x" * 100) for i in range(10000)))
        db.commit()

def place(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "test.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=MODE")
        db.execute("PRAGMA user_version=0")
    return path

def connected(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")
        yield db

FIXTURES

@pytest.fixture
def nothing(app):
    yield

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: (item.callspec.params["turn"], KINDS.index(item.originalname)))

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    took = TOOK[item.originalname]
    if item.originalname == KINDS[0] and len(took) % BATCH == 0:
        os.write(READY, b"x")
        os.read(GO, 1)
    begun = time.perf_counter()
    value = yield
    took.append(1e6 * (time.perf_counter() - begun))
    return value

def pytest_unconfigure(config):
    Path("took.json").write_text(json.dumps(TOOK))
"""

WITH = """
@pytest.fixture(scope="session")
def dbrewind_db(tmp_path_factory):
    return place(tmp_path_factory)

@pytest.fixture(scope="session")
def dbrewind_setup(dbrewind_db):
    fill(dbrewind_db.path)

@pytest.fixture(scope="session")
def app(_dbrewind_stack, dbrewind_db):
    yield from connected(dbrewind_db.path)
"""

WITHOUT = """
@pytest.fixture(scope="session")
def path(tmp_path_factory):
    return place(tmp_path_factory)

@pytest.fixture(scope="session")
def filled(path):
    fill(path)

@pytest.fixture(scope="session")
def app(filled, path):
    yield from connected(path)

@pytest.fixture
def dbrewind(filled):
    yield
"""

TESTS = {
    "beside": """
@pytest.mark.parametrize("turn", range(TURNS))
def test_beside(nothing, app, turn):
    pass
""",
    "clean": """
@pytest.mark.parametrize("turn", range(TURNS))
def test_clean(dbrewind, app, turn):
    pass
""",
    "dirty": """
@pytest.mark.parametrize("turn", range(TURNS))
def test_dirty(dbrewind, app, turn):
    app.execute("UPDATE users SET name = ? WHERE id = 7", (str(turn),))
""",
}

Suite = tuple[str, ...]
# Of each kind of test, microseconds turn by turn.
Took = dict[str, list[float]]


class Session:
    """A run of pytest that waits for its turn."""

    def __init__(self, folder: Path, mode: str, suite: Suite, turns: int, seed: int, loaded: bool) -> None:
        fixtures = WITH if loaded else WITHOUT
        conftest = CONFTEST.replace("MODE", mode).replace("BATCH", str(BATCH)).replace("SUITE", repr(suite))
        folder.mkdir()
        Path(folder, "conftest.py").write_text(conftest.replace("FIXTURES", fixtures))
        tests = "".join(TESTS[kind] for kind in suite).replace("TURNS", str(turns))
        Path(folder, "test_cost.py").write_text(f"import pytest\n{tests}")
        self._folder = folder
        self._ready, ready = os.pipe()
        go, self._go = os.pipe()
        plugin = ("-p", "dbrewind") if loaded else ()
        with Path(folder, "output").open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *plugin],
                cwd=folder,
                env=os.environ
                | {
                    "BY_TURNS": f"{ready} {go}",
                    # One layout of dictionaries for both of a pair.
                    "PYTHONHASHSEED": str(seed),
                    # No plugin of anybody else.
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                },
                pass_fds=(ready, go),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        os.close(ready)
        os.close(go)

    def stops(self) -> bool:
        """Wait until it waits: whether it has another batch to do."""
        return bool(os.read(self._ready, 1))

    def goes(self) -> bool:
        """Let it work through a batch: whether it has another one to do."""
        os.write(self._go, b"x")
        return self.stops()

    def took(self) -> Took:
        """What the tests took, but for the first turn of each batch."""
        if self._process.wait() != 0:
            sys.exit(Path(self._folder, "output").read_text())
        took: Took = json.loads(Path(self._folder, "took.json").read_text())
        return {
            name.partition("_")[2]: [one for at, one in enumerate(all_of) if at % BATCH]
            for name, all_of in took.items()
        }

    def end(self) -> None:
        """Nothing of it is left."""
        self._process.kill()
        self._process.wait()
        os.close(self._ready)
        os.close(self._go)


def pair(mode: str, suite: Suite, turns: int, seed: int) -> tuple[Took, Took]:
    """What the tests took without the plugin, and with it."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ends:
        both = []
        for loaded in (False, True):
            both.append(Session(Path(folder, str(loaded)), mode, suite, turns, seed, loaded))
            ends.callback(both[-1].end)
        waiting = [session for session in both if session.stops()]
        while waiting:
            # One after the other; and who was second is first next.
            waiting = [session for session in reversed(waiting) if session.goes()]
        without, loaded_took = (session.took() for session in both)
    return without, loaded_took
