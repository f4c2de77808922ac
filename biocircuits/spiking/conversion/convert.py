"""A trained network as a spiking one: `to_brian2`.

One Brian 2 Network with a NeuronGroup per layer, Synapses per weight matrix and monitors, through
which all samples go in one run. How rates and weights are scaled: `coding`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from biocircuits.spiking.backend import prepare, runtime
from biocircuits.spiking.conversion import coding
from biocircuits.spiking.conversion.coding import Code, Line
from biocircuits.spiking.conversion.network import SpikingNetwork
from biocircuits.spiking.conversion.trained import Trained, measure
from biocircuits.spiking.neurons import VOLTAGE, Neuron, Receptor, two_compartment_lif
from biocircuits.spiking.synapses import connect
from biocircuits.spiking.units import check_step, quantity
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec, check_seed

Inputs = Literal["poisson", "regular", "current"]
INPUTS, READOUTS = ("poisson", "regular", "current"), ("spikes", "membrane")
KINETICS = ("current", "conductance")
# {receptor: (sign of the weights that it takes, reversal)} of conductances.
SIGNED = {"excitation": (1.0, "0 mV"), "inhibition": (-1.0, "-90 mV")}
RECEPTOR = "forward"  # of currents, which have either sign
TRACE = re.compile(r"(\w+)\.(\w+)(?:\[(\d+(?:,\d+)*)\])?")


def to_brian2(
    trained: Any,
    X: ArrayLike,
    calibration: ArrayLike | None = None,
    *,
    spec: NetworkSpec | None = None,
    presentation: Any = "500 ms",
    peak: Any = "200 Hz",
    percentile: float = 99.9,
    floor: float | None = None,
    inputs: Inputs = "regular",
    readout: Literal["spikes", "membrane"] = "spikes",
    neuron: Callable[..., Neuron] = two_compartment_lif,
    kinetics: Literal["current", "conductance"] = "current",
    tau: Any = "5 ms",
    delay: Any = "1 ms",
    cells: int = 1,
    reset: bool = True,
    traces: Sequence[str] = (),
    dt: Any = "0.25 ms",
    seed: int = 0,
    mode: str = "runtime",
    target: str = "auto",
) -> SpikingNetwork:
    """A Brian 2 network that answers as ``trained`` does, made ready to be shown the rows of X.

    trained: `OnlineLearner`, `OnlineNetwork`, `CircuitNetwork`, or parameters with their ``spec``.
    calibration: samples on which activity is measured; X itself if None. presentation: of each
    sample. peak: the rate that stands for the ``percentile`` of a layer's values. floor: the
    percentile of the output's values at which output neurons are silent; None: the lowest,
    100 − percentile. High, fewer of them fire, and the first spike says more. inputs: regular
    trains, each with a phase of its own; Poisson trains, whose counts are noise of their own; or
    the current that they would bring, injected into the first layer. readout: membrane: output
    neurons do not fire, their potential is the answer. neuron: builds the neuron from a list of
    receptors: `two_compartment_lif`, whose synapses lie on the dendrite, `point_lif`, or a
    `functools.partial` of one. kinetics: of synapses: currents, or conductances with excitation
    apart from inhibition, as W_1_excitation and W_1_inhibition. tau: of either. delay: of all.
    cells: neurons that stand for one unit, which share its weights. reset: whether each sample
    begins with all neurons at rest; spikes under way arrive. traces: what to record every
    millisecond, "hidden_1.v" of all neurons, "hidden_1.v_dendrite[3,8]" of some. mode, target: see
    `backend`; objects for cpp_standalone are the device's until `SpikingNetwork.run`.

    Raises BadOption for what cannot be: an activation that is no threshold-linear rate, units, a
    step too long for the time constants.
    """
    check_seed(seed)
    for what, given, known in (("inputs", inputs, INPUTS), ("readout", readout, READOUTS),
                               ("kinetics", kinetics, KINETICS)):  # fmt: skip
        if given not in known:
            raise BadOption(what, got=repr(given), expected=f"one of {', '.join(known)}")
    if isinstance(cells, bool) or not isinstance(cells, int) or cells < 1:
        raise BadOption("cells", got=repr(cells), expected="a whole number from 1 on")
    if not 50 < percentile <= 100:
        raise BadOption("percentile", got=percentile, expected="above 50, up to 100")
    if floor is not None and not 0 <= floor < percentile:
        raise BadOption("floor", got=floor, expected=f"from 0 to below {percentile}")
    runtime()
    shown = measure(trained, X, spec)
    seen = shown if calibration is None else measure(trained, calibration, spec)
    hertz = float(quantity("peak", peak, "hertz"))
    if hertz <= 0:
        raise BadOption("peak", got=peak, expected="a rate above 0 Hz")
    onto = neuron([]).compartments[0]  # the dendrite, where there is one
    receptors = [Receptor(RECEPTOR, onto, tau=tau)]
    if kinetics == "conductance":
        receptors = [Receptor(name, onto, "conductance", tau, reversal)
                     for name, (_, reversal) in SIGNED.items()]  # fmt: skip
    model = neuron(receptors)
    check_step(dt, model.time_constants())
    codes, lines = _scaled(seen, model, onto, hertz, percentile, floor, dt)
    b = prepare(dt, mode, target, seed)
    span = quantity("presentation", presentation, "second")
    if span <= 0 * b.second or abs(float(span / b.defaultclock.dt) % 1 - 0.5) < 0.499:
        raise BadOption("presentation", got=span, expected=f"a multiple of dt, {dt}")
    made = SpikingNetwork(shown, codes, lines, model, span, cells, seed,
                          b.defaultclock.dt, mode, b.Network())  # fmt: skip
    build = _Builder(b, made, onto, reset)
    source: Any = None
    if inputs != "current":
        source = build.source(inputs, codes[0].rate(shown.inputs))
    for n, layer in enumerate(shown.layers):
        here, stream = model, None
        if source is None:  # the first layer's current is a function of the sample
            here = neuron([], currents={onto: "stream(t, i)"})
            stream = coding.injected(layer, codes[1], lines[0], shown.inputs)
        if readout == "membrane" and layer is shown.layers[-1]:
            here = here.passive()
        group = build.layer(layer.name, here, len(layer.bias), stream)
        if source is not None:
            build.feed(n, source, group, here, delay)
        source = group
    answer = f"{shown.layers[-1].name}.v"
    for name in dict.fromkeys([*traces, *([answer] if readout == "membrane" else [])]):
        build.trace(name)
    return made


def _scaled(
    seen: Trained, neuron: Neuron, onto: str, peak: float, percentile: float, floor: float | None,
    dt: Any,
) -> tuple[list[Code], list[Line]]:  # fmt: skip
    names = ["input", *(layer.name for layer in seen.layers)]
    floors = [None] * len(seen.layers) + [floor]
    codes = [coding.code_of(values, percentile, peak, name, low)
             for name, values, low in zip(names, seen.values(), floors, strict=True)]  # fmt: skip
    currents, rates = coding.curve(neuron, onto, peak, dt)
    lines = [coding.line(layer, code, currents, rates)
             for layer, code in zip(seen.layers, codes[1:], strict=True)]  # fmt: skip
    return codes, lines


class _Builder:
    """Makes groups, synapses and monitors and puts them where they belong."""

    def __init__(self, b: Any, made: SpikingNetwork, onto: str, reset: bool) -> None:
        self.b, self.made, self.onto, self.reset = b, made, onto, reset

    def source(self, kind: str, rates: Any) -> Any:
        """Neurons that fire at rates (N, n_0), N samples one after another."""
        b, rates = self.b, self._each(rates, 1)
        stream = b.TimedArray(rates * b.Hz, dt=self.made.presentation, name="stream_input")
        if kind == "poisson":
            group = b.NeuronGroup(rates.shape[1], "rate = stream(t, i) : Hz", name="input",
                                  threshold="rand() < rate * dt", namespace={"stream": stream},
                                  )  # fmt: skip
        else:
            group = b.NeuronGroup(rates.shape[1], "dphase/dt = stream(t, i) : 1", name="input",
                                  threshold="phase >= 1", reset="phase -= 1", method="euler",
                                  namespace={"stream": stream})  # fmt: skip
            # else all would fire at once
            group.phase = np.random.default_rng(self.made.seed).random(rates.shape[1])
        return self._watched(group)

    def layer(self, name: str, neuron: Neuron, units: int, stream: Any) -> Any:
        """Neurons of a layer; stream: their currents in every sample (N, units), or None."""
        b, space, span = self.b, {}, self.made.presentation
        if stream is not None:
            currents = self._each(np.asarray(stream), 1) * b.amp
            space["stream"] = b.TimedArray(currents, dt=span, name=f"stream_{name}")
        group = neuron.group(units * self.made.cells, name, space)
        if self.reset:
            rest = [f"{VOLTAGE[c]} = E_leak" for c in neuron.compartments]
            rest += [f"{r.variable} = 0 * {r.unit}" for r in neuron.receptors.values()]
            rest += ["I_adaptation = 0 * amp"] if neuron.adaptive else []
            rest += ["lastspike = -1e4 * second"] if neuron.threshold else []  # not refractory
            group.run_regularly("\n".join(rest), dt=span, name=f"reset_{name}")
        return self._watched(group, fires=bool(neuron.threshold))

    def feed(self, n: int, source: Any, group: Any, neuron: Neuron, delay: Any) -> None:
        """The synapses onto layer n (from 0), and its constant currents."""
        made, b = self.made, self.b
        layer = made.trained.layers[n]
        args = (layer, made.codes[n + 1], made.codes[n], made.lines[n])
        constant = self._each(np.asarray(coding.constant(*args)), 0)
        setattr(group, f"injected_{self.onto}", constant * b.amp)
        tau = neuron.parameters[f"tau_{next(iter(neuron.receptors))}"]
        w = np.asarray(coding.weights(*args, tau))
        w = self._each(self._each(w, 0), 1) / made.cells * b.amp
        name = layer.projection
        if RECEPTOR in neuron.receptors:
            made.add("synapses", connect(source, group, neuron, RECEPTOR, w, name, delay))
            return
        at = coding.potential(layer, args[1], args[3], neuron, self.onto)
        for receptor, (sign, _) in SIGNED.items():
            drive = abs(neuron.parameters[f"E_{receptor}"] - at)
            some = connect(source, group, neuron, receptor, np.maximum(sign * w, 0 * b.amp) / drive,
                           f"{name}_{receptor}", delay)  # fmt: skip
            made.add("synapses", some)

    def trace(self, name: str) -> None:
        """Record population.variable, or population.variable[i,j], every millisecond or step."""
        b, groups = self.b, self.made.groups
        found = TRACE.fullmatch(name)
        population, variable, neurons = found.groups() if found else ("", "", None)
        known = [f"{p}.{v}" for p, g in groups.items() for v in g.variables
                 if v.startswith(("v", "I_", "g_"))]  # fmt: skip
        if f"{population}.{variable}" not in known:
            raise BadOption("traces", got=repr(name), expected=f"one of {', '.join(known)}")
        step = max(1, round(float(b.ms / b.defaultclock.dt))) * b.defaultclock.dt
        which = sorted({int(n) for n in neurons.split(",")}) if neurons else []
        if which and which[-1] >= len(groups[population]):
            expected = f"neurons up to {len(groups[population]) - 1}"
            raise BadOption("traces", got=repr(name), expected=expected)
        monitor = b.StateMonitor(groups[population], variable, record=which or True, dt=step,
                                 name=f"trace_{population}_{variable}")  # fmt: skip
        self.made.add("monitors", monitor, f"{population}.{variable}")

    def _each(self, values: Any, axis: int) -> Any:
        """The same for all cells of a unit."""
        return np.repeat(values, self.made.cells, axis=axis)

    def _watched(self, group: Any, fires: bool = True) -> Any:
        self.made.add("groups", group)
        if fires:
            monitor = self.b.SpikeMonitor(group, name=f"spikes_{group.name}")
            self.made.add("monitors", monitor, group.name)
        return group
