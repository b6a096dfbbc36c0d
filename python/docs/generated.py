"""Pages and pictures that are made from other files of the repository, when the site is built."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import plots  # noqa: E402 - mkdocs loads this file by its path


def newest() -> tuple[str, dict[str, Any]]:
    """The newest whole run of `make bench`: its name, and what it recorded."""
    found = {}
    for path in sorted((ROOT / "benches/record").glob("*.json")):
        record = json.loads(path.read_text())
        if "cells" in record and not record.get("quick"):
            found[path] = record
    path = max(found, key=lambda path: (found[path]["facts"]["date"], -len(path.stem)))
    return path.stem, found[path]


def errors() -> str:
    """The table of the README, as a page."""
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"^## Errors\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    assert found is not None, "README.md has no section of errors"
    text = re.sub(r"\]\(#[^)]*\)", "](https://github.com/dbrewind/dbrewind#readme)", found[1])
    return f"# Errors\n{text}"


def header() -> str:
    """The C header, as a page."""
    text = (ROOT / "include/dbrewind.h").read_text()
    owns = "Who owns what, and what stays compatible, is in `rust/docs/c-abi.md` of the repository."
    return f'# C header\n\n{owns}\n\n```c title="dbrewind.h"\n{text}```\n'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them."""
    name, record = newest()
    made = {
        "figures/reset-rows.svg": plots.resets(record, "small", "Reset after 10 transactions, 100 rows"),
        "figures/reset-pages.svg": plots.resets(record, "pages", "Reset after 10,000 changed pages"),
        "figures/recording.svg": plots.recording(record),
        "reference/errors.md": errors(),
        "reference/header.md": header(),
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    config.extra["record"] = {"name": name, **record["facts"]}
    return files


def on_page_markdown(markdown: str, config: MkDocsConfig, **_: object) -> str:
    """`{{ record.date }}` and its like are facts of that run."""
    facts: dict[str, str] = config.extra["record"]
    return re.sub(r"\{\{ record\.(\w+) \}\}", lambda found: facts[found[1]], markdown)
