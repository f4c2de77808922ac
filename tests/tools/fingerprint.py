"""Hashes of what everything computes, to show that a change of the code changes no number.

    python tests/tools/fingerprint.py before.json           # on the old code
    python tests/tools/fingerprint.py after.json            # on the new code, the same machine
    python tests/tools/fingerprint.py --compare before.json after.json

A hash covers what 300 samples of the bundled digits leave behind: outputs and losses of every
sample, all parameters by name, and the whole state without its names, which a change may rename.
Covered: every rule in float32 and float64, in the structured and the plain form, with plain
gradient descent and with momentum, decay and dropout, sequential, pipelined, delayed by two and in
mini-batches of four; every circuit, in steady state and in time; every rule in torch batches; one
spiking network that learns; one cell of a paper. What a rule refuses is kept as a refusal.
Compare files of one machine only: another processor rounds otherwise.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from tqdm import tqdm

from biocircuits import CircuitNetwork
from biocircuits.catalogue import CIRCUITS
from rate_models import rules
from rate_models.errors import UserError
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from rate_models.rules import nearest
from rate_models.support import lookup
from streaming import papers
from streaming.schedule.items import Schedule
from streaming.sources import open_source
from streaming.threads.network import ScheduledNetwork

SAMPLES = 300
SIZES = (64, 20, 12, 10)
OPTIMIZERS = {
    "sgd": (Optimizer(lr=0.01), {}),
    "momentum": (Optimizer(lr=0.003, momentum=0.9, weight_decay=1e-4), {"dropout": 0.1}),
}
SCHEDULES = {
    "sequential": Schedule("sequential"),
    "pipelined": Schedule("pipelined"),
    "delayed:2": Schedule.parse("delayed:2", 1),
    "batch:4": Schedule.parse("pipelined", 4),
}
Item = tuple[str, Callable[[], str]]


def digest(*values: Any) -> str:
    """A hash of arrays, and lists and dicts of arrays, with their names."""
    found = hashlib.sha256()
    for value in values:
        if isinstance(value, dict):
            for name in sorted(value):
                found.update(f"{name}:{digest(value[name])};".encode())
        elif isinstance(value, list | tuple):
            found.update(",".join(digest(v) for v in value).encode())
        else:
            array = np.ascontiguousarray(value)
            found.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def of_network(network: Any) -> str:
    """What a network makes of the digits: outcomes, parameters, state without names."""
    X, y = digits()
    X = X.astype(network.dtype)
    outcomes = [network.learn(X[at : at + 64], labels=y[at : at + 64]) for at in range(0, 300, 64)]
    outputs = [np.concatenate([np.ravel(o[i]) for o in outcomes]) for i in range(3)]
    state = sorted(digest(array) for array in network.state().values() if array.size)
    return (
        digest(outputs, network.parameters()) + hashlib.sha256(repr(state).encode()).hexdigest()[:8]
    )


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = next(open_source("digits").chunks(0, size=SAMPLES))
    return X / 16.0, y


def spec_of(rule: str) -> NetworkSpec:
    definition = rules.get(rule)
    spec = nearest(definition, NetworkSpec(SIZES, "tanh", definition.loss, bias=True))
    assert spec is not None
    return spec


def online() -> Iterator[Item]:
    forms = product(
        rules.names(), ("float32", "float64"), (True, False), OPTIMIZERS,
        SCHEDULES,
    )  # fmt: skip
    for rule, dtype, structured, optimizer, schedule in forms:
        step, more = OPTIMIZERS[optimizer]

        def make(
            rule: str = rule, dtype: str = dtype, structured: bool = structured,
            step: Optimizer = step, more: dict[str, Any] = more, schedule: str = schedule,
        ) -> str:  # fmt: skip
            options: dict[str, Any] = {"dtype": dtype, "optimizer": step, "seed": 3, **more}
            options["structured"] = structured
            if schedule == "sequential":
                return of_network(OnlineNetwork(spec_of(rule), rule, **options))
            how = {"schedule": SCHEDULES[schedule], "workers": 2}
            return of_network(ScheduledNetwork(spec_of(rule), rule, **how, **options))

        form = "structured" if structured else "plain"
        yield f"online/{rule}/{dtype}/{form}/{optimizer}/{schedule}", make


def circuits() -> Iterator[Item]:
    for name, mode in product(lookup.names(CIRCUITS), ("steady", "continuous")):

        def make(name: str = name, mode: str = mode) -> str:
            lr = 0.0005 if "bmvr" in name else 0.01
            for spec in (NetworkSpec((64, 8, 10)), NetworkSpec((64, 8, 10), loss="mse")):
                try:
                    net = CircuitNetwork(spec, name, seed=3, lr=lr, mode=mode)
                except UserError as error:
                    refused = error
                else:
                    return of_network(net)
            raise refused

        yield f"circuit/{name}/{mode}", make


def batches() -> Iterator[Item]:
    from rate_models.batch import BatchNetwork, fit  # extras are asked for where they are needed

    for rule, dtype in product(rules.names(), ("float32", "float64")):

        def make(rule: str = rule, dtype: str = dtype) -> str:
            X, y = digits()
            net = BatchNetwork(spec_of(rule), rule, seed=3, dtype=dtype)
            fit(net, X.astype(dtype), y, epochs=2, batch_size=16, optimizer=Optimizer(lr=0.01))
            return digest(net.numpy())

        yield f"batch/{rule}/{dtype}", make


def spiking() -> Iterator[Item]:
    def make() -> str:
        from biocircuits.spiking.learner import SpikingLearner

        X, y = digits()
        with SpikingLearner("pepita", (64, 8, 10), seed=3, target="numpy") as learner:
            stream = learner.run(X[:3], np.eye(10)[y[:3]])
        return digest(stream.answers, stream.weights)

    yield "spiking/pepita", make


def paper() -> Iterator[Item]:
    """Teacher and student at a thirtieth of the paper's length: it needs no data set."""

    def make() -> str:
        found: list[Any] = []
        one = papers.get("srinivasan-teacher-student")
        scale = one.quick._replace(seeds=1, epochs=5)
        run = one.run(next(iter(one.rows)), next(iter(one.columns)), scale)
        one.measure(run, [0], papers.Context(lambda seed, result: found.append(result)))
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]

    yield "paper/srinivasan-teacher-student", make


def collected() -> dict[str, str]:
    """{what: hash, or why it is refused} of everything."""
    items = [item for part in (online, circuits, batches, spiking, paper) for item in part()]
    found = {}
    for name, make in tqdm(items, disable=None):
        try:
            found[name] = make()
        except UserError as error:
            found[name] = f"refused: {type(error).__name__}"
    return found


def compare(before: dict[str, str], after: dict[str, str]) -> int:
    """Print what differs; how many."""
    names = sorted(before.keys() | after.keys())
    odd = [n for n in names if before.get(n) != after.get(n)]
    for name in odd:
        print(f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}")
    print(f"{len(names)} compared, {len(odd)} differ")
    return len(odd)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--compare"] and len(arguments) == 3:
        with open(arguments[1]) as before, open(arguments[2]) as after:
            return min(compare(json.load(before), json.load(after)), 1)
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    found = collected()
    with open(arguments[0], "w") as file:
        json.dump(found, file, indent=1, sort_keys=True)
    print(f"{len(found)} hashes in {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
