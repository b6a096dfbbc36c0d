"""The record of a benchmark that is a program of its own: what it says, and beside it every sample."""

from __future__ import annotations

import json
import os
from datetime import date
from typing import TYPE_CHECKING, Any

from compare import machine

if TYPE_CHECKING:
    from pathlib import Path


class Record:
    """Begun before anything is measured, since it says how busy the machine was then."""

    def __init__(self) -> None:
        self.facts = machine.facts() | {
            "date": date.today().isoformat(),
            "load before": machine.load(),
            "nice": str(os.nice(0)),
        }

    def write(self, prefix: Path, text: str, samples: dict[str, Any]) -> None:
        """Write PREFIX.md, the text and the facts, and PREFIX.json, the facts and the samples; over older ones."""
        facts = self.facts | {"load after": machine.load()}
        listed = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
        prefix.with_suffix(".md").write_text(f"{text}\n| fact | |\n|---|---|\n{listed}")
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in ({"facts": facts} | samples).items()]
        prefix.with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
