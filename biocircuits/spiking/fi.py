"""The firing rate as a function of injected current: closed form, measurement and inverse.

A point neuron in the constant current I fires at

    f = 1 / (t_refractory + τ ln((v_∞ − v_reset) / (v_∞ − v_threshold))),  v_∞ = E_leak + I / g_leak

and does not fire for v_∞ ≤ v_threshold. Between two spikes a neuron with two compartments is
linear, x' = A x + c with x = (v, v_dendrite). Its period T solves v(T) = v_threshold, where v
starts at v_reset and v_dendrite is periodic. This is a scalar equation that contains exp(A T).

To measure rates, a Brian 2 group has one neuron for each current, and the time from the first to
the last spike after settling counts. Spikes occur at whole steps, so a period is up to dt too long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from biocircuits.spiking.backend import load, standalone
from biocircuits.spiking.neurons import Neuron
from biocircuits.spiking.units import check_step, quantity
from rate_models.errors import BadOption

Floats = NDArray[np.float64]


def closed_form(neuron: Neuron, currents: Any, onto: str = "soma") -> Any:
    """f (Hz) for constant currents (amp) into the compartment ``onto``.

    Raises BadOption for adaptive neurons.
    """
    b = load()
    currents = quantity("currents", currents, "amp")
    if neuron.adaptive:
        raise BadOption("closed_form", got="an adaptive neuron", remedy="use `measured`")
    _compartment(neuron, onto)
    period = _period_two if "dendrite" in neuron.compartments else _period_point
    p = {name: float(value) for name, value in neuron.parameters.items()}
    periods = [period(p, amps, onto) for amps in np.ravel(np.asarray(currents, float))]
    return np.reshape([1 / T for T in periods], np.shape(currents)) * b.hertz


def measured(
    neuron: Neuron,
    currents: Any,
    onto: str = "soma",
    dt: Any = "0.1 ms",
    settle: Any = "300 ms",
    duration: Any = "1 s",
) -> Any:
    """f (Hz), measured in Brian 2 with NumPy code, for constant currents (n,).

    onto: the compartment that receives the current. settle: initial time that is not counted. The
    default step and code generation of Brian 2 are restored afterwards. Raises BadOption for a step
    that is too long, and while a standalone network is being built.
    """
    b = load()
    if standalone():
        raise BadOption("measured", got="mode cpp_standalone", remedy="measure before `prepare`")
    currents = quantity("currents", currents, "amp")
    dt, settle = quantity("dt", dt, "second"), quantity("settle", settle, "second")
    duration = quantity("duration", duration, "second")
    check_step(dt, neuron.time_constants())
    _compartment(neuron, onto)
    step, target = b.defaultclock.dt, b.prefs.codegen.target
    try:
        b.defaultclock.dt, b.prefs.codegen.target = dt, "numpy"
        group = neuron.group(len(currents), "f_i")
        setattr(group, f"injected_{onto}", currents)
        monitor = b.SpikeMonitor(group)
        b.Network(group, monitor).run(settle + duration)
        trains = [np.asarray(times) for times in monitor.spike_trains().values()]
    finally:
        b.defaultclock.dt, b.prefs.codegen.target = step, target
    trains = [times[times >= float(settle)] for times in trains]
    rates = [(len(t) - 1) / (t[-1] - t[0]) if len(t) > 1 else 0.0 for t in trains]
    return np.array(rates) * b.hertz


def inverse(rates: Any, required: Any, currents: Any) -> Any:
    """The currents (amp) at which a neuron fires at the ``required`` rates (Hz).

    rates, currents: an f-I curve with ascending currents, as from `measured`. Values between its
    points are interpolated linearly, and a rate of 0 gives the largest current without a spike.
    Raises BadOption for rates outside the curve.
    """
    b = load()
    rates, required = (np.asarray(quantity("rates", r, "hertz"), float) for r in (rates, required))
    amps = np.asarray(quantity("currents", currents, "amp"), float)
    top = np.maximum.accumulate(rates)
    if np.any(required > top[-1]) or np.any(required < 0):
        got, expected = f"{np.max(required):g} Hz", f"0 to {top[-1]:g} Hz, the measured range"
        raise BadOption("rate", got=got, expected=expected, remedy="measure larger currents")
    keep = np.append(np.diff(top) > 0, True)  # the largest current of equal rates
    return np.interp(required, top[keep], amps[keep]) * b.amp


def rheobase(neuron: Neuron, onto: str = "soma") -> Any:
    """The largest constant current (amp) without a spike, in closed form."""
    p = neuron.parameters
    depth = p["v_threshold"] - p["E_leak"]
    if "dendrite" not in neuron.compartments:
        return p["g_leak"] * depth
    if onto == "soma":  # the coupling in series with the leak of the dendrite
        series = p["g_coupling"] * p["g_leak_dendrite"] / (p["g_coupling"] + p["g_leak_dendrite"])
        return (p["g_leak"] + series) * depth
    above = depth * (1 + p["g_leak"] / p["g_coupling"])
    return p["g_leak_dendrite"] * above + p["g_coupling"] * (above - depth)


def _compartment(neuron: Neuron, onto: str) -> None:
    if onto not in neuron.compartments:
        raise BadOption("onto", got=repr(onto), expected=f"one of {', '.join(neuron.compartments)}")


def _period_point(p: dict[str, float], current: float, onto: str) -> float:
    rest = p["E_leak"] + current / p["g_leak"]
    if rest <= p["v_threshold"]:
        return float("inf")
    ratio = (rest - p["v_reset"]) / (rest - p["v_threshold"])
    return float(p["t_refractory"] + p["C"] / p["g_leak"] * np.log(ratio))


def _period_two(p: dict[str, float], current: float, onto: str) -> float:
    from scipy.linalg import expm
    from scipy.optimize import brentq

    g, gd, gc = p["g_leak"], p["g_leak_dendrite"], p["g_coupling"]
    A = np.array([[-(g + gc) / p["C"], gc / p["C"]],
                  [gc / p["C_dendrite"], -(gd + gc) / p["C_dendrite"]]])  # fmt: skip
    soma, dendrite = (current, 0.0) if onto == "soma" else (0.0, current)
    c = np.array([(g * p["E_leak"] + soma) / p["C"],
                  (gd * p["E_leak"] + dendrite) / p["C_dendrite"]])  # fmt: skip
    rest = np.linalg.solve(A, -c)
    if rest[0] <= p["v_threshold"]:
        return float("inf")
    # In the refractory period the soma stays at v_reset and the dendrite relaxes to `held`.
    held = -(A[1, 0] * p["v_reset"] + c[1]) / A[1, 1]
    decay = np.exp(A[1, 1] * p["t_refractory"])

    def miss(T: float) -> float:
        """v(T) − v_threshold, with the dendrite as periodic as the soma."""
        E = expm(A * T)
        start = p["v_reset"] - rest[0]
        # u = dendrite at the spike: u = rest + E21 start + E22 (held + (u − held) decay − rest)
        u = rest[1] + E[1, 0] * start + E[1, 1] * (held * (1 - decay) - rest[1])
        u /= 1 - E[1, 1] * decay
        after = held + (u - held) * decay
        return float(rest[0] + E[0, 0] * start + E[0, 1] * (after - rest[1]) - p["v_threshold"])

    longest = 1 / float(-np.linalg.eigvals(A).real.max())
    while miss(longest) < 0:
        longest *= 2
    return float(p["t_refractory"] + brentq(miss, 1e-9, longest, xtol=1e-12))
