"""Samples per second in batches on torch: PEPITA, our backpropagation and torch's autograd.

784-1024-10, batches of 64, float32, momentum 0.9, one thread. Autograd is run with torch's own SGD,
in its default and its fused form, and with our `Sgd`, which our batches use too. In each repeat
all velocities start at zero. In longer training the velocities of torch's SGD become subnormal at
the border pixels of digits: after a pass over MNIST its steps take 1.6 times as long. `Sgd` avoids
subnormal numbers.

A step of PEPITA has the two large products of backpropagation, W x and δ pᵀ, because W F is updated
along with W. Besides these PEPITA has four products with the ten columns of F where
backpropagation has one with W_2, 2 % of the multiply-adds. So a step can be about as fast, but not
faster. Both rules written by hand, in place and without any overhead, show this limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from streaming.benchmarks.scenario import Array, Peer, Runner, Scenario, images

SCENARIO = "pepita-784-1024-10-batches-of-64"
SPEC = NetworkSpec((784, 1024, 10))
BATCH, NUMBERS = 64, Optimizer(0.1, 0.9)


def scenarios() -> Iterator[Scenario]:
    """One, of samples at a time as many as ten batches have at least."""
    yield Scenario(SCENARIO, _peers(), images, 10 * BATCH, ours=2)


def _peers() -> dict[str, Peer]:
    """Functions that make a fresh learner; the reason where torch is not installed."""
    makers: dict[str, Callable[[], Runner]] = {
        "PEPITA in batches": partial(_ours, "pepita"),
        "backpropagation in batches": partial(_ours, "backprop"),
        "PEPITA by hand, in place": partial(_by_hand, True),
        "backpropagation by hand, in place": partial(_by_hand, False),
        "torch, autograd, our SGD": partial(_autograd, ours=True),
        "torch, autograd, its fused SGD": partial(_autograd, fused=True),
        "torch, autograd, its SGD": _autograd,
    }
    installed = find_spec("torch") is not None
    missing = "torch is not installed"
    return {name: make if installed else missing for name, make in makers.items()}


def _ours(rule: str) -> Runner:
    from rate_models.batch import BatchNetwork, fit

    net = BatchNetwork(SPEC, rule)

    def learn(X: Array, labels: Array) -> None:
        fit(net, X, labels, epochs=1, batch_size=BATCH, optimizer=NUMBERS,
            x_test=X[:1], y_test=labels[:1])  # fmt: skip

    return learn


def _autograd(ours: bool = False, fused: bool = False) -> Runner:
    import torch

    from rate_models.batch import Sgd

    hidden = torch.nn.Linear(784, 1024, bias=False)
    net = torch.nn.Sequential(hidden, torch.nn.ReLU(), torch.nn.Linear(1024, 10, bias=False))
    options: dict[str, Any] = {"lr": NUMBERS.lr, "momentum": NUMBERS.momentum}
    optimizer = (
        Sgd(net.parameters(), **options)
        if ours
        else torch.optim.SGD(net.parameters(), fused=fused, **options)
    )

    def learn(X: Array, labels: Array) -> None:
        x, y = torch.from_numpy(X), torch.from_numpy(labels)
        for chosen in torch.split(torch.randperm(len(x)), BATCH):
            optimizer.zero_grad()
            a = net(x.index_select(0, chosen))
            loss = torch.nn.functional.cross_entropy(a, y.index_select(0, chosen))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return learn


def _by_hand(pepita: bool) -> Runner:
    """The fastest step that we can write, all in place; η is a factor of the gradients."""
    import torch

    from rate_models.batch import BatchNetwork

    net = BatchNetwork(SPEC, "pepita")
    W, V, F = net.W[0], net.W[1], net.arrays()["F"]
    FT, FF, WF = F.T.contiguous(), F.T @ F, torch.nn.Parameter(W.detach() @ F)
    learned = [W, V, WF] if pepita else [W, V]
    sgd = torch.optim.SGD(learned, lr=1.0, momentum=NUMBERS.momentum, fused=True)
    for weight in learned:
        weight.grad = torch.empty_like(weight)

    @torch.no_grad()
    def learn(X: Array, labels: Array) -> None:
        x_all, y_all = torch.from_numpy(X), torch.zeros(len(X), 10)
        y_all.scatter_(1, torch.from_numpy(labels)[:, None], 1)
        images = x_all @ F
        for chosen in torch.split(torch.randperm(len(X)), BATCH):
            x, y = x_all.index_select(0, chosen), y_all.index_select(0, chosen)
            a = x @ W.T
            h = a.relu()
            e = (h @ V.T).softmax(1).sub_(y)
            if pepita:
                p, image = a.addmm_(e, WF.T).relu_(), images.index_select(0, chosen)
                x.addmm_(e, FT)
                image.addmm_(e, FF)
                delta = h.sub_(p).mul_(NUMBERS.lr / BATCH)
                torch.mm(delta.T, image, out=WF.grad)
            else:
                p, delta = h, (e @ V).mul_(h.sign()).mul_(NUMBERS.lr / BATCH)
            torch.mm(e.mul_(NUMBERS.lr / BATCH).T, p, out=V.grad)
            torch.mm(delta.T, x, out=W.grad)
            sgd.step()

    return learn
