"""The parts of plastic spiking networks: a clock of phases, cells with traces, projections.

    cells       spike at the rate  peak · clip(background + activity)
    synapse     τ_s s' = −s, + 1 / (peak τ_s) with every spike; it transmits s − background
    dendrite    τ_d a' = −a + Σ_j w_ij (s_j − background_j)
    trace       + 1 / (peak T_r) with every spike in the last T_r of its phase, − background

A trace is the mean activity in the last T_r = phase − settle of its phase, and is kept until the
end of the sample. Weights then change, all at the same time, by their local variables, and traces
are set to 0. When a phase begins, membrane potentials are drawn at random between rest and
threshold. Activity is dimensionless, as in the rate models. Signed activity is a deviation from
spontaneous firing at peak · background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from biocircuits.spiking.neurons import point_lif
from biocircuits.spiking.units import check_step
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import Milliseconds, Positive

Floats = NDArray[np.float64]

# The current at which the point neuron fires at ``rate``: the inverse of its f-I curve in closed
# form. In Brian 2 the refractory period is a step shorter than its given value.
DRIVE = ("g_leak * (v_threshold - E_leak) / (1 - exp((t_refractory - dt - "
         "1 / clip(rate, 1e-3 * Hz, limit)) * g_leak / C))")  # fmt: skip
# Spikes occur at whole steps. v keeps its excess over the threshold, because otherwise intervals
# in constant currents would be rounded up to whole steps.
RESET = "v -= v_threshold - v_reset"
LAG = 2  # steps from the end of reading to that of the phase, in which traces are transmitted
REFRACTORY = 2.0  # ms, at most half of the shortest interval


class Firing(NamedTuple):
    """Parameters of the cells, and durations.

    dt, phase, settle: step, duration of a phase, and its initial part that traces do not count, in
    ms. peak: the rate for activity 1, in Hz. tau_soma: membrane time constant of the soma in ms.
    tau_synapse, tau_dendrite: τ_s, τ_d in ms. cells: the number of cells for each unit, each with
    its own synapses. firing: "integrate": integrate-and-fire; "escape": a Poisson process of the
    same rate.
    """

    dt: Milliseconds = 0.5
    phase: Milliseconds = 100.0
    settle: Milliseconds = 40.0
    peak: Positive = 200.0
    tau_soma: Milliseconds = 200.0
    tau_synapse: Milliseconds = 5.0
    tau_dendrite: Milliseconds = 5.0
    cells: Annotated[int, Field(ge=1, le=1000)] = 1
    firing: Literal["integrate", "escape"] = "integrate"


class Builder:
    """Builds the parts of one network.

    b: the module brian2. phases: their names in order. streams: {name: (samples, n)} for x, y and
    learns; equations call these TimedArrays as name(t, unit). Raises BadOption where durations are
    no multiples of dt, or do not fit together.
    """

    def __init__(
        self, b: Any, phases: Sequence[str], firing: Firing, streams: Mapping[str, Floats]
    ) -> None:
        self.b, self.firing, f = b, firing, firing
        steps = {"phase": f.phase / f.dt, "settle": f.settle / f.dt}
        for name, count in steps.items():
            if abs(count - round(count)) > 1e-6:
                raise BadOption(name, got=f"{getattr(f, name):g} ms", expected="a multiple of dt")
        if not LAG * f.dt <= f.settle < f.phase:
            expected = f"{LAG * f.dt:g} ms or more, and less than phase, {f.phase:g} ms"
            raise BadOption("settle", got=f"{f.settle:g} ms", expected=expected)
        ms = b.ms
        check_step(f.dt * ms, {"tau_synapse": f.tau_synapse * ms,
                               "tau_dendrite": f.tau_dendrite * ms})  # fmt: skip
        self.sample = len(phases) * f.phase * ms
        self.streams = {
            name: b.TimedArray(values, dt=self.sample, name=f"stream_{name}")
            for name, values in streams.items()
        }
        whole = {f"{name}_steps": round(count) for name, count in steps.items()}
        whole["sample_steps"] = len(phases) * whole["phase_steps"]
        self.space = {
            **whole, **self.streams, "per_unit": f.cells, "sample": self.sample,
            "peak": f.peak * b.Hz,
            "window": (f.phase - f.settle) * ms, "tau_synapse": f.tau_synapse * ms,
            "tau_dendrite": f.tau_dendrite * ms, "limit": b.Hz * 1e3 / (REFRACTORY * 1.25),
        }  # fmt: skip
        lines = ["step = timestep(t, dt) % sample_steps : integer (shared)"]
        for k, name in enumerate(phases):
            since, until = f"step >= {k} * phase_steps", f"step < {k + 1} * phase_steps"
            read = f"{since} + settle_steps - {LAG} and {until} - {LAG}"
            lines.append(f"{name} = int({since} and {until}) : 1 (shared)")
            lines.append(f"read_{name} = int({read}) : 1 (shared)")
        self._clock = lines
        self.objects: list[Any] = []
        self.synapses: dict[str, Any] = {}

    def cells(
        self,
        name: str,
        n: int,
        rate: str,
        background: float = 0.0,
        compartments: Sequence[str] = (),
        traces: Mapping[str, str] | None = None,
        lines: Sequence[str] = (),
        kept: Sequence[str] = (),
    ) -> Any:
        """A NeuronGroup of n units.

        rate: the activity, as an expression of compartments, streams and variables of ``lines``.
        background: spontaneous activity. compartments: names of the compartments with synapses.
        traces: {name: phase}. lines: further equations. kept: variables of ``lines`` that are set
        to 0 with the traces at the end of a sample.
        """
        b, equations, reset = self.b, [*self._clock], []
        equations += [
            "unit = i // per_unit : integer (constant over dt)",
            "dfiltered/dt = -filtered / tau_synapse : 1",
            f"transmitted = filtered - {background!r} : 1",
            f"rate = peak * clip({background!r} + {rate}, 0, inf) : Hz",
        ]
        reset.append("filtered += (1 - exp(-dt / tau_synapse)) / (peak * dt)")
        for c in compartments:
            equations += [f"d{c}/dt = (input_{c} - {c}) / tau_dendrite : 1", f"input_{c} : 1"]
        for trace, phase in (traces or {}).items():
            equations.append(f"d{trace}/dt = -{background!r} * read_{phase} / window : 1")
            reset.append(f"{trace} += read_{phase} / (peak * window)")
        leak = f"{200 / self.firing.tau_soma!r} nS"  # C is 200 pF
        neuron = point_lif(g_leak=leak, t_refractory=f"{REFRACTORY} ms", currents={"soma": DRIVE},
                           extra="\n".join([*equations, *lines]))  # fmt: skip
        options: dict[str, Any] = {}
        if self.firing.firing == "escape":
            neuron = neuron._replace(threshold="rand() < rate * dt")
            options["refractory"] = 0 * b.ms
        neuron = neuron._replace(reset="\n".join([RESET, *reset]))
        group = neuron.group(n * self.firing.cells, name, self.space, **options)
        # otherwise the cells of a unit would fire together after a silence
        group.run_regularly("v = E_leak + rand() * (v_threshold - E_leak)",
                            dt=self.firing.phase * b.ms, name=f"scatter_{name}")  # fmt: skip
        cleared = [*(traces or {}), *kept]
        if cleared:
            group.run_regularly("\n".join(f"{c} = 0" for c in cleared), dt=self.sample, order=1,
                                name=f"clear_{name}")  # fmt: skip
        self.objects.append(group)
        return group

    def project(
        self, name: str, source: Any, target: Any, onto: str, weights: Floats, learn: str = ""
    ) -> Any:
        """Synapses with weights (n_target, n_source) of units, divided by the cells of a unit.

        onto: the variable of the target that receives the sum. learn: the change of w at the end of
        a learned sample, as a Brian 2 statement with variables of both cells and the rate ``eta``.
        """
        b, cells = self.b, self.firing.cells
        synapses = b.Synapses(
            source, target, "w : 1\neta : 1 (shared)\n"
            f"{onto}_post = w * transmitted_pre / per_unit : 1 (summed)",
            namespace=self.space, name=name,
        )  # fmt: skip
        pre, post = np.indices((len(source), len(target))).reshape(2, -1)
        synapses.connect(i=pre, j=post)  # by index, which standalone needs to record weights
        synapses.w = spread(weights, cells)
        if learn:
            # weights change in the first step of the next sample
            now = "eta * learns(t - sample / 2)"
            synapses.run_regularly(learn.replace("eta", now), dt=self.sample, name=f"learn_{name}")
        self.objects.append(synapses)
        self.synapses[name] = synapses
        return synapses

    def relay(self, name: str, source: Any, target: Any, variable: str, onto: str) -> None:
        """Copy ``variable`` of cell i of the source to ``onto`` of cell i of the target."""
        model = f"{onto}_post = {variable}_pre : 1 (summed)"
        synapses = self.b.Synapses(source, target, model, name=name)
        synapses.connect(j="i")
        self.objects.append(synapses)

    def broadcast(self, name: str, source: Any, target: Any, variable: str) -> None:
        """Sum ``variable`` over the units of the source, and copy the sum to all target cells.

        name: of the cell that computes the sum.
        """
        b = self.b
        one = b.NeuronGroup(1, f"{variable} : 1", name=name)
        mean = f"{variable}_post = {variable}_pre / per_unit : 1 (summed)"
        copy = f"{variable}_post = {variable}_pre : 1 (summed)"
        up = b.Synapses(source, one, mean, namespace=self.space, name=f"to_{name}")
        down = b.Synapses(one, target, copy, name=f"of_{name}")
        up.connect()
        down.connect()
        self.objects += [one, up, down]


def spread(weights: ArrayLike, cells: int) -> Floats:
    """Weights (n, m) of units as the w of Brian 2, for all pairs of cells ordered by source."""
    wide = np.repeat(np.repeat(np.asarray(weights, float).T, cells, axis=0), cells, axis=1)
    return np.asarray(wide.ravel())


def averaged(w: ArrayLike, shape: tuple[int, int], cells: int) -> Floats:
    """Weights (n, m) of units, as means over cells, from the w of Brian 2."""
    n, m = shape
    return np.asarray(np.reshape(w, (m, cells, n, cells)).mean(axis=(1, 3)).T)
