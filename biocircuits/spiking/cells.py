"""What plastic spiking networks are built of: a clock of phases, cells with traces, projections.

    cells       spike at the rate  peak · clip(background + activity)
    synapse     τ_s said' = −said, + 1 / (peak τ_s) with every spike; it passes on said − background
    dendrite    τ_d a' = −a + Σ_j w_ij (said_j − background_j)
    trace       + 1 / (peak T_r) with every spike in the last T_r of its phase, − background

A trace is the mean activity in the last T_r = phase − settle of its phase, kept until the sample is
over. Weights learn at the end of the sample, at once, from what is at the synapse; then traces are
cleared. When a phase begins, membranes are scattered between rest and threshold. Activity is
dimensionless, as in the rate models; signed activity is a deviation from spontaneous firing at
peak · background.
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

# The current in which the base's neuron fires at ``rate``: its f-I curve in closed form, inverted.
# The refractory period of Brian 2 is a step shorter than it is called.
DRIVE = ("g_leak * (v_threshold - E_leak) / (1 - exp((t_refractory - dt - "
         "1 / clip(rate, 1e-3 * Hz, limit)) * g_leak / C))")  # fmt: skip
# Spikes fall on the grid of steps. What v is above the threshold by then it keeps, else rates of
# constant currents would be rounded to whole intervals.
RESET = "v -= v_threshold - v_reset"
LAG = 2  # steps: reading ends so much before the phase, for a trace to be told to others in time
REFRACTORY = 2.0  # ms, at most half of the shortest interval


class Firing(NamedTuple):
    """How cells fire, and for how long a sample is shown.

    dt, phase, settle: in ms; of every phase the first ``settle`` is not counted. peak: the rate of
    activity 1, in Hz. tau_soma: of the membrane that fires, in ms; tau_synapse, tau_dendrite: τ_s,
    τ_d in ms. cells: that stand for one unit, each with synapses of its own. firing: "integrate"
    integrates and fires; "escape" fires with the same rate but at random, as a Poisson process.
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
    """Makes the parts of one network, for the stream x, y, learns of its samples.

    phases: their names in order. streams: {name: (samples, n)}: TimedArrays that equations may
    call as name(t, unit).
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

        rate: the activity, an expression in its compartments, streams and ``lines``, its further
        equations. traces: {name: phase}. kept: variables of ``lines`` that are cleared with the
        traces when a sample is over.
        """
        b, equations, reset = self.b, [*self._clock], []
        equations += [
            "unit = i // per_unit : integer (constant over dt)",
            "dspoken/dt = -spoken / tau_synapse : 1",
            f"said = spoken - {background!r} : 1",
            f"rate = peak * clip({background!r} + {rate}, 0, inf) : Hz",
        ]
        reset.append("spoken += (1 - exp(-dt / tau_synapse)) / (peak * dt)")
        for c in compartments:
            equations += [f"d{c}/dt = (heard_{c} - {c}) / tau_dendrite : 1", f"heard_{c} : 1"]
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
        # else cells of a unit would fire at once, those that were silent for ever
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
        """Synapses with weights (n_target, n_source), each unit's shared out over its cells.

        onto: variable of the target that their sum is. learn: how w changes when a sample is over,
        in variables of the synapse's two ends, at the rate ``eta``; in samples that are learned.
        """
        b, cells = self.b, self.firing.cells
        made = b.Synapses(
            source, target, "w : 1\neta : 1 (shared)\n"
            f"{onto}_post = w * said_pre / per_unit : 1 (summed)", namespace=self.space, name=name,
        )  # fmt: skip
        pre, post = np.indices((len(source), len(target))).reshape(2, -1)
        made.connect(i=pre, j=post)  # numbered, not "all": standalone can then record them
        made.w = spread(weights, cells)
        if learn:
            # the commit of a sample falls on the first step of the next one
            now = "eta * learns(t - sample / 2)"
            made.run_regularly(learn.replace("eta", now), dt=self.sample, name=f"learn_{name}")
        self.objects.append(made)
        self.synapses[name] = made
        return made

    def tell(self, name: str, source: Any, target: Any, said: str, heard: str) -> None:
        """Cell i of the source tells cell i of the target a variable."""
        made = self.b.Synapses(source, target, f"{heard}_post = {said}_pre : 1 (summed)", name=name)
        made.connect(j="i")
        self.objects.append(made)

    def broadcast(self, name: str, source: Any, target: Any, said: str) -> None:
        """One cell ``name`` sums a variable over the source's units, and tells all targets."""
        b = self.b
        one = b.NeuronGroup(1, f"{said} : 1", name=name)
        mean = f"{said}_post = {said}_pre / per_unit : 1 (summed)"
        up = b.Synapses(source, one, mean, namespace=self.space, name=f"to_{name}")
        down = b.Synapses(one, target, f"{said}_post = {said}_pre : 1 (summed)", name=f"of_{name}")
        up.connect()
        down.connect()
        self.objects += [one, up, down]


def spread(weights: ArrayLike, cells: int) -> Floats:
    """(n, m) of units as Brian's w of all pairs of cells, source after source."""
    wide = np.repeat(np.repeat(np.asarray(weights, float).T, cells, axis=0), cells, axis=1)
    return np.asarray(wide.ravel())


def gathered(w: ArrayLike, shape: tuple[int, int], cells: int) -> Floats:
    """(n, m) of units, the mean over cells, from Brian's w."""
    n, m = shape
    return np.asarray(np.reshape(w, (m, cells, n, cells)).mean(axis=(1, 3)).T)
