"""What a rule states of itself holds for what it does."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
from dataclasses import replace
from typing import Any

import pytest
from networks import suited_network

from rate_models import rules
from rate_models.checks import CHECKS, check_rule
from rate_models.diagnostics import measures
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.rules import FIXED, Rule, _state
from rate_models.support import lookup
from rate_models.textbook import initial_parameters

RULES = rules.names()
MIRRORING = {"init": "he_normal", "sign": -1, "mirror_before": 2, "mirror_every": 3}
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "pepita": ({"inject": 1}, MIRRORING, {**MIRRORING, "inject": 1}),
    "node_perturbation": ({"feedback": "dfa"}, {"solver": "ridge", "warmup": 3}),
    "bmvr": ({"decoupled": True},),
}
CASES = [(rule, hyper) for rule in RULES for hyper in ({}, *VARIANTS.get(rule, ()))]
SPEC = NetworkSpec((8, 7, 6, 5), bias=True)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_known_by_its_file_and_is_one_object(rule: str) -> None:
    found = rules.get(rule)
    assert isinstance(found, Rule) and found.name == rule
    assert found is lookup.module(rules.RULES, rule).RULE
    assert pickle.loads(pickle.dumps(found)) is copy.deepcopy(found) is found
    assert (found.forward_pass is None) == (found.respond is None)
    assert set(found.fixed) <= set(found.hyperparameters._fields)
    assert pickle.loads(pickle.dumps(found.state)) is found.state  # as kept kernels find it


def test_a_changed_rule_does_not_pass_for_the_files_own() -> None:
    changed = replace(rules.get("drtp"), losses=("mse",))
    assert copy.deepcopy(changed) is changed
    with pytest.raises(BadOption, match="copy of rule drtp: got a changed one"):
        pickle.dumps(changed)


def test_a_file_that_states_no_rule_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup.module(rules.RULES, "drtp"), "RULE", "drtp")
    with pytest.raises(BadOption, match="file of rule drtp: got 'drtp'; expected RULE = Rule"):
        rules.get("drtp")


def test_a_class_of_state_has_no_other_name() -> None:
    with pytest.raises(AttributeError):
        _state.Other  # noqa: B018


QUICK = ["description", "own arrays", "feedback links", "resume", "any chunking"]
STILL = {("pepita", "own arrays"): "F did not change in 6 samples"}  # it does where it mirrors


@pytest.mark.parametrize(("rule", "hyper"), CASES, ids=str)
def test_the_contract_is_kept(rule: str, hyper: dict[str, Any]) -> None:
    """But for what compiles for long: `test_parity` compares kernels, `test_tasks` work items."""
    report = check_rule(rule, only=QUICK, **hyper)
    assert report.ok and [line.check for line in report.lines] == QUICK, report
    for line in report.lines:
        mirrors = "mirror_before" in hyper
        assert line.detail == ("" if mirrors else STILL.get((rule, line.check), ""))


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_the_whole_contract_is_kept(rule: str) -> None:
    report = check_rule(rule)
    assert report.ok and len(report.lines) == len(CHECKS), report
    assert all(line.ok or "torch" in line.check for line in report.lines)


@pytest.mark.parametrize(("rule", "hyper"), CASES, ids=str)
def test_links_that_are_declared_are_those_that_shapes_show(
    rule: str, hyper: dict[str, Any]
) -> None:
    spec = suited_network(rule, SPEC)
    params = initial_parameters(spec, rule, seed=0, **hyper)
    try:
        shown = measures.feedback_links(params)
    except BadOption as refused:
        with pytest.raises(BadOption, match=f"{refused}"):
            measures.rule_links(rule, spec.layers, **hyper)
    else:
        assert measures.rule_links(rule, spec.layers, **hyper) == shown


def test_what_shapes_the_start_is_marked() -> None:
    assert rules.get("drtp").fixed == ("init", "feedback_scale")
    assert rules.get("bmvr").fixed == ("ridge", "decoupled", "init_1", "init_2", "init_q")
    assert rules.get("pepita").fixed == (
        "feedback_scale", "inject", "init", "mirror_before", "mirror_every"
    )  # fmt: skip
    assert FIXED == "fixed"


@pytest.mark.parametrize(
    "rule", ["backprop", "direct_feedback_alignment", "drtp", "feedback_alignment"]
)
def test_the_rules_of_a_family_are_short(rule: str) -> None:
    source = inspect.getsource(lookup.module(rules.RULES, rule))
    start = ast.parse(source).body[0].end_lineno
    lines = [line for line in source.splitlines()[start:] if line.strip()]
    assert len(lines) <= 45


def test_the_required_part_is_documented_on_one_screen() -> None:
    """Down to where the options begin, in both halves of the contract."""
    from rate_models.rules import Description

    halves = [(Description.__doc__ or "").partition("What only some have"),
              (Rule.__doc__ or "").partition("Every function sees arrays only")]  # fmt: skip
    assert all(rest for _, _, rest in halves)
    assert sum(len(required.splitlines()) for required, _, _ in halves) <= 60
