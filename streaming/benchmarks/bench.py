"""``dendrostream bench``: samples per second of everything that learns or reads, beside others'.

All peers run in one thread of the same process, in float32, at batch 1, on the same samples. They
take turns, each for the same time, and medians with quartiles are reported. ``ratio`` is our rate
over the peer's. Scenarios are in the files that `parts` lists; what else is measured is in
`roofline` (the machine's limits), `costs` (start-up, compilation, memory) and `scaling`; `reports`
has the page, the figures and the comparison with an earlier result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from rate_models.errors import BadOption
from rate_models.support.estimates import check_time
from rate_models.support.one_thread import one_thread
from streaming.benchmarks import batches, calls, circuits, networks, scaling, tables
from streaming.benchmarks import costs as bench_costs
from streaming.benchmarks.measure import Speed, speeds
from streaming.benchmarks.peers import scans
from streaming.benchmarks.roofline import limits
from streaming.benchmarks.roofline.reached import Reached
from streaming.benchmarks.scenario import Peer, Samples, Scenario
from streaming.machine import machine

MANY = 10**12  # repeats: more are as good as these
SECONDS, REPEATS = 0.15, 5
QUICK_SECONDS = 1e-6  # as few samples as a scenario allows
Row = dict[str, Any]


def run(
    seconds: float | None = None,
    repeats: int | None = None,
    only: Sequence[str] = (),
    quick: bool = False,
    grows: bool = False,
) -> dict[str, Any]:
    """Time every peer of every scenario, ``repeats`` times for about ``seconds`` each.

    only: parts of the names of scenarios; the others are left out. quick: as few samples as
    possible, once, to see that everything runs. grows: also measure how time grows with width,
    depth, density and classes.

    Returns {machine, date, data, seconds, repeats, quick, rows, limits, roofline, costs, scaling}.
    rows: {scenario, peer, samples_per_second, ratio, low, high, ours, skipped}; None for peers that
    are skipped, and the reason. low, high: quartiles over the repeats. ours: whether the peer is a
    part of this project. roofline: how near our kernels are to it, see `roofline.reached`.

    Raises BadOption for seconds or repeats that are not positive, for hours of measurements, and
    where nothing has such a name.
    """
    seconds = (QUICK_SECONDS if quick else SECONDS) if seconds is None else seconds
    repeats = (1 if quick else REPEATS) if repeats is None else repeats
    if not seconds > 0 or repeats < 1:
        got = f"seconds={seconds:g}, repeats={repeats}"
        raise BadOption("bench", got=got, expected="seconds above 0, repeats from 1")
    scans.one_thread_in_jax()
    with one_thread(), TemporaryDirectory() as folder:
        chosen = _chosen(only, Path(folder))
        steps = sum(len(scenario.peers) for scenario in chosen) * (min(repeats, MANY) + 1)
        _check_length(steps, seconds)
        more = sum(one.rule is not None for one in chosen) + (scaling.steps(quick) if grows else 0)
        with _progress(steps + more) as bar:
            return _measured(chosen, seconds, repeats, quick, grows, bool(only), bar)


def _check_length(steps: int, seconds: float) -> None:
    """BadOption for hours of measurements."""
    got = f"{steps:,} measurements of {seconds:g} s"
    check_time("bench", got, steps * seconds, "choose fewer --repeats or --seconds")


def _measured(
    chosen: list[Scenario], seconds: float, repeats: int, quick: bool, grows: bool, part: bool,
    bar: tqdm[None],
) -> dict[str, Any]:  # fmt: skip
    rows: list[Row] = []
    data: dict[str, str] = {}
    found: dict[str, dict[str, Speed]] = {}
    costs = [] if part else bench_costs.measured(quick, bar.set_postfix_str)
    bar.set_postfix_str("limits of the machine")
    parts_of, tell = _teller(bar, "parts of the time"), _teller(bar, "scaling")
    machine_limits = limits.measured(quick)
    for scenario in chosen:
        data[scenario.name] = scenario.samples().about
        found[scenario.name] = speeds(scenario, seconds, repeats, _teller(bar, scenario.name))
        rows += _rows(scenario, found[scenario.name])
    # again: nothing makes a machine faster than it is, but others may have slowed it
    machine_limits = limits.best(machine_limits, limits.measured(quick))
    return {
        "machine": {**machine(), **limits.processor()},
        "date": f"{datetime.now():%Y-%m-%d}",
        "data": data,
        "seconds": seconds,
        "repeats": repeats,
        "quick": quick,
        "rows": rows,
        "limits": machine_limits._asdict(),
        "roofline": list(_bounds(chosen, found, Reached(machine_limits, seconds), parts_of)),
        "costs": costs,
        "scaling": scaling.measured(machine_limits, quick, tell) if grows else [],
    }  # fmt: skip


def parts(folder: Path) -> Iterator[Scenario]:
    """All scenarios. folder: for the files that they write when they are measured."""
    yield from networks.scenarios()
    yield from calls.scenarios()
    yield from batches.scenarios()
    yield from _circuits()
    yield from tables.scenarios(folder)


def _circuits() -> Iterator[Scenario]:
    """Circuits in time, and in steady state, which are different equations."""
    for sizes in circuits.SIZES:
        X, labels = circuits.data()
        every: dict[str, Peer] = {
            name: "not installed" if make is None else make
            for name, make in circuits.peers(sizes).items()
        }
        for steady, ending in ((False, ""), (True, "-steady")):
            peers = {name: p for name, p in every.items() if ("steady state" in name) == steady}
            name, samples = circuits.scenario(sizes) + ending, partial(Samples, X, labels, "random")
            yield Scenario(name, peers, samples, 5)


def _chosen(only: Sequence[str], folder: Path) -> list[Scenario]:
    every = list(parts(folder))
    some = [one for one in every if not only or any(name in one.name for name in only)]
    for name in only:
        if not any(name in one.name for one in every):
            names = ", ".join(one.name for one in every)
            raise BadOption("--only", got=repr(name), expected=f"part of one of {names}")
    return some


def _progress(steps: int) -> tqdm[None]:
    return tqdm(total=steps, desc="bench", disable=None, file=sys.stderr, dynamic_ncols=True,
                leave=False, unit=" measurements")  # fmt: skip


def _teller(bar: tqdm[None], scenario: str) -> Callable[[str], None]:
    def tell(peer: str) -> None:
        bar.set_postfix_str(f"{scenario}: {peer}", refresh=False)
        bar.update()

    return tell


def _rows(scenario: Scenario, found: dict[str, Speed]) -> list[Row]:
    ours = next(iter(found.values())).median
    return [
        {
            "scenario": scenario.name,
            "peer": name,
            "samples_per_second": speed.median,
            "ratio": ours / speed.median if ours and speed.median else None,
            "low": speed.low,
            "high": speed.high,
            "ours": at < scenario.ours,
            "skipped": speed.skipped,
        }
        for at, (name, speed) in enumerate(found.items())
    ]


def _bounds(
    chosen: list[Scenario], found: dict[str, dict[str, Speed]], reached: Reached,
    tell: Callable[[str], None],
) -> Iterator[Row]:  # fmt: skip
    """How near to the machine's limits our kernel is on every network."""
    for one in chosen:
        if one.rule is not None and one.sizes is not None:
            tell(one.name)
            rate = found[one.name][networks.OURS].median
            if rate is not None:
                density = one.samples().density
                yield reached.row(one.name, one.rule, one.sizes, density, rate)
