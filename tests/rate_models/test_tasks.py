"""A rule's kernels read and write what its work items declare; a violation is reported."""

from __future__ import annotations

from typing import Any

from rate_models import rules
from rate_models.checks.tasks import problems

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "pepita": [
        {"presynaptic": "standard"}, {"form": "hebbian"}, {"form": "time_local"}, {"inject": 1},
        {"modulation": "random"}, {"modulation": "random", "presynaptic": "standard"},
        {"init": "he_normal", "sign": -1, "mirror_before": 2},
        {"init": "he_normal", "sign": -1, "mirror_every": 1},
        {"init": "he_normal", "sign": -1, "mirror_every": 3},
    ],
    "node_perturbation": [
        {"feedback": "dfa"}, {"solver": "ridge"}, {"solver": "ridge", "feedback": "dfa"},
        {"warmup": 5},
    ],
    "forward_forward": [{"negatives": "uniform"}, {"objective": "contrast"}],
}  # fmt: skip
CASES = [(rule, options) for rule in rules.names() for options in ({}, *VARIANTS.get(rule, ()))]


def test_the_work_items_are_correct() -> None:
    violations = problems(CASES)
    assert len(violations) == len(CASES)
    assert not [(case, wrong) for case, wrong in zip(CASES, violations, strict=True) if wrong]
