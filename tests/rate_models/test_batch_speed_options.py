"""Precision of products and compilation: they change results only on request, and by rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rate_models.batch import (  # noqa: E402
    BatchNetwork,
    ConvolutionalSpec,
    Sgd,
    fit,
    fit_many,
    onednn,
)
from rate_models.batch.convolution import Convolution  # noqa: E402
from rate_models.batch.precision import matmul_precision  # noqa: E402
from rate_models.errors import BadOption  # noqa: E402
from rate_models.network import NetworkSpec  # noqa: E402

SPEC = NetworkSpec((6, 5, 4, 3), bias=True)
RNG = np.random.default_rng(7)
X, LABELS = RNG.normal(size=(21, 6)), RNG.integers(0, 3, 21)
MIRRORED = {"init": "he_normal", "sign": -1, "mirror_every": 3}
RULES = [
    ("pepita", {"form": "hebbian"}),
    pytest.param("backprop", {}, marks=pytest.mark.slow),
    pytest.param("node_perturbation", {"solver": "ridge"}, marks=pytest.mark.slow),
    pytest.param("pepita", MIRRORED, marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def fresh() -> Any:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)
    torch._dynamo.reset()


def test_training_is_as_precise_as_asked_and_leaves_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    plain = BatchNetwork.checked_updates

    def watched(*given: Any) -> Any:
        seen.append(torch.get_float32_matmul_precision())
        yield from plain(*given)

    monkeypatch.setattr(BatchNetwork, "checked_updates", watched)
    torch.set_float32_matmul_precision("medium")
    fit(BatchNetwork(SPEC), X, LABELS, epochs=1)
    fit(BatchNetwork(SPEC), X, LABELS, epochs=1, precision="high")
    nets = [BatchNetwork(SPEC, seed=seed) for seed in range(3)]
    for method in ("in turn", "side by side"):
        fit_many(nets, X, LABELS, seeds=range(3), epochs=1, method=method, precision="high")  # type: ignore[arg-type]
    assert seen == ["highest", *["high"] * 7]
    assert torch.get_float32_matmul_precision() == "medium"
    with pytest.raises(BadOption, match="highest or high or medium"):
        fit(BatchNetwork(SPEC), X, LABELS, epochs=1, precision="low")  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError), matmul_precision("high", torch.device("cpu")):
        _ = 1 / 0
    assert torch.get_float32_matmul_precision() == "medium"


TORCHS_OWN = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@TORCHS_OWN
@pytest.mark.parametrize(("rule", "hyper"), RULES)
def test_compiled_is_the_rule(rule: str, hyper: dict[str, Any]) -> None:
    ours, plain = (BatchNetwork(SPEC, rule, 1, "float64", **hyper) for _ in range(2))
    ours.compile(backend="aot_eager")
    learned(ours)
    learned(plain)
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, plain.state_dict()[name], rtol=1e-10, atol=1e-12)


def learned(net: BatchNetwork) -> None:
    """Several batches, the last of them short, and one after another through `updates`."""
    fit(net, X, LABELS, epochs=2, batch_size=8)
    sgd = Sgd(net.parameters(), 0.1, 0.9)
    for _ in range(2):
        net.fill_grad(X, LABELS)
        sgd.step()


def test_two_steps_a_batch_are_not_compiled() -> None:
    net = BatchNetwork(SPEC, form="time_local")
    start = net.numpy()["W"][0]
    net.compile(backend="eager")
    with pytest.raises(BadOption, match="2 optimiser steps a batch"):
        fit(net, X, LABELS, epochs=1)
    assert np.array_equal(net.numpy()["W"][0], start)


@TORCHS_OWN
@pytest.mark.slow
def test_compiled_by_the_default_backend() -> None:
    """A dense network and one with convolutions; needs a C++ compiler."""
    conv = ConvolutionalSpec.of((1, 6, 6), (Convolution(4, 3, pool=2), 3), conv_norm="mean")
    images = RNG.random((21, 36))
    for spec, x in ((SPEC, X), (conv, images)):
        ours, plain = (BatchNetwork(spec, "pepita", 1, "float64") for _ in range(2))
        ours.compile()
        fit(ours, x, LABELS, epochs=2, batch_size=8)
        fit(plain, x, LABELS, epochs=2, batch_size=8)
        for name, tensor in ours.state_dict().items():
            torch.testing.assert_close(tensor, plain.state_dict()[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rule", ["backprop", "pepita", "node_perturbation"])
def test_onednn_computes_what_mkl_does(
    rule: str, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients, and metrics, by the two libraries differ by rounding alone."""
    results = []
    for known in (True, False):
        monkeypatch.setattr(onednn, "_known", lambda known=known: known)
        net = BatchNetwork(NetworkSpec((6, 9, 7, 4), bias=bias), rule, seed=3)
        assert isinstance(net._computed(), onednn.OneDnnSpec) == known
        assert type(net.spec) is NetworkSpec
        for _ in net.updates(X, LABELS):
            pass
        grads = [w.grad.clone() for w in net.parameters() if w.grad is not None]
        results.append([*grads, torch.tensor(list(net.evaluate(X, LABELS).values()))])
    assert results[0]
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_onednn_is_for_single_precision_dense_networks_on_processors() -> None:
    spec, convolutions = (
        NetworkSpec((6, 9, 4)),
        ConvolutionalSpec.of((1, 6, 6), [Convolution(3, 3), 4]),
    )
    assert BatchNetwork(spec, dtype="float64")._computed() is spec
    assert BatchNetwork(convolutions)._computed() is convolutions
