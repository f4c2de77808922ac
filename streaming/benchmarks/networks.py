"""Every rule on networks of several sizes, at batch 1, beside other implementations of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from rate_models import rules
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from streaming.benchmarks.peers import equations, loops, scans
from streaming.benchmarks.scenario import (
    Array,
    Peer,
    Runner,
    Samples,
    Scenario,
    dense,
    digits,
    images,
)

OURS, JAX, TORCH, NUMPY = "online kernel", "JAX, lax.scan", "torch, eager, in place", "NumPy loop"
AUTOGRAD, COMPILED, BOOK = "torch, autograd", "torch.compile of the step", "NumPy, textbook"
CHUNK = 256
STEP = 0.3  # learning rate times the mean of ‖x‖²
SLOWER = {"drtp": 0.01}  # at the other rate its weights grow without end
SIX = (
    "pepita", "backprop", "direct_feedback_alignment", "node_perturbation", "bmvr",
    "forward_forward",
)  # fmt: skip
DEEP = 0.003  # with several hidden layers: rates of PEPITA must fall, and no time depends on them


class Network(NamedTuple):
    """sizes, and what its scenarios' names say after the rule. every: whether all rules learn it;
    else those of `SIX`."""

    sizes: tuple[int, ...]
    name: str
    samples: Callable[[], Samples]
    least: int
    every: bool = False


NETWORKS = (
    Network((784, 1024, 10), "784-1024-10", images, 50),
    Network((3072, 1024, 10), "3072-1024-10-dense", partial(dense, 3072, 2000), 20),
    Network((64, 256, 10), "64-256-10", digits, 500, every=True),
    Network((64, 256, 10), "64-256-10-dense", partial(dense, 64, 100_000), 500),
    Network((64, 32, 10), "64-32-10", digits, 500, every=True),
    Network((64, 32, 10), "64-32-10-dense", partial(dense, 64, 100_000), 500),
    Network((784, 512, 512, 512, 512, 512, 10), "784-512x5-10", images, 50),
)
# torch.compile takes many seconds a network.
COMPILES = ("pepita-784-1024-10", "pepita-64-256-10", "backprop-64-256-10")


def scenarios() -> Iterator[Scenario]:
    """A scenario for every network and rule that learns it."""
    for network in NETWORKS:
        for rule in rules.names() if network.every else SIX:
            if (spec := spec_of(rule, network.sizes)) is not None:
                name = f"{rule}-{network.name}"
                peers = _peers(rule, spec, network.samples, name in COMPILES)
                yield Scenario(name, peers, network.samples, network.least, rule, network.sizes)


def spec_of(rule: str, sizes: tuple[int, ...]) -> NetworkSpec | None:
    """The network of these sizes with the rule's loss; None where the rule cannot learn it."""
    definition = rules.get(rule)
    near = rules.nearest(definition, NetworkSpec(sizes, loss=definition.loss))
    return near if near is not None and near.sizes == sizes else None


def _peers(
    rule: str, spec: NetworkSpec, samples: Callable[[], Samples], compiles: bool
) -> dict[str, Peer]:
    def peer(module: str | None, make: Callable[[NetworkSpec, str, float], Runner]) -> Peer:
        if module is not None and find_spec(module) is None:
            return f"{module} is not installed"
        step = SLOWER.get(rule, STEP if spec.layers < 3 else DEEP)
        return lambda: make(spec, rule, step / samples().power)

    peers = {OURS: peer(None, Online)}
    if rule not in equations.RULES:
        return {**peers, BOOK: peer(None, loops.Book)}
    peers |= {JAX: peer("jax", scans.Scan), TORCH: peer("torch", torch_loop)}
    if rule == "backprop":
        peers[AUTOGRAD] = peer("torch", loops.Autograd)
    if compiles:
        peers[COMPILED] = peer("torch", partial(loops.Loop, library="torch", compiled=True))
    return {**peers, NUMPY: peer(None, partial(loops.Loop, library="numpy"))}


torch_loop = partial(loops.Loop, library="torch")


class Online:
    """Our online kernel, which learns in chunks as a stream's are."""

    def __init__(self, spec: NetworkSpec, rule: str, lr: float, chunk: int = CHUNK) -> None:
        self.network = OnlineNetwork(spec, rule, dtype="float32", optimizer=Optimizer(lr))
        self._chunk = chunk

    def __call__(self, X: Array, labels: Array) -> None:
        for at in range(0, len(X), self._chunk):
            part = slice(at, at + self._chunk)
            self.network.learn(X[part], labels=labels[part])
