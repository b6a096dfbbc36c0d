"""Each error a caller can provoke: its class, its code, its text; and that it changed nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest

import dbrewind
from conftest import create

Connect = Callable[[Path], sqlite3.Connection]


def assert_code(caught: pytest.ExceptionInfo[dbrewind.Error], code: str, *words: str) -> None:
    text = str(caught.value)
    assert caught.value.code == code
    assert text.startswith(f"[{code}] ")
    for word in words:
        assert word in text


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        dbrewind.open(tmp_path / "no.db")
    assert isinstance(caught.value, dbrewind.FileMissingError)
    assert_code(caught, "DBR012", "no.db", "check the path")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("database", "folder"), [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755)])
def test_the_store_is_open_to_no_more_users_than_the_database(tmp_path: Path, database: int, folder: int) -> None:
    path = create(tmp_path / "app.db", "wal")
    path.chmod(database)
    before = os.umask(0)
    try:
        dbrewind.open(path).close()
    finally:
        os.umask(before)
    assert (tmp_path / "app.db-rewind").stat().st_mode & 0o777 == folder


def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("id,name\n" * 200)
    with pytest.raises(dbrewind.NotADatabaseError) as caught:
        dbrewind.open(tmp_path / "app.db")
    assert_code(caught, "DBR013", "app.db")
    assert [path.name for path in tmp_path.iterdir()] == ["app.db"]


@pytest.mark.parametrize("engine", ["auto", "keeper"])
@pytest.mark.parametrize("path", [":memory:", "file:shop?mode=memory&cache=shared"])
def test_a_database_in_memory(path: str, engine: Literal["auto", "keeper"]) -> None:
    with pytest.raises(dbrewind.UnsupportedError) as caught:
        dbrewind.open(path, engine=engine)
    assert_code(caught, "DBR021", "memory", "use a file")


@pytest.mark.parametrize("engine", ["auto", "keeper"])
def test_an_empty_path_is_no_database_in_memory(engine: Literal["auto", "keeper"]) -> None:
    """Which SQLite takes it for: but who writes it has forgotten to set something."""
    with pytest.raises(dbrewind.InvalidArgumentError) as caught:
        dbrewind.open("", engine=engine)
    assert_code(caught, "DBR022", "the path is empty", "name the file")
    assert "memory" not in str(caught.value)


def test_a_second_name_of_a_file_that_is_open_by_another_one(wal_db: Path, connect: Connect) -> None:
    """SQLite itself says "disk I/O error": it has a wal-index for the file, and a WAL for each name."""
    app = connect(wal_db)
    app.execute("DELETE FROM users")
    second = wal_db.with_name("link.db")
    second.hardlink_to(wal_db)
    with pytest.raises(dbrewind.IoError) as caught:
        dbrewind.open(second, engine="inside")
    assert_code(caught, "DBR025", "link.db is one of 2 names of its file (hard links)", "open it by one name")
    app.close()


def test_a_store_that_is_a_file(wal_db: Path) -> None:
    there = wal_db.with_name("notes.txt")
    there.write_text("mine")
    with pytest.raises(dbrewind.InvalidArgumentError) as caught:
        dbrewind.open(wal_db, store=there)
    assert_code(caught, "DBR022", "store must name a folder", "notes.txt is a file")
    # Below a file, and beside the database under the name of its history.
    beside = wal_db.with_name("app.db-rewind")
    beside.write_text("mine")
    for store in (there / "below", None):
        with pytest.raises(OSError, match=r"a file is where the history's folder would be: move it away") as failed:
            dbrewind.open(wal_db, store=store)
        assert "(store=)" in str(failed.value)
    assert there.read_text() == beside.read_text() == "mine"


def test_a_clone_into_a_folder_that_is_missing(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        for folder in (wal_db.with_name("nowhere"), wal_db):
            with pytest.raises(dbrewind.FileMissingError) as caught:
                db.clone("seeded", folder / "copy.db")
            assert_code(caught, "DBR012", f"there is no folder {folder} for the copy", "create it first")
    assert not wal_db.with_name("nowhere").exists()


def test_a_folder_that_cannot_be_written(wal_db: Path) -> None:
    if os.geteuid() == 0:
        # Root writes anywhere; /proc is a folder even root cannot create anything in.
        with pytest.raises(dbrewind.Error) as caught:
            dbrewind.open(wal_db, store="/proc/dbrewind-store")
        assert caught.value.code in ("DBR012", "DBR014")
        return
    wal_db.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as denied:
            dbrewind.open(wal_db)
        assert isinstance(denied.value, dbrewind.NotWritableError)
        assert denied.value.code == "DBR014"
    finally:
        wal_db.parent.chmod(0o700)


AS_NOBODY = """
import os, sys, dbrewind
path, mode = sys.argv[1], int(sys.argv[2], 8)
os.chmod(path, mode)
try:
    # Imports what it needs, which somebody else may not be able to read.
    dbrewind.open(path + ".none")
except FileNotFoundError:
    pass
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    dbrewind.open(path)
except PermissionError as error:
    print(error.code, error)
"""


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("mode", ["0", "200", "400"])
def test_a_database_that_is_for_others(journal: str, mode: str) -> None:
    with TemporaryDirectory() as folder:
        # Somebody else shall find the file.
        Path(folder).chmod(0o755)
        path = create(Path(folder) / "app.db", journal)
        run = [sys.executable, "-c", AS_NOBODY, str(path), mode]
        said = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        assert said.startswith("DBR014 "), said
        assert f"{path} cannot be read and written by this user; check owner" in said
        assert not Path(f"{path}-rewind").exists()


def test_a_folder_in_which_no_history_can_be_made() -> None:
    with TemporaryDirectory() as folder:
        path = create(Path(folder) / "app.db", "wal")
        path.chmod(0o666)
        Path(folder).chmod(0o555)
        run = [sys.executable, "-c", AS_NOBODY, str(path), "666"]
        said = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        assert said.startswith("DBR014 "), said
        assert f"cannot create {path}-rewind: Permission denied" in said
        assert "check owner, mode and mount of it and of the folder that it is in" in said
        assert "or keep the history in another place (store=)" in said
        Path(folder).chmod(0o755)


DOCTOR = """
import os, sys
from dbrewind._dbrewind import command_main
if os.geteuid() == 0:
    os.seteuid(65534)
sys.exit(command_main(["dbrewind", "doctor", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("what", ["nothing", "file", "folder", "store"])
def test_a_doctor_sees_what_may_not_be_written(what: str) -> None:
    with TemporaryDirectory() as folder:
        here, elsewhere = Path(folder) / "here", Path(folder) / "elsewhere"
        path = create(here_made(here) / "app.db", "wal")
        here_made(elsewhere)
        for place in (Path(folder), here, elsewhere):
            place.chmod(0o777)
        path.chmod(0o666)
        refused = {"nothing": None, "file": path, "folder": here, "store": elsewhere}[what]
        if refused is not None:
            refused.chmod(0o444 if refused == path else 0o555)
        run = [sys.executable, "-c", DOCTOR, str(path), "--store", str(elsewhere / "history")]
        done = subprocess.run(run, capture_output=True, text=True)
        for place in (here, elsewhere):
            place.chmod(0o777)
        assert done.returncode == (0 if refused is None else 1), done
        assert done.stdout.count("[DBR014]") == (0 if refused is None else 1), done
        assert refused is None or f"{refused} cannot be written by this user" in done.stdout
        assert list(elsewhere.iterdir()) == []


def here_made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_mark_not_found_names_the_nearest(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        db.mark("other")
        for call in (db.rewind, db.drop, db.dirty_since):
            with pytest.raises(LookupError) as caught:
                call("sedeed")
            assert isinstance(caught.value, dbrewind.MarkNotFoundError)
            assert_code(caught, "DBR003", '"sedeed"', 'did you mean "seeded"? There are "other", "seeded"')  # type: ignore[arg-type]


def test_mark_exists(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        first = db.mark("seeded")
        with pytest.raises(dbrewind.MarkExistsError) as caught:
            db.mark("seeded")
        assert_code(caught, "DBR023", '"seeded"', "drop")
        assert [mark.lsn for mark in db.marks()] == [first.lsn]


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb"])
def test_a_name_that_is_none(wal_db: Path, name: str) -> None:
    with dbrewind.open(wal_db) as db:
        with pytest.raises(dbrewind.InvalidArgumentError) as caught:
            db.mark(name)
        assert_code(caught, "DBR022", "mark name")
        assert db.marks() == []


def test_closed(app_db: Path) -> None:
    db = dbrewind.open(app_db)
    db.mark("seeded")
    db.close()
    db.close()
    calls: list[Callable[[], Any]] = [
        lambda: db.mark("x"),
        db.marks,
        db.now,
        db.digest,
        lambda: db.rewind("seeded"),
        lambda: db.drop("seeded"),
        lambda: db.dirty_since("seeded"),
        lambda: db.rewound().__enter__(),
    ]
    for call in calls:
        with pytest.raises(dbrewind.ClosedError) as caught:
            call()
        assert_code(caught, "DBR019", "closed")


def test_busy_leaves_everything_as_it_was(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("seeded")
        app.execute("DELETE FROM users WHERE id > 50")
        app.execute("BEGIN IMMEDIATE")
        app.execute("DELETE FROM users WHERE id > 40")
        with another_thread(), pytest.raises(TimeoutError) as caught:
            db.rewind("seeded", timeout=0.05)
        assert isinstance(caught.value, dbrewind.BusyError)
        # In a rollback mode it is told at once that the connection is this thread's own.
        word = "raise the timeout" if db.journal == "wal" else "this thread itself is in the way"
        assert_code(caught, "DBR004", word, "roll it back")  # type: ignore[arg-type]
        app.execute("COMMIT")
        assert app.execute("SELECT count(*) FROM users").fetchone() == (40,)
        db.rewind("seeded", timeout=0)
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)


@contextmanager
def another_thread() -> Iterator[None]:
    """Somebody else who might have begun the transaction."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


OWN_TRANSACTION = """
import sqlite3, sys
import dbrewind

with dbrewind.open(sys.argv[1], timeout=600) as db:
    app = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.mark("seeded")
    app.execute("BEGIN IMMEDIATE")
    app.execute("DELETE FROM users")
    try:
        db.rewind("seeded")
    except dbrewind.BusyError as error:
        print(error)
    app.execute("ROLLBACK")
"""


def test_the_only_thread_does_not_wait_for_itself(app_db: Path) -> None:
    """Nobody else could end the transaction: ten minutes would not help."""
    done = subprocess.run([sys.executable, "-c", OWN_TRANSACTION, app_db], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    text = done.stdout
    assert text.startswith("[DBR004] this thread itself is in the way")
    assert ": a connection of this thread has an open write transaction; end that transaction" in text
    assert "waited" not in text
    assert "timeout" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"synchronous": "sometimes"}, ["synchronous", "sometimes"]),
        ({"journal": "truncate"}, ["journal", "truncate"]),
        ({"engine": "outside"}, ["engine", "outside"]),
        ({"timeout": -1}, ["timeout", "-1"]),
        ({"timeout": float("nan")}, ["timeout"]),
        ({"timeout": float("inf")}, ["timeout"]),
    ],
)
def test_an_argument_out_of_range(wal_db: Path, arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(dbrewind.InvalidArgumentError) as caught:
        dbrewind.open(wal_db, **arguments)
    assert_code(caught, "DBR022", *words)
    assert not wal_db.with_name("app.db-rewind").exists()


@pytest.mark.parametrize("to", [7, b"seeded", 1.5])
def test_a_target_of_a_wrong_type(wal_db: Path, to: Any) -> None:
    with (
        dbrewind.open(wal_db) as db,
        pytest.raises(TypeError, match="a mark's name, a time as text or datetime, a Mark or an Lsn, not"),
    ):
        db.rewind(to)


def test_a_path_of_a_wrong_type() -> None:
    with pytest.raises(TypeError):
        dbrewind.open(7)  # type: ignore[arg-type]


def test_the_moment_of_another_database_is_refused(tmp_path: Path) -> None:
    """Numbers of moments repeat from database to database: taking one for another would rewind to nonsense."""
    with (
        dbrewind.open(create(tmp_path / "a.db", "wal")) as a,
        dbrewind.open(create(tmp_path / "b.db", "wal")) as b,
    ):
        mark = a.mark("seeded")
        for to in (mark, mark.lsn):
            with pytest.raises(dbrewind.InvalidArgumentError) as caught:
                b.rewind(to)
            assert_code(caught, "DBR022", "a.db", "b.db")


def test_a_moment_that_never_was(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db, pytest.raises(dbrewind.MarkNotFoundError) as caught:
        db.rewind(dbrewind.Lsn(str(wal_db), 10**12))
    assert_code(caught, "DBR003", str(10**12))


def test_a_damaged_store_is_refused_and_nothing_changes(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        store = db.store
    segment = min(store.glob("*.seg"))
    with segment.open("r+b") as file:
        file.write(b"garbage!" * 8)
    before = wal_db.read_bytes()
    with pytest.raises(dbrewind.StoreDamagedError) as caught:
        dbrewind.open(wal_db)
    assert_code(caught, "DBR015", segment.name)
    assert wal_db.read_bytes() == before


def test_a_write_past_the_recording_in_a_rollback_mode_is_found(tmp_path: Path, second: Any) -> None:
    """hazard: an unrecorded writer of another process between mark and rewind."""
    path = create(tmp_path / "app.db", "delete")
    stranger = second(path)
    with dbrewind.open(path) as db:
        db.mark("seeded")
        stranger("DELETE FROM users WHERE id = 3")
        with pytest.raises(dbrewind.NotAttachedError) as caught:
            db.rewind("seeded")
        assert_code(
            caught, "DBR001", "process ", "written last at 2", "`dbrewind run`", "?vfs=dbrewind", "`dbrewind doctor`"
        )
        # The list says what a rewind would.
        assert [mark.state for mark in db.marks()] == ["lost"]
        assert db.status().marks["lost"] == 1
        db.mark("anew")
        assert [mark.state for mark in db.marks()] == ["lost", "archived"]
        with pytest.raises(dbrewind.MarkExistsError) as taken:
            db.mark("seeded")
        assert_code(taken, "DBR023", "can no longer be reached", 'drop("seeded")')
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*) FROM users").fetchone() == (99,)


@pytest.mark.parametrize("engine", ["inside", "keeper"])
@pytest.mark.parametrize("path", ["sqlite:///app.db", "file:app.db"])
def test_a_url_for_a_path(
    wal_db: Path, monkeypatch: pytest.MonkeyPatch, path: str, engine: Literal["inside", "keeper"]
) -> None:
    monkeypatch.chdir(wal_db.parent)
    with pytest.raises(dbrewind.FileMissingError) as caught:
        dbrewind.open(path, engine=engine)
    assert_code(caught, "DBR012", path, "not a URL")


def test_a_store_of_another_version_says_what_to_do(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
    (segment,) = db.store.glob("*1.seg")
    content = bytearray(segment.read_bytes())
    content[8] = 9
    segment.write_bytes(content)
    with pytest.raises(dbrewind.StoreVersionError) as caught:
        dbrewind.open(wal_db)
    assert_code(caught, "DBR016", str(segment), "version 9", "this program knows 1", "remove the folder")


def test_a_folder_for_a_database(tmp_path: Path) -> None:
    with pytest.raises(dbrewind.NotADatabaseError) as caught:
        dbrewind.open(tmp_path)
    assert_code(caught, "DBR013", str(tmp_path), "folder")


def test_busy_says_who_and_what_to_do(app_db: Path, connect: Connect, second: Any) -> None:
    stranger = second(app_db)
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        stranger("BEGIN IMMEDIATE")
        with pytest.raises(dbrewind.BusyError) as caught:
            db.rewind("seeded", timeout=0.05)
        stranger("ROLLBACK")
        assert_code(caught, "DBR004", "write transaction", ": process ", "roll it back", "raise the timeout")
        assert "held by" not in str(caught.value)
        app = connect(app_db)
        app.execute("BEGIN IMMEDIATE")
        with pytest.raises(dbrewind.BusyError) as caught:
            db.rewind("seeded", timeout=0.05)
        # Its own connection cannot end while the thread waits here: raising the timeout would not help.
        assert_code(caught, "DBR004", ": a connection ", "this thread")


def test_busy_at_the_beginning(wal_db: Path, connect: Connect) -> None:
    app = connect(wal_db)
    app.execute("BEGIN IMMEDIATE")
    app.execute("DELETE FROM users")
    with pytest.raises(dbrewind.BusyError) as caught:
        dbrewind.open(wal_db, timeout=0.05)
    assert_code(caught, "DBR004", "another connection is in a transaction", "a connection in this process", "waited")


def test_a_lost_mark_tells_a_time_that_people_read(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
    with closing(sqlite3.connect(wal_db, isolation_level=None)) as unrecorded:
        unrecorded.execute("DELETE FROM users")
    with dbrewind.open(wal_db) as db, pytest.raises(dbrewind.MarkLostError) as caught:
        db.rewind("seeded")
    assert_code(caught, "DBR011", "seeded", "Z, and", "set a new mark")
    assert " ns" not in str(caught.value)


@pytest.mark.parametrize("text", ["now", "17:45", "an hour ago", "2026-11-22"])
def test_a_name_that_is_like_a_time(wal_db: Path, text: str) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        with pytest.raises(dbrewind.MarkNotFoundError) as caught:
            db.rewind(text)
    assert_code(caught, "DBR003", repr(text).replace("'", '"'), '"5 minutes ago"', '"2026-11-22T07:48:00Z"')


def test_a_closed_handle_says_so(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        assert repr(db) == f'<Database "{wal_db}", wal>'
    assert repr(db) == f'<Database "{wal_db}", wal, closed>'


def test_a_reader_from_before_the_recording_is_named(tmp_path: Path) -> None:
    create(tmp_path / "app.db", "delete")
    program = """
import sqlite3
app = sqlite3.connect("app.db")
import dbrewind
db = dbrewind.open("app.db")
db.mark("seeded")
writer = sqlite3.connect("app.db", isolation_level=None)
writer.execute("DELETE FROM users")
cursor = app.execute("SELECT id FROM orders")
cursor.fetchone()
try:
    db.rewind("seeded", timeout=0.1)
except dbrewind.BusyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("[DBR004] ")
    assert ": a connection of this process from before the recording is reading" in done.stdout


def test_a_commit_that_met_a_reader_is_not_taken_for_a_stranger(tmp_path: Path, connect: Connect) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path) as db:
        db.mark("seeded")
        reader, writer = connect(path), connect(path)
        cursor = reader.execute("SELECT id FROM orders")
        cursor.fetchone()
        writer.execute("PRAGMA busy_timeout = 0")
        writer.execute("BEGIN")
        writer.execute("DELETE FROM users")
        # Its descriptor stays open as long as there are locks, which is no connection.
        closed = sqlite3.connect(path, timeout=0)
        closed.execute("SELECT count(*) FROM users")
        closed.close()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            writer.execute("COMMIT")
        with pytest.raises(dbrewind.BusyError) as caught:
            db.rewind("seeded", timeout=0.05)
        assert_code(caught, "DBR004", "is reading", "has an open write transaction")
        assert "from before the recording" not in str(caught.value)
        cursor.close()
        writer.execute("ROLLBACK")
        db.rewind("seeded")


def test_a_connection_from_before_in_a_rollback_mode_is_found_by_what_it_writes(tmp_path: Path) -> None:
    """The SQLite in our own library, which is the keeper's, is not taken for the one that has the file open."""
    create(tmp_path / "app.db", "delete")
    # In a process of its own: in this one every connection is recorded since the first test.
    program = """
import sqlite3
app = sqlite3.connect("app.db", isolation_level=None)
assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
import dbrewind
with dbrewind.open("app.db") as db:
    db.mark("seeded")
    assert db.rewind("seeded").pages == 0
    app.execute("DELETE FROM users WHERE id = 3")
    try:
        db.rewind("seeded")
    except dbrewind.NotAttachedError as error:
        print(error)
    assert app.execute("SELECT count(*) FROM users").fetchone() == (99,)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("[DBR001] ")
    assert "opened before the recording" in done.stdout
    assert "WAL mode" in done.stdout


@pytest.mark.parametrize("name", [b"app \xff.db", b"app?mode=ro&x=%20#1.db"])
def test_a_path_in_bytes(tmp_path: Path, connect: Connect, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    create(path, "wal")
    with dbrewind.open(os.fsencode(path)) as db:
        assert db.path == path
        db.mark("seeded")
        app = connect(path)
        app.execute("DELETE FROM users")
        db.rewind("seeded")
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)


@pytest.mark.parametrize("mode", ["off", "memory"])
def test_a_connection_without_a_journal_is_warned_of_once(tmp_path: Path, mode: str) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path) as db, closing(sqlite3.connect(path, isolation_level=None)) as app:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            db.mark("safe")
        app.execute(f"PRAGMA journal_mode = {mode}")
        with pytest.warns(dbrewind.UnsafeJournalWarning, match="OFF or MEMORY"):
            db.mark("unsafe")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            db.rewind("safe")
