"""Pictures of the records of `make bench`, `make bench-plugin` and `make bench-django`, as SVG."""

from __future__ import annotations

from html import escape
from math import log10
from statistics import median, quantiles
from typing import Any, NamedTuple

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 44, 52
NAMES = {
    "dbrewind": "dbrewind rewind",
    "keeper": "dbrewind, keeper",
    "copy": "file copy + reopen",
    "backup": "backup API",
    "session": "session, inverted",
    "doltlite": "DoltLite reset",
    "savepoint": "SAVEPOINT *",
    "rollback": "ROLLBACK *",
}
COLOURS = {
    "dbrewind": "#00897b",
    "keeper": "#4db6ac",
    "copy": "#e65100",
    "backup": "#6a1b9a",
    "session": "#1565c0",
    "doltlite": "#ad1457",
    "savepoint": "#757575",
    "rollback": "#9e9e9e",
}
# What a record of the plugin calls the time of a test in a session without it, and the time over that.
PLAIN, ADDED = "without the plugin", "the plugin adds"
KINDS = {"beside": "#b2dfdb", "clean": "#4db6ac", "dirty": "#00897b"}


def resets(record: dict[str, Any], workload: str, title: str, setting: str = "WAL/OFF") -> str:
    """The p50 of each rival by the size of the database, both axes logarithmic."""
    cells = [
        cell
        for cell in record["cells"]
        if cell["setting"] == setting and cell["workload"] == workload and cell["immediate"] and not cell["not_run"]
    ]
    sizes = sorted({cell["megabytes"] for cell in cells})
    times = [cell["immediate"]["p50"] * 1e3 for cell in cells]
    low, high = 10.0 ** _floor(min(times) / 2), 10.0 ** (_floor(max(times)) + 1)

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * log10(size / sizes[0]) / log10(sizes[-1] / sizes[0])

    def y(ms: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - log10(ms / low) / log10(high / low))

    parts = _begin(f"{title}, {setting}: p50")
    for power in range(_floor(low), _floor(high) + 1):
        value = 10.0**power
        parts.append(_line(LEFT, y(value), WIDTH - RIGHT, y(value), "#ddd"))
        parts.append(_text(LEFT - 8, y(value) + 4, f"{value:g} ms", "end"))
    for size in sizes:
        shown = f"{size} MB" if size < 1000 else f"{size / 1000:g} GB"
        parts.append(_line(x(size), TOP, x(size), HEIGHT - BOTTOM, "#eee"))
        parts.append(_text(x(size), HEIGHT - BOTTOM + 18, shown, "middle"))
    ends: list[tuple[float, str]] = []
    for rival in NAMES:
        points = sorted((cell["megabytes"], cell["immediate"]["p50"] * 1e3) for cell in cells if cell["rival"] == rival)
        if not points:
            continue
        path = " ".join(f"{x(size):.1f},{y(ms):.1f}" for size, ms in points)
        width = 3 if rival == "dbrewind" else 1.5
        dash = ' stroke-dasharray="4 3"' if rival in ("savepoint", "rollback") else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[rival]}" stroke-width="{width}"{dash}/>')
        parts += [f'<circle cx="{x(s):.1f}" cy="{y(m):.1f}" r="3" fill="{COLOURS[rival]}"/>' for s, m in points]
        ends.append((y(points[-1][1]), rival))
    at = 0.0
    for place, rival in sorted(ends):
        at = max(place + 4, at + 15)
        parts.append(_text(WIDTH - RIGHT + 10, at, NAMES[rival], "start", COLOURS[rival]))
    parts.append(_text(LEFT, HEIGHT - 10, "* nothing may commit: a floor, no way to reset", "start"))
    return "\n".join([*parts, "</svg>"])


class Bar(NamedTuple):
    """A line of a picture: its name, how long it is, and what is said of that."""

    name: str
    length: float
    said: str
    colour: str = COLOURS["dbrewind"]
    spread: tuple[float, float] | None = None
    """Two lengths, between which there is a thin line."""


def recording(record: dict[str, Any]) -> str:
    """What recording costs, as the record's own table has it: the median over the pairs of the ratio of means."""
    ratios = [(f"{cost['work']}, {cost['setting']}", _ratio(cost)) for cost in record["costs"] if not cost["not_run"]]
    bars = [Bar(name, ratio, f"{ratio:.2f}x") for name, ratio in ratios]
    return _bars("Time of the same work, recorded, of unrecorded (1 = no cost)", bars, least=1.2, line=1)


def plugin(record: dict[str, Any]) -> str:
    """What the plugin adds to a test of a session that has all kinds by turns, as the record's own table has it."""
    bars = []
    for mode in ("wal", "delete"):
        for kind in KINDS:
            (cost,) = (
                cost
                for cost in record["costs"]
                if (cost["mode"], cost["suite"], cost["kind"], cost["what"]) == (mode, [*KINDS], kind, ADDED)
            )
            low, middle, high = cost["pairs"]
            bars.append(Bar(f"{mode.upper()}, {kind}", middle, f"{middle:.0f} us", KINDS[kind], (low, high)))
    return _bars("What the plugin adds to a test: median of the pairs of sessions, quartiles", bars)


def django(record: dict[str, Any]) -> str:
    """What a reset took in the mixed Django suite, with dbrewind and without."""
    bars = []
    for kind, name, colour in (("rewind", "dbrewind", "dbrewind"), ("flush", "plain Django, flush *", "copy")):
        took = record["resets_ms"][kind]
        for what, value in (("p50", median(took)), ("p90", p90(took))):
            bars.append(Bar(f"{name}: {what}", value, f"{value:.2f} ms", COLOURS[colour]))
    return _bars("Reset of a test that commits, mixed Django suite", bars, foot="* restores nothing: see below")


def p90(values: list[float]) -> float:
    """As the tables of the records have it."""
    return quantiles(values, n=100, method="inclusive")[89]


def _bars(title: str, bars: list[Bar], least: float = 0, line: float | None = None, foot: str = "") -> str:
    """Lying bars from one axis, the longest of which fills the width; `line`: a length that an upright line marks."""
    step, left = 26, 230
    height = TOP + step * len(bars) + 40
    most = max(least, *(max((bar.length, *(bar.spread or ()))) for bar in bars))
    scale = (WIDTH - left - 80) / most
    parts = _begin(title, height)
    for place, bar in enumerate(bars):
        at = TOP + step * place
        length = max(0, bar.length) * scale
        parts.append(f'<rect x="{left}" y="{at + 4}" width="{length:.1f}" height="16" fill="{bar.colour}"/>')
        parts.append(_text(left - 8, at + 16, bar.name, "end"))
        end = length
        if bar.spread is not None:
            low, high = (left + scale * max(0, one) for one in bar.spread)
            parts.append(_line(low, at + 12, high, at + 12, "#222"))
            end = max(end, high - left)
        parts.append(_text(left + end + 6, at + 16, bar.said, "start"))
    if line is not None:
        parts.append(_line(left + scale * line, TOP, left + scale * line, height - 36, "#e65100"))
    if foot:
        parts.append(_text(left, height - 10, foot, "start"))
    return "\n".join([*parts, "</svg>"])


def _ratio(cost: dict[str, Any]) -> float:
    pairs = zip(cost["ours"], cost["plain"], strict=True)
    ratios: list[float] = [ours["mean"] / plain["mean"] for ours, plain in pairs]
    return median(ratios)


def _floor(value: float) -> int:
    return int(log10(value) // 1)


def _begin(title: str, height: float = HEIGHT) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#fff"/>',
        _text(LEFT, 26, title, "start", "#222", 15),
    ]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#555", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{escape(text)}</text>'
    )
