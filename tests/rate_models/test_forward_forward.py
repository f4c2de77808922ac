"""Forward-Forward against autograd and a loop over its equations; the labels that it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import EVERYTHING, PLAIN, Case, deviation, state_bytes
from numpy.testing import assert_allclose

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec, one_hot
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Draws
from rate_models.rules import forward_forward as rule
from rate_models.rules._goodness import wrong_label
from rate_models.textbook import gradients, initial_parameters

SIZES, N = (6, 5, 7, 4), 9
RNG = np.random.default_rng(1)
X, LABELS = RNG.normal(size=(N, 6)), RNG.integers(0, 4, N)
Y, U = one_hot(LABELS, 4), RNG.random((N, 1))
MASKS = [(RNG.random((N, n)) > 0.3) / 0.7 for n in SIZES[1:-1]]
FORMS = [
    {"objective": objective, "negatives": negatives, "temperature": 0.5, "threshold": 1.3}
    for objective in ("threshold", "contrast")
    for negatives in ("predicted", "uniform")
]


def ours(spec: NetworkSpec, masks: Any = None, **hyper: Any) -> tuple[Any, Any]:
    """Parameters, and the gradients of a batch."""
    params = initial_parameters(spec, "forward_forward", seed=2, **hyper)
    settings = rule.Hyperparameters(**hyper)
    (stage,) = rule.batch(spec, params, settings, X, Y, Draws(masks, [U]))
    return params, gradients(spec, stage, params, N)


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: " ".join(map(str, form.values())))
def test_every_layer_descends_its_own_loss(
    form: dict[str, Any], activation: str, dropout: bool
) -> None:
    """Autograd of L_l by W_l and b_l, the input of the layer held constant."""
    torch = pytest.importorskip("torch")
    spec = NetworkSpec(SIZES, activation, bias=True)
    masks = MASKS if dropout else None
    params, found = ours(spec, masks, **form)
    W = [torch.tensor(w, requires_grad=True) for w in params["W"]]
    b = [torch.tensor(c, requires_grad=True) for c in params["b"]]
    drop = [torch.tensor(m) for m in MASKS] if dropout else [1.0, 1.0]
    function = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[activation]
    tau, theta, last = form["temperature"], form["threshold"], spec.layers - 1
    K, x, y = (torch.tensor(a) for a in (params["K"], X, Y))

    def layer(i: int, below: Any) -> Any:
        return function(below @ W[i].T + b[i]) * drop[i]

    def soft(z: Any) -> Any:  # torch's own is linear from 20 on
        return torch.logaddexp(z, torch.zeros_like(z))

    def unit(v: Any) -> Any:
        return (v / (v.pow(2).mean(1, keepdim=True).sqrt() + 1e-4)).detach()

    h = x
    for i in range(last):
        h = unit(layer(i, h))
    output = h @ W[last].T + b[last]
    loss = 20 / SIZES[-2] * torch.nn.functional.cross_entropy(output, torch.tensor(LABELS))
    wrong = wrong_label(output.softmax(1).detach().numpy(), Y, U, form["negatives"] == "uniform")
    p, q = x + (y - 1 / 4) @ K.T, x + (torch.tensor(wrong) - 1 / 4) @ K.T
    for i in range(last):
        u, v = layer(i, p), layer(i, q)
        good, bad = u.pow(2).mean(1), v.pow(2).mean(1)
        if form["objective"] == "threshold":
            own = soft((theta - good) / tau) + soft((bad - theta) / tau)
        else:
            own = soft((bad - good) / tau)
        rate = 0.05 * (20 / SIZES[i] if i else 1)
        loss = loss + rate * (SIZES[i + 1] * tau / 2 * own).mean()
        p, q = unit(u), unit(v)
    loss.backward()
    for mine, theirs in zip([*found["W"], *found["b"]], [*W, *b], strict=True):
        assert_allclose(mine, theirs.grad, rtol=1e-10, atol=1e-13)


def test_a_sample_by_hand() -> None:
    """One loop per unit, for a network of one hidden layer."""
    sizes, x = (3, 4, 3), np.array([0.5, 0.0, 2.0])
    net = OnlineNetwork(NetworkSpec(sizes), "forward_forward", seed=1, label_scale=1.0)
    start = net.parameters()
    W, V, K = (start["W"][0].copy(), start["W"][1].copy(), start["K"])
    net.learn(x[None], labels=[1], noise=[[0.3]])
    a = [max(0.0, sum(W[i, j] * x[j] for j in range(3))) for i in range(4)]
    size = (sum(v * v for v in a) / 4) ** 0.5 + 1e-4
    out = np.array([sum(V[k, i] * a[i] / size for i in range(4)) for k in range(3)])
    predicted = np.exp(out) / np.exp(out).sum()
    wrong = 2 if 0.7 * (predicted[0] + predicted[2]) > predicted[0] else 0
    learned = W.copy()
    for label, sign in ((1, -1), (wrong, 1)):
        shown = [x[j] + K[j, label] - K[j].mean() for j in range(3)]
        v = [max(0.0, sum(W[i, j] * shown[j] for j in range(3))) for i in range(4)]
        pull = 1 / (1 + np.exp(sign * (2.0 - sum(z * z for z in v) / 4) / 0.125))
        for i in range(4):
            for j in range(3):
                learned[i, j] -= 0.03 * 0.05 * sign * pull * v[i] * shown[j]
    readout = V - 0.03 * 20 / 4 * np.outer(predicted - np.eye(3)[1], np.array(a) / size)
    after = net.parameters()["W"]
    assert np.abs(learned - W).max() > 1e-4
    assert_allclose(after[0], learned, rtol=1e-12)
    assert_allclose(after[1], readout, rtol=1e-12)


@pytest.mark.parametrize("uniform", [False, True])
def test_wrong_labels_come_as_often_as_they_should(uniform: bool) -> None:
    h = np.tile([0.5, 0.3, 0.15, 0.05], (40000, 1))
    y = np.tile([0.0, 1.0, 0.0, 0.0], (40000, 1))
    u = ((np.arange(40000) + 0.5) / 40000)[:, None]
    drawn = wrong_label(h, y, u, uniform)
    assert set(np.unique(drawn)) == {0, 1} and (drawn.sum(1) == 1).all()
    expected = np.array([1, 0, 1, 1]) / 3 if uniform else np.array([0.5, 0, 0.15, 0.05]) / 0.7
    assert_allclose(drawn.mean(0), expected, atol=1e-4)


@pytest.mark.parametrize("right", range(3))
@pytest.mark.parametrize("u", [0.0, np.nextafter(1, 0)])
def test_a_network_that_is_sure_still_gets_a_wrong_label(u: float, right: int) -> None:
    y = np.eye(3)[right : right + 1]
    drawn = wrong_label(y, y, np.array([[u]]), uniform=False)
    assert drawn.sum() == 1 and not (drawn * y).any()


VARIANTS = [
    Case("forward_forward", sizes, optimizer, spec, hyper, structured)
    for optimizer in (PLAIN, EVERYTHING)
    for structured in (True, False)
    for sizes, spec, hyper in (
        ((20, 16, 12, 5), {"activation": "tanh", "bias": True}, {"objective": "contrast"}),
        ((20, 16, 12, 5), {"loss": "binary_cross_entropy"}, {"negatives": "uniform"}),
        ((20, 16, 5), {}, {"label_scale": 0.0}),
    )
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", VARIANTS, ids=str)
def test_online_equals_textbook(case: Case, dtype: str) -> None:
    net, book, cut = case.online(dtype), case.textbook(), case.online(dtype)
    x, labels, y = case.samples(150)
    for t in range(150):
        net.learn(x[t : t + 1], labels=labels[t : t + 1])
        book.learn(x[t : t + 1], y[t : t + 1], *case.draws(t))
        assert deviation(net.parameters(), book.params) < {"float64": 1e-10, "float32": 1e-4}[dtype]
    cut.learn(x[:70], labels=labels[:70])
    cut.learn(x[70:], labels=labels[70:])
    assert state_bytes(cut) == state_bytes(net)


def test_learning_separates_right_labels_from_wrong_ones() -> None:
    case = Case("forward_forward", (20, 32, 24, 5), hyper={"eta_hidden": 0.2})
    rng = np.random.default_rng(0)
    centres = rng.random((5, 20))
    labels = rng.integers(0, 5, 3000)
    x = centres[labels] + 0.1 * rng.normal(size=(3000, 20))
    net = case.online()

    def apart() -> list[float]:
        """Goodness of each hidden layer with the right label less that with the next one."""
        params, found = net.parameters(), []
        p, q = (x + (np.eye(5)[(labels + i) % 5] - 0.2) @ params["K"].T for i in (0, 1))
        for W in params["W"][:-1]:
            p, q = np.maximum(p @ W.T, 0), np.maximum(q @ W.T, 0)
            good, bad = (p**2).mean(1), (q**2).mean(1)
            found.append(float((good - bad).mean()))
            p, q = p / np.sqrt(good)[:, None], q / np.sqrt(bad)[:, None]
        return found

    before = apart()
    net.learn(x, labels=labels)
    assert max(before) < 0.1
    assert min(apart()) > 1.0
    assert (net.predict(x).argmax(1) == labels).mean() > 0.95


def test_what_it_refuses() -> None:
    with pytest.raises(BadOption, match="loss of forward_forward"):
        OnlineNetwork(NetworkSpec(SIZES, loss="mse"), "forward_forward")
    with pytest.raises(BadOption, match="two classes or more"):
        OnlineNetwork(NetworkSpec((4, 3, 1), loss="binary_cross_entropy"), "forward_forward")
    for name, value in [("threshold", 0), ("temperature", 0), ("label_scale", -1),
                        ("negatives", "none"), ("objective", "mse"), ("eta_above", 0)]:  # fmt: skip
        with pytest.raises(BadOption, match=name):
            OnlineNetwork(NetworkSpec(SIZES), "forward_forward", **{name: value})


def test_costs_by_hand() -> None:
    definition = rules.get("forward_forward")
    assert definition.multiply_adds((4, 3, 5, 2)) == 37 + 2 * 4 * 2 + 2 * 27 + 2 * 27 + 10
