"""Django tests that commit, and are rewound instead of flushed.

With pytest and pytest-django the ini key `dbrewind_django = true` is all it takes: tests with
`django_db(transaction=True)`, `transactional_db` and `live_server` are rewound. With Django's own runner set
`TEST_RUNNER = "dbrewind.django.RewindRunner"` and derive from the classes below. In both, rows of data migrations
stay, ids are the same in every test, and nothing is reordered or serialised.

Keep `django.test.TestCase`, and plain `django_db`, for tests that need no commit: a rollback is cheaper still.
"""

from dbrewind.django.runner import RewindRunner
from dbrewind.django.testcases import RewindLiveServerTestCase, RewindTestCase

__all__ = ["RewindLiveServerTestCase", "RewindRunner", "RewindTestCase"]
