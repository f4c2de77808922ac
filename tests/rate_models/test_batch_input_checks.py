"""`fit`, `fit_many` and `Sgd` with invalid arguments, and with networks that change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rate_models.batch import BatchNetwork, Convolution, ConvolutionalSpec, Sgd, fit  # noqa: E402
from rate_models.batch import fit_many as many  # noqa: E402
from rate_models.errors import BadOption, BadSample, Diverged  # noqa: E402
from rate_models.model.optimizers import Optimizer  # noqa: E402
from rate_models.network import NetworkSpec  # noqa: E402

SPEC = NetworkSpec((6, 5, 4))
RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)
LARGE = {"feedback_scale": 1.0}
METHODS: list[Any] = ["together", "side by side", "in turn"]


def net(seed: int = 0, rule: str = "pepita", **hyper: Any) -> BatchNetwork:
    return BatchNetwork(SPEC, rule, seed, "float64", **hyper)


def halve(of: BatchNetwork) -> None:
    with torch.no_grad():
        of.W[0].mul_(0.5)


@pytest.mark.parametrize("change", [halve, lambda of: of.W[0].requires_grad_(False)])
def test_the_progress_function_may_change_the_network(
    change: Callable[[BatchNetwork], object],
) -> None:
    """With our `Optimizer` W F is stepped with W; with the equivalent torch optimiser it is not."""
    ours, plain = net(**LARGE), net(**LARGE)
    for of, optimizer in ((ours, Optimizer(0.1)), (plain, Sgd(plain.parameters(), 0.1))):
        fit(of, X, LABELS, epochs=3, batch_size=4, optimizer=optimizer,
            progress=lambda _, of=of: change(of))  # fmt: skip
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_copy_during_training_is_independent() -> None:
    first, kept = net(**LARGE), list[BatchNetwork]()
    fit(first, X, LABELS, epochs=1, optimizer=Optimizer(0.1),
        progress=lambda _: kept.append(copy.deepcopy(first)))  # fmt: skip
    twin = net(**LARGE)
    twin.load_state_dict(kept[0].state_dict())
    for one in (kept[0], twin):
        fit(one, X, LABELS, epochs=5, optimizer=torch.optim.SGD(one.parameters(), 0.5))
    assert all(map(torch.equal, kept[0].parameters(), twin.parameters()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": Optimizer(lr=-0.1)}, "lr: got -0.1"),
        ({"optimizer": Optimizer(momentum=1.0)}, "momentum: got 1.0"),
        ({"optimizer": Optimizer(decay_factor=0.0)}, "decay_factor: got 0"),
        ({"optimizer": Optimizer(decay_time=-4)}, "decay_time: got -4"),
        ({"optimizer": Optimizer(decay_at=5)}, "decay_at: got 5"),  # type: ignore[arg-type]
        ({"optimizer": 0.1}, r"optimizer: got 0\.1"),
        ({"optimizer": "adam"}, "optimizer: got 'adam'"),
        ({"epochs": 2.0}, "epochs: got 2.0; expected a whole number from 1 on"),
        ({"batch_size": 0}, "batch_size: got 0"),
    ],
)
def test_invalid_options(method: Any, options: dict[str, Any], text: str) -> None:
    given = {"epochs": 1, **options}
    with pytest.raises(BadOption, match=text):
        many([net(0), net(1)], X, LABELS, seeds=[0, 1], method=method, **given)
    with pytest.raises(BadOption, match=text):
        fit(net(), X, LABELS, **given)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    fit(net(), X, LABELS, epochs=np.int64(1), batch_size=np.int64(5))  # type: ignore[arg-type]
    many([net()], X, LABELS, seeds=[0], epochs=1, batch_size=np.int32(5))  # type: ignore[arg-type]


def test_invalid_seeds_and_methods() -> None:
    with pytest.raises(BadOption, match="seed: got -1"):
        fit(net(), X, LABELS, epochs=1, seed=-1)
    with pytest.raises(BadOption, match=r"seed: got 1\.5"):
        many([net()], X, LABELS, seeds=[1.5], epochs=1)  # type: ignore[list-item]
    with pytest.raises(BadOption, match=r"method: got 'parallel'.*side by side"):
        many([net()], X, LABELS, seeds=[0], epochs=1, method="parallel")  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="batch_size: got 0"):
        net().evaluate(X, LABELS, 0)
    with pytest.raises(BadOption, match=r"rate_models\.model\.optimizers\.Optimizer"):
        adam = torch.optim.Adam(net().parameters())
        many([net()], X, LABELS, seeds=[0], epochs=1, optimizer=adam)  # type: ignore[arg-type]


def test_nets_that_do_not_learn_the_same_weights_are_not_alike() -> None:
    frozen = net(1)
    frozen.W[0].requires_grad_(False)
    with pytest.raises(BadOption, match="requires_grad of the nets"):
        many([net(), frozen], X, LABELS, seeds=[0, 1], epochs=1)
    warm = [net(i, "node_perturbation", warmup=12) for i in range(2)]
    fit(warm[1], X, LABELS, epochs=1)
    with pytest.raises(BadOption, match="seen of the nets"):
        many(warm, X, LABELS, seeds=[0, 1], epochs=1)


def test_weights_of_the_feedback_that_are_not_to_learn_do_not() -> None:
    spec = NetworkSpec((6, 3, 4), "identity", "mse")
    of = BatchNetwork(spec, "bmvr", dtype="float64")
    of.Q.requires_grad_(False)
    before = of.Q.clone()
    fit(of, X, RNG.normal(size=(12, 4)), epochs=1, optimizer=Optimizer(0.01))
    assert torch.equal(of.Q, before)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_rate_of_0_lets_velocities_run_on(momentum: float) -> None:
    """v ← μ v, W ← W - v, whatever the gradient is; then with a rate again as before."""
    weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    sgd = Sgd([weight], 0.1, momentum, 0.01)
    w, v = np.ones(3), np.zeros(3)
    for lr in (0.1, 0.0, 0.0, 0.05, 0.1, 0.0):
        sgd.param_groups[0]["lr"] = lr
        gradient = RNG.normal(size=3)
        weight.grad = torch.tensor(gradient)
        sgd.step()
        v = momentum * v + lr * (gradient + 0.01 * w)
        w = w - v
        assert np.allclose(weight.detach().numpy(), w, rtol=1e-12)


def test_schedulers_that_reach_0_or_ask_for_the_loss() -> None:
    of = net()
    sgd = Sgd(of.parameters(), 0.1, 0.9)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 2)
    history = fit(of, X, LABELS, epochs=4, batch_size=4, optimizer=sgd, scheduler=cosine)
    assert len(history) == 4
    sgd = Sgd(of.parameters(), 1e-12)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, patience=0, eps=0)
    fit(of, X, LABELS, epochs=3, optimizer=sgd, scheduler=plateau)
    assert sgd.param_groups[0]["lr"] < 1e-12


def test_labels_as_decimal_numbers_are_labels() -> None:
    of = net()
    four = [0.0, 1.0, 2.0, 3.0]  # as many as there are outputs: no target vector for all
    of.fill_grad(X[:4], four)
    wanted = [w.grad.clone() for w in of.W]
    of.fill_grad(X[:4], [0, 1, 2, 3])
    assert all(torch.equal(a, b.grad) for a, b in zip(wanted, of.W, strict=True))
    assert of.evaluate(X[:4], four)["accuracy"] is not None
    with pytest.raises(BadOption, match=r"y: got 1\.5; expected class indices"):
        of.evaluate(X[:4], [0, 1.5, 2, 3])
    one = BatchNetwork(NetworkSpec((6, 5, 1), loss="mse"), "backprop")
    with pytest.raises(BadOption, match=r"target vectors \(N, 1\)"):
        one.fill_grad(X[:2], [0, 1])


def test_invalid_samples() -> None:
    odd = X.copy()
    odd[3, 2] = np.nan
    of = net()
    before = of.W[0].clone()
    with pytest.raises(BadSample, match="x, row 3: got NaN or infinite"):
        fit(of, odd, LABELS, epochs=1)
    with pytest.raises(BadSample, match="x_test, row 3"):
        many([of], X, LABELS, seeds=[0], epochs=1, x_test=odd, y_test=LABELS)
    assert torch.equal(of.W[0], before)
    for x in (["a", "b"], None, [[1.0], [1.0, 2.0]], X.astype(str), X * 1j):
        with pytest.raises(BadOption, match=r"x: got .*; expected an array of numbers"):
            fit(of, x, LABELS, epochs=1)
    with pytest.raises(BadOption, match=r"y: got .*; expected an array of numbers"):
        fit(of, X, list("abcdabcdabcd"), epochs=1)


@pytest.mark.parametrize("kind", [object, ">f8", "float16", "longdouble"])
def test_arrays_of_other_dtypes_are_accepted(kind: Any) -> None:
    given = X.astype("float16")
    wanted = net().evaluate(given.astype(float), LABELS)
    assert net().evaluate(given.astype(kind), LABELS.astype(">i4")) == wanted


def test_parameters_that_do_not_fit_change_nothing() -> None:
    of = net()
    before, zero = of.numpy(), of.numpy()
    zero["W"] = [0 * w for w in zero["W"]]
    for bad in ({**zero, "F": [["a"]]}, {**zero, "F": zero["F"][:2]}, {"W": 5}):
        with pytest.raises(BadOption):
            of.load_parameters(bad)
        assert np.array_equal(of.numpy()["W"][0], before["W"][0])
    of.load_parameters(net(3).arrays())
    assert torch.equal(of.W[0], net(3).W[0])


def test_feedback_that_diverges_is_reported() -> None:
    of = BatchNetwork(SPEC, "node_perturbation", warmup=1000, eta_b=1e3)  # W does not learn
    with pytest.raises(Diverged), np.errstate(all="ignore"):
        fit(of, 1e3 * X, LABELS, epochs=9, batch_size=4)


@pytest.mark.parametrize(
    ("image", "layer"), [((28, 28), (4, 5)), (28, (4, 5)), ((1, 28, 28), (4, (5, 5)))]
)
def test_invalid_convolutions(image: Any, layer: Any) -> None:
    with pytest.raises(BadOption, match="convolution"):
        ConvolutionalSpec.of(image, (Convolution(*layer), 10))


def test_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        many([net(0), net(1)], X, LABELS, seeds=[0, 1], epochs=1, method="side by side")
        threads: list[int] = []
        import threading

        thread = threading.Thread(target=lambda: threads.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert threads == [2]
    finally:
        torch.set_num_threads(before)
