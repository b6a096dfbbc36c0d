"""No recording and no reset: what the cost of recording is compared with."""

from __future__ import annotations

from .base import Rival


class Plain(Rival):
    """SQLite alone."""

    name = "plain"
    title = "SQLite alone"

    def reset(self) -> dict[str, str | int | float]:
        """Nothing to do it with."""
        raise NotImplementedError("plain SQLite cannot reset")
