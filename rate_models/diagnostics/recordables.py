"""Recordables: the numbers that a run can record while it learns, listed by ``--record``.

A recordable is a function of a `Probe` that returns {label: number}. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rate_models.diagnostics import measures
from rate_models.diagnostics.measures import Link
from rate_models.errors import BadOption, UnknownName
from rate_models.model.hyperparameters import closest
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import Description, Draws

Values = dict[str, float]


class Probe(NamedTuple):
    """A network at one moment, and the fixed batch that it is probed with.

    x (N, n_0), y (N, n_L) target vectors; draws: the noise that the rule needs, without masks.
    """

    spec: NetworkSpec
    rule: str | Description
    hyper: Any
    params: Parameters
    x: Any
    y: Any
    draws: Draws = measures.NO_DRAWS

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.rule.name if isinstance(self.rule, Description) else self.rule

    @property
    def links(self) -> list[Link]:
        """The layers that the rule's feedback matrices join."""
        return measures.rule_links(self.rule, self.spec.layers, **self.hyper._asdict())

    def updates(self) -> list[Any]:
        """ΔW_1..ΔW_L of the rule, the mean over the batch."""
        return measures.updates(
            self.spec, self.rule, self.params, self.x, self.y, self.draws, **self.hyper._asdict()
        )


class Recordable(NamedTuple):
    """measure: returns {label: number}. title, label: of panel and axis.

    reference: value at which the figure has a line for comparison, or None.
    """

    measure: Callable[[Probe], Values]
    title: str
    label: str
    reference: float | None = None


RECORDABLES: dict[str, Recordable] = {}
Measure = Callable[[Probe], Values]


def recordable(
    title: str, label: str, reference: float | None = None
) -> Callable[[Measure], Measure]:
    """A decorator that enters a function into `RECORDABLES` under its own name."""

    def enter(measure: Measure) -> Measure:
        RECORDABLES[measure.__name__] = Recordable(measure, title, label, reference)
        return measure

    return enter


def get(name: str) -> Recordable:
    """The recordable with this name. Raises UnknownName, which lists the valid names.

    >>> get("weight_norms").title
    'size of the weights'
    """
    if name not in RECORDABLES:
        raise UnknownName(
            "--record",
            got=repr(name),
            expected=f"one of {', '.join(RECORDABLES)}",
            remedy=closest(name, list(RECORDABLES)),
        )
    return RECORDABLES[name]


def measured(name: str, probe: Probe) -> Values:
    """The numbers of the recordable with this name.

    Raises BadOption where the rule does not have the arrays that it needs.
    """
    try:
        with np.errstate(all="ignore"):  # numbers that are not finite are recorded as such
            return get(name).measure(probe)
    except (BadOption, UnknownName) as error:
        raise BadOption(f"--record {name} with rule {probe.name}: {error}") from None


@recordable("feedback against forward weights", "angle (degrees)", reference=90)
def alignment_angle(probe: Probe) -> Values:
    """See `diagnostics.alignment_angle`."""
    return measures.alignment_angle(probe.params, probe.links)


@recordable("equal signs, feedback and forward", "share of entries", reference=0.5)
def sign_congruence(probe: Probe) -> Values:
    """Sign congruence of each feedback matrix with the corresponding forward weights."""
    pairs = measures.feedback_pairs(probe.params, probe.links)
    return {name: measures.sign_congruence(w, b) for name, (b, w) in pairs.items()}


@recordable("error of the feedback", "‖W - B‖ / ‖W‖", reference=1)
def relative_error(probe: Probe) -> Values:
    """‖W - B‖ / ‖W‖ of each feedback matrix B and the corresponding forward weights W."""
    pairs = measures.feedback_pairs(probe.params, probe.links)
    return {name: measures.relative_error(w, b) for name, (b, w) in pairs.items()}


@recordable("size of the weights", "Frobenius norm")
def weight_norms(probe: Probe) -> Values:
    """‖W_l‖ of every layer."""
    return _layers(measures.weight_norms(probe.params))


@recordable("update against gradient", "angle (degrees)", reference=90)
def teaching_angles(probe: Probe) -> Values:
    """The angle of every layer's update to that of backpropagation, on the probe batch."""
    gradient = measures.true_gradient(probe.spec, probe.params, probe.x, probe.y)
    return _layers(measures.teaching_angles(probe.updates(), gradient))


@recordable("size of the update, before the rate", "Frobenius norm")
def update_norms(probe: Probe) -> Values:
    """‖ΔW_l‖ of every layer, the mean over the probe batch; 0 where a layer is frozen."""
    deltas = [np.zeros(1) if delta is None else delta for delta in probe.updates()]
    return _layers(measures.weight_norms({"W": deltas}))


def _layers(values: list[float]) -> Values:
    return {f"W_{layer}": value for layer, value in enumerate(values, start=1)}
