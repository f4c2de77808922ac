"""A rule's kernels read and write what its work items say, and nothing else.

Before a kernel stage everything that its work item does not say it reads is made NaN: what it
writes must not change. In plain Python, since compiling every stage takes minutes: `test_tasks`
runs this file in a process of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rate_models import rules
from rate_models.kernels import layers
from rate_models.model.hyperparameters import numeric
from rate_models.model.optimizers import rates, step_at
from rate_models.network import NetworkSpec
from rate_models.online import kernel as online_kernel
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Ref, Task

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
# Where an array of a sample lies. Signals of one layer may share a place that only one needs.
WORK = {"h": ("a", "h"), "p": ("p",), "q": ("q",), "delta": ("delta",), "estimate": ("p",),
        "gain": ("p",)}  # fmt: skip


class Network:
    """A network in the middle of a stream, with the error of a sample at hand."""

    def __init__(self, rule: str, options: dict[str, Any]) -> None:
        definition = rules.get(rule)
        sizes = (6, 5, 3) if rule == "bmvr" else (6, 5, 4, 3)
        spec = NetworkSpec(sizes, loss=definition.loss)
        self.of = OnlineNetwork(spec, rule, seed=1, structured=False, **options)
        rng = np.random.default_rng(0)
        X = rng.normal(size=(3, 6))
        self.of.learn(X[:2], [0, 1])
        self.tasks = definition.tasks(spec, self.of.hyper, 2)
        net, syn, work = self.of._net, self.of._syn, self.of._work
        layers.input_current(net, syn, X[2], work.a)
        online_kernel.target(work.y, 1, np.zeros(0))
        respond = definition.respond or online_kernel.standard_pass
        for layer in range(1, len(sizes)):
            respond(layer, net, self.of._params, work.a, work.h, work.a[:0])
        online_kernel.error(work, layers.units(net, work.h, net.sizes.size - 1))
        layers.output_delta(net, work)
        self.step = step_at(rates(self.of.optimizer), 2, net.W)
        self.noise = self.of._draws(1, None, None)[1][0]
        self.hyper = numeric(self.of.hyper, "float64")

    def teach(self, task: Task) -> None:
        of = self.of
        with np.errstate(invalid="ignore", over="ignore"):
            of.definition.teach(task.layer, of._net, of._syn, of._params, self.hyper, self.step,
                            of._work, of._work.a[:0], self.noise)  # fmt: skip

    def arrays(self, ref: Ref) -> list[np.ndarray]:
        """Where an array lies."""
        net, syn, work, (name, layer) = self.of._net, self.of._syn, self.of._work, ref
        if ref == ("W", 1):
            return [syn.S, syn.pending_x, syn.pending_post]
        if name == "W":
            return [layers.matrix(net, net.W, layer)]
        if ref == ("h", 0):
            return [syn.x]
        if ref == ("e", -1):
            return [work.e, layers.units(net, work.delta, net.sizes.size - 1)]
        if ref == ("y", -1):
            return [work.y]
        if name in WORK:
            if layer == 0:
                return []
            return [layers.units(net, getattr(work, place), layer) for place in WORK[name]]
        return self.own(name, layer)

    def own(self, name: str, layer: int) -> list[np.ndarray]:
        """Arrays of the rule; of a list of arrays the part of a layer."""
        params = self.of._params._asdict()
        (own,) = (own for own in self.of.definition.own if own.name == name)
        if own.each is None or layer == 0:
            return [params[name]] + ([self.of._syn.K] if name in ("F", "K") else [])
        # called by the layer that it sends from where this is the one above, else by the other
        called = max if self.of.rule == "feedback_alignment" else min
        called_by = [called(axes) for axes in own.axes(self.of.spec, self.of.hyper)]
        begin, end = params[own.begins][called_by.index(layer) :][:2]
        return [params[name][begin:end]]

    def everything(self) -> list[Ref]:
        sizes = self.of.spec.sizes
        above = range(1, len(sizes))
        refs: list[Ref] = [("e", -1), ("y", -1), ("h", 0)]
        refs += [(name, n) for n in above for name in ("W", "h", "p", "q", "delta")]
        return refs + sorted({ref for task in self.tasks for ref in (*task.reads, *task.updates)
                              if ref[0] in self.of._params._fields})  # fmt: skip


def snapshot(network: Network, refs: list[Ref]) -> list[np.ndarray]:
    return [array.copy() for ref in refs for array in network.arrays(ref)]


@pytest.mark.parametrize(("rule", "options"), CASES, ids=str)
def test_nothing_is_read_but_what_is_said(rule: str, options: dict[str, Any]) -> None:
    network = Network(rule, options)
    learning = [task for task in network.tasks if task.kind == "M"]
    for i, task in enumerate(learning):
        other = Network(rule, options)
        for earlier in learning[:i]:
            other.teach(earlier)
        said = [a for ref in (*task.reads, *task.updates) for a in other.arrays(ref)]
        kept = [array.copy() for array in said]
        for ref in other.everything():
            for array in other.arrays(ref):
                array[...] = np.nan
        other.of._work.c[:] = np.nan if task.layer > 1 else 0
        other.of._work.post[:] = np.nan
        for array, values in zip(said, kept, strict=True):
            array[...] = values
        network.teach(task)
        other.teach(task)
        results = [*task.writes, *task.updates]
        for right, got in zip(snapshot(network, results), snapshot(other, results), strict=True):
            assert np.isfinite(right).all()
            np.testing.assert_array_equal(got, right, err_msg=f"{task.kind}{task.layer}")


@pytest.mark.parametrize(("rule", "options"), CASES, ids=str)
def test_nothing_that_lasts_is_changed_but_what_is_said(rule: str, options: dict[str, Any]) -> None:
    network = Network(rule, options)
    learning = [task for task in network.tasks if task.kind == "M"]
    for i, task in enumerate(learning):
        later = {ref for after in learning[i + 1 :] for ref in after.reads}
        lasting = [ref for ref in network.everything()
                   if ref[0] in ("W", "h") or ref[0] in network.of._params._fields]  # fmt: skip
        before = {ref: snapshot(network, [ref]) for ref in lasting}
        network.teach(task)
        for ref in lasting:
            same = list(map(np.array_equal, before[ref], snapshot(network, [ref])))
            if ref in task.updates:
                assert not all(same), (task.layer, ref)
            elif not all(same):  # over what it has read and nobody needs any more: a_l, or x
                assert ref[0] == "h" and ref in task.reads, (task.layer, ref)
                assert ref not in later or (same == [False, True] and ref[1] == task.layer)


@pytest.mark.parametrize(("rule", "options"), CASES, ids=str)
def test_weights_that_are_only_updated_teach_nothing(rule: str, options: dict[str, Any]) -> None:
    """The signals do not depend on W_l, nor does ΔW_l but for a leak: so M may be late."""
    network = Network(rule, options)
    learning = [task for task in network.tasks if task.kind == "M"]
    for i, task in enumerate(learning):
        ref = ("W", task.layer)
        if ref in task.updates and ref not in task.reads:
            other = Network(rule, options)
            for earlier in learning[:i]:
                other.teach(earlier)
            shifted = other.arrays(ref)[0]
            shifted += 0.5
            start = shifted.copy(), network.arrays(ref)[0].copy()
            network.teach(task)
            other.teach(task)
            same = map(np.array_equal, *(snapshot(n, [*task.writes]) for n in (network, other)))
            assert all(same)
            ends = shifted, network.arrays(ref)[0]
            late, now = (end - begin for end, begin in zip(ends, start, strict=True))
            assert np.ptp(late - now) < 1e-12  # a leak alone sees the shift, everywhere the same
        else:
            network.teach(task)
