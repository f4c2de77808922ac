"""Parity: every implementation of a rule, such as the online kernel, against the textbook.

Every implementation learns the same samples, from the same initial parameters and with the same
masks and noise. After every sample all its arrays, and the outputs that it predicted before
learning, are compared with the float64 textbook: deviation = max|a − b| / max|b| per array. The
largest deviation over all samples is reported. Implementations in packages above this one are
arguments. All run in one thread, because the networks are small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import count, islice
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models import rules as known
from rate_models.errors import BadOption, Diverged
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, Parameters, one_hot
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Rule, forward, masks_and_noise, nearest
from rate_models.support.one_thread import one_thread
from rate_models.textbook import Textbook, initial_parameters, mapped

Array = NDArray[Any]
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
# Where a ReLU changes its slope, rounding decides which slope is used, and neither is wrong.
# Samples that bring the pre-activation of a hidden unit this close to 0 are skipped.
KINK = 1e-4


class Report(NamedTuple):
    """ok: whether all rows are.

    rows: {rule, implementation, dtype, array, deviation, tolerance, ok}.

    missing: implementations that are not installed; they do not affect ``ok``.
    """

    ok: bool
    rows: list[dict[str, Any]]
    missing: list[str]


class Case(NamedTuple):
    """A network, optimiser and hyperparameters to test one rule with."""

    rule: Rule
    spec: NetworkSpec
    optimizer: Optimizer
    hyper: dict[str, Any]


class Sample(NamedTuple):
    """x (1, n_0), labels (1,), masks of the hidden layers or None, noise, (1, n) each."""

    x: Array
    labels: NDArray[np.int64]
    masks: Sequence[Array] | None
    noise: Sequence[Array] | None


# Learns one sample; returns the outputs before learning, and the parameters after it.
Twin = Callable[[Sample], tuple[Array, Parameters]]
# (case, dtype, seed) -> a Twin; None where the implementation does not support the case.
Maker = Callable[[Case, str, int], Twin | None]


def run(
    samples: int = 1000,
    rules: Sequence[str | Rule] | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    seed: int = 0,
    others: Mapping[str, Maker] = MappingProxyType({}),
    progress: Callable[[str, int, int], object] = lambda rule, done, total: None,
) -> Report:
    """Compare all implementations over ``samples`` samples; rules: all where None.

    others: implementations in packages above this one, by name. progress: called after every sample
    with the rule, the number of samples done and their total number.

    Raises UnknownName for a rule that does not exist, BadOption for a dtype or a number of
    samples that is not allowed.

    >>> run(samples=2, rules=["backprop"], dtypes=["float64"]).ok
    True
    """
    if samples < 1:
        raise BadOption("samples", got=samples, expected="1 or more")
    for dtype in dtypes:
        if dtype not in TOLERANCE:
            raise BadOption("dtype", got=repr(dtype), expected=f"one of {', '.join(TOLERANCE)}")
    makers: dict[str, Maker] = {"online": online}
    makers |= ({"batch": batch} if find_spec("torch") else {}) | dict(others)
    cases = {rule.name: cases_of(rule) for rule in map(known.get, rules or known.names())}
    done, total = count(1), samples * sum(map(len, cases.values()))
    rows = []
    with one_thread():
        for rule, each in cases.items():
            worst: dict[tuple[str, str, str], float] = {}
            for case in each:
                some = {
                    (name, d): make(case, d, seed) for name, make in makers.items() for d in dtypes
                }
                twins = {key: twin for key, twin in some.items() if twin is not None}
                for deviations in deviations_of(case, twins, samples, seed):
                    for key, deviation in deviations.items():
                        worst[key] = max(worst.get(key, 0.0), deviation)
                    progress(rule, next(done), total)
            rows += [_row(rule, *key, deviation) for key, deviation in worst.items()]
    missing = [] if "batch" in makers else ["batch"]
    return Report(all(row["ok"] for row in rows), rows, missing)


def _row(rule: str, name: str, dtype: str, array: str, deviation: float) -> dict[str, Any]:
    limit = TOLERANCE[dtype]
    return {"rule": rule, "implementation": name, "dtype": dtype, "array": array,
            "deviation": deviation, "tolerance": limit, "ok": deviation <= limit}  # fmt: skip


def cases_of(rule: Rule) -> list[Case]:
    """A deep network with the default options, and a wide one with all options of learning in use.

    Where the rule cannot learn one of these, the most similar network that it can learn.
    """
    moving = Optimizer(lr=0.01, momentum=0.9, weight_decay=1e-4, decay_at=(300,))
    dropout = {"dropout": 0.1} if "dropout" in rule.hyperparameters._fields else {}
    deep = NetworkSpec((20, 16, 12, 5), loss=rule.loss)
    wide = NetworkSpec((64, 32, 10), loss=rule.loss, bias=True)
    near_deep, near_wide = nearest(rule, deep), nearest(rule, wide)
    cases = [Case(rule, near_deep, Optimizer(), {})] if near_deep else []
    return cases + ([Case(rule, near_wide, moving, dropout)] if near_wide else [])


def _stream(case: Case, seed: int) -> Iterator[Sample]:
    """Sparse inputs that single precision represents exactly, with labels, masks and noise."""
    definition, sizes = case.rule, case.spec.sizes
    hyper = definition.hyperparameters(**case.hyper)
    rng = np.random.default_rng([seed, *sizes])
    while True:
        x = np.where(rng.random((1, sizes[0])) < 0.2, rng.random((1, sizes[0])), 0)
        drawn = masks_and_noise(definition, case.spec, hyper,
                      lambda stream, widths: [rng.random((1, n)) for n in widths])  # fmt: skip
        yield Sample(x.astype(np.float32), rng.integers(0, sizes[-1], 1), *drawn)


def online(case: Case, dtype: str, seed: int) -> Twin | None:
    """The online kernel; None for a rule without one."""
    if not case.rule.compiled:
        return None
    net = OnlineNetwork(
        case.spec, case.rule, seed=seed, dtype=dtype, optimizer=case.optimizer, **case.hyper
    )

    def learn(sample: Sample) -> tuple[Array, Parameters]:
        x, labels, masks, noise = sample
        outcome = net.learn(x, labels, masks=masks, noise=noise)
        return outcome.outputs, net.parameters()

    return learn


def batch(case: Case, dtype: str, seed: int) -> Twin:
    """The textbook form on torch."""
    from rate_models.batch import BatchNetwork, Sgd

    net = BatchNetwork(case.spec, case.rule, seed, dtype, **case.hyper)
    sgd = Sgd(net.parameters(), *case.optimizer[:3])
    views = mapped(net.arrays(), lambda tensor: tensor.detach().numpy())  # live, not copied
    clock = count()

    def learn(sample: Sample) -> tuple[Array, Parameters]:
        outputs = net(sample.x).detach().numpy()
        sgd.param_groups[0]["lr"] = case.optimizer.rate(next(clock))
        for _ in net.updates(*sample):
            sgd.step()
        return outputs, views

    return learn


def deviations_of(
    case: Case, twins: dict[tuple[str, str], Twin], samples: int, seed: int
) -> Iterator[dict[tuple[str, str, str], float]]:
    """{(implementation, dtype, array): deviation} of every array, after every sample."""
    params = initial_parameters(case.spec, case.rule, seed, **case.hyper)
    book = Textbook(case.spec, case.rule, params, case.optimizer, **case.hyper)
    stream = (sample for sample in _stream(case, seed) if not _at_kink(book, sample))
    lost: set[tuple[str, str]] = set()
    for sample in islice(stream, samples):
        x = sample.x.astype(np.float64)
        outputs = book.predict(x)
        book.learn(x, one_hot(sample.labels, case.spec.sizes[-1]), sample.masks, sample.noise)
        truth = _named(outputs, book.params)
        sizes = {name: np.abs(array).max() for name, array in truth.items()}
        deviations: dict[tuple[str, str, str], float] = {}
        for key, learn in twins.items():
            if key in lost:
                continue
            try:
                arrays = _named(*learn(sample))
            except Diverged:
                lost.add(key)
                arrays = dict.fromkeys(truth, np.array(np.inf))
            for name, array in truth.items():
                off = float(np.abs(arrays[name] - array).max())
                relative = off / float(sizes[name] or 1.0)  # all zero: compared as it is
                deviations[*key, name] = relative if relative == relative else np.inf  # for NaN
        yield deviations


def _at_kink(book: Textbook, sample: Sample) -> bool:
    x = sample.x.astype(np.float64)
    a, _ = forward(book.definition, book.spec, book.params, book.hyper, x, sample.masks)
    layers = zip(book.spec.activation, a[1:-1], strict=True)
    hidden = [np.abs(pre) for name, pre in layers if name == "relu"]
    return any(bool(((pre > 0) & (pre < KINK)).any()) for pre in hidden)


def _named(outputs: Array, params: Parameters) -> dict[str, Array]:
    """All arrays by name: ``W.0``, ``W.1``, ..., the rule's own, and ``outputs``."""
    arrays: dict[str, Array] = {}
    for name, value in params.items():
        if isinstance(value, list):
            arrays |= {f"{name}.{i}": array for i, array in enumerate(value)}
        else:
            arrays[name] = value
    return arrays | {"outputs": outputs}
