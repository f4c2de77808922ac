"""The roofline's formulas agree with what rules state, and its probes do what they say."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from rate_models import rules
from rate_models.compiler.chains import CHAINS
from rate_models.network import NetworkSpec
from streaming.benchmarks.roofline import limits, model, probes
from streaming.benchmarks.roofline.limits import Level, Limits

SIZES = (20, 16, 12, 10)
MACHINE = Limits(
    [Level("L1", 1000, 4e9, 2e9)._asdict(), Level("memory", None, 2e9, 1e9)._asdict()], 8e9
)


def adds(rule: str, sizes: tuple[int, ...], density: float = 1.0) -> float:
    """Multiply-adds of a sample without pending updates."""
    return model._at(1, model.work_of(rule, sizes, density), sizes, density, MACHINE).multiply_adds


def stated(rule: str, sizes: tuple[int, ...]) -> int:
    """What the rule's work items say, for dense inputs."""
    definition = rules.get(rule)
    spec = NetworkSpec(sizes, loss=definition.loss)
    return sum(
        item.multiply_adds for item in definition.tasks(spec, definition.hyperparameters(), 0)
    )


LESS = {"pepita", "bmvr", "forward_forward", "adaptive_feedback_alignment"}


@pytest.mark.parametrize("rule", sorted(set(rules.names()) - LESS))
def test_multiply_adds_are_those_of_the_rule(rule: str) -> None:
    assert adds(rule, SIZES) == stated(rule, SIZES)
    # zero inputs save two sweeps over W_1, the pass and the update
    assert adds(rule, SIZES) - adds(rule, SIZES, 0.25) == 2 * 0.75 * SIZES[0] * SIZES[1]


def test_rules_with_a_form_that_needs_less() -> None:
    n0, n1, n = 20, 16, 10
    # bmvr: W_2ᵀ y is one row of W_2
    assert stated("bmvr", (n0, n1, n)) - adds("bmvr", (n0, n1, n)) == n * n1
    # adaptive_feedback_alignment: W_1 F, its update and Fᵀ x in place of W_1 (F e)
    assert stated("adaptive_feedback_alignment", (n0, n1, n)) - adds(
        "adaptive_feedback_alignment", (n0, n1, n)
    ) == n0 * n1 + n0 * n - (2 * n1 * n + n0 * n)
    # pepita: no second sweep over W_1 and no F e; W_1 F, its update, that of U, Fᵀ x, FᵀF e instead
    saved = n0 * n1 + n0 * n
    assert stated("pepita", (n0, n1, n)) - adds("pepita", (n0, n1, n)) == (
        saved - (3 * n1 * n + n0 * n + n * n)
    )


def test_a_sample_needs_the_slower_of_memory_and_arithmetic() -> None:
    for rule in rules.names():
        sizes = SIZES if rule != "bmvr" else (20, 16, 10)
        bound = model.bound(rule, sizes, 0.5, MACHINE)
        changed = 2 * bound.bytes_changed / (2e9 if bound.level == "L1" else 1e9)
        memory = (bound.bytes_read - bound.bytes_changed) / (4e9 if bound.level == "L1" else 2e9)
        arithmetic = bound.multiply_adds / 8e9
        assert math.isclose(bound.seconds, max(memory + changed, arithmetic))
        assert bound.limited_by == ("memory" if memory + changed > arithmetic else "arithmetic")
        half = Limits([{**level, "read": level["read"] / 2, "update": level["update"] / 2}
                       for level in MACHINE.levels], MACHINE.multiply_adds / 2)  # fmt: skip
        assert math.isclose(model.bound(rule, sizes, 0.5, half).seconds, 2 * bound.seconds)


def test_a_longer_block_reads_less_and_computes_more() -> None:
    work = model.work_of("backprop", SIZES, 1.0)
    blocks = [model._at(k, work, SIZES, 1.0, MACHINE) for k in model.BLOCKS]
    for short, long in pairwise(blocks):
        assert long.bytes_read < short.bytes_read and long.bytes_changed < short.bytes_changed
        assert long.multiply_adds > short.multiply_adds
    first, above = SIZES[0] * SIZES[1], SIZES[1] * SIZES[2] + SIZES[2] * SIZES[3]
    assert blocks[0].bytes_read == 4 * (first + 3 * above)  # twice by passes, once by the update
    assert blocks[0].bytes_changed == 4 * (first + above)


def test_weights_lie_in_the_fastest_level_that_holds_them() -> None:
    assert MACHINE.level(1000).name == "L1" and MACHINE.level(1001).name == "memory"
    assert model.bound("backprop", (4, 8, 3), 1.0, MACHINE).level == "L1"
    assert model.bound("backprop", (40, 80, 30), 1.0, MACHINE).level == "memory"


def test_the_faster_of_two_measurements_counts() -> None:
    other = Limits([{**MACHINE.levels[0], "read": 9e9}, MACHINE.levels[1]], 1e9)
    both = limits.best(MACHINE, other)
    assert both.levels[0]["read"] == 9e9 and both.levels[0]["update"] == 2e9
    assert both.multiply_adds == 8e9


@pytest.mark.parametrize("width", probes.MULTIPLY_ADDS)
def test_the_probe_of_multiply_adds_computes_them_all(width: int) -> None:
    turns, a, b = 5, np.float32(0.5), np.float32(1)
    each = 1.0
    for _ in range(turns):
        each = 0.5 * each + 1
    total = probes.MULTIPLY_ADDS[width](a, b, turns)
    assert total == pytest.approx(each * width * CHAINS, rel=1e-5)


def test_the_probes_of_memory_touch_every_number() -> None:
    x = np.full((3, 64), 2, np.float32)
    probes.update(x, np.full(64, 1e30, np.float32), 4)
    assert np.allclose(x, 6)
    y = np.full(64, 1e30, np.float32)
    probes.read(y, 1)
    assert y[0] == pytest.approx(64, rel=1e-5) and (y[1:] == np.float32(1e30)).all()


def test_a_machine_is_measured_in_a_moment() -> None:
    measured = limits.measured(quick=True)
    assert measured.multiply_adds > 0
    assert all(level["read"] > 0 and level["update"] > 0 for level in measured.levels)
    assert [level["name"] for level in measured.levels][-1] == "memory"
    assert "vectors" in limits.processor()


def test_caches_that_are_not_reported_are_assumed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(limits, "CACHES", tmp_path)
    assert limits.caches() == limits.ASSUMED
