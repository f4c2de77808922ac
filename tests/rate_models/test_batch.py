"""`BatchNetwork`: the same arrays and mathematics as online, with any torch optimiser."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import suited_network
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch")

from rate_models import rules  # noqa: E402
from rate_models.batch import BatchNetwork, Sgd, fit  # noqa: E402
from rate_models.errors import BadOption, Diverged, UnknownName, UserError  # noqa: E402
from rate_models.model.optimizers import Optimizer  # noqa: E402
from rate_models.network import NetworkSpec, one_hot  # noqa: E402
from rate_models.online.network import OnlineNetwork  # noqa: E402
from rate_models.rules import (  # noqa: E402
    Own,
    Term,
    Update,
)
from rate_models.textbook import Textbook, initial_parameters  # noqa: E402

RULES = rules.names()
SPEC = NetworkSpec((6, 5, 7, 4), bias=True)
RNG = np.random.default_rng(5)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)
Y = one_hot(LABELS, 4)
MASKS = [(RNG.random((12, n)) > 0.3) / 0.7 for n in (5, 7)]


def double(rule: str = "pepita", seed: int = 0, **hyper: Any) -> BatchNetwork:
    return BatchNetwork(SPEC, rule, seed, "float64", **hyper)


def suited(rule: str) -> tuple[NetworkSpec, list[Any]]:
    spec = suited_network(rule, SPEC)
    return spec, MASKS[: spec.layers - 1]


def same(ours: dict[str, Any], theirs: dict[str, Any], rtol: float = 1e-10) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():  # a list of arrays, or an array of rows
        for a, b in zip(value, theirs[name], strict=True):
            assert_allclose(a, b, rtol=rtol, atol=rtol * 0.01)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_arrays_are_those_of_the_online_network(rule: str, dtype: str) -> None:
    spec, _ = suited(rule)
    online = OnlineNetwork(spec, rule, seed=4, dtype=dtype)
    same(BatchNetwork(spec, rule, 4, dtype).numpy(), online.parameters(), 0.0)


def test_the_state_dict_names_parameters_and_buffers() -> None:
    net = double("pepita")
    names = {"W.0", "W.1", "W.2", "b.0", "b.1", "b.2"}
    assert {name for name, _ in net.named_parameters()} == names
    assert {name for name, _ in net.named_buffers()} == {"F"}
    assert set(net.state_dict()) == names | {"F"}
    other = double("pepita", seed=1)
    other.load_state_dict(net.state_dict())
    same(other.numpy(), net.numpy(), 0.0)


def test_any_optimiser_and_scheduler_works() -> None:
    net = BatchNetwork(SPEC, "pepita")
    adam = torch.optim.Adam(net.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(adam, milestones=[60])
    before = net.evaluate(X, LABELS)["loss"]
    for _ in range(80):
        net.fill_grad(X, LABELS)
        adam.step()
        scheduler.step()
    after = net.evaluate(X, LABELS)["loss"]
    assert before is not None and after is not None and after < before / 2
    assert adam.param_groups[0]["lr"] == pytest.approx(0.005)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("numbers", [(0.1, 0, 0), (0.1, 0.9, 0), (0.1, 0.9, 0.1), (0.1, 0, 0.1)])
def test_our_sgd_is_the_textbooks_and_at_a_constant_rate_torchs(
    rule: str, dropout: bool, numbers: Any
) -> None:
    spec, given = suited(rule)
    nets = [BatchNetwork(spec, rule, 0, "float64") for _ in range(2)]
    masks = given if dropout else None
    ours = Sgd(nets[0].parameters(), *numbers)
    theirs = torch.optim.SGD(nets[1].parameters(), *numbers[:2], weight_decay=numbers[2])
    book = Textbook(spec, rule, initial_parameters(spec, rule, 0), Optimizer(*numbers))
    widths = book.definition.noise.widths(spec, book.hyper)
    for step in range(10):
        u = np.random.default_rng(step)
        noise = [
            book.definition.noise.transform(book.hyper, u.random((12, width))) for width in widths
        ]
        for net, sgd in zip(nets, (ours, theirs), strict=True):
            net.fill_grad(X, LABELS, masks, noise, batch_size=16)
            sgd.step()
        book.learn(X, Y, masks, noise, batch_size=16)
    for net in nets:
        same(net.numpy(), book.params)
        assert_allclose(net(X).detach(), book.predict(X), rtol=1e-10)


def test_our_sgd_resumes_takes_a_closure_and_refuses_bad_numbers() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    sgd = Sgd([weight], lr=0.5, momentum=0.5)

    def closure() -> float:
        weight.grad = torch.ones(1)
        return 3.0

    assert sgd.step(closure) == 3.0
    twin = torch.nn.Parameter(weight.detach().clone())
    resumed = Sgd([twin], lr=0.1)
    resumed.load_state_dict(copy.deepcopy(sgd.state_dict()))
    twin.grad = torch.ones(1)
    resumed.step()
    sgd.step(closure)
    assert twin.item() == weight.item() == 1 - 0.5 - 0.75
    with pytest.raises(BadOption, match="momentum"):
        Sgd([weight], momentum=1)


def test_a_frozen_layer_gets_no_gradient() -> None:
    net = double("pepita", inject=1)
    net.fill_grad(X, LABELS)
    frozen = {name for name, parameter in net.named_parameters() if parameter.grad is None}
    assert frozen == {"W.0", "b.0"}


def test_classes_and_vectors_arrays_and_tensors_are_equivalent() -> None:
    readonly = X.copy()
    readonly.flags.writeable = False
    given = [(X, Y), (X, LABELS.astype(np.uint8)), (X.tolist(), LABELS.tolist()), (readonly, Y)]
    given += [(torch.tensor(X), torch.tensor(LABELS)), (X[:, ::-1][:, ::-1], Y.astype(bool))]
    net = double()
    net.fill_grad(X, LABELS)
    wanted = [p.grad.clone() for p in net.parameters()]
    for x, y in given:
        net.fill_grad(x, y)
        assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), wanted, strict=True))


def test_dropout_masks_come_from_the_seed_and_change_with_every_batch() -> None:
    def gradients(net: BatchNetwork) -> Any:
        net.fill_grad(X, LABELS)
        return net.W[1].grad.clone()

    nets = [double(seed=1, dropout=0.5), double(seed=1, dropout=0.5)]
    first, again = gradients(nets[0]), gradients(nets[1])
    assert torch.equal(first, again)
    copied = copy.deepcopy(nets[0])
    second = gradients(nets[0])
    assert not torch.equal(first, second)
    assert torch.equal(gradients(copied), second)
    assert torch.equal(nets[0](X), nets[0](X))
    masks = BatchNetwork(NetworkSpec((2, 10000, 2)), dropout=0.1).draws(3).masks
    assert masks is not None
    assert sorted(masks[0].unique().tolist()) == pytest.approx([0, 1 / 0.9])
    assert (masks[0] == 0).float().mean().item() == pytest.approx(0.1, abs=0.005)


def test_noise_can_be_given() -> None:
    noise = RNG.uniform(-1, 1, (12, 4))
    net = double("pepita", modulation="random")
    net.fill_grad(X, LABELS, noise=[noise])
    params = initial_parameters(SPEC, "pepita", 0)
    book = Textbook(SPEC, "pepita", params, Optimizer(lr=1), modulation="random")
    book.learn(X, Y, noise=[noise])
    for w, parameter, start in zip(params["W"], net.W, double().W, strict=True):
        assert_allclose((start - parameter.grad).detach(), w, rtol=1e-10)
    net.fill_grad(X, LABELS)
    assert not np.allclose((double().W[0] - net.W[0].grad).detach(), params["W"][0])


def test_a_rule_with_two_steps_per_batch_and_arrays_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def batch(spec: Any, params: Any, hyper: Any, x: Any, y: Any, draws: Any) -> Any:
        for _ in range(2):
            seen.append(params["W"][0].clone())
            terms: list[list[Term] | None] = [[Term(x[:, :5] * 0 + 1, x)], None, None]
            yield Update(terms)
        params["B"][1] += 1

    own = Own("B", each=lambda spec, hyper: [(1, 2), (3,)], changes="learned")
    rule = replace(rules.get("backprop"), batch=batch, own=(own,))
    monkeypatch.setattr(rules, "get", lambda name: rule)
    net = double("twice")
    assert {name for name, _ in net.named_buffers()} == {"B.0", "B.1"}
    sgd = Sgd(net.parameters(), lr=0.1)
    for _ in net.updates(X, LABELS):
        assert torch.is_grad_enabled()  # the caller's setting holds between the updates
        sgd.step()
    assert not torch.equal(seen[0], seen[1])
    assert set(net.numpy()["B"][1]) == {1}
    with pytest.raises(BadOption, match=r"for _ in net\.updates"):
        net.fill_grad(X, LABELS)


@pytest.mark.parametrize("rule", RULES)
def test_conversion_in_both_directions(rule: str) -> None:
    spec, _ = suited(rule)
    online = OnlineNetwork(spec, rule, seed=2, dtype="float64", optimizer=Optimizer(0.1, 0.9))
    online.learn(X, LABELS)
    net = BatchNetwork.from_online(online)
    assert (net.rule, net.dtype, net.hyper) == (rule, "float64", online.hyper)
    same(net.numpy(), online.parameters(), 0.0)
    assert_allclose(net(X).detach(), online.predict(X), rtol=1e-10)
    net.fill_grad(X, LABELS)
    Sgd(net.parameters(), lr=0.5).step()
    back = net.to_online(optimizer=Optimizer(lr=0.2))
    same(back.parameters(), net.numpy(), 0.0)
    assert back.optimizer.lr == 0.2
    assert net.to_online("float32").parameters()["W"][0].dtype == np.float32
    assert BatchNetwork.from_online(online, "float32").dtype == "float32"


def test_evaluate_is_the_mean_over_samples_for_any_batch_size() -> None:
    net = double()
    h = net(X).detach().numpy()
    wanted = {
        "accuracy": (h.argmax(1) == LABELS).mean(),
        "loss": -np.log(h[np.arange(12), LABELS]).mean(),
    }
    for size in (1, 5, 1000):
        assert net.evaluate(X, LABELS, size) == pytest.approx(wanted)
    assert net.evaluate(X, Y) == {"accuracy": None, "loss": pytest.approx(wanted["loss"])}


def test_fit_is_the_loop_over_shuffled_batches() -> None:
    numbers = Optimizer(0.1, 0.9, decay_at=(12,))
    net, seen = double("pepita", seed=3), []
    history = fit(net, X, LABELS, epochs=2, batch_size=5, optimizer=numbers, seed=9,
                  progress=seen.append)  # fmt: skip
    book = Textbook(SPEC, "pepita", initial_parameters(SPEC, "pepita", 3), numbers)
    for epoch in range(2):
        order = np.random.default_rng([9, epoch]).permutation(12)
        for chosen in (order[:5], order[5:10], order[10:]):
            book.learn(X[chosen], Y[chosen], batch_size=5)
    same(net.numpy(), book.params)
    assert history == seen == [{"epoch": e, **history[e]} for e in range(2)]
    assert {**history[-1]} == {"epoch": 1, **net.evaluate(X, LABELS)}


def test_fit_with_torchs_optimiser_and_scheduler() -> None:
    net = double("backprop")
    sgd = torch.optim.SGD(net.parameters(), lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(sgd, step_size=1, gamma=0.5)
    history = fit(net, X, Y, epochs=3, optimizer=sgd, scheduler=scheduler, x_test=X, y_test=LABELS)
    assert sgd.param_groups[0]["lr"] == 0.0625
    assert history[-1]["accuracy"] is not None


def test_fit_stops_where_weights_are_not_finite() -> None:
    with pytest.raises(Diverged, match=r"epoch 0.*lower the learning rate"):
        fit(BatchNetwork(SPEC), X, LABELS, epochs=3, batch_size=2, optimizer=Optimizer(lr=1e38))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BatchNetwork(SPEC, dtype="float16"), "float32, float64"),
        (lambda: BatchNetwork(SPEC, seed=-1), "whole number"),
        (lambda: BatchNetwork(SPEC, "pepitta"), "did you mean 'pepita'"),
        (lambda: BatchNetwork(SPEC, drop=0.1), "did you mean 'dropout'"),
        (lambda: BatchNetwork(SPEC, device="abacus"), "device: got 'abacus'"),
        (lambda: double().fill_grad(X[:, 1:], LABELS), r"x: got shape \(12, 5\)"),
        (lambda: double().fill_grad(X[:0], LABELS[:0]), "at least 1"),
        (lambda: double().fill_grad(X, LABELS[1:]), "11 labels; expected 12"),
        (lambda: double().fill_grad(X, LABELS + 4), "expected 0 to 3"),
        (lambda: double().fill_grad(X, LABELS - 4), "expected 0 to 3"),
        (lambda: double().fill_grad(X, Y[:, 1:]), r"y: got shape \(12, 3\)"),
        (lambda: double().fill_grad(X, LABELS, masks=MASKS[:1]), "1 arrays; expected 2"),
        (lambda: double().fill_grad(X, LABELS, masks=MASKS[::-1]), r"masks: got shape \(12, 7\)"),
        (lambda: double().load_parameters({"V": []}), "V"),
        (lambda: double().load_parameters({"W": [X]}), "W: got shapes"),
        (lambda: fit(double(), X, LABELS, epochs=0), "epochs: got 0"),
        (lambda: fit(double(), X, LABELS, epochs=1, x_test=X), "both x_test and y_test"),
    ],
)
def test_invalid_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()


def test_parameters_that_do_not_fit_change_nothing() -> None:
    net = double()
    before = net.numpy()
    with pytest.raises(UnknownName):
        net.load_parameters({"F": before["F"] + 1, "nothing": 0})
    same(net.numpy(), before, 0.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_has_the_same_results() -> None:
    nets = double(), BatchNetwork(SPEC, "pepita", 0, "float64", "cuda")
    for net in nets:
        fit(net, X, LABELS, epochs=3, batch_size=5, optimizer=Optimizer(0.1, 0.9))
    same(nets[1].numpy(), nets[0].numpy())
    BatchNetwork(SPEC, device="cuda", dropout=0.1).fill_grad(X, LABELS)
