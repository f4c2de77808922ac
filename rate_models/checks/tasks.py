"""Check that a rule's kernels read and write what its work items declare, and nothing else.

Before a kernel stage runs, all arrays are set to NaN except those that its work item declares as
read. What it writes must not change. The stages run as plain Python, because compiling them takes
minutes: `problems` starts a process without numba's compiler that runs `main`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from rate_models import rules
from rate_models.compiler.kernel import Array
from rate_models.errors import UserError
from rate_models.kernels import layers
from rate_models.model.hyperparameters import numeric
from rate_models.model.optimizers import rates, step_at
from rate_models.network import NetworkSpec
from rate_models.online import kernel as online_kernel
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Ref, Rule, Task

Case = tuple[str, dict[str, Any]]  # a rule by its name or file, and hyperparameters
# Where an array of a sample is stored. Signals of one layer may share an array.
WORK = {"h": ("a", "h"), "p": ("p",), "q": ("q",), "delta": ("delta",), "estimate": ("p",),
        "gain": ("p",)}  # fmt: skip
SIZES = (6, 5, 4, 3)
TIMEOUT = 600.0
RUN = "from rate_models.checks import tasks; tasks.main()"


def problems(cases: Sequence[Case]) -> list[list[str]]:
    """The violations of each rule, empty where there are none. Takes seconds.

    Raises UserError where the process fails.
    """
    code = [sys.executable, "-c", RUN, json.dumps(cases)]
    done = subprocess.run(
        code, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError("tasks", got=last, expected="a kernel that runs without its compiler")
    violations: list[list[str]] = json.loads(done.stdout.splitlines()[-1])  # files may print too
    return violations


class Midway(OnlineNetwork):
    """A network in the middle of a stream, after the standard pass and the error of a sample."""

    def __init__(self, rule: Rule, hyper: dict[str, Any]) -> None:
        spec = rules.nearest(rule, NetworkSpec(SIZES, loss=rule.loss))
        if spec is None:
            raise UserError(f"rule {rule.name}", got=f"no network like {SIZES}", expected="one")
        super().__init__(spec, rule, seed=1, structured=False, **hyper)
        x = np.random.default_rng(0).normal(size=(3, SIZES[0]))
        self.learn(x[:2], [0, 1])
        self.tasks = rule.tasks(spec, self.hyper, 2)
        net, work = self._net, self._work
        layers.input_current(net, self._syn, x[2:], work.a)
        online_kernel.target(work.y, 1, np.zeros(0))
        respond = rule.respond or online_kernel.standard_pass
        for layer in range(1, len(spec.sizes)):
            respond(layer, net, self._params, work.a, work.h, work.a[:0])
        online_kernel.error(work, layers.units(net, work.h, net.sizes.size - 1))
        layers.output_delta(net, work)
        self.step = step_at(rates(self.optimizer), 2, net.W)
        self.drawn = self._draws(1, None, None)[1][0]

    @property
    def teaching(self) -> list[Task]:
        """The work items that learn, in their order."""
        return [task for task in self.tasks if task.kind == "M"]

    def teach(self, task: Task) -> None:
        """Execute a work item."""
        work, numbers = self._work, numeric(self.hyper, self.dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            self.definition.teach(task.layer, self._net, self._syn, self._params, numbers,
                                  self.step, work, work.a[:0], self.drawn)  # fmt: skip

    def arrays(self, ref: Ref) -> list[Array]:
        """The memory in which an array is stored."""
        net, syn, work, (name, layer) = self._net, self._syn, self._work, ref
        if ref == ("W", 1):
            return [syn.S, syn.post, syn.pre, syn.beta]
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
            return [layers.units(net, work._asdict()[place], layer) for place in WORK[name]]
        return self.own(name, layer)

    def own(self, name: str, layer: int) -> list[Array]:
        """Own arrays of the rule; of a list, the array that work items assign to this layer."""
        declared = {own.name: own for own in self.definition.own}
        if name not in declared:
            known = ["W", "e", "y", *WORK, *declared]
            raise UserError(f"work item with {name!r}", expected=f"one of {', '.join(known)}")
        params, own = self._params._asdict(), declared[name]
        if own.each is None or layer == 0:
            return [params[name]] + ([self._syn.K] if name in ("F", "K") else [])
        named = sorted({ref[1] for task in self.tasks for ref in (*task.reads, *task.updates)
                        if ref[0] == name})  # fmt: skip
        begins = params[own.begins]
        at = 0 if len(begins) == 2 else named.index(layer)
        return [params[name][begins[at] : begins[at + 1]]]

    def everything(self) -> list[Ref]:
        """All arrays that a work item could read or write."""
        above = range(1, len(self.spec.sizes))
        refs: list[Ref] = [("e", -1), ("y", -1), ("h", 0)]
        refs += [(name, n) for n in above for name in ("W", "h", "p", "q", "delta")]
        return refs + sorted({ref for task in self.tasks for ref in (*task.reads, *task.updates)
                              if ref[0] in self._params._fields})  # fmt: skip

    def after(self, earlier: Sequence[Task]) -> Midway:
        """A new network in the initial state of this one, after these work items."""
        other = Midway(self.definition, self.hyper._asdict())
        for task in earlier:
            other.teach(task)
        return other

    def held(self, refs: Sequence[Ref]) -> list[Array]:
        """Copies of arrays."""
        return [array.copy() for ref in refs for array in self.arrays(ref)]

    def blind(self, task: Task) -> None:
        """Set all arrays to NaN except those that a work item declares as read."""
        declared = [a for ref in (*task.reads, *task.updates) for a in self.arrays(ref)]
        kept = [array.copy() for array in declared]
        for ref in self.everything():
            for array in self.arrays(ref):
                array[...] = np.nan
        self._work.c[:] = np.nan if task.layer > 1 else 0
        self._work.post[:] = np.nan
        for array, values in zip(declared, kept, strict=True):
            array[...] = values


def undeclared_reads(rule: Rule, hyper: dict[str, Any]) -> list[str]:
    """The arrays that are read without being declared."""
    network, wrong = Midway(rule, hyper), list[str]()
    for i, task in enumerate(network.teaching):
        other = network.after(network.teaching[:i])
        other.blind(task)
        network.teach(task)
        other.teach(task)
        for ref in (*task.writes, *task.updates):
            pairs = zip(network.held([ref]), other.held([ref]), strict=True)
            if not all(np.isfinite(a).all() and np.array_equal(a, b) for a, b in pairs):
                wrong.append(f"{_item(task)} reads an undeclared array: {_of(ref)} depends on it")
    return wrong


def undeclared_changes(rule: Rule, hyper: dict[str, Any]) -> list[str]:
    """The lasting arrays that change without being declared, or are declared and do not change."""
    network, wrong = Midway(rule, hyper), list[str]()
    for i, task in enumerate(network.teaching):
        later = {ref for after in network.teaching[i + 1 :] for ref in after.reads}
        lasting = [r for r in network.everything() if r[0] in ("W", "h", *network._params._fields)]
        before = {ref: network.held([ref]) for ref in lasting}
        network.teach(task)
        for ref in lasting:
            same = list(map(np.array_equal, before[ref], network.held([ref])))
            if ref in task.updates:
                if all(same):
                    wrong.append(f"{_item(task)} declares an update of {_of(ref)}, and has none")
            elif not all(same):  # it may overwrite what it has read and no other needs: a_l, or x
                spare = ref[0] == "h" and ref in task.reads
                needed = ref in later and (same != [False, True] or ref[1] != task.layer)
                if not spare or needed:
                    wrong.append(f"{_item(task)} changes {_of(ref)}, which is not declared")
    return wrong


def undeclared_weights(rule: Rule, hyper: dict[str, Any]) -> list[str]:
    """The weights that are declared as updated only, but that signals or updates depend on.

    Where W_l is only updated, M may be delayed. So neither the signals nor ΔW_l may depend on W_l,
    except for a leak.
    """
    network, wrong = Midway(rule, hyper), list[str]()
    for i, task in enumerate(network.teaching):
        ref = ("W", task.layer)
        if ref not in task.updates or ref in task.reads:
            network.teach(task)
            continue
        other = network.after(network.teaching[:i])
        shifted = other.arrays(ref)[0]
        shifted += 0.5
        start = shifted.copy(), network.arrays(ref)[0].copy()
        network.teach(task)
        other.teach(task)
        same = map(np.array_equal, *(each.held(task.writes) for each in (network, other)))
        ends = shifted, network.arrays(ref)[0]
        late, now = (end - begin for end, begin in zip(ends, start, strict=True))
        # only a leak depends on the shift, equally in all entries
        if not all(same) or not np.ptp(late - now) < 1e-12:
            wrong.append(
                f"{_item(task)} goes through {_of(ref)}, and does not declare that it reads it"
            )
    return wrong


def _item(task: Task) -> str:
    return f"{task.kind} of layer {task.layer}"


def _of(ref: Ref) -> str:
    return ref[0] if ref[1] < 1 else f"{ref[0]}_{ref[1]}"


def main() -> None:
    """Print the violations of the rules in the first argument, as JSON."""
    violations = []
    for name, hyper in json.loads(sys.argv[1]):
        rule, wrong = rules.get(name), list[str]()
        for check in (undeclared_reads, undeclared_changes, undeclared_weights):
            try:
                wrong += check(rule, hyper)
            except UserError as error:
                wrong.append(str(error))
        violations.append(list(dict.fromkeys(wrong)))
    print(json.dumps(violations))
