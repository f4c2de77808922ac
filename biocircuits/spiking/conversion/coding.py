"""The method of the conversion: values as firing rates, and currents as synaptic weights.

1.  In each layer, values v are coded as rates ρ = peak (v − offset) / scale. In a relu layer the
    offset is 0, and the scale is a high percentile of the values measured on calibration samples
    (data-based normalisation: Diehl et al., IJCNN 2015; the percentile: Rueckauer et al., Front.
    Neurosci. 2017). For signed values, of inputs or of the output layer, offset and offset + scale
    are the low and the high percentile, so that a rate of 0 represents the low percentile.
2.  The f–I curve of the neuron is measured and inverted: I*(ρ) is the current at which it fires at
    ρ. Over all measured values above the offset, I* is fitted by a line in u = (v − offset) /
    scale, I ≈ I_0 + k u (least squares). This is the best approximation of the target rates by
    currents that are linear in presynaptic rates.
3.  A synaptic current that decays with τ has the mean w τ ρ. With p the layer before,
    w_ij = k W_ij scale_p / (scale peak τ),
    and each neuron gets the constant current I_0 + k (b_i − offset + Σ_j W_ij offset_p) / scale.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from biocircuits.spiking import fi
from biocircuits.spiking.backend import load
from biocircuits.spiking.conversion.trained import Layer
from biocircuits.spiking.neurons import Neuron
from biocircuits.spiking.units import quantity
from rate_models.errors import BadOption

Floats = NDArray[np.float64]
POINTS = 60  # points of a measured f-I curve
_CURVES: dict[Any, tuple[Any, Any]] = {}  # {neuron and arguments: (currents, rates)}


class Code(NamedTuple):
    """ρ = peak (v − offset) / scale, in Hz."""

    offset: float
    scale: float
    peak: float

    def rate(self, value: Any) -> Floats:
        """The target rates (Hz) of values; 0 for values below the offset."""
        return np.maximum(np.asarray(value) - self.offset, 0) * (self.peak / self.scale)

    def value(self, rate: Any) -> Floats:
        """The values that rates (Hz) represent."""
        return self.offset + np.asarray(rate) * (self.scale / self.peak)


class Line(NamedTuple):
    """A fitted f-I curve.

    start, slope: I_0 and k in amp. misfit: the root mean square of I* − (I_0 + k u), divided by k.
    """

    start: float
    slope: float
    misfit: float


def code_of(
    values: Floats, percentile: float, peak: float, what: str, floor: float | None = None
) -> Code:
    """The code of measured values. Raises BadOption where they are all equal.

    floor: the percentile at which the rate is 0; None: a rate of 0 for the value 0 if no value is
    negative, and for the percentile 100 − ``percentile`` otherwise.
    """
    low = 0.0 if values.min() >= 0 else float(np.percentile(values, 100 - percentile))
    if floor is not None:
        low = float(np.percentile(values, floor))
    high = float(np.percentile(values, percentile))
    if not high > low:
        remedy = "a layer that is silent on all calibration samples cannot be scaled"
        raise BadOption(f"values of {what}", got=f"{high:g} in all samples", remedy=remedy)
    return Code(low, high - low, peak)


def curve(neuron: Neuron, onto: str, peak: float, dt: Any) -> tuple[Any, Any]:
    """(currents, rates), measured from below the rheobase to a rate above ``peak`` (Hz).

    A neuron is measured once; later calls return the same curve. Raises BadOption where the
    neuron cannot reach the rate.
    """
    constants = tuple(sorted((name, float(value)) for name, value in neuron.parameters.items()))
    step = float(quantity("dt", dt, "second"))
    key = (neuron.equations, neuron.reset, constants, onto, peak, step)
    if key not in _CURVES:
        _CURVES[key] = _measured(neuron, onto, peak, dt)
    return _CURVES[key]


def _measured(neuron: Neuron, onto: str, peak: float, dt: Any) -> tuple[Any, Any]:
    least, most = fi.rheobase(neuron, onto), 2.0
    while most < 1e4:
        currents = least * np.linspace(0.8, most, POINTS)
        rates = fi.measured(neuron, currents, onto, dt=dt)
        if float(rates[-1]) > 1.2 * peak:
            return currents, rates
        most *= 2
    refractory = neuron.parameters["t_refractory"]
    raise BadOption("peak", got=f"{peak:g} Hz", expected=f"a rate that t_refractory of "
                    f"{refractory} allows")  # fmt: skip


def line(layer: Layer, code: Code, currents: Any, rates: Any) -> Line:
    """I_0 and k of a layer, from its values and the measured f-I curve."""
    u = np.maximum((layer.value - code.offset) / code.scale, 0)
    u = u[(u > 0) & (u <= float(np.max(rates)) / code.peak)]
    required = np.asarray(fi.inverse(rates, code.peak * u * load().Hz, currents))
    table = np.stack([np.ones_like(u), u], axis=1)
    (start, slope), *_ = np.linalg.lstsq(table, required, rcond=None)
    misfit = np.sqrt(np.mean((required - table @ [start, slope]) ** 2)) / slope
    return Line(float(start), float(slope), float(misfit))


def weights(layer: Layer, code: Code, before: Code, line: Line, tau: Any) -> Any:
    """The synaptic weights w_ij (n, m) in amp."""
    factor = line.slope * before.scale / (code.scale * before.peak * float(tau))
    return factor * layer.weights * load().amp


def constant(layer: Layer, code: Code, before: Code, line: Line) -> Any:
    """The constant current of each neuron (n,), in amp."""
    shift = layer.bias - code.offset + layer.weights.sum(axis=1) * before.offset
    return (line.start + line.slope * shift / code.scale) * load().amp


def potential(layer: Layer, code: Code, line: Line, neuron: Neuron, onto: str) -> Any:
    """The mean potential of a compartment (volt), at which conductances replace currents.

    That of the soma is halfway between reset and threshold. That of a dendrite is its fixed point
    beside this soma with the mean current of the layer.
    """
    p = neuron.parameters
    soma = (p["v_reset"] + p["v_threshold"]) / 2
    if onto == "soma":
        return soma
    u = float(np.mean((layer.value - code.offset) / code.scale))
    current = (line.start + line.slope * u) * load().amp
    g = p["g_leak_dendrite"] + p["g_coupling"]
    return (p["g_leak_dendrite"] * p["E_leak"] + p["g_coupling"] * soma + current) / g


def injected(layer: Layer, code: Code, line: Line, inputs: Floats) -> Any:
    """The currents (N, n) in amp of non-spiking inputs (N, m) into the layer."""
    current = inputs @ layer.weights.T + layer.bias
    return (line.start + line.slope * (current - code.offset) / code.scale) * load().amp
