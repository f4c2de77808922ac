"""Every circuit in the learner: one trajectory, however it is chunked, interrupted or read."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_runs import SIGNALLED, assert_same
from learners import bits
from project import ROOT

import biocircuits.circuits
from biocircuits import CircuitNetwork, parity
from biocircuits.catalogue import CIRCUITS, load
from biocircuits.simulation.simulate import Settings
from rate_models import defaults
from rate_models.checks.parity import run as compare
from rate_models.errors import BadOption, Diverged, UnknownName
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.rules import nearest
from rate_models.support import lookup
from streaming import OnlineLearner
from streaming.cli import main
from streaming.runs.run import RunConfig, resume, run
from streaming.scores.evaluate import held_out
from streaming.sources import Options, open_source

NAMES = lookup.names(CIRCUITS)
SIZES = (8, 6, 5, 3)
NOISY = {"mode": "continuous", "phase": 12.0, "membrane_noise": 0.02, "synaptic_noise": 0.02}
MODES: list[dict[str, Any]] = [
    {}, {"dropout": 0.3}, {"low": -0.5, "high": 0.5, "bits": 5, "dale": True}, NOISY,
    {**NOISY, "commit": "step", "window": 3.0},
]  # fmt: skip


def learner(name: str, **options: Any) -> OnlineLearner:
    definition = load(name).definition
    spec = nearest(definition, NetworkSpec(SIZES, loss=definition.loss))
    assert spec is not None
    options = {k: v for k, v in options.items() if k != "dropout" or
               "dropout" in definition.hyperparameters._fields}  # fmt: skip
    return OnlineLearner(sizes=spec.sizes, circuit=name, seed=3, classes=(0, 1, 2),
                         **{"lr": 0.01, **options})  # fmt: skip


def samples(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.random((n, 8)), rng.integers(0, 3, n)


@pytest.mark.parametrize("options", MODES, ids=lambda o: ",".join(o) or "steady")
@pytest.mark.parametrize("name", NAMES)
def test_one_trajectory_however_it_is_cut(name: str, options: Any, tmp_path: Path) -> None:
    X, y = samples()
    whole = learner(name, **options)
    start = bits(whole)
    _, losses = whole.learn_many(X, y)
    want = bits(whole)
    assert want != start

    loop = learner(name, **options)
    for row, label in zip(X, y, strict=True):
        loop.predict_one(row)
        loop.score_many(X, y)
        loop.activities(X)
        loop.learn_one(row, label)
    assert bits(loop) == want

    for cut in (1, 5):
        part, received = learner(name, **options), []
        for i in range(0, len(y), cut):
            received.append(part.learn_many(X[i : i + cut], y[i : i + cut])[1])
            part.save(tmp_path / "c")
            part = OnlineLearner.load(tmp_path / "c")
        assert bits(part) == want
        np.testing.assert_array_equal(np.concatenate(received), losses)

    other = learner(name, **options)
    other.network.load_state(whole.network.state())
    assert bits(other)["n.state"] == want["n.state"]


@pytest.mark.parametrize("name", NAMES)
def test_state_is_carried_over_in_time_unless_it_is_reset(name: str) -> None:
    X, y = samples()
    after = [learner(name, **NOISY, reset=reset) for reset in (False, True)]
    for one in after:
        one.learn_many(X[:6], y[:6])
    params = after[1].parameters()
    after[0].load_parameters(params)  # starts at rest, as the other does for every sample
    losses = [one.learn_many(X[6:7], y[6:7])[1] for one in after]
    np.testing.assert_array_equal(*losses)
    losses = [one.learn_many(X[7:9], y[7:9])[1] for one in after]
    assert (losses[0] != losses[1]).any()


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_one_by_one_what_they_are_together(name: str) -> None:
    X, y = samples()
    one = learner(name, lr=0.05)
    one.learn_many(X, y)
    together = one.network.predict(X)
    for x, prediction in zip(X, together, strict=True):
        np.testing.assert_array_equal(one.network.predict(x[None])[0], prediction)


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_another_network(name: str) -> None:
    file = load(name)
    definition = file.definition
    spec = nearest(definition, NetworkSpec(SIZES, loss=definition.loss))
    assert spec is not None
    one, same, other = (CircuitNetwork(spec, name, seed=s).parameters() for s in (0, 0, 1))
    np.testing.assert_array_equal(one["W"][0], same["W"][0])
    assert (one["W"][0] != other["W"][0]).any()


@pytest.mark.parametrize("name", NAMES)
def test_documents_and_option_names(name: str) -> None:
    file = load(name)
    definition = file.definition
    assert re.search(
        r"^Source: .*(19|20)\d\d", lookup.document(lookup.module(CIRCUITS, name)), re.M | re.S
    )
    assert file.settings.__doc__ and file.build.__doc__
    for field in file.settings._fields:
        assert re.search(rf"\b{field}\b", file.settings.__doc__), field
    kinds = [Optimizer, definition.hyperparameters, file.settings, Settings]
    fields = [field for kind in kinds for field in kind._fields]
    assert len(set(fields)) == len(fields), "one name, one option"
    network = {"rule", "sizes", "loss", "activation", "bias", "classes", "circuit", "output"}
    assert not network & set(fields)


def test_the_rule_is_the_circuits() -> None:
    assert OnlineLearner().rule == "pepita"
    assert OnlineLearner(circuit="bmvr", sizes=(4, 3, 2), classes=("a", "b")).rule == "bmvr"
    assert OnlineLearner("pepita", (4, 3, 2), circuit="pepita").network.circuit.name == "pepita"
    with pytest.raises(BadOption, match=r"rule of circuit bmvr: got 'pepita'; expected 'bmvr'"):
        OnlineLearner("pepita", (4, 3, 2), circuit="bmvr")
    with pytest.raises(UnknownName, match=r"one of lr, .*feedback_scale.*tau_memory.*mode, dt"):
        OnlineLearner(circuit="pepita", nonsense=1)


def test_settings_change_while_learning() -> None:
    X, y = samples()
    one = learner("pepita", **NOISY)
    one.learn_many(X, y)
    before = bits(one)
    one.set(lr=0.5)
    assert bits(one) == before  # the state is kept
    with pytest.raises(BadOption, match="at most 12 ms"):
        one.set(dt=50.0)
    with pytest.raises(BadOption, match="of hidden"):
        one.set(tau=0.5)
    assert one.network.options["dt"] == 1.0 and one.network.options["tau"] == 10.0
    assert bits(one) == before
    potential = one.network.simulator.read("hidden_1.dendrite")
    one.set(tau=20.0)
    np.testing.assert_array_equal(one.network.simulator.read("hidden_1.dendrite"), potential)
    assert potential.any()
    one.learn_many(X, y)


def test_divergence_names_what_is_not_finite() -> None:
    X, y = samples(200)
    one = learner("bmvr", lr=50.0)
    with pytest.raises(Diverged, match=r"sample \d+: weights of projection \w+ not") as caught:
        one.learn_many(X * 100, y)
    assert 0 < len(caught.value.outcome.losses) == one.samples_seen < 200
    looped = learner("dendritic_microcircuit", lr=0.5)
    with pytest.raises(Diverged, match=r"sample \d+: .*(no steady state|not finite).*rate"):
        looped.learn_many(X * 10, y)


def test_activities_of_a_circuit_are_the_rates_of_its_neurons() -> None:
    one = learner("pepita")
    X, _ = samples()
    hidden = one.activities(X)
    twin = one.network.simulator
    twin.present({"x": X[0], "y": np.zeros(3), "mask.0": 1.0, "mask.1": 1.0})
    np.testing.assert_allclose(hidden[0][0], twin.read("hidden_1.soma"))
    one = learner("dendritic_microcircuit")
    hidden, twin = one.activities(X), one.network.simulator
    twin.present({"x": X[0], "y": np.zeros(3)}, until="free")
    for rates, name in zip(hidden, ("hidden_1", "hidden_2", "output"), strict=True):
        np.testing.assert_allclose(rates[0], twin.read(f"{name}.rate"), atol=1e-12)


ARGUMENTS = [
    *("--source", "synthetic:samples=60,features=6", "--hidden", "5", "--interval", "20"),
    *("--save-every", "25", "--circuit", "pepita", "--lr", "0.01", "--set", "phase=10"),
    *("--record", "teaching_angles", "--record", "alignment_angle"),
]
IN_TIME = ["--set", "mode=continuous", "--set", "membrane_noise=0.02", "--set", "tau=5"]


ROUNDED = ["--set", "low=-1", "--set", "high=1", "--set", "bits=6", "--set", "cut=feedback"]


@pytest.mark.parametrize("more", [[], IN_TIME, ROUNDED], ids=["steady", "in time", "rounded"])
def test_killed_and_resumed(more: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as done:
        main(["run", "--out", str(tmp_path / "whole"), "--quiet", *ARGUMENTS, *more])
    assert not done.value.code
    folder = tmp_path / "killed"
    killed = subprocess.run(
        [sys.executable, "-c", SIGNALLED, "40", str(signal.SIGKILL.value), "run",
         "--out", str(folder), *ARGUMENTS, *more],
        capture_output=True, text=True, cwd=ROOT, timeout=300,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resume(folder)
    assert_same(folder, tmp_path / "whole")
    assert (folder / "record.jsonl").read_text() == (tmp_path / "whole/record.jsonl").read_text()
    config = json.loads((folder / "config.json").read_text())
    assert (config["circuit"], config["rule"], config["dtype"]) == ("pepita", "pepita", "float64")
    assert json.loads((folder / "summary.json").read_text())["circuit"] == "pepita"


def test_what_can_be_recorded_of_a_circuit_without_a_rule(tmp_path: Path) -> None:
    shared = {"source": "synthetic:samples=40,features=6", "hidden": (5,)}
    micro = {**shared, "circuit": "dendritic_microcircuit"}
    summary = run(RunConfig.checked(**micro, record=("weight_norms",)), tmp_path / "a")
    assert summary["rule"] == summary["circuit"] == "dendritic_microcircuit"
    lines = (tmp_path / "a" / "record.jsonl").read_text().splitlines()
    assert set(json.loads(lines[-1])["values"]["weight_norms"]) == {"W_1", "W_2"}
    config = RunConfig.checked(**micro, record=("teaching_angles",))
    with pytest.raises(BadOption, match="--record teaching_angles with rule dendritic_microcirc"):
        run(config, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    spec = NetworkSpec((6, 5, 4), loss="mse")
    definition = load("dendritic_microcircuit").definition
    suits = defaults.options(definition, spec, True, 1 + 0.3**2)
    assert config.resolved(config.open()).lr == suits["lr"]


def test_steady_runs_are_the_rules_runs(tmp_path: Path) -> None:
    shared = {"source": "synthetic:samples=80,features=6", "hidden": (5,), "dtype": "float64"}
    one = run(RunConfig.checked(**shared, circuit="pepita"), tmp_path / "a")
    two = run(RunConfig.checked(**shared, rule="pepita"), tmp_path / "b")
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-12)
    assert one["test_accuracy"] == two["test_accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lr", "cut"),
    [
        ("pepita", 0.1, "feedback"),
        ("node_perturbation", 0.03, "B_1"),
        ("dendritic_microcircuit", 0.03, "B_2,V_1"),
    ],
)
def test_the_hidden_layer_learns(name: str, lr: float, cut: str) -> None:
    """Digits, five passes, three seeds, beside the same circuit with its feedback cut."""
    gains = [_digits(name, lr, seed) - _digits(name, lr, seed, cut=cut) for seed in range(3)]
    assert np.mean(gains) > max(0.02, 2 * np.std(gains, ddof=1) / np.sqrt(3)), gains


def _digits(name: str, lr: float, seed: int, **options: Any) -> float:
    digits = open_source("digits", Options(seed=seed))
    one = OnlineLearner(circuit=name, sizes=(64, 16, 10), lr=lr, seed=seed, scale="range",
                        maximum=16, classes=digits.classes, **options)  # fmt: skip
    for epoch in range(5):
        for X, y in digits.chunks(epoch):
            one.learn_many(X, y)
    return float(held_out(one, digits.test() or ())["accuracy"])


@pytest.fixture
def written(tmp_path: Path) -> Iterator[str]:
    """The circuit of docs/circuits.md, in a file of its own."""
    page = (ROOT / "docs" / "circuits.md").read_text(encoding="utf-8")
    (text,) = (code for code in re.findall(r"```python\n(.+?)```", page, re.S) if "CIRCUIT" in code)
    name = "direct_feedback"
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    biocircuits.circuits.__path__.append(str(tmp_path))
    yield name
    biocircuits.circuits.__path__.remove(str(tmp_path))
    sys.modules.pop(f"{CIRCUITS.package}.{name}", None)


def test_a_new_circuit_is_one_new_file(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert written in lookup.names(CIRCUITS)
    X, y = samples()
    one = OnlineLearner(circuit=written, sizes=SIZES, lr=0.05)
    one.learn_many(X, y)
    one.save(tmp_path / "c")
    assert bits(OnlineLearner.load(tmp_path / "c")) == bits(one)
    report = compare(30, [one.rule], ["float64"], others={"circuit": parity.maker})
    rows = [row for row in report.rows if row["implementation"] == "circuit"]
    assert rows and all(row["ok"] for row in rows), rows
    arguments = f"run --circuit {written} --hidden 5 --set mode=continuous --set phase=10 --json"
    with pytest.raises(SystemExit) as done:
        main([*arguments.split(), "--samples", "20", "--out", str(tmp_path / "r")])
    summary = json.loads(capsys.readouterr().out)
    assert not done.value.code
    assert (summary["circuit"], summary["samples_seen"]) == (written, 20)
    assert summary["rule"] == "direct_feedback_alignment"
    assert parity.circuits_of(one.rule) == [written]
