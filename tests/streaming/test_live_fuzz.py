"""Fuzzed lines on standard input: none crashes, all are counted. MQTT and LSL: see their tests."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from pipes import adds_up, csv, rows, standard_input

import numpy as np
import pytest

from streaming.live.splitting import LONGEST
from streaming.runs.run import Hooks, RunConfig, run

N = 10_000


def odd_csv(rng: np.random.Generator, line: bytes) -> bytes:
    """A malformed row, made of a good one."""
    cells = line.split(b",")
    at = rng.integers(4)
    kinds = [
        lambda: b",".join(cells[: rng.integers(1, 5)]),  # truncated
        lambda: line + b",1",  # too long
        lambda: line.replace(
            cells[at], rng.choice([b"x", b"NaN", b"", b"1e999", b"1_0", b"0x1"]), 1
        ),
        lambda: b",".join([*cells[:4], rng.choice([b"3", b"-1", b"1.5", b"yes", b"1" * 5000])]),
        lambda: b"\xff\xfe\x80" + line,
        lambda: b"\x00" + line,
        lambda: b'"' + line,
        lambda: bytes(rng.integers(128, 256, size=30, dtype=np.uint8)),
        lambda: b",".join([b"1e19", *cells[1:]]),
    ]
    return kinds[rng.integers(len(kinds))]()


def odd_json(rng: np.random.Generator, line: bytes) -> bytes:
    """A malformed message, made of a good one."""
    kinds = [
        lambda: line[: rng.integers(1, len(line))],
        lambda: line.replace(b"[", b"[NaN, "),
        lambda: line.replace(b'"x": [', b'"x": [1, '),
        lambda: line.replace(b'"x": [', b'"x": ["1", '),
        lambda: line.replace(b'"x"', b'"speed"'),
        lambda: line.replace(b'"label": ', b'"label": 7'),
        lambda: b"[" * 50_000,
        lambda: b'{"x": [1, 2, 3, ' + b"9" * 5000 + b'], "label": 1}',
        lambda: b"\xff" + line,
        lambda: line.replace(b"}", b', "time": "noon"}'),
        lambda: rng.choice([b"null", b"3", b"{}", b'"x"', b"[]"]),
    ]
    return kinds[rng.integers(len(kinds))]()


def good_lines(form: str, n: int) -> list[bytes]:
    if form == "csv":
        return csv(n, header=False).split(b"\n")[:-1]
    X, y = rows(n)
    return [
        json.dumps({"x": x, "label": int(label)}).encode()
        for x, label in zip(X.tolist(), y, strict=True)
    ]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_fuzzed_lines_are_counted(form: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    good, odd = good_lines(form, N), {"csv": odd_csv, "json": odd_json}[form]
    start = {"csv": b"a,b,c,d,label\n1,2,3,4,0\n", "json": good[0] + b"\n"}[form]
    bad = rng.random(N) < 0.5
    bad[:50] = False
    lines = [odd(rng, line) if b else line for b, line in zip(bad, good, strict=True)]
    data = start + b"\n".join(lines) + b"\n"
    cuts = [0, *sorted(rng.integers(len(data), size=60).tolist()), len(data)]
    parts = [data[a:b] for a, b in pairwise(cuts)]
    options = {"hidden": 4, "lr": 0.01, "interval": 5000, "on_bad": "skip", "labels": "0,1,2"}
    with standard_input(parts):
        live = run(RunConfig.checked(source="stdin", **options), tmp_path / "r", Hooks(draw=False))[
            "live"
        ]
    assert live["learned"] == N - bad.sum() + 1 and live["malformed"] == bad.sum()
    assert live["received"] == N + 1 and adds_up(live)


def test_a_line_without_an_end_fills_no_memory(tmp_path: Path) -> None:
    def parts():
        yield csv(300)
        for _ in range(3 * LONGEST // (1 << 16)):
            yield b"7" * (1 << 16)
        yield b"\n" + csv(200, seed=1, header=False)

    options = {"hidden": 4, "lr": 0.01, "on_bad": "skip", "labels": "0,1,2"}
    with standard_input(parts()):
        live = run(RunConfig.checked(source="stdin", **options), tmp_path / "r", Hooks(draw=False))[
            "live"
        ]
    assert (live["learned"], live["malformed"]) == (500, 1)
