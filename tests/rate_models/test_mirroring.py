"""Weight mirroring of PEPITA's feedback: its equations, its implementations, and its limit."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np
import pytest
from networks import EVERYTHING, MOMENTUM, PLAIN, Case, deviation, state_bytes
from numpy.testing import assert_allclose

from rate_models.diagnostics.measures import alignment_angle, angle
from rate_models.errors import BadOption
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, one_hot
from rate_models.online.network import OnlineNetwork
from rate_models.textbook import Textbook, initial_parameters

DEEP = (20, 16, 12, 9, 5)
ON = {"init": "he_normal", "sign": -1, "mirror_before": 20, "mirror_every": 7}


def case(
    sizes: tuple[int, ...] = DEEP,
    optimizer: Optimizer = PLAIN,
    spec: dict[str, Any] | None = None,
    structured: bool = True,
    **hyper: Any,
) -> Case:
    more = {**ON, "feedback_scale": 0.3, **hyper}
    return Case("pepita", sizes, optimizer, spec or {}, more, structured)


VARIANTS = [
    case((20, 16, 5)),
    case(),
    case((20, 5)),
    case(optimizer=MOMENTUM, dropout=0.2),
    case(optimizer=EVERYTHING, spec={"bias": True}, dropout=0.2, mirror_rate=1.0),
    case(structured=False),
    case(structured=False, optimizer=EVERYTHING),
    case(mirror_before=0, mirror_every=1),
    case(mirror_before=30, mirror_every=0),
    case(inject=1, mirror_rate=1.0),
    case(presynaptic="standard", modulation="sign", feedback_scale=0.05),
    *(case(form=form, structured=s) for form in ("hebbian", "time_local") for s in (True, False)),
    *(
        case(
            (20, 16, 12, 5),
            spec={"activation": name, "bias": True, **loss},
            mirror_every=3,
            feedback_scale=0.05,
        )
        for name in ("tanh", "sigmoid", "erf", "identity")
        for loss in ({"loss": "mse", "output": "sigmoid"}, {"loss": "binary_cross_entropy"})
    ),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", VARIANTS, ids=str)
def test_online_equals_textbook_after_every_sample(case: Case, dtype: str) -> None:
    net, book = case.online(dtype), case.textbook()
    tolerance = {"float64": 1e-10, "float32": 1e-4}[dtype]
    x, labels, y = case.samples(120)
    for t in range(len(x)):
        case.learn(net, x[t : t + 1], labels[t : t + 1], y[t : t + 1])
        book.learn(x[t : t + 1], y[t : t + 1], *case.draws(t))
        assert deviation(net.parameters(), book.params) < tolerance, f"sample {t}"
    start = case.textbook().params
    assert not np.allclose(net.parameters()["F"], start["F"], atol=0.01 * start["F"].std())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "case",
    [case(), case(structured=False), case(optimizer=EVERYTHING, dropout=0.2),
     case(form="time_local", spec={"bias": True})],
    ids=str,
)  # fmt: skip
def test_any_chunking_gives_the_same_bits(case: Case, dtype: str) -> None:
    x, labels, y = case.samples(150)
    whole = case.online(dtype)
    case.learn(whole, x, labels, y)
    for size in (1, 13):
        net = case.online(dtype)
        for at in range(0, len(x), size):
            part = slice(at, at + size)
            case.learn(net, x[part], labels[part], y[part])
            net.parameters()
            net.predict(x[:3])
            fresh = case.online(dtype)
            fresh.load_state(net.state())
            net = fresh
        assert state_bytes(net) == state_bytes(whole)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_step_is_the_equations_written_out(loss: str, bias: bool) -> None:
    """One sample that mirrors alone, number by number."""
    spec, rate, decay, sigma = NetworkSpec((6, 5, 4), "relu", loss, bias), 0.7, 0.2, 0.3
    hyper = {**ON, "mirror_rate": rate, "mirror_decay": decay, "mirror_noise": sigma}
    rng = np.random.default_rng(3)
    params = initial_parameters(spec, "pepita", 0, **hyper)
    params["b"] = [rng.normal(size=b.shape) for b in params["b"]]
    B = [b.copy() for b in params["B"]]
    normal, masks = [rng.normal(size=(1, n)) for n in (6, 5)], [np.array([[0, 2, 1, 0, 1.5]])]

    def relu(a: Any) -> Any:
        return np.maximum(a, 0)

    def out(a: Any) -> Any:
        return a if loss == "mse" else np.exp(a) / np.exp(a).sum()

    b = params["b"] or [np.zeros(5), np.zeros(4)]
    for i, f in enumerate((relu, out)):
        xi = sigma * (normal[i][0] - normal[i][0].mean())
        z = f(params["W"][i] @ xi + b[i]) - f(b[i])
        z = z * masks[0][0] if i == 0 else z
        B[i] = B[i] + rate * (np.outer(xi, z) - decay * B[i])
    wanted = 0.05 * math.sqrt(2 / 6)
    B = [factor * math.sqrt(wanted / (B[0] @ B[1]).std()) for factor in B]
    book = Textbook(spec, "pepita", params, **hyper)
    before = [w.copy() for w in params["W"]]
    book.learn(np.ones((1, 6)), one_hot(np.array([1]), 4), masks, normal)
    for ours, theirs in zip(book.params["B"], B, strict=True):
        assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    assert_allclose(book.params["F"], B[0] @ B[1], rtol=1e-10, atol=1e-15)
    assert book.params["F"].std() == pytest.approx(wanted, rel=1e-12)
    assert all((w == old).all() for w, old in zip(book.params["W"], before, strict=True))


def test_when_it_mirrors_and_when_it_learns() -> None:
    """Sample by sample, and in batches of five, against a count by hand."""
    hyper = {**ON, "mirror_before": 7, "mirror_every": 4}
    spec = NetworkSpec((6, 5, 4), "tanh")
    rng = np.random.default_rng(0)
    for size in (1, 5):
        book = Textbook(spec, "pepita", initial_parameters(spec, "pepita", 0, **hyper), **hyper)
        for first in range(0, 60, size):
            F, W = book.params["F"].copy(), book.params["W"][1].copy()
            noise = [rng.normal(size=(size, n)) for n in (6, 5)]
            book.learn(rng.random((size, 6)), one_hot(rng.integers(0, 4, size), 4), None, noise)
            due = any(t >= 7 and (t - 7) % 4 == 3 for t in range(first, first + size))
            assert (book.params["F"] != F).any() == (first < 7 or due), first
            assert (book.params["W"][1] != W).any() == (first >= 7), first


def test_the_decay_is_a_faster_rate() -> None:
    """A decay common to all factors is undone: η / (1 - η λ) without decay is the same."""
    eta, lam = 0.5, 0.8
    hyper = {**ON, "mirror_before": 50}
    runs = [
        case(**{**hyper, "mirror_rate": eta, "mirror_decay": lam}).online(),
        case(**{**hyper, "mirror_rate": eta / (1 - eta * lam), "mirror_decay": 0.0}).online(),
    ]
    x, labels, _ = case().samples(50)
    for net in runs:
        net.learn(x, labels=labels)
    assert deviation(runs[0].parameters(), runs[1].parameters()) < 1e-12


@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_the_mean_update_of_a_factor_is_the_forward_weight(activation: str) -> None:
    """E ξ zᵀ = σ² (I - 11ᵀ/n) W_lᵀ for a linear layer, half of that for ReLU."""
    spec, n = NetworkSpec((6, 5, 4), activation, "mse"), 400_000
    hyper = {**ON, "mirror_before": 1, "mirror_rate": 1.0, "mirror_decay": 0.0}
    params = initial_parameters(spec, "pepita", 0, **hyper)
    for b in params["B"]:
        b *= 1e-12  # so that what is left is the update, scaled
    rng = np.random.default_rng(0)
    half = rng.normal(size=(n // 2, 6)), rng.normal(size=(n // 2, 5))
    noise = [np.concatenate([a, -a]) for a in half]
    book = Textbook(spec, "pepita", params, **hyper)
    book.learn(np.zeros((n, 6)), np.zeros((n, 4)), None, noise)
    ratio = []
    for b, w in zip(book.params["B"], params["W"], strict=True):
        assert angle(b, w.T) < 1.0
        ratio.append((b * w.T).sum() / (w**2).sum())
    expected = 0.5 if activation == "relu" else 1.0
    assert ratio[0] / ratio[1] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("sizes", [(30, 20, 5), (30, 20, 15, 5), (30, 20, 15, 10, 5)], ids=str)
def test_feedback_turns_to_the_forward_weights(sizes: tuple[int, ...]) -> None:
    """While only F learns, with enough noise."""
    hyper = {**ON, "mirror_before": 8000, "mirror_every": 0, "mirror_rate": 0.02}
    net = OnlineNetwork(NetworkSpec(sizes, "identity", "mse"), "pepita", **hyper)
    before = alignment_angle(net.parameters())
    net.learn(np.zeros((8000, 30)), targets=np.zeros((8000, 5)))
    after = net.parameters()
    angles = alignment_angle(after)
    assert 75 < before["F"] < 105 and angles["F"] < 40
    # noise without its mean shows the weights without the mean of each unit's inputs
    limit = [w.T - w.mean(1) for w in after["W"]]
    for name, value in angles.items():
        assert value < 40 < before[name], name
    assert all(angle(b, c) < 10 for b, c in zip(after["B"], limit, strict=True))
    assert angle(after["F"], reduce(np.matmul, limit)) < 15
    assert_allclose(after["F"], reduce(np.matmul, after["B"]), rtol=1e-9, atol=1e-15)
    assert after["F"].std() == pytest.approx(0.05 * math.sqrt(2 / 30), rel=1e-9)


def test_torch_gives_the_same() -> None:
    pytest.importorskip("torch")
    from rate_models.batch import BatchNetwork, Sgd

    spec, hyper = NetworkSpec((6, 5, 7, 4), "tanh", bias=True), {**ON, "dropout": 0.2}
    net = BatchNetwork(spec, "pepita", 0, "float64", **hyper)
    params = initial_parameters(spec, "pepita", 0, **hyper)
    book = Textbook(spec, "pepita", params, PLAIN, **hyper)
    sgd, rng = Sgd(net.parameters(), PLAIN.lr), np.random.default_rng(1)
    for _ in range(20):
        x, y = rng.normal(size=(8, 6)), rng.dirichlet(np.ones(4), 8)
        noise = [rng.normal(size=(8, n)) for n in (6, 5, 7)]
        masks = [(rng.random((8, n)) > 0.2) / 0.8 for n in (5, 7)]
        net.fill_grad(x, y, masks, noise)
        sgd.step()
        book.learn(x, y, masks, noise)
    assert deviation(net.numpy(), book.params) < 1e-10
    net.fill_grad(x, y)  # with noise of its own
    assert bool(net.arrays()["F"].isfinite().all())


def test_off_it_leaves_no_trace() -> None:
    params = initial_parameters(NetworkSpec(DEEP), "pepita", 0, init="he_normal")
    assert params.keys() == {"W", "b", "F"}
    mirrored = initial_parameters(NetworkSpec(DEEP), "pepita", 0, **ON)
    assert (mirrored["F"] == params["F"]).all()
    assert_allclose(reduce(np.matmul, mirrored["B"]), params["F"], rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"init": "he_uniform"}, "init with mirroring: got 'he_uniform'; expected he_normal; F mu"),
        ({"sign": 1}, "sign with mirroring: got 1; expected -1"),
        ({"feedback_scale": 0.0}, "feedback_scale with mirroring: got 0.0; expected above 0"),
        ({"modulation": "random"}, "modulation with mirroring: got 'random'; expected error or"),
        ({"mirror_rate": 2.0}, "mirror_rate with mirroring: got 2.0; expected below 1 / mirror_de"),
        ({"mirror_before": -1}, "mirror_before: got -1; expected greater than or equal to 0"),
        ({"mirror_every": 2**30}, "mirror_every: got 1073741824; expected less than"),
        ({"mirror_noise": 0}, "mirror_noise: got 0; expected greater than 0"),
    ],
)
def test_what_cannot_mirror_is_refused_everywhere(change: Any, message: str) -> None:
    spec, hyper = NetworkSpec((6, 5, 4)), {**ON, **change}
    with pytest.raises(BadOption, match=message):
        OnlineNetwork(spec, "pepita", **hyper)
    with pytest.raises(BadOption, match=message):
        initial_parameters(spec, "pepita", 0, **hyper)
    if not {"init", "feedback_scale", "mirror_before", "mirror_every"} & change.keys():
        net = OnlineNetwork(spec, "pepita", **ON)
        with pytest.raises(BadOption, match=message):
            net.set(**change)
        assert net.hyper == OnlineNetwork(spec, "pepita", **ON).hyper
