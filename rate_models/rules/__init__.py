"""Learning rules, one file each; the file name is the rule's public name.

A rule's file ends in ``RULE = Rule(__name__, ...)``. `Rule`, and its base class `Description`,
document all that a rule declares. The textbook form, `batch`, comes first in a file and is the one
to read; `teach` is the same in a kernel. Files that begin with ``_`` are shared by several rules.
Open `backprop` and its family, `_alignment`, first; then `pepita`.

>>> get("pepita").name
'pepita'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from rate_models import network
from rate_models.errors import BadOption, quoted
from rate_models.model.hyperparameters import FIXED
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules._contract import RULES, Description, Rule
from rate_models.rules._draws import dropout, masks_and_noise
from rate_models.rules._own import Own, Start, uniform_feedback
from rate_models.rules._plain import FeedbackHyperparameters, Hyperparameters
from rate_models.rules._records import (
    Defaults,
    Draws,
    Noise,
    Properties,
    RateWarning,
    Ref,
    Task,
    Term,
    Update,
)
from rate_models.rules._start import start
from rate_models.rules._tasks import modulated, output, passed_down, standard
from rate_models.support import lookup

__all__ = [
    "FIXED",
    "RULES",
    "Defaults",
    "Description",
    "Draws",
    "FeedbackHyperparameters",
    "Hyperparameters",
    "Noise",
    "Own",
    "Properties",
    "RateWarning",
    "Ref",
    "Rule",
    "Start",
    "Task",
    "Term",
    "Update",
    "check",
    "dropout",
    "forward",
    "get",
    "masks_and_noise",
    "modulated",
    "names",
    "nearest",
    "output",
    "passed_down",
    "standard",
    "start",
    "uniform_feedback",
]  # fmt: skip


def names() -> list[str]:
    """The public names of all rules that are installed, sorted."""
    return lookup.names(RULES)


def get(rule: str | Description) -> Rule:
    """The rule with this name or in the file with this path; a `Rule` is returned as it is.

    Raises what `lookup.get` raises, and BadOption for the `Description` of a circuit.
    """
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, Description):
        expected = "a rule, which has a textbook form"
        raise BadOption(f"rule {rule.name}", got="a circuit that follows none", expected=expected)
    if not isinstance(rule, str):
        expected = "a name, the path of a file, or a Rule"
        raise BadOption("rule", got=quoted(rule), expected=expected)
    return lookup.get(RULES, rule)


def forward(
    rule: Description,
    spec: NetworkSpec,
    params: Parameters,
    hyper: Any,
    x: Any,
    masks: Sequence[Any] | None = None,
) -> tuple[list[Any], list[Any]]:
    """(a, h) of layers 0..L: by the rule's own forward pass, else by `network.forward`."""
    if rule.forward_pass is None:
        return network.forward(spec, params, x, masks)
    return rule.forward_pass(spec, params, hyper, x, masks)


def check(rule: Description, spec: NetworkSpec, hyper: Any = None) -> None:
    """Raise BadOption where the rule cannot learn this network with these hyperparameters."""
    if spec.loss not in rule.losses:
        raise BadOption(f"loss of {rule.name}", got=spec.loss, expected=f"{rule.losses}")
    if spec.convolutional and not (isinstance(rule, Rule) and rule.convolves):
        raise BadOption(f"layers of {rule.name}", got="convolutions", expected="dense layers")
    rule.check(spec)
    if hyper is not None:
        rule.check_hyperparameters(spec, hyper)


def nearest(rule: Description, spec: NetworkSpec) -> NetworkSpec | None:
    """The network most like ``spec`` that the rule can learn, for comparisons over all rules.

    ``spec`` itself, or with ReLU, without biases, or with one hidden layer: the first that is
    allowed. None where none is.
    """
    shallow = (spec.sizes[0], spec.sizes[1], spec.sizes[-1]) if spec.layers > 2 else spec.sizes
    for sizes, relu, bias in product((spec.sizes, shallow), (False, True), (spec.bias, False)):
        activation = "relu" if relu else spec.activation[: len(sizes) - 2]
        near = replace(spec, sizes=sizes, activation=activation, bias=bias)
        try:
            check(rule, near)
        except BadOption:
            continue
        return near
    return None
