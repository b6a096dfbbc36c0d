"""The pictures of the site are of the newest records, and have their figures."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KINDS = ["beside", "clean", "dirty"]
SUITES = (("wal", ["dirty"]), ("wal", KINDS), ("delete", KINDS), ("delete", ["beside", "clean"]))
PLUGIN = {
    "turns": 500,
    "pairs": 5,
    "costs": [
        {"mode": mode, "suite": suite, "kind": kind, "what": what, "pairs": [middle - 10, middle, middle + 10]}
        for at, (mode, suite) in enumerate(SUITES)
        for kind in suite
        for what, middle in (("without the plugin", 500 + at), ("the plugin adds", 100 + 10 * at + len(kind)))
    ],
}
DJANGO = {
    "rounds": 2,
    "outcomes": {
        "rewind": ["27 passed", "27 passed"],
        "flush": ["15 failed, 1 passed, 1 warning, 16 errors", "13 failed, 2 passed, 1 warning, 18 errors"],
    },
    "resets_ms": {"rewind": [0.5, 0.6, 0.9], "flush": [12.0, 14.0, 40.0]},
}


@pytest.fixture(scope="module")
def site() -> Any:
    """The hook of mkdocs, as mkdocs loads it."""
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("generated", ROOT / "python/docs/generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(picture: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture)


def test_the_plugin(site: Any) -> None:
    texts = said(site.plots.plugin(PLUGIN))
    pairs = dict(zip(texts[1::2], texts[2::2], strict=True))
    assert pairs == {
        "WAL, beside": "116 us",
        "WAL, clean": "115 us",
        "WAL, dirty": "115 us",
        "DELETE, beside": "126 us",
        "DELETE, clean": "125 us",
        "DELETE, dirty": "125 us",
    }
    assert site.of_plugin(PLUGIN)["alone"] == "0.50 to 0.50"


def test_django_with_what_failed(site: Any) -> None:
    texts = said(site.plots.django(DJANGO))
    assert {"dbrewind: p50", "0.60 ms", "plain Django, flush *: p50", "14.00 ms"} <= set(texts)
    assert "* restores nothing: see below" in texts
    facts = site.of_django(DJANGO)
    assert (facts["flush_failed"], facts["flush_passed"], facts["flush_error"]) == ("13 to 15", "1 to 2", "16 to 18")
    assert (facts["rewind_failed"], facts["rewind_passed"], facts["rewind_error"]) == ("0", "27", "0")


def test_the_newest_record_of_a_kind(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "RECORDS", tmp_path)
    for name in ("z-2026-01-02-plugin", "a-2026-02-01-plugin", "z-2026-03-01-django"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"of": name}))
    assert site.newest_of("plugin") == ("a-2026-02-01-plugin", {"of": "a-2026-02-01-plugin"})


def test_each_fact_that_a_page_names_is_in_its_record(site: Any) -> None:
    """Else the site shows braces."""
    _, record = site.newest()
    known = {
        "record": {"name", *record["facts"]},
        "plugin": {"name", *site.of_plugin(PLUGIN), *site.newest_of("plugin")[1]["facts"]},
        "django": {"name", *site.of_django(DJANGO), *site.newest_of("django")[1]["facts"]},
    }
    named = [
        fact
        for page in (ROOT / "python/docs/pages").rglob("*.md")
        for fact in re.findall(r"\{\{(.*?)\}\}", page.read_text())
    ]
    assert len(named) > 10
    for fact in named:
        which, _, what = fact.strip().partition(".")
        assert what in known[which], fact
