"""`to_brian2`: conversion of a trained network to a spiking network.

The result is a Brian 2 Network with a NeuronGroup for each layer, Synapses for each weight matrix,
and monitors. All samples are presented in one run. `coding` defines how rates and weights are
scaled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

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
Readout = Literal["spikes", "membrane"]
Kinetics = Literal["current", "conductance"]
CHOICES: dict[str, Any] = {"inputs": Inputs, "readout": Readout, "kinetics": Kinetics}
# {receptor: (sign of its weights, reversal potential)} of conductances
SIGNED = {"excitation": (1.0, "0 mV"), "inhibition": (-1.0, "-90 mV")}
RECEPTOR = "forward"  # of currents, with weights of both signs
TRACE = re.compile(r"(\w+)\.(\w+)(?:\[(\d+(?:,\d+)*)\])?")


def to_brian2(
    trained: Any, X: ArrayLike, calibration: ArrayLike | None = None, *,
    spec: NetworkSpec | None = None, presentation: Any = "500 ms", peak: Any = "200 Hz",
    percentile: float = 99.9, floor: float | None = None, inputs: Inputs = "regular",
    readout: Readout = "spikes", neuron: Callable[..., Neuron] = two_compartment_lif,
    kinetics: Kinetics = "current", tau: Any = "5 ms", delay: Any = "1 ms", cells: int = 1,
    reset: bool = True, traces: Sequence[str] = (), dt: Any = "0.25 ms", seed: int = 0,
    mode: str = "runtime", target: str = "auto",
) -> SpikingNetwork:  # fmt: skip
    """A Brian 2 network that approximates ``trained``, ready to present the rows of X (N, n_0).

    trained: `OnlineLearner`, `OnlineNetwork`, `CircuitNetwork`, or parameters with their ``spec``.
    calibration: samples on which activity is measured; None: X. presentation: duration of each
    sample. peak: the rate for the value at the ``percentile`` of a layer. floor: the percentile of
    output values at which output neurons are silent; None: 100 − percentile. With a higher floor
    fewer output neurons fire, and the first spike is more informative. inputs: "regular" spike
    trains, with a random phase for each neuron; "poisson" trains, whose counts are noisy; or
    "current", the mean input current, injected into the first layer. readout: "spikes"; or
    "membrane": output neurons do not fire, and their potential is the output. neuron: a function
    from a list of receptors to a `Neuron`: `two_compartment_lif`, with synapses on the dendrite,
    `point_lif`, or a `functools.partial` of one. kinetics: of synapses, "current" or "conductance",
    where excitation and inhibition are separate synapses, W_1_excitation and W_1_inhibition. tau:
    decay time constant of synapses. delay: of all synapses. cells: neurons for each unit, which
    share its weights. reset: whether all neurons are at rest when a sample begins; spikes in
    delayed synapses still arrive. traces: variables to record every millisecond, "hidden_1.v" for
    all neurons, "hidden_1.v_dendrite[3,8]" for some. mode, target: see `backend`. The objects for
    cpp_standalone belong to the device until `SpikingNetwork.run`.

    Raises BadOption for an activation that is not threshold-linear, for wrong units, for a step
    that is too long for the time constants, and for other invalid options.
    """
    check_seed(seed)
    _check_choices(inputs=inputs, readout=readout, kinetics=kinetics)
    _check_numbers(cells, percentile, floor)
    runtime()
    network = measure(trained, X, spec)
    calibrated = network if calibration is None else measure(trained, calibration, spec)
    hertz = float(quantity("peak", peak, "hertz"))
    if hertz <= 0:
        raise BadOption("peak", got=peak, expected="a rate above 0 Hz")
    onto = neuron([]).compartments[0]  # the dendrite, where there is one
    model = neuron(_receptors(kinetics, onto, tau))
    check_step(dt, model.time_constants())
    codes, lines = _scaled(calibrated, model, onto, hertz, percentile, floor, dt)
    b = prepare(dt, mode, target, seed)
    span = quantity("presentation", presentation, "second")
    if span <= 0 * b.second or abs(float(span / b.defaultclock.dt) % 1 - 0.5) < 0.499:
        raise BadOption("presentation", got=span, expected=f"a multiple of dt, {dt}")
    spiking = SpikingNetwork(network, codes, lines, model, span, cells, seed,
                             b.defaultclock.dt, mode, b.Network())  # fmt: skip
    build = _Builder(b, spiking, onto, reset)
    build.layers(neuron, inputs, readout, delay)
    answer = f"{network.layers[-1].name}.v"
    for name in dict.fromkeys([*traces, *([answer] if readout == "membrane" else [])]):
        build.trace(name)
    return spiking


def _check_choices(**values: str) -> None:
    """Raise BadOption for an option that is not among its `CHOICES`."""
    for name, value in values.items():
        known = get_args(CHOICES[name])
        if value not in known:
            raise BadOption(name, got=repr(value), expected=f"one of {', '.join(known)}")


def _check_numbers(cells: int, percentile: float, floor: float | None) -> None:
    """Raise BadOption for a number outside its range."""
    if isinstance(cells, bool) or not isinstance(cells, int) or cells < 1:
        raise BadOption("cells", got=repr(cells), expected="a whole number, 1 or more")
    if not 50 < percentile <= 100:
        raise BadOption("percentile", got=percentile, expected="above 50, up to 100")
    if floor is not None and not 0 <= floor < percentile:
        raise BadOption("floor", got=floor, expected=f"from 0 to below {percentile}")


def _receptors(kinetics: Kinetics, onto: str, tau: Any) -> list[Receptor]:
    """The receptors of all neurons: one of currents, or two conductances for the two signs."""
    if kinetics == "current":
        return [Receptor(RECEPTOR, onto, tau=tau)]
    return [Receptor(name, onto, "conductance", tau, reversal)
            for name, (_, reversal) in SIGNED.items()]  # fmt: skip


def _scaled(
    calibrated: Trained, neuron: Neuron, onto: str, peak: float, percentile: float,
    floor: float | None, dt: Any,
) -> tuple[list[Code], list[Line]]:  # fmt: skip
    """The codes of input and layers, and the fitted f-I curve of each layer."""
    names = ["input", *(layer.name for layer in calibrated.layers)]
    floors = [None] * len(calibrated.layers) + [floor]
    layers = zip(names, calibrated.values(), floors, strict=True)
    codes = [coding.code_of(values, percentile, peak, name, low) for name, values, low in layers]
    currents, rates = coding.curve(neuron, onto, peak, dt)
    lines = [coding.line(layer, code, currents, rates)
             for layer, code in zip(calibrated.layers, codes[1:], strict=True)]  # fmt: skip
    return codes, lines


class _Builder:
    """Builds the groups, synapses and monitors of a spiking network."""

    def __init__(self, b: Any, spiking: SpikingNetwork, onto: str, reset: bool) -> None:
        self.b, self.spiking, self.onto, self.reset = b, spiking, onto, reset

    def layers(
        self, neuron: Callable[..., Neuron], inputs: Inputs, readout: Readout, delay: Any
    ) -> None:
        """The input neurons, and all layers with their synapses."""
        network, codes = self.spiking.trained, self.spiking.codes
        source: Any = None
        if inputs != "current":
            source = self.source(inputs, codes[0].rate(network.inputs))
        for n, layer in enumerate(network.layers):
            here, stream = self.spiking.neuron, None
            if source is None:  # the current of the first layer depends on the sample only
                here = neuron([], currents={self.onto: "stream(t, i)"})
                stream = coding.injected(layer, codes[1], self.spiking.lines[0], network.inputs)
            if readout == "membrane" and layer is network.layers[-1]:
                here = here.passive()
            group = self.layer(layer.name, here, len(layer.bias), stream)
            if source is not None:
                self.connect(n, source, group, here, delay)
            source = group

    def source(self, kind: str, rates: Any) -> Any:
        """Input neurons that fire at rates (N, n_0) in N successive samples."""
        b, rates = self.b, self._each(rates, 1)
        stream = b.TimedArray(rates * b.Hz, dt=self.spiking.presentation, name="stream_input")
        if kind == "poisson":
            group = b.NeuronGroup(rates.shape[1], "rate = stream(t, i) : Hz", name="input",
                                  threshold="rand() < rate * dt", namespace={"stream": stream},
                                  )  # fmt: skip
        else:
            group = b.NeuronGroup(rates.shape[1], "dphase/dt = stream(t, i) : 1", name="input",
                                  threshold="phase >= 1", reset="phase -= 1", method="euler",
                                  namespace={"stream": stream})  # fmt: skip
            # otherwise all neurons would fire at the same time
            group.phase = np.random.default_rng(self.spiking.seed).random(rates.shape[1])
        return self._monitored(group)

    def layer(self, name: str, neuron: Neuron, units: int, stream: Any) -> Any:
        """The neurons of a layer. stream: input currents in every sample (N, units), or None."""
        b, space, span = self.b, {}, self.spiking.presentation
        if stream is not None:
            currents = self._each(np.asarray(stream), 1) * b.amp
            space["stream"] = b.TimedArray(currents, dt=span, name=f"stream_{name}")
        group = neuron.group(units * self.spiking.cells, name, space)
        if self.reset:
            rest = [f"{VOLTAGE[c]} = E_leak" for c in neuron.compartments]
            rest += [f"{r.variable} = 0 * {r.unit}" for r in neuron.receptors.values()]
            rest += ["I_adaptation = 0 * amp"] if neuron.adaptive else []
            rest += ["lastspike = -1e4 * second"] if neuron.threshold else []  # not refractory
            group.run_regularly("\n".join(rest), dt=span, name=f"reset_{name}")
        return self._monitored(group, fires=bool(neuron.threshold))

    def connect(self, n: int, source: Any, group: Any, neuron: Neuron, delay: Any) -> None:
        """The synapses onto layer n (from 0), and its constant currents."""
        spiking, b = self.spiking, self.b
        layer = spiking.trained.layers[n]
        args = (layer, spiking.codes[n + 1], spiking.codes[n], spiking.lines[n])
        constant = self._each(np.asarray(coding.constant(*args)), 0)
        setattr(group, f"injected_{self.onto}", constant * b.amp)
        tau = neuron.parameters[f"tau_{next(iter(neuron.receptors))}"]
        w = np.asarray(coding.weights(*args, tau))
        w = self._each(self._each(w, 0), 1) / spiking.cells * b.amp
        name = layer.projection
        if RECEPTOR in neuron.receptors:
            spiking.add("synapses", connect(source, group, neuron, RECEPTOR, w, name, delay))
            return
        at = coding.potential(layer, args[1], args[3], neuron, self.onto)
        for receptor, (sign, _) in SIGNED.items():
            drive = abs(neuron.parameters[f"E_{receptor}"] - at)
            part = connect(source, group, neuron, receptor, np.maximum(sign * w, 0 * b.amp) / drive,
                           f"{name}_{receptor}", delay)  # fmt: skip
            spiking.add("synapses", part)

    def trace(self, name: str) -> None:
        """Record population.variable, or population.variable[i,j], every millisecond.

        Where the step is longer than a millisecond, every step is recorded.
        """
        b, groups = self.b, self.spiking.groups
        match = TRACE.fullmatch(name)
        population, variable, neurons = match.groups() if match else ("", "", None)
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
        self.spiking.add("monitors", monitor, f"{population}.{variable}")

    def _each(self, values: Any, axis: int) -> Any:
        """Values repeated for all cells of a unit, along ``axis``."""
        return np.repeat(values, self.spiking.cells, axis=axis)

    def _monitored(self, group: Any, fires: bool = True) -> Any:
        self.spiking.add("groups", group)
        if fires:
            monitor = self.b.SpikeMonitor(group, name=f"spikes_{group.name}")
            self.spiking.add("monitors", monitor, group.name)
        return group
