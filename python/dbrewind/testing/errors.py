"""What the plugin refuses or tells of. Below `dbrewind.Error`, with codes of the same table."""

from __future__ import annotations

from dbrewind._dbrewind import Error


class ProductionError(Error):
    """DBR007: The database does not look like one of tests.

    Nothing was opened. Give it a name with "test" in it, put it into a temporary folder, or allow its path
    (`dbrewind_allow`).
    """

    code = "DBR007"


class PollutedError(Error):
    """DBR008: Something was written that no test will take back.

    The text says what and, as far as it can be known, by whom. The database was rewound. An error with
    `--dbrewind-strict`, else `DbrewindPollutionWarning`.
    """

    code = "DBR008"


class VerifyFailedError(Error):
    """DBR009: After a rewind the database is not what it was at the mark.

    Raised with `--dbrewind=verify`. The session stops; copies of both are kept, and the text says where.
    """

    code = "DBR009"


class DbrewindPollutionWarning(UserWarning):
    """Something was written that no test will take back (DBR008). It was rewound."""


def tells_of_a_test(error: BaseException) -> bool:
    """Whether it says what a test has left behind, or how its rewind went wrong: alone, or among others of its end."""
    if isinstance(error, (PollutedError, VerifyFailedError)):
        return True
    return any(tells_of_a_test(one) for one in getattr(error, "exceptions", ()))
