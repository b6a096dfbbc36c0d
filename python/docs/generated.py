"""Pages and pictures that are made from other files of the repository, when the site is built."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECORDS = ROOT / "benches/record"
sys.path.insert(0, str(HERE))

import plots  # noqa: E402 - mkdocs loads this file by its path


def newest() -> tuple[str, dict[str, Any]]:
    """The newest whole run of `make bench`: its name, and what it recorded."""
    found = {}
    for path in sorted(RECORDS.glob("*.json")):
        record = json.loads(path.read_text())
        if "cells" in record and not record.get("quick"):
            found[path] = record
    path = max(found, key=lambda path: (found[path]["facts"]["date"], -len(path.stem)))
    return path.stem, found[path]


def newest_of(kind: str) -> tuple[str, dict[str, Any]]:
    """The newest record of a program of its own, such as `make bench-plugin`, by the day in its name."""
    paths = {path: path.stem.removesuffix(f"-{kind}")[-len("2026-01-02") :] for path in RECORDS.glob(f"*-{kind}.json")}
    path = max(paths, key=lambda path: (paths[path], path.stem))
    return path.stem, json.loads(path.read_text())


def of_plugin(record: dict[str, Any]) -> dict[str, str]:
    """What the page says of a record of `make bench-plugin`: its extent, and what a test takes of itself."""
    plain = [cost["pairs"][1] for cost in record["costs"] if cost["what"] == plots.PLAIN]
    alone = f"{min(plain) / 1e3:.2f} to {max(plain) / 1e3:.2f}"
    return {"turns": str(record["turns"]), "pairs": str(record["pairs"]), "alone": alone}


def of_django(record: dict[str, Any]) -> dict[str, str]:
    """What the page says of a record of `make bench-django`: times, and how the tests of its sessions ended."""
    said = {"rounds": str(record["rounds"])}
    for kind, took in record["resets_ms"].items():
        said[f"{kind}_p50"], said[f"{kind}_p90"] = (f"{value:.2f}" for value in (median(took), plots.p90(took)))
        for end in ("passed", "failed", "error"):
            counts = [sum(map(int, re.findall(rf"(\d+) {end}", told))) for told in record["outcomes"][kind]]
            least, most = min(counts), max(counts)
            said[f"{kind}_{end}"] = f"{least} to {most}" if least < most else str(most)
    return said


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
    plugin_name, plugin = newest_of("plugin")
    django_name, django = newest_of("django")
    made = {
        "figures/reset-rows.svg": plots.resets(record, "small", "Reset after 10 transactions, 100 rows"),
        "figures/reset-pages.svg": plots.resets(record, "pages", "Reset after 10,000 changed pages"),
        "figures/recording.svg": plots.recording(record),
        "figures/plugin.svg": plots.plugin(plugin),
        "figures/django.svg": plots.django(django),
        "reference/errors.md": errors(),
        "reference/header.md": header(),
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    config.extra["records"] = {
        "record": {"name": name, **record["facts"]},
        "plugin": {"name": plugin_name, **of_plugin(plugin), **plugin["facts"]},
        "django": {"name": django_name, **of_django(django), **django["facts"]},
    }
    return files


def on_page_markdown(markdown: str, config: MkDocsConfig, **_: object) -> str:
    """`{{ record.date }}` and `{{ plugin.load before }}` are facts of those records."""
    records: dict[str, dict[str, object]] = config.extra["records"]
    return re.sub(
        r"\{\{ (record|plugin|django)\.([\w ]+) \}\}", lambda found: str(records[found[1]][found[2]]), markdown
    )
