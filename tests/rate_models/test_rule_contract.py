"""The declarations of a rule agree with its behaviour."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import re
from dataclasses import MISSING, fields, replace
from typing import Any

import numpy as np
import pytest
from networks import suited_network

from rate_models import rules
from rate_models.checks import CHECKS, check_rule
from rate_models.diagnostics import measures
from rate_models.errors import BadOption
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online import OnlineNetwork
from rate_models.rules import FIXED, Own, Rule, _kernel_params
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
    declared = rules.get(rule)
    assert isinstance(declared, Rule) and declared.name == rule
    assert declared is lookup.module(rules.RULES, rule).RULE
    assert pickle.loads(pickle.dumps(declared)) is copy.deepcopy(declared) is declared
    assert (declared.forward_pass is None) == (declared.respond is None)
    assert set(declared.fixed) <= set(declared.hyperparameters._fields)
    assert (
        pickle.loads(pickle.dumps(declared.kernel_params)) is declared.kernel_params
    )  # as kept kernels find it


def test_a_changed_rule_is_not_mistaken_for_that_of_its_file() -> None:
    changed = replace(rules.get("drtp"), losses=("mse",))
    assert copy.deepcopy(changed) is changed
    with pytest.raises(BadOption, match="copy of rule drtp: got a changed one"):
        pickle.dumps(changed)


def test_a_file_without_a_rule_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup.module(rules.RULES, "drtp"), "RULE", "drtp")
    with pytest.raises(BadOption, match="rule drtp: got RULE = 'drtp'; expected RULE = Rule"):
        rules.get("drtp")


def test_a_class_of_kernel_arrays_has_no_other_name() -> None:
    with pytest.raises(AttributeError):
        _kernel_params.Other  # noqa: B018


def same(one: Any, other: Any) -> bool:
    several = isinstance(one, list)
    pairs = zip(one, other, strict=True) if several else [(one, other)]
    return all(np.array_equal(*pair) for pair in pairs)


QUICK = ["description", "own arrays", "feedback links", "resume", "any chunking"]
STILL = {("pepita", "own arrays"): "F did not change in 6 samples"}  # it does where it mirrors


@pytest.mark.parametrize(("rule", "hyper"), CASES, ids=str)
def test_the_contract_is_kept(rule: str, hyper: dict[str, Any]) -> None:
    """Without slow compilations: `test_parity` compares kernels, `test_tasks` checks work items."""
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
        assert sorted(measures.rule_links(rule, spec.layers, **hyper)) == sorted(shown)


@pytest.mark.parametrize(("rule", "hyper"), CASES, ids=str)
def test_kernels_and_torch_hold_the_declared_arrays(rule: str, hyper: dict[str, Any]) -> None:
    """Flat, by rows or columns, with the offsets of a list; velocities are separate arrays."""
    spec, definition = suited_network(rule, SPEC), rules.get(rule)
    net = OnlineNetwork(spec, rule, seed=3, optimizer=Optimizer(momentum=0.5), **hyper)
    params, fields = initial_parameters(spec, rule, 3, **hyper), net._params._asdict()
    for own in definition.own:
        shapes = [own.shape(spec, axes) for axes in own.axes(spec, net.hyper)]
        value = params.get(own.name, [])
        arrays = value if own.each or own.name not in params else [value]
        assert [a.shape for a in arrays] == shapes
        flat, order = fields.pop(own.name), "F" if own.by_columns else "C"
        laid_out = [np.ravel(a, order) for a in arrays]
        np.testing.assert_array_equal(flat, np.concatenate([[], *laid_out]))
        if own.each:
            begins = fields.pop(own.begins)
            for i, array in enumerate(arrays):
                part = flat[begins[i] : begins[i + 1]]
                np.testing.assert_array_equal(part.reshape(array.shape, order=order), array)
        if own.changes == "stepped":
            assert fields.pop(f"v{own.name}").tolist() == [0.0] * flat.size
        assert f"rule.{own.begins}" not in net.state()
    assert fields.keys() <= {"none"}
    pytest.importorskip("torch")
    from rate_models.batch import BatchNetwork

    twin = BatchNetwork(spec, rule, 3, "float64", **hyper)
    stepped = {name.partition(".")[0] for name, _ in twin.named_parameters()} - {"W", "b"}
    assert stepped == set(definition.named("stepped"))
    assert all(same(twin.numpy()[name], value) for name, value in params.items())


def test_a_list_that_the_optimiser_steps_is_a_list_of_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    from rate_models.batch import BatchNetwork

    own = Own("B", each=lambda spec, hyper: [(1, 2), (2,)], changes="stepped")
    rule = replace(rules.get("backprop"), own=(own,))
    monkeypatch.setattr(rules, "get", lambda name: rule)
    net = BatchNetwork(SPEC, "backprop")
    named = {name: tuple(p.shape) for name, p in net.named_parameters() if name[0] == "B"}
    assert named == {"B.0": (7, 6), "B.1": (6,)}
    assert [tuple(b.shape) for b in net.arrays()["B"]] == [(7, 6), (6,)]


def test_a_start_of_another_shape_is_refused() -> None:
    odd = Own("F", lambda spec, hyper: (0, spec.layers), drawn=lambda start: np.zeros((2, 2)))
    rule = replace(rules.get("drtp"), own=(odd,))
    with pytest.raises(BadOption, match=r"start of F: got shape \(2, 2\); expected \(8, 5\)"):
        rules.start(rule, SPEC, rule.hyperparameters(), 0)


def test_arrays_that_init_returns_are_not_drawn_again() -> None:
    rule = replace(rules.get("drtp"), init=lambda spec, hyper, rng: {"B": [np.ones((7, 5))]})
    assert rules.start(rule, SPEC, rule.hyperparameters(), 0)["B"][0].tolist() == [[1.0] * 5] * 7


def test_hyperparameters_of_the_initial_parameters_are_marked() -> None:
    assert rules.get("drtp").fixed == ("init", "feedback_scale")
    assert rules.get("bmvr").fixed == ("ridge", "decoupled", "init_1", "init_2", "init_q")
    assert rules.get("pepita").fixed == (
        "feedback_scale", "inject", "init", "mirror_before", "mirror_every"
    )  # fmt: skip
    assert FIXED == "fixed"


@pytest.mark.parametrize(
    "rule", ["backprop", "direct_feedback_alignment", "drtp", "feedback_alignment", "sign_symmetry"]
)
def test_the_rules_of_a_family_are_short(rule: str) -> None:
    source = inspect.getsource(lookup.module(rules.RULES, rule))
    start = ast.parse(source).body[0].end_lineno
    lines = [line for line in source.splitlines()[start:] if line.strip()]
    assert len(lines) <= 45


def test_the_required_part_is_documented_on_one_screen() -> None:
    required, options, _ = (Rule.__doc__ or "").partition("The optional fields")
    assert options and len(required.splitlines()) <= 60
    needed = [f.name for f in fields(Rule) if f.default is f.default_factory is MISSING]
    assert needed and all(re.search(rf"^ +{name}\b.*: ", required, re.M) for name in needed)
