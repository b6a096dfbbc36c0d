"""What the fixture `dbrewind` costs a test, in WAL and in DELETE mode. Records nothing.

    python benches/plugin.py [TURNS [PAIRS]]

Two sessions of pytest run the same tests by turns: in one the plugin is loaded, in the other it is not, and its fixture
`dbrewind` is an empty one. The tests are those that ask for no such fixture ("beside"), that ask and leave the database
alone ("clean"), and that ask and write a row ("dirty"). What a test costs is the time that its protocol takes, all of
pytest's hooks included, over that of its twin in the other session, which ran some milliseconds before or after it.

Three suites: clean tests and those beside them by turns; dirty ones alone; all three by turns, where some of what a
dirty test leaves to do (to the processor's caches, to the kernel) is paid by those after it. What a clean test pays
more than one beside it is the fixture's own part; the rest every test of the session pays, for two looks.

While one session works through a few turns the other waits, so that both meet the same weather of the machine; the
first turn of each such batch is left out, since the other session had the processor's caches until then. What differs
from one process to the next by where things lie in memory is the reason for several pairs: of each pair the median over
its turns is taken, and of those the quartiles are shown; beside them the quartiles of all single differences.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

BATCH = 10
SUITES = (("beside", "clean"), ("dirty",), ("beside", "clean", "dirty"))

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

_OTHERS = (
    "xdist",
    "asyncio",
    "anyio",
    "hypothesispytest",
    "benchmark",
    "django",
    "locust",
    "rerunfailures",
    "random_order",
    "randomly",
    "faker",
)


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
        others = [part for name in (*_OTHERS, *(() if loaded else ("dbrewind",))) for part in ("-p", f"no:{name}")]
        with Path(folder, "output").open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *others],
                cwd=folder,
                # One layout of dictionaries for both of a pair.
                env=os.environ | {"BY_TURNS": f"{ready} {go}", "PYTHONHASHSEED": str(seed)},
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


def main() -> int:
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    if turns <= 2 * BATCH or pairs < 2:
        sys.exit(f"{__doc__}\nMore than {2 * BATCH} turns, and two pairs or more.")
    for mode in ("wal", "delete"):
        for suite in SUITES:
            _report(mode, suite, [_pair(mode, suite, turns, seed) for seed in range(1, pairs + 1)])
    return 0


def _pair(mode: str, suite: Suite, turns: int, seed: int) -> tuple[Took, Took]:
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


def _report(mode: str, suite: Suite, pairs: list[tuple[Took, Took]]) -> None:
    count = sum(len(without[suite[0]]) for without, _ in pairs)
    print(f"{mode}, {' and '.join(suite)}: {len(pairs)} pairs of sessions, {count} tests of each kind; microseconds")
    print(f"  {'':28} {'medians of the pairs':^29}   {'single tests':^29}")
    print(f"  {'':28}" + 2 * f" {'lower':>9} {'median':>9} {'upper':>9}  ")
    for kind in suite:
        _line(f"{kind}, plugin not loaded", [without[kind] for without, _ in pairs])
        _line(f"{kind}: the plugin adds", [_over(loaded[kind], without[kind]) for without, loaded in pairs])
    if {"beside", "clean"} <= set(suite):
        _line("of that, the fixture", [_over(_asking(loaded), _asking(without)) for without, loaded in pairs])
    print(flush=True)


def _asking(took: Took) -> list[float]:
    """What asking for the fixture takes, turn by turn."""
    return _over(took["clean"], took["beside"])


def _over(much: list[float], little: list[float]) -> list[float]:
    return [more - less for more, less in zip(much, little, strict=True)]


def _line(name: str, pairs: list[list[float]]) -> None:
    medians = statistics.quantiles([statistics.median(one) for one in pairs], method="inclusive")
    singles = statistics.quantiles([one for pair in pairs for one in pair], method="inclusive")
    print(f"  {name:28}" + "  ".join("".join(f" {value:9.1f}" for value in part) for part in (medians, singles)))


if __name__ == "__main__":
    sys.exit(main())
