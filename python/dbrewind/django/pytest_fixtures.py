"""What `dbrewind_django = true` adds to pytest-django: fixtures of its, overridden as a conftest could do it."""

from __future__ import annotations

from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_django import DjangoDbBlocker

    from dbrewind import Database
    from dbrewind.pytest_plugin.target import DatabaseUnderTest


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest, django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Test databases that would be in memory, which cannot be recorded, get a file in pytest's temporary folder."""
    from dbrewind.django import databases
    from dbrewind.pytest_plugin import guard
    from dbrewind.pytest_plugin.session import options

    databases.place_in(tmp_path_factory.mktemp("django"))
    for path in databases.named():
        guard.check(path, options(request.config), request.config.rootpath)


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_keepdb: bool
) -> Generator[None, None, None]:
    """Migrated as pytest-django does it, then recorded; what is there now is the mark `base`."""
    import pytest_django.fixtures

    from dbrewind.django import databases
    from dbrewind.django.pytest_hooks import ENDED, take_back
    from dbrewind.django.rewinds import watch
    from dbrewind.pytest_plugin import head
    from dbrewind.pytest_plugin.report import Base, route

    # Else ours would take the place of nothing, and tests would flush.
    if not hasattr(pytest_django.fixtures, "_django_db_helper"):
        raise pytest.UsageError("dbrewind does not know this version of pytest-django; take an older one")

    def tell(db: Database, mark: str) -> None:
        request.config.hook.pytest_dbrewind_after_rewind(db=db, mark=mark)

    begun = perf_counter()
    here = watch(request.config)
    databases.off = here.options.mode == "off"
    databases.attach(hashed=here.options.mode == "verify")
    took = here.numbers.building + perf_counter() - begun
    here.numbers.bases += [
        Base(db.path.name, "", False, took, db.path.stat().st_size, route=route(db)) for db in databases.handles()
    ]
    if here.numbers.bases:
        head.tell(request.config, here.numbers.bases[0])
    databases.watch(here)
    here.leaks.threads.note("")
    untell = databases.after_rewind(tell)
    yield
    try:
        # The last test's own end comes after this one. Of one that was interrupted nothing is said.
        if ended := request.config.stash.get(ENDED, None):
            take_back(ended)
    finally:
        untell()
        databases.watch(None)
        databases.detach(keep=django_db_keepdb)


@pytest.fixture
def _django_db_helper(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Generator[None, None, None]:
    """Tests that commit are RewindTestCases; the others are what they are in pytest-django."""
    from dbrewind.django import databases
    from dbrewind.django.asked import COMMITS, asked_for, is_kept

    asked = None if databases.off else asked_for(request.node)
    if asked is None:
        request.getfixturevalue("_django_db_helper")
        yield
        return

    from dbrewind.django import RewindTestCase
    from dbrewind.django.pytest_hooks import SERIALIZED
    from dbrewind.django.rewinds import watch

    request.node.stash[COMMITS] = True
    if asked.pop("serialized_rollback"):
        request.config.stash[SERIALIZED] = request.config.stash.get(SERIALIZED, 0) + 1
    case: type[RewindTestCase] = type("PytestRewindTestCase", (RewindTestCase,), asked)
    with django_db_blocker.unblock():
        case.setUpClass()
        test = case(methodName="__init__")
        if not getattr(case, "_pre_setup_ran_eagerly", False):  # before Django 5.2
            test._pre_setup()  # type: ignore[attr-defined]
        yield
        # Each of them, though one before it raises.
        with watch(request.config).of(request.node.nodeid, lambda: is_kept(request.node)), ExitStack() as ends:
            ends.callback(case.doClassCleanups)
            ends.callback(case.tearDownClass)
            ends.callback(test._post_teardown)


@pytest.fixture
def dbrewind(request: pytest.FixtureRequest, transactional_db: None) -> Generator[Database, None, None]:
    """The handle of Django's database `default`. Marks of the test are dropped after it."""
    from dbrewind.django import databases
    from dbrewind.django.asked import is_django
    from dbrewind.pytest_plugin.marker import arguments
    from dbrewind.pytest_plugin.session import options

    __tracebackhide__ = True
    handle = databases.recorded("default").handle
    _, mark = arguments(request.node, options(request.config))
    if mark is not None:
        if is_django(request.node):
            pytest.fail(
                "dbrewind: mark= has no meaning for a TestCase of Django: let setUp rewind to it", pytrace=False
            )
        handle.rewind(mark)
    before = databases.marks()
    yield handle
    databases.drop(databases.marks() - before)


@pytest.fixture(scope="session")
def dbrewind_db(django_db_setup: None) -> DatabaseUnderTest:
    """The test database `default`: its `path` and `url`."""
    from dbrewind.django import databases
    from dbrewind.pytest_plugin.target import DatabaseUnderTest

    handle = databases.recorded("default").handle
    return DatabaseUnderTest(handle.path, handle)


@pytest.fixture(scope="session")
def dbrewind_setup(django_db_setup: None) -> None:
    """Migrations have filled the database."""


def _of_scope(scope: Any) -> Any:
    @pytest.fixture(scope=scope, name=f"dbrewind_{scope}")
    def made(django_db_setup: None) -> Database:
        from dbrewind.django import databases

        return databases.recorded("default").handle

    made.__doc__ = f"The handle of `default`, for fixtures of the {scope}: what they write stays as long as they do."
    return made


dbrewind_session, dbrewind_module, dbrewind_class = map(_of_scope, ("session", "module", "class"))
