"""Convolutions: every rule against loops in NumPy, autograd, and the dense case."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import convolution_loops as loops
import numpy as np
import pytest
from convolution_loops import Array
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch")

from rate_models import rules  # noqa: E402
from rate_models.batch import (  # noqa: E402
    BatchNetwork,
    Convolution,
    ConvolutionalSpec,
    Sgd,
    fit,
)
from rate_models.errors import BadOption, UserError  # noqa: E402
from rate_models.network import NetworkSpec, one_hot  # noqa: E402
from rate_models.online.network import OnlineNetwork  # noqa: E402

RULES = [
    name for name in rules.names()
    if rules.get(name).convolves
]  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {"node_perturbation": {"feedback": "dfa"}}
N = 4
RNG = np.random.default_rng(3)
IMAGE = (2, 6, 5)
LAYERS = (
    Convolution(3, 3, padding=1, pool=3, step=2),
    Convolution(4, 2, padding=1, pool=2),
    Convolution(5, 1, pool=2),
    20,
    3,
)
X, Y = RNG.normal(size=(N, 60)), one_hot(RNG.integers(0, 3, N), 3)


def network(rule: str, *, seed: int = 0, **spec: Any) -> BatchNetwork:
    """In double precision, with biases that are not zero."""
    options = spec.pop("options", OPTIONS.get(rule, {}))
    loss = rules.get(rule).losses
    spec = {"loss": "cross_entropy" if "cross_entropy" in loss else loss[0], **spec}
    net = BatchNetwork(
        ConvolutionalSpec.of(IMAGE, LAYERS, **spec), rule, seed, "float64", **options
    )
    draws = np.random.default_rng(8)
    net.load_parameters({"b": [draws.normal(0, 0.3, b.shape) for b in net.b]})
    return net


def drawn(net: BatchNetwork) -> tuple[list[Array], list[Array]]:
    """Masks, and the rule's noise."""
    rng = np.random.default_rng(4)
    masks = [(rng.random((N, n)) > 0.3) / 0.7 for n in net.spec.sizes[1:-1]]
    definition = rules.get(net.rule)
    return masks, [rng.normal(size=(N, n)) for n in definition.noise.widths(net.spec, net.hyper)]


def written_out(net: BatchNetwork, weights: list[Array]) -> list[loops.Layer]:
    spec, layers = net.spec, []
    assert isinstance(spec, ConvolutionalSpec)
    for i, w in enumerate(weights):
        if w.ndim == 2:
            layers.append(loops.dense(w))
        else:
            c = LAYERS[i]
            assert isinstance(c, Convolution)
            layers.append(
                loops.convolution(w, spec.stacks[i].entry, c.padding, c.pool, c.step or c.pool)
            )
    return layers


def loops_of(net: BatchNetwork) -> loops.Loops:
    params = net.numpy()
    biases = params["b"] or [np.zeros(len(w)) for w in params["W"]]
    spec = net.spec
    assert isinstance(spec, ConvolutionalSpec)
    return loops.Loops(written_out(net, params["W"]), biases, spec.names[0], spec.units)


def through(net: BatchNetwork) -> Any:
    """Feedback of feedback alignment as matrices of the shape of the forward ones."""
    kernels = [np.zeros_like(net.W[0].detach())] + [b.swapaxes(0, 1) for b in net.numpy()["B"]]
    return {"through": [layer.matrix for layer in written_out(net, kernels)]}


def learned(net: BatchNetwork) -> Any:
    B = net.numpy()["B"]
    V = getattr(net.hyper, "gamma", 0.0) * np.eye(3)
    return {"B": B, "c": net.hyper.c, "change": [np.zeros_like(b) for b in B], "V": V}


# The rule in loops, and what it takes of a network beside weights and biases.
LOOPS: dict[str, tuple[Callable[..., loops.Posts], Callable[[BatchNetwork], Any]]] = {
    "backprop": (loops.backprop, lambda net: {}),
    "feedback_alignment": (loops.backprop, through),
    "direct_feedback_alignment": (
        loops.direct, lambda net: {"B": net.numpy()["B"], "target": False}
    ),
    "drtp": (loops.direct, lambda net: {"B": net.numpy()["B"], "target": True}),
    "pepita": (loops.pepita, lambda net: {"F": net.numpy()["F"]}),
    "reinforce": (loops.reinforce, lambda net: {"c": net.hyper.c}),
    "node_perturbation": (loops.node_perturbation, learned),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("units", ["maps", "pooled"])
@pytest.mark.parametrize("norm", ["sum", "mean"])
@pytest.mark.parametrize(("bias", "curve"), [(False, "relu"), (True, "tanh")])
def test_every_rule_is_the_loops_of_its_paper(
    rule: str, units: str, norm: str, bias: bool, curve: str
) -> None:
    if (rule, units) == ("pepita", "pooled"):
        with pytest.raises(BadOption, match="units of pepita"):
            network(rule, units=units)
        return
    net = network(rule, units=units, conv_norm=norm, bias=bias, activation=curve)
    masks, noise = drawn(net)
    function, state = LOOPS[rule]
    slow, own = loops_of(net), state(net)
    totals = [[np.zeros(w.numel()), np.zeros(len(w))] for w in net.W]
    for i in range(N):
        posts = function(slow, own, X[i], Y[i], [m[i] for m in masks], [xi[i] for xi in noise])
        for layer, (post, pre) in enumerate(posts):
            mean = norm == "mean" and net.W[layer].ndim == 4
            for total, part in zip(
                totals[layer], slow.product(layer, post, pre, mean), strict=True
            ):
                total += part / N
    net.fill_grad(X, Y, masks, noise)
    for layer, (weights, biases) in enumerate(totals):
        gradients = net.W[layer].grad
        assert gradients is not None and np.abs(weights).max() > 0
        close(gradients.numpy().ravel(), weights)
        if bias:
            close(net.b[layer].grad.numpy(), biases)
    if rule == "node_perturbation":
        for b, before, change in zip(net.numpy()["B"], own["B"], own["change"], strict=True):
            close(b - before, -net.hyper.eta_b * change)


def close(ours: Array, truth: Array) -> None:
    assert_allclose(ours, truth, rtol=1e-10, atol=1e-12 * np.abs(truth).max())


def test_the_ridge_solver_solves_with_the_errors_of_the_output() -> None:
    net = network("node_perturbation", options={"feedback": "dfa", "solver": "ridge"})
    masks, noise = drawn(net)
    slow, own = loops_of(net), learned(net)
    for i in range(N):
        loops.node_perturbation(
            slow, own, X[i], Y[i], [m[i] for m in masks], [xi[i] for xi in noise]
        )
    net.fill_grad(X, Y, masks, noise)
    for b, change in zip(net.numpy()["B"], own["change"], strict=True):
        assert_allclose(b, -np.linalg.solve(own["V"], change), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("units", ["maps", "pooled"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_backprop_is_the_gradient_that_autograd_finds(units: str, loss: str) -> None:
    F = torch.nn.functional
    net = network("backprop", units=units, loss=loss, bias=True, activation="tanh")
    masks, _ = drawn(net)
    net.fill_grad(X, Y, masks)
    gradients = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    h = torch.tensor(X).unflatten(1, IMAGE)
    for i, layer in enumerate(LAYERS):
        w, b = net.W[i], net.b[i]
        if isinstance(layer, Convolution):
            mask = torch.tensor(masks[i])
            h = torch.tanh(F.conv2d(h, w, b, padding=layer.padding))
            h = h * mask.reshape(h.shape) if units == "maps" else h
            h = F.max_pool2d(h, layer.pool, layer.step or layer.pool, ceil_mode=True)
            h = h * mask.reshape(h.shape) if units == "pooled" else h
        else:
            h = F.linear(h.flatten(1), w, b)
            h = torch.tanh(h) * torch.tensor(masks[i]) if i < len(LAYERS) - 1 else h
    y = torch.tensor(Y)
    total = F.cross_entropy(h, y, reduction="sum") if loss != "mse" else ((h - y) ** 2).sum() / 2
    (total / N).backward()
    for ours, parameter in zip(gradients, net.parameters(), strict=True):
        close(ours.numpy(), parameter.grad.numpy())


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((rule, OPTIONS.get(rule, {})) for rule in RULES),
    ("pepita", {"form": "hebbian"}),
    ("pepita", {"form": "time_local", "sign": -1}),
    ("pepita", {"presynaptic": "standard", "modulation": "sign"}),
    ("pepita", {"inject": 1, "init": "he_normal"}),
    ("pepita", {"modulation": "random"}),
    ("node_perturbation", {"feedback": "dfa", "solver": "ridge", "warmup": 16}),
]


@pytest.mark.parametrize(("rule", "options"), VARIANTS)
@pytest.mark.parametrize("norm", ["sum", "mean"])
def test_one_pixel_and_filters_of_one_are_a_dense_network(
    rule: str, options: dict[str, Any], norm: str
) -> None:
    spec = {"activation": "tanh", "bias": True}
    one = ConvolutionalSpec.of(
        (6, 1, 1), (Convolution(5, 1), Convolution(7, 1), 4, 3), conv_norm=norm, **spec
    )
    nets = [
        BatchNetwork(s, rule, 2, "float64", **options)
        for s in (one, NetworkSpec((6, 5, 7, 4, 3), **spec))
    ]
    sgds = [Sgd(net.parameters(), lr=0.1, momentum=0.9) for net in nets]
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, y = rng.normal(size=(8, 6)), rng.integers(0, 3, 8)
        masks = [(rng.random((8, n)) > 0.2) / 0.8 for n in (5, 7, 4)]
        definition = rules.get(rule)
        widths = definition.noise.widths(nets[1].spec, nets[1].hyper)
        noise = [rng.normal(size=(8, n)) for n in widths]
        for net, sgd in zip(nets, sgds, strict=True):
            for _ in net.updates(x, y, masks, noise):
                sgd.step()
    ours, theirs = (net.numpy() for net in nets)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        for a, b in zip(value, theirs[name], strict=True):
            close(a.reshape(b.shape), b)
    assert_allclose(nets[0](x).detach(), nets[1](x).detach(), rtol=1e-10)


def test_a_weight_that_needs_no_gradient_stays() -> None:
    net = network("pepita")
    net.W[0].requires_grad_(False)
    before = net.numpy()["W"]
    history = fit(net, X, Y.argmax(1), epochs=2, batch_size=2, optimizer=torch.optim.Adam(
        net.parameters(), lr=0.01))  # fmt: skip
    after = net.numpy()["W"]
    assert len(history) == 2
    assert np.array_equal(before[0], after[0])
    assert all(not np.array_equal(a, b) for a, b in zip(before[1:], after[1:], strict=True))


def test_dropout_applies_to_dense_layers() -> None:
    spec = ConvolutionalSpec.of((1, 4, 4), (Convolution(2, 3), 1000, 2))
    masks = BatchNetwork(spec, dropout=0.5).draws(3).masks
    assert masks is not None
    assert masks[0].unique().tolist() == [1.0]
    assert masks[1].shape == (3, 1000) and sorted(masks[1].unique().tolist()) == [0.0, 2.0]


def test_feedback_is_as_wide_as_in_the_programs() -> None:
    layers = (Convolution(32, 5, pool=2), Convolution(8, 3, pool=2), 10)
    spec = ConvolutionalSpec.of((1, 28, 28), layers)
    assert spec.sizes == (784, 32 * 24 * 24, 8 * 10 * 10, 10)
    assert list(spec.shapes) == [(32, 1, 5, 5), (8, 32, 3, 3), (10, 200)]
    bounds = {
        "feedback_alignment": [math.sqrt(6 / (32 * 9)), math.sqrt(6 / 200)],
        "direct_feedback_alignment": [math.sqrt(6 / n) for n in spec.sizes[1:3]],
        "drtp": [math.sqrt(6 / n) for n in spec.sizes[1:3]],
    }
    for rule, wanted in bounds.items():
        B = BatchNetwork(spec, rule).numpy()["B"]
        assert [np.abs(b).max() for b in B] == pytest.approx(wanted, rel=0.01)
    net = BatchNetwork(spec, "pepita")
    assert np.abs(net.numpy()["F"]).max() == pytest.approx(0.004374, rel=0.01)
    assert net.W[0].abs().max().item() == pytest.approx(math.sqrt(6 / 25), rel=0.01)
    assert net.W[1].abs().max().item() == pytest.approx(math.sqrt(6 / (32 * 9)), rel=0.01)


@pytest.mark.parametrize("rule", sorted(set(rules.names()) - set(RULES)))
def test_other_rules_refuse_convolutions(rule: str) -> None:
    with pytest.raises(BadOption, match=r"convolutions; expected dense"):
        BatchNetwork(ConvolutionalSpec.of((1, 4, 4), (Convolution(2, 3), 2),
                     loss=rules.get(rule).loss), rule)  # fmt: skip


def conv(*layers: Any, **more: Any) -> ConvolutionalSpec:
    return ConvolutionalSpec.of((1, 8, 8), layers or (Convolution(2, 3), 4), **more)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv(Convolution(2, 9), 4), r"fit images \(1, 8, 8\)"),
        (lambda: conv(Convolution(2, 3, pool=7), 4), "windows that fit"),
        (lambda: conv(Convolution(2, 3, pool=2, step=3), 4), "steps within a window"),
        (lambda: conv(Convolution(0, 3), 4), "filters"),
        (lambda: conv(4, Convolution(2, 3), 4), "convolutions first"),
        (lambda: conv(Convolution(2, 3)), "dense layers above"),
        (lambda: conv(conv_norm="median"), "conv_norm: got 'median'; expected sum or mean"),
        (lambda: conv(units="pool"), "expected maps or pooled"),
        (lambda: ConvolutionalSpec((64, 4), image=(1, 7, 7)), r"expected \[49\]"),
        (lambda: BatchNetwork(conv(), "pepita", init="he_normal", sign=-1, mirror_every=5),
         "mirroring: got convolutions"),
        (lambda: BatchNetwork(conv(), "node_perturbation"), "feedback: got fa; expected dfa"),
        (lambda: BatchNetwork(conv(), "pepita").to_online(), "BatchNetwork learns convolutions"),
        (lambda: OnlineNetwork(conv()), "OnlineNetwork: got convolutions"),
    ],
)  # fmt: skip
def test_invalid_networks_are_refused(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
