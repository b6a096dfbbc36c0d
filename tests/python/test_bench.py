"""What a run of the benchmark fails for; CI runs it as a smoke test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import plugin
from compare import readme
from compare.broken import broken
from compare.capture import Cost
from compare.connection import Setting
from compare.database import Size
from compare.handle import Options
from compare.report import Result
from compare.schedule import Cell
from recorded import Record

WAL = Setting("wal", "off")
GOOD = {"own": "base", "peer": "base", "reset": 0.5, "settled": False}
CLEAN = {"failed": [], "notes": [], "refused": "", "pages": ""}


def result() -> Result:
    """A run of ours and of a rival, in which nothing broke."""
    options = Options(quick=True, pinned=False, sizes=[Size(2)], settings=[WAL], rivals=["dbrewind", "session"])
    cells = [Cell(rival, Size(2), WAL, "small", samples=[GOOD]) for rival in options.rivals]
    return Result(options, {}, cells=cells, exactness={"wal": {rival: dict(CLEAN) for rival in options.rivals}})


def nothing(_rival: str) -> str:
    return ""


def test_a_run_in_which_nothing_broke() -> None:
    slow = result()
    slow.cells[0].samples = [{**GOOD, "reset": 1e6}]
    assert broken(slow, nothing) == []


@pytest.mark.parametrize(
    ("rival", "sample"),
    [("dbrewind", {"own": "other"}), ("dbrewind", {"peer": "work"}), ("keeper", {"peer": "work"})],
)
def test_a_wrong_state_of_ours(rival: str, sample: dict[str, Any]) -> None:
    run = result()
    run.cells.append(Cell(rival, Size(2), WAL, "small", samples=[{**GOOD, **sample}]))
    (text,) = broken(run, nothing)
    assert f"{rival} left a wrong state in 1 rounds" in text


@pytest.mark.parametrize("rival", [0, 1])
def test_a_cell_that_did_not_run(rival: int) -> None:
    run = result()
    run.cells[rival].not_run = "Ended: exit status -11"
    (text,) = broken(run, nothing)
    assert "exit status -11" in text
    run.cells[rival].not_run = "failed after 3 rounds"
    assert len(broken(run, nothing)) == 1


def test_other_parts_that_did_not_run() -> None:
    run = result()
    run.costs.append(Cost("bulk load", WAL, not_run="ended"))
    run.failures.append("marks WAL/OFF: ended")
    run.exactness["wal"]["session"]["refused"] = "not run: ended"
    run.exactness["wal"]["dbrewind"]["failed"] = ["user_version"]
    assert len(broken(run, nothing)) == 4


def test_a_rival_whose_package_is_not_installed_is_no_error() -> None:
    run = result()
    run.cells[1].not_run = "ModuleNotFoundError"
    run.exactness["wal"]["session"]["refused"] = "not run: ModuleNotFoundError"

    def missing(rival: str) -> str:
        return "the package apsw is not installed" if rival == "session" else ""

    assert broken(run, missing) == []


def test_ours_must_be_there() -> None:
    run = result()
    run.cells[0].not_run = "ModuleNotFoundError"
    assert len(broken(run, lambda rival: f"the package of {rival} is not installed")) == 1


def test_what_a_rival_does_not_restore_is_no_error() -> None:
    run = result()
    run.cells[1].samples = [{**GOOD, "own": "work"}]
    run.exactness["wal"]["session"].update(failed=["user_version"], refused="it said no")
    assert broken(run, nothing) == []


def test_the_readme_has_the_table_of_the_newest_record() -> None:
    text = (readme.ROOT / "README.md").read_text()
    assert readme.fill(text) == text


def test_what_the_plugin_adds_is_over_its_twin_in_the_same_turn() -> None:
    def pair(weather: float) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        plain = [100.0 * weather, 200.0 * weather, 300.0 * weather]
        beside, clean = [one + 40 for one in plain], [one + 50 for one in plain]
        return {"beside": plain, "clean": plain}, {"beside": beside, "clean": clean}

    costs = plugin.costs_of("wal", ("beside", "clean"), [pair(1), pair(2), pair(3)])
    assert [(cost.kind, cost.what, cost.pairs[1]) for cost in costs] == [
        ("beside", plugin.PLAIN, 400),
        ("beside", plugin.ADDED, 40),
        ("clean", plugin.PLAIN, 400),
        ("clean", plugin.ADDED, 50),
        ("clean", plugin.OWN, 10),
    ]
    assert costs[0].pairs == [300, 400, 500]
    text = plugin.report(costs, 3, 3, {"date": "2026-01-02", "load before": "0.10 0.20 0.30"})
    assert "| WAL | beside, clean | clean | the plugin adds | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 |" in text
    assert "load average before: 0.10 0.20 0.30." in text


def test_a_record_has_its_facts_in_both_files(tmp_path: Path) -> None:
    Record().write(tmp_path / "one-2026-01-02-plugin", "# What it says\n", {"samples": [[1.5, 2.5], [3.5]]})
    read = json.loads((tmp_path / "one-2026-01-02-plugin.json").read_text())
    assert read["samples"] == [[1.5, 2.5], [3.5]]
    text = (tmp_path / "one-2026-01-02-plugin.md").read_text()
    assert text.startswith("# What it says\n")
    for name in ("machine", "load before", "load after", "date", "commit"):
        assert f"| {name} | {read['facts'][name]} |" in text
