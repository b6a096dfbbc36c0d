"""What the fixture `dbrewind` costs a test, in WAL and in DELETE mode.

    python benches/plugin.py [--turns N] [--pairs N] [--record PREFIX]

Two sessions of pytest run the same tests by turns: in one the plugin is loaded, in the other it is not, and its fixture
`dbrewind` is an empty one. No other plugin is loaded. The tests are those that ask for no such fixture ("beside"), that
ask and leave the database alone ("clean"), and that ask and write a row ("dirty"). What a test costs is the time that
its protocol takes, all of pytest's hooks included, over that of its twin in the other session, which ran some
milliseconds before or after it.

Three suites: clean tests and those beside them by turns; dirty ones alone; all three by turns, where some of what a
dirty test leaves to do (to the processor's caches, to the kernel) is paid by those after it. What a clean test pays
more than one beside it is the fixture's own part; the rest every test of the session pays, for two looks.

While one session works through a few turns the other waits, so that both meet the same weather of the machine; the
first turn of each such batch is left out, since the other session had the processor's caches until then. What differs
from one process to the next by where things lie in memory is the reason for several pairs: of each pair the median over
its turns is taken, and of those the quartiles are shown; beside them the quartiles of all single differences.

`--record` writes PREFIX.json and PREFIX.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from plugin_sessions import BATCH, Suite, Took, pair
from recorded import Record

MODES = ("wal", "delete")
SUITES: tuple[Suite, ...] = (("beside", "clean"), ("dirty",), ("beside", "clean", "dirty"))
PLAIN, ADDED, OWN = "without the plugin", "the plugin adds", "of that, the fixture"


@dataclass
class Cost:
    """One kind of test in one suite: quartiles, in microseconds."""

    mode: str
    suite: Suite
    kind: str
    what: str
    pairs: list[float]
    """Of the medians of the pairs of sessions."""
    single: list[float]
    """Of all tests."""


def main() -> int:
    """Measure, print, and record if that was asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--turns", type=int, default=500, help="tests of each kind in a session")
    options.add_argument("--pairs", type=int, default=5, help="of sessions")
    options.add_argument("--record", type=Path, metavar="PREFIX")
    chosen = options.parse_args()
    if chosen.turns <= 2 * BATCH or chosen.pairs < 2:
        options.error(f"more than {2 * BATCH} turns, and two pairs or more")
    record = Record()
    costs: list[Cost] = []
    samples = []
    for mode in MODES:
        for suite in SUITES:
            print(f"{mode}: {', '.join(suite)}", file=sys.stderr, flush=True)
            pairs = [pair(mode, suite, chosen.turns, seed) for seed in range(1, chosen.pairs + 1)]
            costs += costs_of(mode, suite, pairs)
            without, loaded = ([_rounded(one[at]) for one in pairs] for at in (0, 1))
            samples.append({"mode": mode, "suite": suite, "without": without, "loaded": loaded})
    text = report(costs, chosen.turns, chosen.pairs, record.facts)
    print(text)
    if chosen.record is not None:
        known = {"turns": chosen.turns, "pairs": chosen.pairs, "costs": [asdict(cost) for cost in costs]}
        record.write(chosen.record, text, known | {"samples_us": samples})
    return 0


def costs_of(mode: str, suite: Suite, pairs: list[tuple[Took, Took]]) -> list[Cost]:
    """What these sessions say, kind by kind; of each pair the first was without the plugin."""
    costs = []
    for kind in suite:
        plain = [without[kind] for without, _ in pairs]
        costs.append(_cost(mode, suite, kind, PLAIN, plain))
        costs.append(_cost(mode, suite, kind, ADDED, [_over(loaded[kind], without[kind]) for without, loaded in pairs]))
    if {"beside", "clean"} <= set(suite):
        asking = [_over(_asking(loaded), _asking(without)) for without, loaded in pairs]
        costs.append(_cost(mode, suite, "clean", OWN, asking))
    return costs


def report(costs: list[Cost], turns: int, pairs: int, facts: dict[str, str]) -> str:
    """The table of a record."""
    lines = [
        f"# What the pytest plugin costs a test, {facts['date']}",
        "",
        f"{pairs} pairs of sessions of each suite, one with the plugin and one without, {turns} tests of each kind in "
        f"each; load average before: {facts['load before']}. Microseconds, quartiles: of the medians of the pairs, "
        "and of all single tests.",
        "",
        "A test *beside* does not ask for `dbrewind`; a *clean* one asks and writes nothing; a *dirty* one updates one "
        "row of 10,000, and is rewound. Without the plugin nothing is rewound: what a test costs there is no other way "
        "to reset.",
        "",
        "| mode | tests of the suite | test | | pairs: lower | median | upper | tests: lower | median | upper |",
        "|---" * 10 + "|",
    ]
    for cost in costs:
        figures = " | ".join(f"{value:.1f}" for value in (*cost.pairs, *cost.single))
        lines.append(f"| {cost.mode.upper()} | {', '.join(cost.suite)} | {cost.kind} | {cost.what} | {figures} |")
    return "\n".join(lines) + "\n"


def _cost(mode: str, suite: Suite, kind: str, what: str, pairs: list[list[float]]) -> Cost:
    medians = statistics.quantiles([statistics.median(one) for one in pairs], method="inclusive")
    single = statistics.quantiles([one for of_pair in pairs for one in of_pair], method="inclusive")
    return Cost(mode, suite, kind, what, medians, single)


def _asking(took: Took) -> list[float]:
    """What asking for the fixture takes, turn by turn."""
    return _over(took["clean"], took["beside"])


def _over(much: list[float], little: list[float]) -> list[float]:
    return [more - less for more, less in zip(much, little, strict=True)]


def _rounded(took: Took) -> Took:
    return {kind: [round(one, 1) for one in all_of] for kind, all_of in took.items()}


if __name__ == "__main__":
    sys.exit(main())
