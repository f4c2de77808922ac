"""Training many seeds at once has the same results as one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import suited_network

torch = pytest.importorskip("torch")

from rate_models import rules  # noqa: E402
from rate_models.batch import (  # noqa: E402
    BatchNetwork,
    fit,
    fit_many,
    many,
)
from rate_models.batch.going_on import State  # noqa: E402
from rate_models.errors import BadOption, Diverged  # noqa: E402
from rate_models.model.optimizers import Optimizer  # noqa: E402
from rate_models.network import NetworkSpec  # noqa: E402

RULES = rules.names()
SPEC = NetworkSpec((6, 5, 7, 4), bias=True)
RNG = np.random.default_rng(5)
X, LABELS = RNG.normal(size=(23, 6)), RNG.integers(0, 4, 23)
EVERYTHING = Optimizer(0.02, 0.9, 1e-3, decay_at=(30,))
SEEDS = (3, 8, 4)
MORE: list[tuple[str, dict[str, Any]]] = [
    ("pepita", {"form": "time_local"}),
    ("pepita", {"form": "hebbian", "presynaptic": "standard"}),
    ("pepita", {"inject": 1}),
    ("pepita", {"modulation": "random"}),
    ("pepita", {"init": "he_normal", "sign": -1, "mirror_before": 20, "mirror_every": 11}),
    ("node_perturbation", {"solver": "ridge", "warmup": 30}),
    ("node_perturbation", {"feedback": "dfa", "warmup": 12}),
]


def networks(rule: str, dtype: str = "float64", seeds: Any = SEEDS, **hyper: Any) -> Any:
    spec = suited_network(rule, SPEC)
    return [BatchNetwork(spec, rule, seed, dtype, **hyper) for seed in seeds]


def assert_same(ours: BatchNetwork, theirs: BatchNetwork, rtol: float = 1e-10) -> None:
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == other.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, other[name], rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("rule", "hyper"), [*((rule, {}) for rule in RULES), *MORE])
def test_together_is_one_by_one(rule: str, hyper: dict[str, Any]) -> None:
    if "dropout" in rules.get(rule).hyperparameters._fields:
        hyper = {**hyper, "dropout": 0.3}
    options: Any = {"epochs": 3, "batch_size": 5, "optimizer": EVERYTHING}
    ours, theirs = networks(rule, **hyper), networks(rule, **hyper)
    start = [net.W[0].clone() for net in ours]
    histories = fit_many(ours, X, LABELS, seeds=(0, 1, 7), method="together", **options)
    for i, seed in enumerate((0, 1, 7)):
        history = fit(theirs[i], X, LABELS, seed=seed, **options)
        assert [m["epoch"] for m in histories[i]] == [0, 1, 2]
        assert histories[i][-1] == pytest.approx(history[-1], rel=1e-9)
        assert_same(ours[i], theirs[i])
    assert not torch.equal(ours[0].W[0], ours[1].W[0])
    moved = not all(torch.equal(net.W[0], w) for net, w in zip(ours, start, strict=True))
    assert moved == (hyper.get("inject", 0) == 0)


@pytest.mark.parametrize(("method", "rtol"), [("in turn", 0.0), ("side by side", 1e-12)])
def test_one_network_at_a_time_in_each_thread(
    method: Any, rtol: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With identical bits in turn; several threads sum in another order than one thread does."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    ours, theirs = networks("pepita", dropout=0.1), networks("pepita", dropout=0.1)
    fit_many(ours, X, LABELS, seeds=SEEDS, epochs=2, batch_size=5, method=method)
    for net, seed in zip(theirs, SEEDS, strict=True):
        fit(net, X, LABELS, seed=seed, epochs=2, batch_size=5)
    for a, b in zip(ours, theirs, strict=True):
        assert_same(a, b, rtol)


def test_single_precision_and_a_test_set() -> None:
    ours, theirs = networks("pepita", "float32"), networks("pepita", "float32")
    options: Any = {"epochs": 4, "x_test": X[:7], "y_test": LABELS[:7]}
    histories = fit_many(ours, X, LABELS, seeds=SEEDS, method="together", **options)
    for i, seed in enumerate(SEEDS):
        history = fit(theirs[i], X, LABELS, seed=seed, **options)
        assert_same(ours[i], theirs[i], 1e-4)
        assert histories[i][-1]["loss"] == pytest.approx(history[-1]["loss"], rel=1e-4)


@pytest.mark.parametrize("fast", ["together", "in turn", "side by side"])
def test_a_trial_selects_the_fastest_method_and_changes_no_number(
    fast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    times = iter(
        [1.0 if method == fast else 9.0 for method in ("together", "in turn", "side by side")]
    )

    def seconds(call: Any, device: Any) -> float:
        call()
        return next(times)

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(many, "_seconds", seconds)
    ours, theirs = networks("pepita", dropout=0.1), networks("pepita", dropout=0.1)
    fit_many(ours, X, LABELS, seeds=SEEDS, epochs=2, notify=lines.append)
    fit_many(theirs, X, LABELS, seeds=SEEDS, epochs=2, method=fast)
    assert len(lines) == 1 and lines[0].startswith(f"3 networks {fast}: ")
    for a, b in zip(ours, theirs, strict=True):
        assert_same(a, b, 0.0)


def test_the_trial_takes_real_times() -> None:
    lines: list[str] = []
    fit_many(networks("pepita"), X, LABELS, seeds=SEEDS, epochs=1, notify=lines.append)
    assert lines[0].endswith("(ms)") and "in turn" in lines[0] and "together" in lines[0]


@pytest.mark.parametrize("method", ["together", "in turn", "side by side"])
def test_one_that_diverges_stops_and_the_others_continue(method: Any) -> None:
    nets = networks("backprop")
    with torch.no_grad():
        nets[1].W[0][0, 0] = torch.inf
    seen: list[int] = []
    histories = fit_many(nets, X, LABELS, seeds=SEEDS, epochs=2, method=method,
                         progress=lambda i, metrics: seen.append(i))  # fmt: skip
    assert [len(history) for history in histories] == [2, 0, 2]
    assert sorted(seen) == [0, 0, 2, 2]
    with pytest.raises(Diverged, match="all 1 networks"):
        fit_many(nets[1:2], X, LABELS, seeds=(0,), epochs=1)


def test_networks_own_their_arrays_afterwards() -> None:
    nets = networks("pepita")
    fit_many(nets, X, LABELS, seeds=SEEDS, epochs=1, method="together")
    for tensor in nets[0].state_dict().values():
        assert tensor.untyped_storage().nbytes() == tensor.numel() * 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nets": []}, "0 with 3 seeds"),
        ({"seeds": (1, 2)}, "3 with 2 seeds"),
        ({"nets": networks("pepita")[:2] + networks("backprop")[:1]}, "spec|rule"),
        ({"nets": networks("pepita")[:2] + networks("pepita", "float32")[:1]}, "dtype of the nets"),
        ({"nets": networks("pepita")[:2] + networks("pepita", dropout=0.1)[:1]}, "hyper of the"),
        ({"epochs": 0}, "epochs: got 0"),
    ],
)
def test_invalid_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    given: Any = {"nets": networks("pepita"), "seeds": SEEDS, "epochs": 1, **change}
    with pytest.raises(BadOption, match=message):
        fit_many(given.pop("nets"), X, LABELS, **given)


@pytest.mark.parametrize("method", ["in turn", "side by side"])
@pytest.mark.parametrize("rule", ["pepita", "node_perturbation"])
def test_training_resumes_with_identical_bits(
    rule: str, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"epochs": 4, "batch_size": 5, "method": method, "seeds": SEEDS}
    sgd = {"optimizer": Optimizer(0.05, 0.9, decay_at=(len(X), 3 * len(X)))}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    kept: dict[int, State] = {}

    def keep(i: int, state: State) -> None:
        if state.epochs == 2 and i != 1:  # the one at 1 starts anew
            arrays = {name: tensor.clone() for name, tensor in state.arrays.items()}
            kept[i] = state._replace(arrays=arrays)

    hyper = {"dropout": 0.3} if rule == "pepita" else {}
    whole, again = (networks(rule, "float32", **hyper) for _ in range(2))
    expected = fit_many(whole, X, LABELS, keep=keep, **options, **sgd)
    histories = fit_many(again, X, LABELS, resume=kept, **options, **sgd)
    assert sorted(kept) == [0, 2]
    assert histories == [expected[0][2:], expected[1], expected[2][2:]]
    for one, other in zip(whole, again, strict=True):
        assert_same(one, other, rtol=0.0)


def test_invalid_states_to_resume() -> None:
    state = State(1, 1, 0.1, {"net.W.0": np.ones((2, 2))})
    nets = networks("pepita")
    for more in ({"method": "together"}, {"method": "in turn"}):
        with pytest.raises(BadOption, match="resume"):
            fit_many(nets, X, LABELS, seeds=SEEDS, epochs=2, resume={0: state}, **more)  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="one of our own"):
        fit(nets[0], X, LABELS, epochs=2, optimizer=torch.optim.SGD(nets[0].parameters()),
            resume=state)  # fmt: skip
