"""The plugin beside other plugins and switches of pytest."""

from __future__ import annotations

import re

import pytest

from plugin_scene import CONFTEST, DIRTY, OVERRIDE, run

FAILS = """
def test_one(dbrewind, app):
    app.execute("INSERT INTO users(name) VALUES ('Zoe')")
    assert not app

def test_two(dbrewind, app):
    assert app.execute("SELECT count(*) FROM users").fetchone() == (2,)
"""


def test_xdist_workers_build_one_base_and_the_controller_tells(pytester: pytest.Pytester) -> None:
    conftest = CONFTEST.replace(
        "    with closing", "    open('built', 'a').write('once')\n    with closing", 1
    )  # what it writes is not what it is made of
    pytester.makeconftest(conftest + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile(DIRTY)
    result = run(pytester, "-n", "2", "--dist", "each", plugins=("xdist",))
    result.assert_outcomes(passed=8)
    assert (pytester.path / "built").read_text() == "once"
    head, summary = [line for line in result.outlines if line.startswith("dbrewind: ")]
    assert re.fullmatch(
        r'dbrewind: [\w.]+, sqlite [\d.]+, on, keep none, base "\w+" (built in [\d.]+ s|cached) \([\d.]+ kB\), '
        "wal recording, worker gw[01]",
        head,
    )
    assert summary.startswith("dbrewind: 8 rewinds, median ")
    assert " built in " in summary
    assert " cached (" in summary


def test_the_controller_of_xdist_is_silent_where_nobody_asks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = run(pytester, "-n", "1", plugins=("xdist",))
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*dbrewind: *")


def test_what_workers_count_and_name_reaches_the_controller(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        test_1=FAILS,
        test_2="""
        def test_first(dbrewind): pass
        def test_leak(app):
            app.execute("INSERT INTO users(name) VALUES ('Eve'), ('Joe')")
        def test_last(dbrewind): pass
        """,
    )
    asked = ("--dbrewind-report", "--dbrewind-keep=failed", "-W", "ignore")
    result = run(pytester, "-n", "2", "--dist", "loadfile", *asked, plugins=("xdist",))
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "dbrewind: 2 rewinds, median * 3 clean tests; *; 1 polluted",
            "dbrewind: kept */.dbrewind/failed/test_1.py-test_one.db (test_1.py::test_one)",
            "  polluted: test_2.py::test_leak",
            " * 2 rows * pages compared * ms  test_2.py::test_leak",
            " * users: 2 inserted (3, 4)",
            " * 1 rows * pages compared * ms  test_1.py::test_one",
            " * users: 1 inserted (3)",
        ]
    )


def test_x_stops_and_keeps_the_database_of_the_failed_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=FAILS)
    result = run(pytester, "-x")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["dbrewind: kept */.dbrewind/failed/test_it.py-test_one.db (test_it.py::test_one)"])
    pytester.makepyfile(test_it=FAILS.replace("not app", "app"))
    run(pytester, "-x").assert_outcomes(passed=2)


def test_pdb_shows_the_database_as_the_test_left_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=FAILS)
    typed = b"p 'rows', app.execute('SELECT count(*) FROM users').fetchone()\nc\n"
    result = run(pytester, "--pdb", stdin=typed)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*('rows', (3,))*", "dbrewind: kept *"])


def test_lf_runs_the_failed_test_from_the_base(pytester: pytest.Pytester) -> None:
    """Of a file that outlives the session: what the failed test wrote must not be there in the next one."""
    pytester.makeconftest(CONFTEST + OVERRIDE.format(body="return 'test.db'"))
    pytester.makepyfile("""
        import pathlib

        def test_one(dbrewind, app):
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)
            app.execute("CREATE TABLE more(x)")
            assert pathlib.Path("mended").exists()

        def test_two(dbrewind, app): pass
    """)
    run(pytester).assert_outcomes(passed=1, failed=1)
    run(pytester, "--lf").assert_outcomes(failed=1)
    (pytester.path / "mended").touch()
    run(pytester, "--lf").assert_outcomes(passed=1)


def test_a_rerun_begins_from_the_base(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        tries = []
        def test_it(dbrewind, app):
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)
            tries.append(1)
            assert len(tries) == 3
    """)
    result = run(pytester, "--reruns", "2", plugins=("rerunfailures",))
    result.stdout.fnmatch_lines(["*1 passed, 2 rerun*"])


LAYERED = """
import pytest, sqlite3

@pytest.fixture(scope="module")
def more(dbrewind_module, dbrewind_db):
    db = sqlite3.connect(dbrewind_db.path, isolation_level=None)
    db.execute("INSERT INTO users(name) VALUES ('Eve')")
    db.close()

@pytest.mark.parametrize("turn", range(4))
def test_it(more, dbrewind, app, turn):
    assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (4,)
"""
SEEDS = (1, 7, 2026)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("plugin", ["random_order", "randomly"])
def test_any_order_will_do(pytester: pytest.Pytester, plugin: str, seed: int) -> None:
    """Also one in which a module ends and begins again, with its layer."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_1=DIRTY, test_2=LAYERED, test_3=DIRTY)
    if plugin == "random_order":
        arguments = ["--random-order-bucket=global", f"--random-order-seed={seed}"]
    else:
        arguments = ["-p", "randomly", f"--randomly-seed={seed}"]
    result = run(pytester, "-v", "-W", "error", *arguments, plugins=(plugin,))
    result.assert_outcomes(passed=12)
    ran = [line.split()[0] for line in result.outlines if " PASSED" in line]
    assert sorted(ran) != ran


def test_asyncio_tests_need_no_await(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import asyncio, pytest

        @pytest.mark.asyncio
        @pytest.mark.parametrize("turn", range(2))
        async def test_it(dbrewind, app, turn):
            await asyncio.sleep(0)
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)
            with dbrewind.rewound():
                await asyncio.to_thread(lambda: dbrewind.changes())
                app.execute("DROP TABLE users")
            assert app.execute("SELECT count(*) FROM users").fetchone() == (3,)
    """)
    run(pytester, plugins=("asyncio",)).assert_outcomes(passed=2)


def test_the_marker_of_an_asyncio_test_needs_no_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nasyncio_mode = auto")
    pytester.makepyfile("""
        import asyncio, pytest

        @pytest.mark.dbrewind(mark="base", keep="on-failure")
        @pytest.mark.parametrize("turn", range(2))
        async def test_async(dbrewind, app, turn):
            await asyncio.sleep(0)
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)
            assert turn == 0
    """)
    result = run(pytester, plugins=("asyncio",))
    result.assert_outcomes(passed=1, failed=1)
    kept = [path.name for path in (pytester.path / ".dbrewind/failed").glob("*.db")]
    assert [name.partition("test_async")[2] for name in kept] == ["[1].db"]


def test_anyio_tests_need_no_await(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import anyio, pytest

        @pytest.mark.anyio
        async def test_it(dbrewind, app):  # once for asyncio, once for trio
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
            assert app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone() == (3,)
    """)
    run(pytester, plugins=("anyio",)).assert_outcomes(passed=2)


def test_each_example_of_hypothesis_begins_from_the_base(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        import sqlite3
        from hypothesis import HealthCheck, given, settings, strategies as st

        def insert(path, name):
            app = sqlite3.connect(path, isolation_level=None)
            found = app.execute("INSERT INTO users(name) VALUES (?) RETURNING id", (name,)).fetchone()
            app.close()
            return found

        @given(st.text(alphabet="abc"))
        @settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
        def test_it(dbrewind, name):
            with dbrewind.rewound():
                assert insert(dbrewind.path, name) == (3,)

        @given(st.text(alphabet="abc"))
        @settings(max_examples=5, deadline=None)
        def test_with_a_wider_fixture(dbrewind_module, name):
            with dbrewind_module.rewound():
                assert insert(dbrewind_module.path, name) == (3,)
    """)
    run(pytester, "-W", "error", plugins=("hypothesispytest",)).assert_outcomes(passed=2)


def test_each_round_of_a_benchmark_begins_from_the_base(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("""
        def test_it(dbrewind, app, benchmark):
            ids = []
            def work():
                ids.extend(app.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone())
            benchmark.pedantic(work, setup=dbrewind.rewind, rounds=20)
            assert ids == [3] * 20

        def test_with_arguments_and_a_mark_of_its_own(dbrewind, app, benchmark):
            app.execute("INSERT INTO users(name) VALUES ('Cid')")
            dbrewind.mark("three")
            ids = []
            def work(*names, of):
                for name in names:
                    ids.extend(app.execute(f"INSERT INTO {of}(name) VALUES (?) RETURNING id", (name,)).fetchone())
            benchmark.pedantic(work, args=("Zoe", "Yan"), kwargs={"of": "users"}, setup=dbrewind.rewind, rounds=5)
            assert ids == [4, 5] * 5
    """)
    run(pytester, plugins=("benchmark",)).assert_outcomes(passed=2)


SERVER = """
import http.server, sqlite3, sys

db = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        (made,) = db.execute("INSERT INTO users(name) VALUES ('Zoe') RETURNING id").fetchone()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(made).encode())

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_server_process_stays_up_and_connected(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        CONFTEST
        + """
import subprocess, sys

@pytest.fixture(scope="session")
def server(dbrewind_session, dbrewind_db):
    with subprocess.Popen([sys.executable, "server.py", dbrewind_db.path], stdout=subprocess.PIPE) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        process.kill()
"""
    )
    pytester.makepyfile(
        server=SERVER,
        test_it="""
        import pytest, urllib.request

        @pytest.mark.parametrize("turn", range(5))
        def test_it(server, dbrewind, turn):
            assert [urllib.request.urlopen(server, data=b"").read() for _ in range(2)] == [b"3", b"4"]

        def test_that_does_not_ask(server):
            urllib.request.urlopen(server, data=b"").read()
        """,
    )
    result = run(pytester)
    result.assert_outcomes(passed=6, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*by: test_it.py::test_that_does_not_ask",
            "*also connected: pid * (python* server.py), started by this one * s ago",
        ]
    )
