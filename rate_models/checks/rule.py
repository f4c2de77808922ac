"""The contract of a rule, one check per requirement."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import count
from typing import Any

import numpy as np

from rate_models import rules
from rate_models.checks import parity
from rate_models.checks.parity import TOLERANCE, Case
from rate_models.checks.report import Line, Report, carried_out
from rate_models.checks.tasks import problems
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import checked
from rate_models.network import NetworkSpec, Parameters
from rate_models.online.network import OnlineNetwork
from rate_models.online.textbook import TextbookNetwork
from rate_models.rules import Rule
from rate_models.support import lookup, own_files
from rate_models.textbook import Textbook, initial_parameters

SHORT = 6  # samples after which all arrays that learn have changed
SMALL = NetworkSpec((8, 7, 6, 5), bias=True)


@dataclass(frozen=True)
class Subject:
    """A rule to check, hyperparameters that differ from its defaults, and the number of samples."""

    rule: Rule
    hyper: dict[str, Any]
    samples: int
    seed: int

    @property
    def cases(self) -> list[Case]:
        """The networks of `parity` that the rule can learn; BadOption where there is none."""
        allowed = []
        for case in parity.cases_of(self.rule):
            case = case._replace(hyper={**case.hyper, **self.hyper})
            with contextlib.suppress(BadOption):
                rules.check(
                    self.rule, case.spec, checked(self.rule.hyperparameters(), **case.hyper)
                )
                allowed.append(case)
        if not allowed:
            expected = "one of the networks that are tried: see rate_models.rules.nearest"
            raise BadOption(f"check() of {self.rule.name}", got="none allowed", expected=expected)
        return allowed

    @property
    def small(self) -> NetworkSpec:
        """A small network, with two hidden layers if the rule allows them."""
        near = None
        for loss in self.rule.losses:
            near = near or rules.nearest(self.rule, NetworkSpec(SMALL.sizes, "relu", loss, True))
        if near is None:
            raise BadOption(f"check() of {self.rule.name}", got="none allowed", expected="one")
        return near


def check_rule(
    rule: str | Rule,
    *,
    samples: int = 60,
    seed: int = 0,
    only: Sequence[str] | None = None,
    **hyperparameters: Any,
) -> Report:
    """Check that a rule keeps its contract.

    rule: a name, the path of a file, or a `Rule`. samples: number in each comparison. only: names
    in `CHECKS`; None: all. hyperparameters: those that differ from the rule's defaults.
    Raises what `rules.get` raises, and UnknownName and BadOption for invalid arguments.
    """
    if samples < 1:
        raise BadOption("samples", got=samples, expected="1 or more")
    definition = rules.get(rule)
    checked(definition.hyperparameters(), **hyperparameters)
    subject = Subject(definition, hyperparameters, samples, seed)
    return Report("rule", definition.name, carried_out(CHECKS, subject, only))


def _description(on: Subject) -> Iterator[Line]:
    """The file's docstring names its source; copies and other processes load the same rule."""
    rule, what = on.rule, "description"
    try:
        place = own_files.location(rule.module, f"rule {rule.name}")
    except BadOption:
        yield Line(what, None, "a rule without a file: it cannot be saved")
        return
    if "Source:" not in lookup.document(own_files.at(place, "rule")):
        yield Line(what, False, "no paragraph `Source:` in the docstring of the file")
    elif copy.deepcopy(rule) is not rule or pickle.loads(pickle.dumps(rule)) is not rule:
        yield Line(what, False, "a copy is another rule")
    elif odd := set(rule.fixed) - set(rule.hyperparameters._fields):
        yield Line(what, False, f"fixed, but no hyperparameters: {', '.join(sorted(odd))}")
    else:
        yield Line(what, True)


def _learned(on: Subject, seed: int) -> tuple[Parameters, Parameters]:
    """Parameters before and after a few samples of the textbook."""
    spec, rng, noise = on.small, np.random.default_rng(seed), on.rule.noise
    params = initial_parameters(spec, on.rule, seed=seed, **on.hyper)
    book = Textbook(spec, on.rule, copy.deepcopy(params), **on.hyper)
    for _ in range(SHORT):
        x, y = rng.normal(size=(1, spec.sizes[0])), np.eye(spec.sizes[-1])[:1]
        widths = noise.widths(spec, book.hyper)
        drawn = [noise.transform(book.hyper, rng.random((1, n))) for n in widths]
        book.learn(x, y, noise=drawn or None)
    return params, book.params


def _own_arrays(on: Subject) -> Iterator[Line]:
    """Own arrays are declared, and change as declared."""
    before, after = _learned(on, on.seed)
    _, elsewhere = _learned(on, on.seed + 1)
    declared = {one.name: one.changes for one in on.rule.own}
    wrong, still = list[str](), list[str]()
    for name in sorted(before.keys() - {"W", "b"}):
        changes = declared.get(name)
        moved, alike = not _same(before[name], after[name]), _same(after[name], elsewhere[name])
        if changes is None:
            wrong.append(f"{name} is not declared")
        elif changes == "fixed" and moved:
            wrong.append(f"{name} is declared as fixed, and changed")
        elif alike and changes != "counts":
            wrong.append(f"{name} is the same for another seed, and is not declared to count")
        elif not alike and changes == "counts":
            wrong.append(f"{name} is declared to count, and depends on the seed")
        elif not moved and changes != "fixed":
            still.append(name)
    idle = f"{', '.join(still)} did not change in {SHORT} samples" if still else ""
    yield Line("own arrays", not wrong, "; ".join(wrong) or idle)


def _same(one: Any, other: Any) -> bool:
    several = isinstance(one, list)
    pairs = zip(one, other, strict=True) if several else [(one, other)]
    return all(np.array_equal(*pair) for pair in pairs)


def _links(on: Subject) -> Iterator[Line]:
    """Feedback declares the two layers that it joins."""
    spec, wrong = on.small, list[str]()
    hyper = checked(on.rule.hyperparameters(), **on.hyper)
    for own in on.rule.own:
        for layers in own.axes(spec, hyper) if own.feedback else ():
            inside = all(0 <= layer <= spec.layers for layer in layers)
            if len(set(layers)) != 2 or len(layers) != 2 or not inside:
                wrong.append(f"{own.name} is declared as feedback, and joins the layers {layers}")
    yield Line("feedback links", not wrong, "; ".join(wrong))


def _kernel(dtype: str, on: Subject) -> Iterator[Line]:
    what = f"kernel = textbook, {dtype}"
    if on.rule.compiled:
        yield _compared(on, what, parity.online, dtype)
    else:
        yield Line(what, None, "no kernel yet: batch alone")


def _torch(dtype: str, on: Subject) -> Iterator[Line]:
    what = f"torch = textbook, {dtype}"
    if find_spec("torch") is None:
        yield Line(what, None, "torch is not installed: not compared")
    else:
        yield _compared(on, what, parity.batch, dtype)


def _compared(on: Subject, what: str, maker: parity.Maker, dtype: str) -> Line:
    """The largest deviation from the textbook, or the first beyond the tolerance."""
    worst, limit = 0.0, TOLERANCE[dtype]
    for case in on.cases:
        twin = maker(case, dtype, on.seed)
        assert twin is not None
        steps = parity.deviations_of(case, {("it", dtype): twin}, on.samples, on.seed)
        for sample, deviations in enumerate(steps, start=1):
            (*_, array), deviation = max(deviations.items(), key=lambda one: one[1])
            if not deviation <= limit:
                sizes = "-".join(map(str, case.spec.sizes))
                text = f"{array} is {deviation:.2g} off after sample {sample} ({sizes})"
                return Line(what, False, f"{text}; {limit:g} is allowed")
            worst = max(worst, deviation)
    return Line(
        what, True, f"{worst:.1e} off at most in {on.samples} samples; {limit:g} is allowed"
    )


def _tasks(on: Subject) -> Iterator[Line]:
    """The kernel reads and writes what its work items declare, and nothing else."""
    what = "tasks = what is read and written"
    if not on.rule.compiled:
        yield Line(what, None, "no kernel yet: batch alone")
        return
    try:
        reference = on.rule.reference
    except BadOption:
        yield Line(what, None, "a rule without a file: another process cannot find it")
        return
    (wrong,) = problems([(reference, on.hyper)])
    yield Line(what, not wrong, "; ".join(wrong[:3]))


def _network(on: Subject, case: Case) -> OnlineNetwork:
    kind = OnlineNetwork if on.rule.compiled else TextbookNetwork
    options: Any = {"optimizer": case.optimizer, **case.hyper}
    return kind(case.spec, on.rule, seed=on.seed, dtype="float32", **options)


def _samples(on: Subject, case: Case) -> tuple[Any, Any]:
    rng, sizes = np.random.default_rng(on.seed), case.spec.sizes
    x = rng.random((on.samples, sizes[0])) * (rng.random((on.samples, sizes[0])) < 0.3)
    return x, rng.integers(0, sizes[-1], on.samples)


def _state_of(net: OnlineNetwork) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in net.state().items()}


def _differing(net: OnlineNetwork, whole: OnlineNetwork) -> str:
    mine, theirs = _state_of(net), _state_of(whole)
    return ", ".join(name for name in theirs if mine.get(name) != theirs[name])


def _resume(on: Subject) -> Iterator[Line]:
    """A network that loads the state of another continues with identical bits."""
    wrong, half = set[str](), on.samples // 2
    for case in on.cases:
        (x, labels), whole, first = _samples(on, case), _network(on, case), _network(on, case)
        whole.learn(x, labels)
        first.learn(x[:half], labels[:half])
        second = _network(on, case)
        second.load_state(first.state())
        second.learn(x[half:], labels[half:])
        if differs := _differing(second, whole):
            wrong.add(differs)
    detail = f"resumed after {half} samples, others: {'; '.join(sorted(wrong))}" if wrong else ""
    yield Line("resume", not wrong, detail)


def _chunking(on: Subject) -> Iterator[Line]:
    """The result does not depend on how many samples there are in a call, bit for bit."""
    wrong = set[str]()
    for case in on.cases:
        (x, labels), whole, parts = _samples(on, case), _network(on, case), _network(on, case)
        whole.learn(x, labels)
        start = 0
        for size in count(1):
            if start >= on.samples:
                break
            parts.learn(x[start : start + size], labels[start : start + size])
            parts.predict(x[:2])
            parts.parameters()
            start += size
        if differs := _differing(parts, whole):
            wrong.add(differs)
    detail = f"learned in parts, others: {'; '.join(sorted(wrong))}" if wrong else ""
    yield Line("any chunking", not wrong, detail)


CHECKS: dict[str, Callable[[Subject], Iterator[Line]]] = {
    "description": _description,
    "own arrays": _own_arrays,
    "feedback links": _links,
    **{f"kernel = textbook, {dtype}": partial(_kernel, dtype) for dtype in TOLERANCE},
    **{f"torch = textbook, {dtype}": partial(_torch, dtype) for dtype in TOLERANCE},
    "tasks = what is read and written": _tasks,
    "resume": _resume,
    "any chunking": _chunking,
}
