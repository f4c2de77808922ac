"""The compiled network against the textbook after every sample, under every rule and option."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import EVERYTHING, MOMENTUM, PLAIN, Case, deviation, fitting, state_bytes

from rate_models import rules
from rate_models.errors import BadOption, Diverged, UnknownName
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online import kernel as online_kernel
from rate_models.online.network import OnlineNetwork

RULES = rules.names()
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


def common(rule: str) -> list[Case]:
    """What every rule must do: any depth, biases, optimisers, densities, dropout."""
    hyper = rules.get(rule).hyperparameters._fields
    dropout = {"dropout": 0.2} if "dropout" in hyper else {}
    return [
        Case(rule),
        Case(rule, optimizer=MOMENTUM),
        Case(rule, optimizer=EVERYTHING),
        Case(rule, optimizer=Optimizer(lr=0.02, weight_decay=1e-2)),
        Case(rule, density=1.0),
        Case(rule, structured=False),
        Case(rule, structured=False, optimizer=EVERYTHING),
        Case(rule, sizes=(20, 5)),
        Case(rule, sizes=(20, 16, 12, 9, 5), hyper=dropout),
        Case(rule, sizes=(20, 16, 12, 5), spec={"bias": True}, optimizer=EVERYTHING, hyper=dropout),
    ]


DEEP = (20, 16, 12, 9, 5)
VARIANTS = [
    Case("pepita", DEEP, hyper={"presynaptic": "standard", "sign": -1, "feedback_scale": 0.3}),
    Case("pepita", DEEP, hyper={"presynaptic": "standard"}, optimizer=EVERYTHING),
    Case("pepita", DEEP, hyper={"modulation": "random", "perturbation": 0.1}),
    Case("pepita", DEEP, hyper={"modulation": "random", "perturbation": 0.1, "range": "positive"}),
    Case("pepita", DEEP, hyper={"feedback_scale": 0.0}),
    Case("pepita", DEEP, hyper={"inject": 1}),
    Case("pepita", DEEP, hyper={"inject": 2, "dropout": 0.1}, optimizer=EVERYTHING),
    Case("pepita", hyper={"init": "he_normal"}),
    Case("pepita", (20, 5), structured=False),
    Case("pepita", DEEP, hyper={"presynaptic": "standard"}, structured=False),
    *(
        Case("pepita", sizes, optimizer, hyper={"form": form, **more}, structured=structured)
        for form in ("hebbian", "time_local")
        for sizes, optimizer, more, structured in (
            ((20, 16, 5), PLAIN, {}, True),
            (DEEP, PLAIN, {"sign": -1, "feedback_scale": 0.1, "dropout": 0.2}, True),
            (DEEP, EVERYTHING, {"feedback_scale": 0.3}, True),
            (DEEP, PLAIN, {"feedback_scale": 0.3}, False),
            (DEEP, EVERYTHING, {"feedback_scale": 0.3, "dropout": 0.2}, False),
            (DEEP, PLAIN, {"presynaptic": "standard", "feedback_scale": 0.3}, True),
            (DEEP, PLAIN, {"presynaptic": "standard", "feedback_scale": 0.3}, False),
            (DEEP, EVERYTHING, {"inject": 1}, True),
            ((20, 5), PLAIN, {"feedback_scale": 0.3}, True),
            ((20, 5), EVERYTHING, {"feedback_scale": 0.3}, False),
        )
    ),
    *(
        Case("pepita", (20, 16, 12, 5), spec=spec, hyper={"form": form})
        for form in ("hebbian", "time_local")
        for spec in ({"loss": "mse", "output": "sigmoid", "bias": True, "activation": "tanh"},)
    ),
    *(
        Case("adaptive_feedback_alignment", DEEP, optimizer, hyper=hyper, structured=structured)
        for optimizer in (PLAIN, EVERYTHING)
        for hyper in ({"feedback_scale": 1.0, "sign": 1, "dropout": 0.2}, {"init": "he_normal"})
        for structured in (True, False)
    ),
    *(
        Case(rule, (20, 16, 12, 5), spec={"activation": activation, **loss})
        for rule in ("pepita", "backprop", "adaptive_feedback_alignment")
        for activation in ("tanh", "sigmoid", "erf", "identity")
        for loss in (
            {"loss": "binary_cross_entropy"},
            {"loss": "mse", "output": "sigmoid", "bias": True},
        )
    ),
]
CASES = [*fitting(case for rule in RULES for case in common(rule)), *VARIANTS]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_online_equals_textbook_after_every_sample(case: Case, dtype: str) -> None:
    net, book = case.online(dtype), case.textbook()
    x, labels, y = case.samples(200)
    for t in range(len(x)):
        masks, noise = case.draws(t)
        expected = book.predict(x[t : t + 1])
        outcome = case.learn(net, x[t : t + 1], labels[t : t + 1], y[t : t + 1])
        book.learn(x[t : t + 1], y[t : t + 1], masks, noise)
        # what is learned, and what was predicted before learning
        assert deviation(net.parameters(), book.params) < TOLERANCE[dtype], f"sample {t}"
        assert deviation({"h": outcome.outputs}, {"h": expected}) < TOLERANCE[dtype], f"sample {t}"
    assert deviation({"h": net.predict(x)}, {"h": book.predict(x)}) < TOLERANCE[dtype]
    start = case.textbook().params["W"]
    assert any(
        np.abs(a - b).max() > 1e-3 for a, b in zip(net.parameters()["W"], start, strict=True)
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_thousand_samples_stay_together(rule: str) -> None:
    case = Case(rule, (64, 32, 10))
    net, book = case.online(), case.textbook()
    x, labels, y = case.samples(1000)
    for t in range(1000):
        case.learn(net, x[t : t + 1], labels[t : t + 1], y[t : t + 1])
        book.learn(x[t : t + 1], y[t : t + 1], *case.draws(t))
    assert deviation(net.parameters(), book.params) < 1e-10


CHUNKED = fitting(
    case
    for rule in RULES
    for case in (
        Case(rule, (20, 16, 12, 5)),
        Case(rule, (20, 16, 12, 5), optimizer=EVERYTHING, hyper={"dropout": 0.2}),
        Case(rule, density=1.0),
        Case(rule, structured=False),
        Case(rule, optimizer=Optimizer(lr=0.02, weight_decay=1e-2), spec={"bias": True}),
    )
)
CHUNKED += [
    Case("pepita", (20, 16, 12, 5), optimizer, hyper={"form": form}, structured=structured)
    for form in ("hebbian", "time_local")
    for optimizer in (PLAIN, EVERYTHING)
    for structured in (True, False)
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CHUNKED, ids=str)
def test_any_chunking_gives_the_same_bits(
    case: Case, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, labels, y = case.samples(150)
    whole = case.online(dtype)
    case.learn(whole, x, labels, y)
    for size in (1, 7, 64):
        net = case.online(dtype)
        for at in range(0, len(x), size):
            part = slice(at, at + size)
            case.learn(net, x[part], labels[part], y[part])
            net.parameters()  # reading
            net.predict(x[:3])  # and predicting change nothing
            if at >= 70 and size == 7:  # a reload on the way
                fresh = case.online(dtype)
                fresh.load_state(net.state())
                net = fresh
        assert state_bytes(net) == state_bytes(whole)


@pytest.mark.parametrize("optimizer", [PLAIN, EVERYTHING], ids=["plain", "moving"])
def test_folding_keeps_the_weights(optimizer: Optimizer) -> None:
    case = Case("pepita", optimizer=optimizer)
    net, book = case.online(), case.textbook()
    x, labels, y = case.samples(400)
    net._clock[0] = online_kernel.FOLD_EVERY - 200  # folds in mid-stream
    book.samples_seen = net.samples_seen
    case.learn(net, x[:200], labels[:200], y[:200])
    assert not net._syn.U.any()
    assert not net._syn.pending.any()
    case.learn(net, x[200:], labels[200:], y[200:])
    for t in range(400):
        book.learn(x[t : t + 1], y[t : t + 1])
    assert deviation(net.parameters(), book.params) < 1e-10


def test_one_signature_whatever_is_handed_in() -> None:
    net = Case("pepita", (4, 3, 2)).online()
    frozen = np.ones((2, 4))
    frozen.flags.writeable = False
    for x in ([[1, 0, 0, 1]], np.ones((2, 4), np.uint8), np.ones((2, 8))[:, ::2], frozen,
              np.asfortranarray(np.ones((3, 4))), np.ones((1, 4), np.float32)):  # fmt: skip
        net.learn(x, labels=np.zeros(len(x), np.uint8))
    net.set(lr=1, sign=-1)
    net.learn(np.ones((1, 4)), labels=[0], masks=[np.ones(3)])
    Case("pepita", (4, 3, 3, 2)).online().learn(np.ones((1, 4)), labels=[1])
    Case("pepita", (4, 3, 2), MOMENTUM, {"bias": True}).online().learn([[1, 2, 3, 4]], labels=[1])
    Case("pepita", spec={"loss": "mse"}).online().learn(np.ones((1, 20)), targets=np.ones((1, 5)))
    single = Case("pepita").online("float32")
    single.learn(np.ones((1, 20)), labels=[1])
    assert [len(one._kernel.signatures) for one in (net, single)] == [1, 1]  # of each dtype


def test_inputs_are_neither_changed_nor_kept() -> None:
    case = Case("pepita", structured=False)
    net, (x, labels, _) = case.online(), case.samples(20)
    before = x.copy()
    net.learn(x, labels=labels)
    assert (x == before).all()
    params, state = net.parameters(), state_bytes(net)
    x[:] = 0
    params["W"][0][:] = 0
    params["F"][:] = 0
    assert state_bytes(net) == state


def test_given_masks_and_noise_replace_those_of_the_seed() -> None:
    case = Case("pepita", (20, 16, 12, 5), hyper={"dropout": 0.3, "modulation": "random"})
    own, given = case.online(), case.online(seed=0)
    x, labels, y = case.samples(30)
    case.learn(own, x, labels, y)
    rows = [case.draws(t) for t in range(30)]
    masks = [np.vstack([m[i] for m, _ in rows]) for i in range(2)]
    noise = [np.vstack([z[0] for _, z in rows])]
    given.learn(x, labels=labels, masks=masks, noise=noise)
    assert state_bytes(own) == state_bytes(given)
    with pytest.raises(BadOption, match="masks: got 1 arrays; expected 2"):
        given.learn(x, labels=labels, masks=masks[:1])
    with pytest.raises(BadOption, match="masks: got shape"):
        given.learn(x, labels=labels, masks=[masks[0], masks[1][:, :5]])


def test_load_parameters_gives_them_back() -> None:
    case = Case("pepita", optimizer=EVERYTHING, spec={"bias": True})
    net, (x, labels, _) = case.online(), case.samples(50)
    net.learn(x, labels=labels)
    other = case.online(seed=5)
    other.load_parameters(net.parameters())
    assert deviation(other.parameters(), net.parameters()) == 0
    before = state_bytes(other)
    with pytest.raises(BadOption, match=r"W\[0\]: got shape"):
        other.load_parameters({"W": [np.ones((3, 3)), np.ones((5, 16))]})
    with pytest.raises(BadOption, match="W: got 1 arrays; expected 2"):
        other.load_parameters({"W": [np.ones((16, 20))]})
    with pytest.raises(UnknownName, match="one of W, b, F"):
        other.load_parameters({"G": np.ones((16, 20))})
    assert state_bytes(other) == before


def test_rates_change_while_running() -> None:
    case = Case("pepita")
    net, book = case.online(), case.textbook()
    x, labels, y = case.samples(90)
    changes = [{"lr": 0.1}, {"momentum": 0.9, "weight_decay": 0.01}, {"sign": -1, "lr": 0.05}]
    for i, change in enumerate(changes):
        net.set(**change)
        mine = {k: v for k, v in change.items() if k != "sign"}
        book.sgd.optimizer = book.sgd.optimizer._replace(**mine)
        book.hyper = book.hyper._replace(sign=change.get("sign", 1))
        for t in range(30 * i, 30 * i + 30):
            net.learn(x[t : t + 1], labels=labels[t : t + 1])
            book.learn(x[t : t + 1], y[t : t + 1])
    assert deviation(net.parameters(), book.params) < 1e-10
    with pytest.raises(BadOption, match="when the network is built"):
        net.set(feedback_scale=1.0)
    with pytest.raises(UnknownName, match="did you mean 'lr'"):
        net.set(lrr=1.0)
    with pytest.raises(BadOption, match="lr: got -1"):
        net.set(lr=-1)
    assert net.optimizer.lr == 0.05


@pytest.mark.parametrize("rule", RULES)
def test_divergence_names_sample_and_layer(rule: str) -> None:
    case = replace(Case(rule), optimizer=Optimizer(lr=1e200))
    net, (x, labels, _) = case.online(), case.samples(50)
    with pytest.raises(Diverged, match=r"sample \d+: got .* layer \d not finite; lower") as error:
        net.learn(x, labels=labels)
    assert len(error.value.outcome.losses) == net.samples_seen < 50


def test_doors_of_the_network() -> None:
    net = Case("pepita").online()
    before = state_bytes(net)
    for call, message in [
        (lambda: net.learn(np.ones((1, 19)), labels=[0]), r"X: got shape \(1, 19\); expected"),
        (lambda: net.learn(np.ones((1, 20)), labels=[5]), "labels: got 5; expected 0 to 4"),
        (lambda: net.learn(np.ones((1, 20)), labels=[-1]), "labels: got -1; expected 0 to 4"),
        (lambda: net.learn(np.ones((2, 20)), labels=[1]), r"labels: got shape \(1,\)"),
        (lambda: net.learn(np.ones((1, 20))), "either labels or targets"),
        (lambda: net.learn(np.ones((1, 20)), targets=np.ones((1, 4))), "targets: got shape"),
        (lambda: net.predict(np.ones(20)), "X: got shape"),
        (lambda: net.load_state({}), "state: got other arrays"),
        (lambda: OnlineNetwork(net.spec, dtype="int8"), "one of float32, float64"),
        (lambda: OnlineNetwork(net.spec, "pepito"), "did you mean 'pepita'"),
        (lambda: OnlineNetwork(net.spec, seed=-1), "seed: got -1"),
        (lambda: OnlineNetwork(net.spec, droput=0.1), "did you mean 'dropout'"),
        (lambda: OnlineNetwork(net.spec, dropout=1.0), "dropout: got 1.0"),
        (lambda: OnlineNetwork(net.spec, inject=1), "inject: got 1; expected 0"),
        (lambda: NetworkSpec((3,)), "at least two positive whole numbers"),
        (lambda: NetworkSpec((3, 2.5, 2)), "at least two positive whole numbers"),
        (lambda: NetworkSpec((3, 2), "gelu"), "one of identity, relu"),
        (lambda: NetworkSpec((3, 2, 2), "softmax"), "an elementwise activation"),
        (lambda: NetworkSpec((3, 2), loss="hinge"), "one of cross_entropy"),
        (lambda: NetworkSpec((3, 2), output="sigmoid"), "expected softmax"),
        (lambda: NetworkSpec((3, 2, 2), ("relu", "relu")), "1 names"),
    ]:
        with pytest.raises((BadOption, UnknownName), match=message):
            call()
    assert state_bytes(net) == before
