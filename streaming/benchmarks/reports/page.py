"""A result of the benchmark as Markdown: docs/performance.md, and the table of the README."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rate_models.errors import UserError
from streaming.benchmarks import networks
from streaming.benchmarks.reports import figures, reasons
from streaming.benchmarks.reports.kept import Result, Row
from streaming.benchmarks.roofline import model
from streaming.files.folder import disk, write_text
from streaming.papers.page import markdown

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
PEERS = (networks.JAX, networks.TORCH, networks.AUTOGRAD, networks.COMPILED,
         networks.NUMPY, networks.BOOK)  # fmt: skip
HEAD = """# How fast it is

Made by `dendrostream bench --read {folder}/{data} --page {folder}/{page}` from the numbers of one
run of `dendrostream bench --scaling`, which are in [{data}]({data}){quick}.

{machine}; {date}.{busy}

One thread, float32 unless stated, one sample at a time. Peers take turns, and {repeats} turns of
{seconds:g} s give medians and quartiles. A ratio is our rate over the peer's. The scan in JAX and
our learner compute class and loss of every sample too, the loops in Python do not. All peers end
with our weights: `tests/streaming/test_bench.py`.
"""
QUICK = ", **and only show that everything runs**: they were measured with `--quick`"
BUSY = " **The machine was busy with other work: the numbers are too low, and they vary.**"
MOST_LOAD = 1.6  # processes at work; one is ours
ROOFLINE = """## How near to the machine's limits

{limits}

The least time of a sample, from `streaming/benchmarks/roofline/model.py`:

```
{model}```

Fraction: the least time over the measured time. Where the time goes, from two more networks that
were measured in the same run: fixed is the time with one unit in each layer but the last (the loop,
softmax, loss, error); above is what one input and all other layers take more (elementwise work,
too); the rest is the first layer.

"""
SCALING = """## How time grows

Time of a sample, measured (lines) and least (dashed). The exponent is the slope for the
largest sizes.

![Time of a sample against width, depth, density, classes and samples at a time]({figure})

"""


def write(result: Result, data: Path, page: Path) -> None:
    """Write the page and its figures, in ``img/`` beside it; data: the file of the result."""
    folder = page.parent / "img"
    with disk(page.parent):
        folder.mkdir(exist_ok=True)
        figures.speeds(result, folder / f"{page.stem}.png")
        if result["scaling"]:
            figures.growth(result, folder / f"{page.stem}_scaling.png")
        write_text(page, text(result, data, page))


def text(result: Result, data: Path, page: Path) -> str:
    """The page."""
    about = {k: v for k, v in result["machine"].items() if k not in ("threads", "dendrostream")}
    head = HEAD.format(
        data=Path(os.path.relpath(data, page.parent)).as_posix(), folder=page.parent.name,
        page=page.name, busy=BUSY if float(about.get("load", 0)) > MOST_LOAD else "",
        quick=QUICK if result["quick"] else "", repeats=result["repeats"],
        seconds=result["seconds"], date=result["date"],
        machine=", ".join(f"{name} {value}" for name, value in about.items()),
    )  # fmt: skip
    parts = [head, "## Every rule, one sample at a time\n"]
    parts.append(f"![Samples per second of every rule and peer](img/{page.stem}.png)\n")
    for network in networks.NETWORKS:
        parts += _network(result, network.name)
    parts += _others(result)
    parts += _roofline(result)
    if result["scaling"]:
        parts.append(SCALING.format(figure=f"img/{page.stem}_scaling.png"))
        parts.append(_exponents(result))
    if result["costs"]:
        rows = [(one["what"], f"{rounded(one['value'])} {one['unit']}") for one in result["costs"]]
        parts += ["## Once\n", markdown(("what", "how much"), rows)]
    return "\n".join(parts)


def readme_table(result: Result) -> str:
    """The table of the README: PEPITA and backpropagation, beside the nearest peers."""
    columns = ("one sample at a time", "PEPITA", "JAX scan", "torch, eager",
               "backpropagation", "JAX scan", "torch, eager")  # fmt: skip
    lines = []
    for network in networks.NETWORKS:
        line = [f"{network.name.replace('-dense', '')}, {_data(result, network.name)}"]
        for rule in ("pepita", "backprop"):
            rows = _rows(result, f"{rule}-{network.name}")
            line += [_rate(rows.get(networks.OURS))]
            line += [_ratio(rows.get(peer)) for peer in (networks.JAX, networks.TORCH)]
        if line[1] != "-" or line[4] != "-":
            lines.append(line)
    cpu = result["machine"].get("cpu", "a processor")
    note = f"Samples per second, and how many times a peer's; {cpu}, one thread, float32."
    return f"{markdown(columns, lines)}\n{note}\n"


def rewrite(readme: Path, result: Result) -> None:
    """Replace the text between the markers in a file by `readme_table`; see `around`."""
    before, _, after = around(readme)
    with disk(readme.parent):
        write_text(readme, f"{before}{BEGIN}\n{readme_table(result)}{END}{after}")


def around(readme: Path) -> tuple[str, str, str]:
    """The text before the markers, between them, and after them; UserError without markers."""
    with disk(readme.parent):
        before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(str(readme), got=f"no {BEGIN} with {END} after it",
                        expected="both, around the table", remedy="add them")  # fmt: skip
    return before, between.removeprefix("\n"), after


def _rows(result: Result, scenario: str) -> dict[str, Row]:
    return {row["peer"]: row for row in result["rows"] if row["scenario"] == scenario}


def _data(result: Result, network: str) -> str:
    """Where the samples of a network are from."""
    known = [about for name, about in result["data"].items() if name.endswith(f"-{network}")]
    return str(known[0]) if known else "-"


def _rate(row: Row | None, spread: bool = False) -> str:
    if row is None or row["samples_per_second"] is None:
        return "-"
    rate = rounded(row["samples_per_second"])
    if not spread or row["low"] is None or row["high"] is None:
        return rate
    return f"{rate} ({rounded(row['low'])}-{rounded(row['high'])})"


def _ratio(row: Row | None) -> str:
    if row is None:
        return "-"
    return f"{rounded(row['ratio'], 2)} ×" if row["ratio"] else f"- ({row['skipped']})"


def rounded(number: float, digits: int = 3) -> str:
    """Some digits, without powers of ten.

    >>> rounded(123456.0), rounded(1.2345), rounded(147.0, 2)
    ('123,000', '1.23', '150')
    """
    most = 10 ** (digits - 1)
    return f"{float(f'{number:.{digits}g}'):,.0f}" if number >= most else f"{number:.{digits}g}"


def _network(result: Result, network: str) -> Iterable[str]:
    names = (bound["scenario"] for bound in result["roofline"])
    rules = {name.removesuffix(f"-{network}") for name in names if name.endswith(f"-{network}")}
    if not rules:
        return
    rows = {rule: _rows(result, f"{rule}-{network}") for rule in sorted(rules)}
    peers = [peer for peer in PEERS if any(peer in one for one in rows.values())]
    lines = [
        [rule, _rate(one[networks.OURS], spread=True), *(_ratio(one.get(p)) for p in peers)]
        for rule, one in rows.items()
    ]
    yield f"### {network.removesuffix('-dense')}, {_data(result, network)}\n"
    yield markdown(("rule", "samples/s", *peers), lines)


def _others(result: Result) -> Iterable[str]:
    """Calls, runs, batches, circuits and tables."""
    known = {bound["scenario"] for bound in result["roofline"]}
    rows = [row for row in result["rows"] if row["scenario"] not in known]
    if rows:
        columns = ("scenario", "peer", "per second", "µs each", "ratio")
        yield "## Calls from Python, runs, batches, circuits, tables\n"
        yield markdown(columns, [_line(row) for row in rows])


def _line(row: Row) -> Sequence[str]:
    rate = row["samples_per_second"]
    each = "-" if rate is None else rounded(1e6 / rate)
    return row["scenario"], row["peer"], _rate(row, spread=True), each, _ratio(row)


def _roofline(result: Result) -> Iterable[str]:
    of = result["limits"]
    levels = [
        f"{one['name']} ({_bytes(one['size'])}) {one['read'] / 1e9:.0f} GB/s read, "
        f"{one['update'] / 1e9:.0f} read and written"
        for one in of["levels"]
    ]
    adds = f"{of['multiply_adds'] / 1e9:.0f} · 10⁹ multiply-adds per second"
    limits = f"One core: {adds}; {'; '.join(levels)}. Measured in the same run."
    yield ROOFLINE.format(limits=limits, model=model.__doc__)
    columns = ("scenario", "ρ", "µs", "least µs", "K", "limited by", "fraction",
               "where the time goes, below a half")  # fmt: skip
    lines = [
        (b["scenario"], f"{b['density']:.0%}", rounded(1e6 * b["seconds"] / b["fraction"]),
         rounded(1e6 * b["seconds"]), str(b["block"]),
         b["limited_by"] if b["limited_by"] != "memory" else f"reading {b['level']}",
         f"{b['fraction']:.0%}", reasons.reason(b))
        for b in result["roofline"]
    ]  # fmt: skip
    yield markdown(columns, lines)


def _bytes(size: int | None) -> str:
    if size is None:
        return "all else"
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"


def _exponents(result: Result) -> str:
    show: Callable[[Any], str] = lambda n: "-" if n is None else f"{n:.2f}"  # noqa: E731
    lines = [
        (one["axis"], one["network"], one["rule"], show(one["exponent"]), show(one["theory"]))
        for one in result["scaling"]
    ]
    return markdown(("grows", "network", "rule", "measured exponent", "theory"), lines)
