"""Which model lives in which database."""

from __future__ import annotations

from typing import Any


class AuditRouter:
    """Entries of the audit trail in `audit`, everything else in `default`."""

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return "audit" if model._meta.model_name == "entry" else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **_: Any) -> bool | None:
        if db == "audit":
            return app_label == "shop" and model_name in ("entry", None)
        return False if model_name == "entry" else None
