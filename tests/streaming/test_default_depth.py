"""Default options of deep networks: every rule learns at every depth, without a warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dendrostream_demos import depth as demo
from project import ROOT

from rate_models import defaults, rules
from rate_models.network import NetworkSpec
from streaming.runs.config import RunConfig
from streaming.runs.run import Hooks, run
from streaming.sources import ArraySource

RULES = demo.RULES
PAGE = ROOT / "docs" / "depth.md"
CHANCE = {"digits": 0.1, "synthetic:samples=20000": 0.25}


def test_all_rules_but_the_one_with_one_hidden_layer_are_here() -> None:
    assert {*rules.names()} - {*RULES} == {"bmvr"}


def test_one_hidden_layer_has_no_factor() -> None:
    for name in rules.names():
        definition = rules.get(name)
        for loss in definition.losses:
            for sizes in ((64, 10), (64, 256, 10)):
                assert defaults.deep(definition, NetworkSpec(sizes, loss=loss), True) == 1


def test_the_factor_by_hand() -> None:
    sizes = (100, 50, 50, 50, 10)
    labels, numbers = NetworkSpec(sizes), NetworkSpec(sizes, loss="mse")
    rate = defaults.options(rules.get("pepita"), labels, True, power=1.0)["lr"]
    assert rate == float(f"{7.5 / (250 * 3**3):.1e}")
    assert defaults.deep(rules.get("pepita"), numbers, False) == 1
    assert defaults.deep(rules.get("reinforce"), numbers, False) == 3
    text = defaults.formula(rules.get("pepita"), labels, True, 1.0)
    assert text.endswith("x 250 inputs of all layers x 27 for 3 hidden layers")


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("name", RULES)
def test_deep_networks_learn_digits(name: str, depth: int, tmp_path: Path) -> None:
    config = RunConfig.checked(rule=name, hidden=(64,) * depth, epochs=4)
    summary = run(config, tmp_path / "r", Hooks(draw=False))
    assert summary["test_accuracy"] > 3 * CHANCE["digits"]


@pytest.mark.slow
@pytest.mark.parametrize("source", CHANCE)
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("name", RULES)
def test_deep_networks_of_any_width_learn(
    name: str, depth: int, source: str, tmp_path: Path
) -> None:
    for width in (32, 64, 256):
        for seed in (0, 1):
            options = {"rule": name, "source": source, "seed": seed}
            config = RunConfig.checked(hidden=(width,) * depth, **options)
            summary = run(config, tmp_path / f"{width}-{seed}", Hooks(draw=False))
            assert summary["test_accuracy"] > CHANCE[source] + 0.2, (width, seed)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("name", [n for n in RULES if "mse" in rules.get(n).losses])
def test_deep_networks_learn_numbers(name: str, depth: int, tmp_path: Path) -> None:
    source = demo.regression()
    for width in (32, 64, 256):
        config = demo.configuration(name, source, (width,) * depth, epochs=4)
        assert int(demo.score(config, source)) > 15


@pytest.mark.slow
def test_small_images_in_two_layers_of_falling_width(tmp_path: Path) -> None:
    """As a newcomer starts on MNIST, on an eighth of it."""
    from streaming.sources import Options, open_source

    mnist = open_source("mnist", Options())
    assert isinstance(mnist, ArraySource)
    (X, y), test = mnist.train_arrays(), mnist.test_arrays()
    source = ArraySource(X[:7500], y[:7500], *test, name="mnist", classes=mnist.classes,
                         scale="range", maximum=255)  # fmt: skip
    for hidden in ((256, 128), (256, 256)):
        config = demo.configuration("pepita", source, hidden, epochs=1)
        assert int(demo.score(config, source)) > 70


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_the_page_has_what_is_measured(name: str) -> None:
    """Within three points: other processors sum in another order."""
    kept = {line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} |")}
    for line in demo.rates([name]).splitlines()[2:]:
        number = line.split("|")[2]
        (page,) = (one for one in kept if one.split("|")[2] == number and "," not in one)
        bold = [re.search(r"\*\*(\d+)\*\*", one) for one in (line, page)]
        assert all(bold), line
        assert abs(int(bold[0][1]) - int(bold[1][1])) <= 3, (line, page)  # type: ignore[index]
