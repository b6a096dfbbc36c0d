"""What a reset costs in the mixed Django suite of tests/python/apps/django_shop, beside plain Django's flush.

    python benches/mixed_django.py [--rounds N] [--record PREFIX]

Sessions of the same suite by turns, with dbrewind and without (`-p no:dbrewind`), each on a copy of the shop; in every
second round the other one goes first. The clock stands around Django's `_fixture_teardown` in both (`resets.py` of the
shop). With dbrewind all tests must pass. Without it most fail, since a flush takes along what migrations wrote; what a
flush takes is the same. Plain Django has its databases in memory, its default; ours are files.

`--record` writes PREFIX.json and PREFIX.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from recorded import Record

SHOP = Path(__file__).parents[1] / "tests/python/apps/django_shop"
KINDS = {"rewind": ("pytest",), "flush": ("pytest", "-p", "no:dbrewind")}
TESTS = "test_shop_mixed.py"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--record", type=Path, metavar="PREFIX")
    chosen = options.parse_args()
    record = Record()
    resets: dict[str, list[float]] = {kind: [] for kind in KINDS}
    outcomes: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for turn in range(chosen.rounds):
        for kind in sorted(KINDS, reverse=turn % 2 == 0):
            took, outcome = _session(kind, seed=turn + 1)
            resets[kind] += took
            outcomes[kind].append(outcome)
    failed = [outcome for outcome in outcomes["rewind"] if re.search("failed|error", outcome)]
    text = _report(resets, outcomes, chosen.rounds, record.facts)
    print(text)
    if chosen.record is not None:
        known = {"rounds": chosen.rounds, "outcomes": outcomes, "resets_ms": resets}
        record.write(chosen.record, text, known)
    return 1 if failed else 0


def _session(kind: str, seed: int) -> tuple[list[float], str]:
    """What the resets of a session took, in milliseconds, and how its tests ended."""
    with tempfile.TemporaryDirectory() as folder:
        shop = shutil.copytree(SHOP, Path(folder, "shop"), ignore=shutil.ignore_patterns("__pycache__"))
        done = subprocess.run(
            [sys.executable, "-m", *KINDS[kind], "-p", "resets", "-q", TESTS],
            cwd=shop,
            env=os.environ | {"RESETS": "resets.json", "SHUFFLE": str(seed)},
            capture_output=True,
            text=True,
            check=False,
        )
        if not (shop / "resets.json").exists():
            sys.exit(done.stdout + done.stderr)
        took: list[float] = json.loads((shop / "resets.json").read_text())[kind]["all_ms"]
    return took, re.sub(r" in [\d.]+s.*", "", done.stdout.splitlines()[-1].strip("= "))


def _report(resets: dict[str, list[float]], outcomes: dict[str, list[str]], rounds: int, facts: dict[str, str]) -> str:
    lines = [
        f"# A reset in the mixed Django suite, {facts['date']}",
        "",
        f"{rounds} sessions of each kind by turns, each in another order; load average before: {facts['load before']}. "
        "Milliseconds.",
        "",
        "| reset | count | median | p90 | p99 | slowest | tests |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, took in resets.items():
        cuts = statistics.quantiles(took, n=100, method="inclusive")
        figures = " | ".join(f"{one:.2f}" for one in (statistics.median(took), cuts[89], cuts[98], max(took)))
        name = "dbrewind: rewind, file" if kind == "rewind" else "plain Django: flush, in memory"
        ended = "; ".join(dict.fromkeys(sorted(outcomes[kind])))
        lines.append(f"| {name} | {len(took)} | {figures} | {ended} |")
    lines += [
        "",
        "Without dbrewind nothing is restored: a flush takes along what migrations wrote, so tests find no rows and "
        "fail. With `serialized_rollback` Django loads those rows again, beside some that its flush has made anew: an "
        "error (UNIQUE) at the set-up, after which Django refuses some later tests their second database: more errors.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
