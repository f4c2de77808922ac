"""Default options of a rule, and the learning rate that follows from them.

A rule declares its defaults in `Defaults`. The rate η̂ there is dimensionless. The learning rate of
a network is η̂ divided by the size of its inputs:

    η = η̂ (1 − μ) / (P N G H^d),    N = Σ_l n_{l-1}, l = 1..L, and at least 100

P = ⟨x²⟩ mean square of an input to the network, over features and samples, n_0, ..., n_L the sizes
of the network, μ momentum; G = 1 for cross-entropy with softmax, else

    G = (1 + √(n_L / n_{L-1}))^(2w),    w = `Defaults.width`

H = L − 1 is the number of hidden layers, and at least 1; d = `Defaults.depth` for labels,
`Defaults.squared_depth` for numbers.

Why: an update with one sample changes a_l of the same sample by η ‖h_{l-1}‖² times the teaching
signal. For the weights that `network.draw` draws, ‖h_{l-1}‖² ≈ n_{l-1} P, so one sample changes
the output by about η P N. With the error of a linear output this is the least mean squares
algorithm, which diverges when this number reaches 2. The output affects the layer below it by the
largest eigenvalue of W_L W_Lᵀ, which for such weights is 2 G at w = 1 (Marchenko & Pastur 1967).
This factor is needed where the error grows with the number of outputs; the error of a softmax does
not. A rule whose teaching signal is noise has a larger w, because the variance of the noise grows
with the number of outputs too.

H^d: if each sample lets the gain of every layer grow by a factor 1 + ε, ε ∝ η, the output grows by
about 1 + H ε. The gradient turns round as soon as the output is too large, so backpropagation needs
no factor: d = 0. Signals through fixed feedback do not see the weights, and signals of noise have a
variance that grows with the number of noisy layers: d = 1. PEPITA's signal goes forward through the
weights that it changes, ΔW_l ∝ W_l: it is itself a product of up to H growing gains, and so is the
activity that it is multiplied by, which makes two factors more: d = 3. For a squared error η̂ is so
small that d is 0, except where the signal is noise. docs/depth.md has the measurements. With four
layers and more PEPITA's weights still grow without bound in long runs, only later.

A rule whose layers have other inputs has its own formula, `suits` in its file. The result is
rounded to two digits: readable, and the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rate_models.network import NetworkSpec
from rate_models.rules import Description

FEWEST = 100  # least N: smaller networks keep a nonzero error, and hence take large steps
SMALLEST, LARGEST = 1e-20, 1e20  # range of mean squares that a learning rate can compensate


def options(
    rule: Description,
    spec: NetworkSpec,
    labels: bool,
    power: float,
    momentum: float = 0.0,
    given: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """{"lr": η} for a rule and a network, and options that depend on it; rounded to two digits.

    labels: whether the task is classification. power: P. momentum: μ. given: the other options.

    >>> from rate_models import rules
    >>> options(rules.get("pepita"), NetworkSpec((784, 256, 10)), labels=True, power=0.1)
    {'lr': 0.072}
    """
    power = min(max(power, SMALLEST), LARGEST) if power else 1.0
    size = power * _inputs(spec) * weight(spec, rule.defaults.width) * deep(rule, spec, labels)
    values = {"lr": _hat(rule, spec, labels) / size}
    if rule.suits is not None:
        values |= rule.suits(spec, labels, power)
    values["lr"] *= (1 - momentum) * slower(rule, given or {})
    return {name: float(f"{value:.1e}") for name, value in values.items()}


def slower(rule: Description, given: Mapping[str, Any]) -> float:
    """The factor by which these options lower the rate, see `Defaults.slower`."""
    lower = rule.defaults.slower
    chosen = {name: value for name, value in given.items() if isinstance(value, str)}
    return math.prod(by for name, choice, by in lower if chosen.get(name) == choice)


def formula(rule: Description, spec: NetworkSpec, labels: bool, power: float) -> str:
    """A sentence that explains how the rate was computed.

    >>> from rate_models import rules
    >>> formula(rules.get("pepita"), NetworkSpec((784, 256, 10)), labels=True, power=0.1)
    "pepita's 7.5 over mean square input 0.1 x 1040 inputs of all layers"
    """
    if rule.suits is not None and "lr" in rule.suits(spec, labels, power):
        return f"as {rule.name} has it for mean square input {power:.3g}"
    more = weight(spec, rule.defaults.width)
    outputs = f" x {more:.3g} for {spec.sizes[-1]} outputs" if more != 1 else ""
    depth = deep(rule, spec, labels)
    hidden = f" x {depth:.3g} for {spec.layers - 1} hidden layers" if depth != 1 else ""
    return (
        f"{rule.name}'s {_hat(rule, spec, labels):g} over mean square input {power:.3g} "
        f"x {_inputs(spec)} inputs of all layers{outputs}{hidden}"
    )


def _inputs(spec: NetworkSpec) -> int:
    """N."""
    return max(sum(spec.sizes[:-1]), FEWEST)


def _hat(rule: Description, spec: NetworkSpec, labels: bool) -> float:
    """η̂ for the task: `Defaults.rate` or `Defaults.squared`."""
    suits = rule.defaults
    return suits.squared if _squared(rule, spec, labels) else suits.rate


def _squared(rule: Description, spec: NetworkSpec, labels: bool) -> bool:
    """Whether the error is squared, and this is not the rule's own loss for labels."""
    return spec.loss == "mse" and not (labels and rule.loss == "mse")


def deep(rule: Description, spec: NetworkSpec, labels: bool) -> float:
    """H^d, the factor by which the rate of a deep network is lower.

    >>> from rate_models import rules
    >>> deep(rules.get("feedback_alignment"), NetworkSpec((784, 256, 256, 10)), labels=True)
    2.0
    """
    suits = rule.defaults
    exponent = suits.squared_depth if _squared(rule, spec, labels) else suits.depth
    return float(max(spec.layers - 1, 1) ** exponent)


def weight(spec: NetworkSpec, width: float = 1.0) -> float:
    """G, the effect of the output error on the layer below relative to the output layer."""
    if spec.loss == "cross_entropy":
        return 1.0
    return math.pow(1 + math.sqrt(spec.sizes[-1] / spec.sizes[-2]), 2 * width)
