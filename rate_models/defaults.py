"""What suits a rule where nothing is asked for, and the learning rate that follows from it.

A rule states in `Defaults` what suits it. Its rate there is η̂, without a unit: the rate of the
network is that over the size of what comes in,

    η = η̂ (1 − μ) / (P N G),    N = Σ_l n_{l-1}, l = 1..L, and at least 100

P = ⟨x²⟩ mean square of an input to the network, over features and samples, n_0, ..., n_L the sizes
of the network, μ momentum; G = 1 for cross-entropy with softmax, else

    G = (1 + √(n_L / n_{L-1}))^(2w),    w = `Defaults.width`

Why: an update with a sample moves a_l of the same sample by η ‖h_{l-1}‖² times the teaching signal,
and ‖h_{l-1}‖² ≈ n_{l-1} P for the weights that `network.draw` makes, so that η P N is what one
sample moves the output by; where the error is that of a linear output the least mean squares
algorithm diverges from 2 on. The output weighs in the layer below it by the largest eigenvalue of
W_L W_Lᵀ, which for such weights is 2 G at w = 1 (Marchenko & Pastur 1967): it counts where the
error grows with the number of outputs, which that of a softmax does not. A rule whose teaching
signal is noise, of a variance that grows with the number of outputs once more, has a larger w.
A rule whose layers see something else than that has a formula of its own, `suits` in its file.
The result is rounded to two digits, so that it can be read, and is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rate_models.network import NetworkSpec
from rate_models.rules import Description

FEWEST = 100  # inputs of all layers: smaller networks keep an error, and with it large steps
SMALLEST, LARGEST = 1e-20, 1e20  # of a mean square that a rate can make up for


def options(
    rule: Description,
    spec: NetworkSpec,
    labels: bool,
    power: float,
    momentum: float = 0.0,
    given: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """{"lr": η} of the rule for this network, and what goes with it; rounded to two digits.

    labels: whether it learns classes. power: P. momentum: μ. given: the other options.

    >>> from rate_models import rules
    >>> options(rules.get("pepita"), NetworkSpec((784, 256, 10)), labels=True, power=0.1)
    {'lr': 0.072}
    """
    power = min(max(power, SMALLEST), LARGEST) if power else 1.0
    size = power * _inputs(spec) * weight(spec, rule.defaults.width)
    found = {"lr": _hat(rule, spec, labels) / size}
    if rule.suits is not None:
        found |= rule.suits(spec, labels, power)
    found["lr"] *= (1 - momentum) * slower(rule, given or {})
    return {name: float(f"{value:.1e}") for name, value in found.items()}


def slower(rule: Description, given: Mapping[str, Any]) -> float:
    """The factor of the rate for these options."""
    lower = rule.defaults.slower
    return math.prod(by for name, choice, by in lower if given.get(name) == choice)


def formula(rule: Description, spec: NetworkSpec, labels: bool, power: float) -> str:
    """Where the rate comes from, for a person to read.

    >>> from rate_models import rules
    >>> formula(rules.get("pepita"), NetworkSpec((784, 256, 10)), labels=True, power=0.1)
    "pepita's 7.5 over mean square input 0.1 x 1040 inputs of all layers"
    """
    if rule.suits is not None and "lr" in rule.suits(spec, labels, power):
        return f"as {rule.name} has it for mean square input {power:.3g}"
    more = weight(spec, rule.defaults.width)
    outputs = f" x {more:.3g} for {spec.sizes[-1]} outputs" if more != 1 else ""
    return (
        f"{rule.name}'s {_hat(rule, spec, labels):g} over mean square input {power:.3g} "
        f"x {_inputs(spec)} inputs of all layers{outputs}"
    )


def _inputs(spec: NetworkSpec) -> int:
    """N."""
    return max(sum(spec.sizes[:-1]), FEWEST)


def _hat(rule: Description, spec: NetworkSpec, labels: bool) -> float:
    """η̂ of the task."""
    suits = rule.defaults
    own = labels and rule.loss == "mse"
    return suits.squared if spec.loss == "mse" and not own else suits.rate


def weight(spec: NetworkSpec, width: float = 1.0) -> float:
    """G, by how much more the error at the output weighs in the layer below than in its own."""
    if spec.loss == "cross_entropy":
        return 1.0
    return math.pow(1 + math.sqrt(spec.sizes[-1] / spec.sizes[-2]), 2 * width)
