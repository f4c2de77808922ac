"""Integrate-and-fire neurons in the notation of Brian 2, with units.

Point neuron with soma v:

    C v' = g_leak (E_leak − v) + I_soma

Two coupled compartments, dendrite v_dendrite and soma v:

    C v'                   = g_leak (E_leak − v) + g_coupling (v_dendrite − v) + I_soma
    C_dendrite v_dendrite' = g_leak_dendrite (E_leak − v_dendrite)
                             + g_coupling (v − v_dendrite) + I_dendrite

When v > v_threshold the neuron spikes, and v is v_reset for t_refractory. The dendrite is not
reset. In adaptive neurons, C v' has the further term −I_adaptation with I_adaptation' =
−I_adaptation / tau_adaptation, and every spike adds b_adaptation. I_soma and I_dendrite are the
sums of ``injected_soma`` or ``injected_dendrite`` (amp; variables of the group), of an expression
in ``currents``, and of the receptor currents:

    current        I_NAME' = −I_NAME / tau_NAME;  I_NAME
    conductance    g_NAME' = −g_NAME / tau_NAME;  g_NAME (E_NAME − v of its compartment)

A presynaptic spike adds its weight (amp or siemens) to I_NAME or g_NAME, see `connect`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from biocircuits.spiking.backend import load
from biocircuits.spiking.units import check_step, quantity
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import unknown

# {parameter: (default, unit)}
SOMA = {
    "C": ("200 pF", "farad"),
    "g_leak": ("10 nS", "siemens"),
    "E_leak": ("-70 mV", "volt"),
    "v_threshold": ("-55 mV", "volt"),
    "v_reset": ("-70 mV", "volt"),
    "t_refractory": ("2 ms", "second"),
}
DENDRITE = {
    "C_dendrite": ("100 pF", "farad"),
    "g_leak_dendrite": ("5 nS", "siemens"),
    "g_coupling": ("20 nS", "siemens"),
}
ADAPTATION = {"tau_adaptation": ("100 ms", "second"), "b_adaptation": ("10 pA", "amp")}
FAST = {"C": ("100 pF", "farad"), "t_refractory": ("1 ms", "second")}
VOLTAGE = {"soma": "v", "dendrite": "v_dendrite"}


class Receptor(NamedTuple):
    """A synaptic receptor.

    name: the suffix of its variable. onto: soma or dendrite. kind: current or conductance. tau:
    decay time constant. reversal: E_NAME of a conductance.

    >>> Receptor("forward", "dendrite").variable
    'I_forward'
    """

    name: str
    onto: str = "soma"
    kind: Literal["current", "conductance"] = "current"
    tau: Any = "5 ms"
    reversal: Any = "0 mV"

    @property
    def variable(self) -> str:
        """The variable to which a presynaptic spike adds its weight."""
        return f"{'I' if self.kind == 'current' else 'g'}_{self.name}"

    @property
    def unit(self) -> str:
        """The unit of the variable and of weights."""
        return "amp" if self.kind == "current" else "siemens"


class Neuron(NamedTuple):
    """A neuron model for a NeuronGroup of Brian 2.

    equations, threshold, reset: as in Brian 2. parameters: {name: Quantity}, the namespace of the
    equations. receptors: {name: Receptor}. compartments: soma, or dendrite and soma. adaptive:
    whether the neuron has an adaptation current.
    """

    equations: str
    threshold: str
    reset: str
    parameters: dict[str, Any]
    receptors: dict[str, Receptor]
    compartments: tuple[str, ...]
    adaptive: bool = False

    def group(
        self,
        n: int,
        name: str,
        namespace: Mapping[str, Any] | None = None,
        method: str = "exponential_euler",
        **options: Any,
    ) -> Any:
        """A Brian 2 NeuronGroup of n neurons at rest.

        namespace: further names of the equations, for example a TimedArray of currents. method,
        options: of `brian2.NeuronGroup`. Raises BadOption where the default step is too long.
        """
        b = load()
        check_step(b.defaultclock.dt, self.time_constants())
        if self.threshold:
            options = {"threshold": self.threshold, "reset": self.reset,
                       "refractory": self.parameters["t_refractory"], **options}  # fmt: skip
        space = {**self.parameters, **(namespace or {})}
        group = b.NeuronGroup(n, self.equations, method=method, name=name, namespace=space,
                              **options)  # fmt: skip
        for compartment in self.compartments:
            setattr(group, VOLTAGE[compartment], self.parameters["E_leak"])
        return group

    def passive(self) -> Neuron:
        """The same neuron without spikes."""
        equations = self.equations.replace(" (unless refractory)", "")
        return self._replace(equations=equations, threshold="", reset="")

    def time_constants(self) -> dict[str, Any]:
        """{name: time constant} of all variables of the neuron."""
        p = self.parameters
        coupling = p.get("g_coupling", 0 * p["g_leak"])
        times = {"the soma's time constant": p["C"] / (p["g_leak"] + coupling)}
        if "dendrite" in self.compartments:
            tau = p["C_dendrite"] / (p["g_leak_dendrite"] + coupling)
            times["the dendrite's time constant"] = tau
        times |= {f"tau_{name}": p[f"tau_{name}"] for name in self.receptors}
        return times | ({"tau_adaptation": p["tau_adaptation"]} if self.adaptive else {})


def point_lif(receptors: Sequence[Receptor] = (), adaptive: bool = False, **options: Any) -> Neuron:
    """A leaky integrate-and-fire neuron with one compartment and τ = C / g_leak = 20 ms.

    options: the parameters C, g_leak, E_leak, v_threshold, v_reset, t_refractory, tau_adaptation
    and b_adaptation as texts ("200 pF") or quantities; ``currents`` {compartment: expression} and
    ``extra``, further lines of equations. Raises UnknownName and BadOption.
    """
    return _neuron(SOMA, ("soma",), receptors, adaptive, options)


def two_compartment_lif(
    receptors: Sequence[Receptor] = (), adaptive: bool = False, **options: Any
) -> Neuron:
    """A spiking soma and a dendrite, coupled by a conductance.

    As `point_lif`, with the further parameters C_dendrite, g_leak_dendrite and g_coupling.
    """
    return _neuron(SOMA | DENDRITE, ("dendrite", "soma"), receptors, adaptive, options)


def interneuron(
    receptors: Sequence[Receptor] = (), adaptive: bool = False, **options: Any
) -> Neuron:
    """A fast-spiking point neuron with half the capacitance and half the refractory period."""
    return _neuron(SOMA | FAST, ("soma",), receptors, adaptive, options)


def _neuron(
    known: Mapping[str, tuple[str, str]],
    compartments: tuple[str, ...],
    receptors: Sequence[Receptor],
    adaptive: bool,
    options: dict[str, Any],
) -> Neuron:
    options = dict(options)
    currents, extra = options.pop("currents", {}), options.pop("extra", "")
    known = {**known, **(ADAPTATION if adaptive else {})}
    for name in options:
        if name not in known:
            raise unknown(name, [*known, "currents", "extra"])
    p = {name: quantity(name, options.get(name, default), unit)
         for name, (default, unit) in known.items()}  # fmt: skip
    for where in (*currents, *(r.onto for r in receptors)):
        if where not in compartments:
            raise BadOption("compartment", got=repr(where), expected=" or ".join(compartments))
    lines, sums = [], {where: [f"injected_{where}"] for where in compartments}
    for r in receptors:
        p[f"tau_{r.name}"] = quantity(f"tau of receptor {r.name}", r.tau, "second")
        lines.append(f"d{r.variable}/dt = -{r.variable} / tau_{r.name} : {r.unit}")
        sums[r.onto].append(r.variable)
        if r.kind == "conductance":
            p[f"E_{r.name}"] = quantity(f"reversal of receptor {r.name}", r.reversal, "volt")
            sums[r.onto][-1] = f"{r.variable} * (E_{r.name} - {VOLTAGE[r.onto]})"
    for where in compartments:
        total = " + ".join([*sums[where], *([currents[where]] if where in currents else [])])
        lines += [f"injected_{where} : amp", f"I_{where} = {total} : amp"]
    _check(p)
    soma, dendritic = "g_leak * (E_leak - v) + I_soma", "dendrite" in compartments
    soma += " + g_coupling * (v_dendrite - v)" if dendritic else ""
    soma += " - I_adaptation" if adaptive else ""
    lines.insert(0, f"dv/dt = ({soma}) / C : volt (unless refractory)")
    if dendritic:
        lines.insert(1, "dv_dendrite/dt = (g_leak_dendrite * (E_leak - v_dendrite) + "
                     "g_coupling * (v - v_dendrite) + I_dendrite) / C_dendrite : volt")  # fmt: skip
    reset = "v = v_reset"
    if adaptive:
        lines.append("dI_adaptation/dt = -I_adaptation / tau_adaptation : amp")
        reset += "\nI_adaptation += b_adaptation"
    lines.extend([extra] if extra else [])
    named = {r.name: r for r in receptors}
    return Neuron("\n".join(lines), "v > v_threshold", reset, p, named, compartments, adaptive)


def _check(p: Mapping[str, Any]) -> None:
    for name, value in p.items():
        if name.startswith(("C", "g_", "tau")) and float(value) <= 0:
            raise BadOption(name, got=value, expected="a quantity above 0")
    if float(p["t_refractory"]) < 0:
        raise BadOption("t_refractory", got=p["t_refractory"], expected="0 ms or more")
    for name in ("v_reset", "E_leak"):
        if p[name] >= p["v_threshold"]:
            expected = f"less than v_threshold, {p['v_threshold']}"
            raise BadOption(name, got=p[name], expected=expected)
