"""`python -m compare`: measures, prints the tables, and records them in `benches/record`."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import capture, exactness, gates, machine, readme, report, schedule
from .broken import NOT_RUN, broken
from .channel import PACKAGE_PARENT, ChildError, Message
from .connection import Engine, Setting
from .database import SCRATCH, Size, base
from .handle import Handle, Options
from .rivals import RESETTING, RIVALS

PACKAGES = {"dbrewind": "dbrewind", "keeper": "dbrewind", "session": "apsw", "doltlite": "doltlite"}
"""Rivals that need a package beyond the standard library."""
SETTINGS = {
    "wal/off": Setting("wal", "off"),
    "wal/normal": Setting("wal", "normal"),
    "delete/off": Setting("delete", "off"),
    "delete/normal": Setting("delete", "normal"),
}


def main() -> int:
    """Run everything that was asked for."""
    arguments = _arguments()
    options = _options(arguments)
    shutil.rmtree(SCRATCH / "run", ignore_errors=True)
    began = time.monotonic()
    facts = {**machine.facts(), "date": datetime.date.today().isoformat(), "load before": machine.load()}
    result = report.Result(options, facts)
    parts = arguments.only.split(",") if arguments.only else ["reset", "flat", "marks", "exactness", "capture"]
    stem = f"{machine.name()}-{result.facts['date']}" + ("-quick" if options.quick else "")
    unfinished = SCRATCH / "record"
    _build_bases(options)
    steps: list[Callable[[], None]] = []
    if "exactness" in parts:
        steps.append(lambda: _exactness(result))
    if "dbrewind" in options.rivals:
        # What the required ratios need comes first: a run that is stopped midway has them.
        if "flat" in parts:
            steps.append(lambda: _flat(result))
        if "marks" in parts:
            steps.append(lambda: _marks(result))
        if "capture" in parts:
            steps.append(lambda: capture.measure(result.costs, options.settings, options.quick, options.pinned))
    if "reset" in parts:
        steps += [partial(_reset, result, size) for size in options.sizes]
    for step in steps:
        step()
        result.gates = gates.compute(result.cells, result.flat, result.costs)
        result.facts["load after"] = machine.load()
        result.facts["took"] = f"{time.monotonic() - began:.0f} s"
        report.write(result, unfinished, stem)
    directory = Path(arguments.record) if arguments.record else PACKAGE_PARENT / "record"
    if options.quick and not arguments.record:
        directory = unfinished
    print(report.write(result, directory, stem))
    print(f"recorded in {directory / stem}.md, .csv and .json", file=sys.stderr)
    if result.cells:
        # So that a smoke test sees it fail.
        readme.table(json.loads((directory / f"{stem}.json").read_text()), stem)
    failures = broken(result, _missing)
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 and 22 MB, few rounds: a smoke test")
    parser.add_argument("--sizes", help="megabytes, separated by commas")
    parser.add_argument("--rivals", help=f"of {','.join(RESETTING)}")
    parser.add_argument("--settings", help="such as wal/off,delete/normal")
    parser.add_argument("--only", help="of reset,flat,marks,exactness,capture")
    parser.add_argument("--unpinned", action="store_true", help="do not pin the working threads to cores")
    parser.add_argument("--record", help="directory for the results")
    return parser.parse_args()


def _options(arguments: argparse.Namespace) -> Options:
    sizes = arguments.sizes or ("2,22" if arguments.quick else "2,22,113,1000")
    settings = []
    for word in (
        (arguments.settings or ("wal/off,delete/normal" if arguments.quick else ",".join(SETTINGS))).lower().split(",")
    ):
        if word not in SETTINGS:
            raise SystemExit(f"unknown setting {word!r}: use some of {', '.join(SETTINGS)}")
        settings.append(SETTINGS[word])
    rivals = arguments.rivals.split(",") if arguments.rivals else RESETTING
    for name in rivals:
        if name not in RESETTING:
            raise SystemExit(f"unknown rival {name!r}: use some of {', '.join(RESETTING)}")
    return Options(
        quick=arguments.quick,
        pinned=not arguments.unpinned,
        sizes=[Size(int(word)) for word in sizes.split(",")],
        settings=settings,
        rivals=rivals,
    )


def _missing(name: str) -> str:
    package = PACKAGES.get(name)
    if package and importlib.util.find_spec(package) is None:
        return f"the package {package} is not installed"
    return ""


def _build_bases(options: Options) -> None:
    engines: set[Engine] = {"sqlite3"}
    if "doltlite" in options.rivals and not _missing("doltlite"):
        engines.add("doltlite")
    for size in {*options.sizes, capture.BASE, Size(2)}:
        for engine in engines:
            base(engine, size)


def _reset(result: report.Result, size: Size) -> None:
    for setting in result.options.settings:
        load = machine.load()
        print(f"  reset {setting} {size}, load {load}", file=sys.stderr, flush=True)
        cells, versions = schedule.measure(setting, size, result.options)
        for cell in cells:
            cell.load = load
        result.cells += cells
        result.versions.update(versions)


def _flat(result: report.Result) -> None:
    sizes = [min(result.options.sizes, key=_megabytes), max(result.options.sizes, key=_megabytes)]
    for setting in result.options.settings:
        if setting.journal != "wal" or sizes[0] == sizes[1]:
            continue
        print(f"  flat {setting}", file=sys.stderr, flush=True)
        handles: list[Handle] = []
        try:
            for size in sizes:
                handles.append(Handle("dbrewind", setting, size, result.options.pinned, "flat"))
            result.flat += schedule.interleave(handles, setting, "small", result.options.quick)
        except ChildError as error:
            _failed(result, f"flat {setting}: {error}")
        finally:
            for handle in handles:
                handle.discard()


def _marks(result: report.Result) -> None:
    count = 50 if result.options.quick else 1000
    for setting in result.options.settings:
        try:
            handle = Handle("dbrewind", setting, capture.BASE, result.options.pinned, "marks")
        except ChildError as error:
            _failed(result, f"marks {setting}: {error}")
            continue
        try:
            result.marks[str(setting)] = handle.ask("marks", count=count)["times"]
        except ChildError as error:
            _failed(result, f"marks {setting}: {error}")
        finally:
            handle.discard()


def _failed(result: report.Result, what: str) -> None:
    print(f"  NOT RUN: {what}", file=sys.stderr, flush=True)
    result.failures.append(what)


def _megabytes(size: Size) -> int:
    return size.megabytes


def _exactness(result: report.Result) -> None:
    journals = dict.fromkeys(setting.journal for setting in result.options.settings)
    for journal in journals:
        reports = result.exactness.setdefault(journal, {})
        for name in result.options.rivals:
            if journal not in RIVALS[name].modes:
                continue
            print(f"  exactness {journal} {name}", file=sys.stderr, flush=True)
            reports[name] = _exact(name, Setting(journal, "off"), foreign=True)
            if reports[name]["refused"]:
                alone = _exact(name, Setting(journal, "off"), foreign=False)
                reports[name]["alone"] = alone
                said = "; ".join(alone["failed"]) or alone["refused"] or "nothing"
                reports[name]["notes"].append(f"without the other process's write it failed to restore: {said}")


def _exact(name: str, setting: Setting, foreign: bool) -> Message:
    try:
        handle = Handle(name, setting, Size(2), False, "exactness")
    except ChildError as error:
        return {"failed": [], "notes": [], "refused": f"{NOT_RUN}{error}", "pages": ""}
    try:
        told = handle.ask("exactness", foreign=foreign)
        handle.ask("close")
        if RIVALS[name].engine != "doltlite":
            differing, total = exactness.pages_that_differ(handle.live, base("sqlite3", Size(2)).path)
            told["pages"] = f"{differing} of {total}"
        return told
    except ChildError as error:
        return {"failed": [], "notes": [], "refused": str(error), "pages": ""}
    finally:
        handle.discard()


if __name__ == "__main__":
    sys.exit(main())
